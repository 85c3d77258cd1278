"""Ensembles: what each kind does with its members, and that no member is believed on rows it has learned by heart."""

import json
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.errors import ContractError, NotEnoughRows
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import Ensemble, LightGBMModel, LinearModel, Model, Partitions, Split
from ml_platform.data.calendar import Calendar
from ml_platform.scoring.classes import class_numbers
from ml_platform.scoring.ensemble import join
from ml_platform.training.coefficients import stack_coefficients
from ml_platform.training.ensembles import join_members
from ml_platform.training.fitting import fit_model
from ml_platform.training.losses import loss_of
from ml_platform.training.members import Fits, Member, fit_member
from ml_platform.training.out_of_fold import fold_sets, predicted_labels
from ml_platform.training.trainer import Trained

COLUMNS = ["line", "hour", "ticket"]
TREES: dict[str, Any] = {"kind": "lightgbm", "rounds": 30, "patience": 30}
HONEST = LightGBMModel(**TREES, params={"num_leaves": 4, "min_data_in_leaf": 40, "num_threads": 1})
# Splits until each row has a leaf of its own: it knows the label of every row that it was fitted on.
BY_HEART = LightGBMModel(
    kind="lightgbm",
    rounds=1,
    params={
        "num_leaves": 1000, "min_data_in_leaf": 1, "learning_rate": 1.0, "num_threads": 1,
    },
)  # fmt: skip
PLAIN = LinearModel(kind="linear")
MODELS: dict[str, Model] = {"honest": HONEST, "by_heart": BY_HEART}
SPLIT = Split.model_validate({"train": "20d", "train_at_least": "7d", "validation": "4d", "holdout": "4d", "folds": 3})
CALENDAR = Calendar(Partitions(start=date(2020, 1, 1), end=date(2021, 1, 1)))
AS_OF = "2020-03-01"


