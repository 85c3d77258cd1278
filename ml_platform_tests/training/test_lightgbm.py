"""The LightGBM trainer: seeded, on native categories, never looking at the holdout."""

from collections.abc import Callable

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss
from sklearn.metrics import root_mean_squared_error as rmse

from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.contracts.spec import LightGBMModel
from ml_platform.training.baselines import predict_baselines
from ml_platform.training.fitting import fit_model
from ml_platform.training.threads import computing_with
from ml_platform.training.trainer import Trained
from ml_platform_tests.training.rows import COLUMNS, IS_HOLDOUT, binary_rows, number_rows

MODEL = LightGBMModel(
    kind="lightgbm",
    params={
        "num_leaves": 7,
        "min_data_in_leaf": 10,
        "learning_rate": 0.2,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "num_threads": 1,
    },
    rounds=60,
    patience=10,
)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Give the training set."""
    return binary_rows()


@pytest.fixture(scope="module")
def trained(rows: pl.DataFrame) -> Trained:
    """Give its fit."""
    return fit_model(rows, COLUMNS, MODEL, "binary")


def _text(trained: Trained) -> str:
    return trained.files["model.txt"].decode()


def _predict(trained: Trained, rows: pl.DataFrame) -> np.ndarray:
    return np.asarray(lgb.Booster(model_str=_text(trained)).predict(trained.encoder.encode(rows)))


def test_the_same_seed_gives_the_same_model(rows: pl.DataFrame, trained: Trained) -> None:
    """To the byte, with rows drawn at random; another seed gives another model."""
    assert fit_model(rows, COLUMNS, MODEL, "binary").files == trained.files
    assert set(trained.files) == {"model.txt", "model.json"}
    reseeded = fit_model(rows, COLUMNS, MODEL.model_copy(update={"seed": 8}), "binary")
    assert reseeded.files != trained.files


def test_the_text_does_not_hang_on_the_number_of_threads(rows: pl.DataFrame) -> None:
    """So that a fit on a cluster, with other CPUs, has the digest of one on this machine."""
    model = LightGBMModel.model_validate({"kind": "lightgbm", "rounds": 20, "patience": 20})
    texts = []
    for threads in (1, 2):
        with computing_with(threads):
            texts.append(_text(fit_model(rows, COLUMNS, model, "binary")))
    assert texts[0] == texts[1]


def test_it_learns(rows: pl.DataFrame, trained: Trained) -> None:
    """Better than the prior on the holdout by far, though not better than the drawn chances."""
    holdout = rows.filter(IS_HOLDOUT)
    labels = holdout["label"].to_numpy().astype(float)
    prior = log_loss(labels, predict_baselines(rows)["prior"])
    assert 0.4 < log_loss(labels, _predict(trained, holdout)) < prior - 0.1


@pytest.mark.parametrize(
    "change",
    [
        pl.when(IS_HOLDOUT).then(~pl.col("label")).otherwise("label").alias("label"),
        pl.when(IS_HOLDOUT).then(pl.lit("z")).otherwise("carrier").alias("carrier"),
        pl.when(IS_HOLDOUT).then(pl.lit(1e9)).otherwise("hour").alias("hour"),
    ],
    ids=["labels", "categories", "numbers"],
)
def test_the_holdout_has_no_influence(rows: pl.DataFrame, trained: Trained, change: pl.Expr) -> None:
    """Whatever stands in it, the model, its encoder and its rounds are the same; without it too."""
    changed = rows.with_columns(change)
    assert not changed.equals(rows)
    for table in (changed, rows.filter(~IS_HOLDOUT)):
        fitted = fit_model(table, COLUMNS, MODEL, "binary")
        assert (fitted.files, fitted.encoder, fitted.history) == (trained.files, trained.encoder, trained.history)


def test_the_encoder_knows_the_train_part_alone(rows: pl.DataFrame) -> None:
    """A category that first comes in the validation part is unseen."""
    is_validation = pl.col("part") == "validation"
    later = rows.with_columns(pl.when(is_validation).then(pl.lit("z")).otherwise("carrier").alias("carrier"))
    assert fit_model(later, COLUMNS, MODEL, "binary").encoder.vocabularies == {"carrier": ("a", "b", "c", "d")}


def test_text_is_a_category(trained: Trained) -> None:
    """The first tree cuts {b, d} off in one go, which no threshold on a number can."""
    assert trained.encoder.categorical == ["carrier"]
    assert "categorical_feature: 0]" in _text(trained)
    sets = lgb.Booster(model_str=_text(trained)).trees_to_dataframe().query("decision_type == '=='")["threshold"]
    assert {"1||3", "0||2"} & set(sets)


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("change", [lambda frame: frame.filter(pl.col("label")), lambda frame: frame.clear()])
def test_a_part_with_one_class_is_refused(
    rows: pl.DataFrame, part: str, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    """By the part's name: nothing can be learned or stopped there."""
    is_part = pl.col("part") == part
    one = change(rows.filter(is_part))
    message = (
        f"training set: {part}: got {len(one)} rows with {one['label'].n_unique()} class, expected rows of both classes"
    )
    with pytest.raises(NotEnoughRows, match=message):
        fit_model(pl.concat([one, rows.filter(~is_part)]), COLUMNS, MODEL, "binary")


