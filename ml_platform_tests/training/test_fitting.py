"""What every kind of model has in common: bad rows refused, classes, quantiles and monotone features kept."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import LightGBMModel, LinearModel, Model, XGBoostModel
from ml_platform.training.fitting import fit_model
from ml_platform.training.losses import loss_of
from ml_platform.training.parts import prepare
from ml_platform_tests.training.rows import (
    COLUMNS,
    IS_HOLDOUT,
    IS_TRAIN,
    IS_VALIDATION,
    binary_rows,
    class_rows,
    number_rows,
    rows_with_gaps,
)

PARAMS: dict[str, dict[str, Any]] = {
    "lightgbm": {"num_leaves": 7, "min_data_in_leaf": 10, "num_threads": 1},
    "linear": {},
    "xgboost": {"max_depth": 3, "nthread": 1},
}
KINDS: dict[str, Any] = {"lightgbm": LightGBMModel, "linear": LinearModel, "xgboost": XGBoostModel}
TREES = ["lightgbm", "xgboost"]
ROWS: dict[Task, pl.DataFrame] = {"binary": binary_rows(), "multiclass": class_rows(), "regression": number_rows()}
any_kind = pytest.mark.parametrize("kind", list(KINDS))
any_task = pytest.mark.parametrize("task", list(ROWS))


def _model(kind: str, **changed: Any) -> Model:
    if kind == "xgboost":
        pytest.importorskip("xgboost")
    rounds = {} if kind == "linear" else {"rounds": 80, "patience": 10}
    return KINDS[kind].model_validate({"kind": kind, "params": PARAMS[kind], **rounds, **changed})


@any_kind
@any_task
def test_each_kind_learns_each_task(kind: str, task: Task) -> None:
    """The loss that is told is that of what is served, far below the best constant's; the holdout has no influence."""
    rows = ROWS[task]
    trained = fit_model(rows, COLUMNS, _model(kind), task)
    validation = prepare(rows, COLUMNS, _model(kind), task).validation
    assert validation is not None
    labels = validation.labels
    assert trained.loss == pytest.approx(
        loss_of(labels, trained.predict(rows.filter(IS_VALIDATION)), task), abs=1e-6, rel=1e-6
    )
    mean = np.bincount(labels.astype(int)) / len(labels) if task == "multiclass" else labels.mean()
    constant = np.repeat(np.asarray(mean)[None], len(labels), axis=0)
    assert trained.loss < 0.93 * loss_of(labels, constant, task)
    assert fit_model(rows.filter(~IS_HOLDOUT), COLUMNS, _model(kind), task).files == trained.files
    assert json.loads(trained.files["model.json"])["task"] == task


@any_kind
@any_task
@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_part_with_one_label_is_refused(kind: str, task: Task, part: str) -> None:
    """A constant target, by the part's name."""
    is_part = pl.col("part") == part
    first = ROWS[task].filter(is_part)["label"][0]
    rows = ROWS[task].with_columns(label=pl.when(is_part).then(pl.lit(first)).otherwise("label"))
    words = {"binary": "1 class, expected rows of both classes", "multiclass": "1 class, expected rows of two classes"}
    with pytest.raises(NotEnoughRows, match=f"{part}: got .* rows with {words.get(task, '1 value, expected labels')}"):
        fit_model(rows, COLUMNS, _model(kind), task)


@any_kind
@any_task
@pytest.mark.parametrize("empty", [pl.lit(None, pl.Float64), pl.lit(None)], ids=["numbers", "nothing"])
def test_a_feature_of_nulls_alone_is_told_and_teaches_nothing(kind: str, task: Task, empty: pl.Expr) -> None:
    trained = fit_model(ROWS[task].with_columns(hour=empty), COLUMNS, _model(kind), task)
    assert "No training row has a value of hour: nothing was learned from it." in trained.warnings
    assert trained.importance["hour"] == 0
    assert np.isfinite(trained.predict(ROWS[task].with_columns(hour=empty))).all()
    assert np.isfinite(trained.predict(ROWS[task])).all()