def _rows(task: str = "binary") -> pl.DataFrame:
    """Make a training set: a line and an hour say something of the label, a ticket's number nothing."""
    rng, end = np.random.default_rng(3), datetime(2020, 3, 1, tzinfo=UTC)
    at = [end - timedelta(minutes=20 * past) for past in range(72 * 28, 0, -1)]
    line, hour = rng.choice(list("abc"), len(at)), np.array([each.hour for each in at])
    signal = 0.15 + 0.5 * (line == "b") + 0.2 * (hour > 17)
    label = rng.random(len(at)) < signal if task == "binary" else signal * 100 + rng.normal(size=len(at))
    part = np.select([np.arange(len(at)) < 72 * 20, np.arange(len(at)) < 72 * 24], ["train", "validation"], "holdout")
    return pl.DataFrame(
        {
            "key": range(len(at)), "at": at, "line": line, "hour": hour, "ticket": rng.random(len(at)),
            "label": label, "label_known_at": at, "part": part, "day": "2020-01-01",
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Give the training set."""
    return _rows()


@pytest.fixture(scope="module")
def folds(rows: pl.DataFrame) -> tuple[pl.DataFrame, ...]:
    """Give its folds."""
    return fold_sets(rows, SPLIT, CALENDAR, AS_OF, event_time="at", key=["key"])


@pytest.fixture(scope="module")
def members(rows: pl.DataFrame, folds: tuple[pl.DataFrame, ...]) -> dict[str, Member]:
    """Give both members."""
    return {name: fit_member(rows, _fitter(model), folds) for name, model in MODELS.items()}


def _fitter(model: Model, task: Task = "binary") -> Fits:
    return partial(fit_model, columns=COLUMNS, model=model, task=task, event_time="at")


def _fitted(
    rows: pl.DataFrame,
    models: dict[str, Model],
    kind: str,
    folds: tuple[pl.DataFrame, ...],
    task: Task = "binary",
) -> Trained:
    members = {name: fit_member(rows, _fitter(model, task), folds) for name, model in models.items()}
    return join_members(rows, members, Ensemble.model_validate({"kind": kind, "of": list(models)}), task, folds)


def _join(
    kind: str, rows: pl.DataFrame, members: dict[str, Member], folds: tuple[pl.DataFrame, ...] = ()
) -> tuple[Trained, dict[str, Any]]:
    ensemble = Ensemble.model_validate({"kind": kind, "of": list(members)})
    trained = join_members(rows, members, ensemble, "binary", folds)
    return trained, json.loads(trained.files["model.json"])


def test_an_in_sample_stack_would_look_perfect_and_the_out_of_fold_one_does_not(
    rows: pl.DataFrame, folds: tuple[pl.DataFrame, ...], members: dict[str, Member]
) -> None:
    """Fitted on rows the members saw, a stack believes the one that learned them by heart; on others it does not."""
    loss, train = partial(loss_of, task="binary"), rows.filter(pl.col("part") == "train")
    seen_labels = train["label"].cast(pl.Float64).to_numpy()
    seen = {name: member.trained.predict(train) for name, member in members.items()}
    leaking, intercept = stack_coefficients(seen_labels, seen, "binary")
    fooled = {"how": "stacked", "task": "binary", "coefficients": leaking, "intercept": intercept}
    assert loss(seen_labels, join(seen, fooled)) < 0.1 < 0.4 < loss(seen_labels, seen["honest"])
    assert leaking["by_heart"] > 5 * leaking["honest"]
    labels = predicted_labels(folds).cast(pl.Float64).to_numpy()
    said = {name: member.out_of_fold for name, member in members.items() if member.out_of_fold is not None}
    assert loss(labels, said["by_heart"]) > loss(labels, said["honest"]) + 0.2
    trained, description = _join("stacked", rows, members, folds)
    coefficients = description["coefficients"]
    assert coefficients["honest"] > 5 * coefficients["by_heart"]
    holdout = rows.filter(pl.col("part") == "holdout")
    held_out = holdout["label"].cast(pl.Float64).to_numpy()
    assert loss(held_out, trained.predict(holdout)) < loss(held_out, members["by_heart"].trained.predict(holdout)) - 0.2


def test_out_of_fold_predictions_never_come_from_a_fit_that_saw_the_row(
    rows: pl.DataFrame, folds: tuple[pl.DataFrame, ...]
) -> None:
    """Labels of predicted rows turned round change nothing of what is said of them."""
    turned = tuple(
        each.with_columns(label=pl.when(pl.col("part") == "holdout").then(~pl.col("label")).otherwise("label"))
        for each in folds
    )
    first, second = (fit_member(rows, _fitter(BY_HEART), each).out_of_fold for each in (folds, turned))
    assert first is not None
    assert second is not None
    assert np.array_equal(first, second)


def test_the_holdout_is_never_looked_at(rows: pl.DataFrame, folds: tuple[pl.DataFrame, ...]) -> None:
    """Turned labels there give the same files, whatever the kind."""
    turned = rows.with_columns(label=pl.when(pl.col("part") == "holdout").then(~pl.col("label")).otherwise("label"))
    models: dict[str, Model] = {"honest": HONEST, "plain": PLAIN}
    cut = fold_sets(turned, SPLIT, CALENDAR, AS_OF, event_time="at", key=["key"])
    assert _fitted(rows, models, "stacked", folds).files == _fitted(turned, models, "stacked", cut).files


@pytest.mark.parametrize("kind", ["average", "weighted", "best"])
def test_each_kind_weighs_its_members(kind: str, rows: pl.DataFrame, members: dict[str, Member]) -> None:
    trained, description = _join(kind, rows, members)
    weights = description["coefficients"]
    assert sum(weights.values()) == pytest.approx(1)
    expected = {"average": 0.5, "weighted": pytest.approx(1, abs=0.1), "best": 1.0}[kind]
    assert weights["honest"] == expected
    holdout = rows.filter(pl.col("part") == "holdout")
    mean = sum(weights[name] * member.trained.predict(holdout) for name, member in members.items())
    assert trained.predict(holdout) == pytest.approx(mean, abs=1e-12)
    assert trained.params["ensemble"] == kind
    assert trained.params["honest.num_leaves"] == 4
    assert trained.notes[0].startswith(f"The members count ({kind}): honest ")
    assert sum(trained.importance.values()) == pytest.approx(1)
    validation = rows.filter(pl.col("part") == "validation")
    labels = validation["label"].cast(pl.Float64).to_numpy()
    assert trained.loss == pytest.approx(loss_of(labels, trained.predict(validation), "binary"))


@pytest.mark.parametrize("kind", ["average", "weighted", "stacked", "best"])
def test_a_regression_of_trees_and_a_linear_model_is_joined(kind: str) -> None:
    rows = _rows("regression")
    folds = fold_sets(rows, SPLIT, CALENDAR, AS_OF, event_time="at", key=["key"])
    trained = _fitted(rows, {"honest": HONEST, "plain": PLAIN}, kind, folds, "regression")
    holdout = rows.filter(pl.col("part") == "holdout")
    assert loss_of(holdout["label"].to_numpy(), trained.predict(holdout), "regression") < 9


@pytest.mark.parametrize("kind", ["average", "weighted", "stacked", "best"])
def test_several_classes_are_joined_also_where_a_part_lacks_one(kind: str) -> None:
    """A class that only validation has is nobody's; one that a fold's train lacks is no reason to fail."""
    words = (
        pl.when("label").then(pl.lit("late")).when(pl.col("line") == "c").then(pl.lit("early")).otherwise(pl.lit("on"))
    )
    place = pl.int_range(pl.len())
    rare = (place % 97 == 0) & (place > 72 * 17) & (pl.col("part") == "train")
    new = (place % 89 == 0) & (pl.col("part") == "validation")
    told = pl.when(rare).then(pl.lit("rare")).when(new).then(pl.lit("new")).otherwise(words)
    rows = _rows().with_columns(label=told)
    folds = fold_sets(rows, SPLIT, CALENDAR, AS_OF, event_time="at", key=["key"])
    assert "rare" not in set(folds[0].filter(pl.col("part") == "train")["label"])
    trained = _fitted(rows, {"honest": HONEST, "plain": PLAIN}, kind, folds, "multiclass")
    assert trained.classes == ("early", "late", "on", "rare")
    assert json.loads(trained.files["model.json"])["classes"] == list(trained.classes)
    holdout = rows.filter(pl.col("part") == "holdout")
    said = trained.predict(holdout)
    assert said.shape == (len(holdout), 4)
    assert said.sum(axis=1) == pytest.approx(1)
    shares = np.bincount(class_numbers(holdout["label"], trained.classes).astype(int), minlength=4) / len(holdout)
    assert loss_of(class_numbers(holdout["label"], trained.classes), said, "multiclass") < float(
        -(shares[shares > 0] * np.log(shares[shares > 0])).sum()
    )


def test_a_stack_without_out_of_fold_predictions_is_refused(
    rows: pl.DataFrame, folds: tuple[pl.DataFrame, ...], members: dict[str, Member]
) -> None:
    """Or with those of other rows."""
    without = members | {"honest": Member(members["honest"].trained)}
    with pytest.raises(ContractError, match="stack: out-of-fold predictions of honest: got none, or of other rows"):
        _join("stacked", rows, without, folds)
    with pytest.raises(ContractError, match="out-of-fold predictions of honest, by_heart"):
        _join("stacked", rows, members, folds[:2])


def test_folds_of_one_label_are_refused(
    rows: pl.DataFrame, folds: tuple[pl.DataFrame, ...], members: dict[str, Member]
) -> None:
    same = tuple(each.with_columns(label=pl.lit(value=True)) for each in folds)
    with pytest.raises(NotEnoughRows, match=r"stack: rows that the folds predict: got \d+ rows with one label"):
        _join("stacked", rows, members, same)


def test_members_of_different_encodings_are_refused(rows: pl.DataFrame, members: dict[str, Member]) -> None:
    other = fit_member(rows.filter(pl.col("line") != "c"), _fitter(HONEST))
    with pytest.raises(ContractError, match="got features encoded in different ways, expected one matrix for all"):
        _join("average", rows, members | {"honest": other})