def test_one_class_in_the_holdout_is_no_fault_of_the_fit(rows: pl.DataFrame, trained: Trained) -> None:
    """It is for the gates to say that nothing can be measured there."""
    assert fit_model(rows.filter(~IS_HOLDOUT | pl.col("label")), COLUMNS, MODEL, "binary").files == trained.files


def test_it_stops_where_the_validation_loss_is_least(rows: pl.DataFrame, trained: Trained) -> None:
    """The rounds kept are those of the least loss, which is the one that the kept model has."""
    assert trained.rounds == int(np.argmin(trained.history)) + 1 < len(trained.history) < MODEL.rounds
    validation = rows.filter(pl.col("part") == "validation")
    loss = log_loss(validation["label"].to_numpy().astype(float), _predict(trained, validation))
    assert loss == pytest.approx(min(trained.history), abs=1e-6)


def test_importance_is_sorted_and_noise_is_last(trained: Trained) -> None:
    """Every feature is there, by its name."""
    assert set(trained.importance) == set(COLUMNS)
    assert list(trained.importance)[:2] == ["carrier", "hour"]
    assert list(trained.importance.values()) == sorted(trained.importance.values(), reverse=True)


def test_what_the_author_sets_is_used_and_what_the_platform_needs_stays(rows: pl.DataFrame) -> None:
    """A parameter changes the model; objective and metric cannot be changed from the spec."""
    params = {"num_threads": 1, "num_leaves": 2, "objective": "regression", "metric": "l2"}
    stumps = fit_model(rows, COLUMNS, MODEL.model_copy(update={"params": params}), "binary")
    text = _text(stumps)
    assert "objective=binary" in text
    assert "[num_leaves: 2]" in text
    assert stumps.history[0] == pytest.approx(0.68, abs=0.05)


def test_a_regression_predicts_the_label_in_its_own_unit() -> None:
    """Close to the spread that was drawn, far below that of a constant; stopped by the same loss."""
    numbers = number_rows()
    fitted = fit_model(numbers, COLUMNS, MODEL, "regression")
    assert "objective=regression" in _text(fitted)
    holdout, validation = numbers.filter(IS_HOLDOUT), numbers.filter(pl.col("part") == "validation")
    prior = rmse(holdout["label"].to_numpy(), predict_baselines(numbers)["prior"])
    assert 19 < rmse(holdout["label"].to_numpy(), _predict(fitted, holdout)) < 30 < 80 < prior
    least = rmse(validation["label"].to_numpy(), _predict(fitted, validation))
    assert least == pytest.approx(min(fitted.history), abs=1e-6)


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64])
def test_labels_that_are_all_the_same_teach_nothing(rows: pl.DataFrame, dtype: pl.DataType) -> None:
    """Two of them that differ are enough to begin with."""
    same = rows.with_columns(label=pl.lit(3).cast(dtype))
    with pytest.raises(NotEnoughRows, match="train: got 1200 rows with 1 value, expected labels that differ"):
        fit_model(same, COLUMNS, MODEL, "regression")