@any_kind
@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pl.col("label"), ("early", "late", "on time")),
        (pl.col("label").replace_strict({"early": 10, "late": 9, "on time": -1}), (-1, 9, 10)),
    ],
    ids=["words", "numbers"],
)
def test_classes_are_the_sorted_labels_of_train(kind: str, labels: pl.Expr, classes: tuple[Any, ...]) -> None:
    """They stand in `model.json`; each has a probability, and they sum to 1."""
    rows = class_rows().with_columns(label=labels)
    trained = fit_model(rows, COLUMNS, _model(kind), "multiclass")
    assert trained.classes == classes
    assert tuple(json.loads(trained.files["model.json"])["classes"]) == classes
    shares = trained.predict(rows.filter(IS_HOLDOUT))
    assert shares.shape == (400, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    said = [classes[place] for place in shares.argmax(axis=1)]
    assert np.mean([one == other for one, other in zip(said, rows.filter(IS_HOLDOUT)["label"], strict=True)]) > 0.6


@any_kind
def test_a_class_that_train_has_not_seen_cannot_stop_a_fit(kind: str) -> None:
    """Such validation rows are left out, and told."""
    is_new = IS_VALIDATION & (pl.col("hour") < 2)
    rows = class_rows().with_columns(label=pl.when(is_new).then(pl.lit("lost")).otherwise("label"))
    count = len(rows.filter(is_new))
    trained = fit_model(rows, COLUMNS, _model(kind), "multiclass")
    assert trained.notes[0] == f"{count} validation rows were left out: no training row has their class (lost)."
    assert trained.files == fit_model(rows.filter(~is_new), COLUMNS, _model(kind), "multiclass").files


@pytest.mark.parametrize("kind", TREES)
@pytest.mark.parametrize("quantile", [0.1, 0.9])
def test_a_quantile_leaves_its_share_below(kind: str, quantile: float) -> None:
    """Of the holdout's labels, about that share lies below the prediction; the loss is the pinball loss."""
    rows = number_rows()
    trained = fit_model(rows, COLUMNS, _model(kind, quantile=quantile, rounds=300), "regression")
    holdout, validation = rows.filter(IS_HOLDOUT), rows.filter(IS_VALIDATION)
    assert float((holdout["label"].to_numpy() < trained.predict(holdout)).mean()) == pytest.approx(quantile, abs=0.08)
    loss = loss_of(validation["label"].to_numpy(), trained.predict(validation), "regression", quantile)
    assert trained.loss == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("kind", TREES)
@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize(("direction", "sign"), [("increasing", 1), ("decreasing", -1)])
def test_a_monotone_feature_moves_the_prediction_one_way(kind: str, task: Task, direction: str, sign: int) -> None:
    """On a grid of hours for each of fifty rows; without the constraint some fall."""
    hours = pl.Series("hour", np.linspace(0, 24, 60))
    rows = ROWS[task].with_columns(hour=pl.when(pl.col("noise") > 0).then("hour").otherwise(24 - pl.col("hour")))

    def steps(trained: Any) -> np.ndarray:
        asked = rows.filter(IS_HOLDOUT).head(50).drop("hour").join(hours.to_frame(), how="cross")
        return np.diff(trained.predict(asked).reshape(50, 60), axis=1) * sign

    free, held = (
        fit_model(rows, COLUMNS, _model(kind, **asked), task) for asked in ({}, {"monotone": {"hour": direction}})
    )
    assert steps(free).min() < -1e-3
    assert steps(held).min() >= 0
    assert steps(held).max() > 0 or sign == -1


def test_balanced_classes_find_what_is_rare() -> None:
    """One positive in thirty is never said without weights, and found with them."""
    drawn = np.random.default_rng(1).random(2000)
    rare = binary_rows().with_columns(label=pl.Series(drawn) < 0.01 + 0.1 * (pl.col("hour") > 18).cast(pl.Float64))
    holdout = rare.filter(IS_HOLDOUT)
    for kind in KINDS:
        plain, balanced = (
            fit_model(rare, COLUMNS, _model(kind, class_weights=asked), "binary") for asked in (None, "balanced")
        )
        assert plain.predict(holdout).max() < 0.5
        assert 0.2 < (balanced.predict(holdout) > 0.5).mean() < 0.6


@any_kind
def test_people_see_what_decided_the_fit(kind: str) -> None:
    """Options that were set beside parameters, by their own names; nothing of a search."""
    trained = fit_model(binary_rows(), COLUMNS, _model(kind, class_weights={"true": 2}, seed=11), "binary")
    assert trained.params["kind"] == kind
    assert trained.params["seed"] == 11
    assert trained.params["class_weights"] == {"true": 2.0}
    assert PARAMS[kind].items() <= trained.params.items()
    assert not {"search", "monotone", "calibration", "params"} & trained.params.keys()


@any_kind
@pytest.mark.parametrize("change", [lambda rows: rows, rows_with_gaps])
def test_the_encoder_knows_train_alone(kind: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    rows = change(binary_rows())
    trained = fit_model(rows, COLUMNS, _model(kind), "binary")
    assert trained.encoder.vocabularies == {"carrier": tuple("abcd")}
    assert trained.encoder == prepare(rows.filter(IS_TRAIN | IS_VALIDATION), COLUMNS, _model(kind), "binary").encoder
