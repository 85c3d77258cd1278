"""Weights of rows: rare classes and new rows count more, in the way that was asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from ml_platform.contracts.errors import ContractError, SchemaMismatch
from ml_platform.contracts.spec import LightGBMModel, LinearModel, XGBoostModel
from ml_platform.training.fitting import fit_model
from ml_platform.training.parts import prepare
from ml_platform.training.weights import class_weights, recency_weights
from ml_platform_tests.training.rows import COLUMNS, IS_HOLDOUT, IS_TRAIN, IS_VALIDATION, binary_rows, class_rows

KINDS: dict[str, Any] = {"lightgbm": LightGBMModel, "linear": LinearModel, "xgboost": XGBoostModel}
START = datetime(2020, 1, 1, tzinfo=UTC)


def _model(**changed: Any) -> LightGBMModel:
    return LightGBMModel.model_validate({"kind": "lightgbm", **changed})


LABELS = np.array([0, 0, 0, 1.0])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, None),
        ("balanced", [4 / 6, 2.0]),
        ({True: 3}, [1.0, 3.0]),
        ({"true": 3, "false": 0.5}, [0.5, 3.0]),
        ({1: 3, 0: 2}, [2.0, 3.0]),
    ],
)
def test_weights_of_a_binary_label_by_hand(asked: Any, expected: list[float] | None) -> None:
    """Balanced, both classes weigh the same together; a label is named as YAML reads it."""
    found = class_weights(_model(class_weights=asked), LABELS, "binary", ())
    assert (found if found is None else found.tolist()) == expected


def test_weights_of_several_classes_by_hand() -> None:
    labels = np.array([0, 1, 1, 2, 2, 2.0])
    words, numbers = ("a", "b", "c"), (1, 2, 3)
    found = class_weights(_model(class_weights="balanced"), labels, "multiclass", words)
    assert found is not None
    assert found.tolist() == [2.0, 1.0, 2 / 3]
    for classes, asked in ((words, {"b": 4}), (numbers, {2: 4})):
        found = class_weights(_model(class_weights=asked), labels, "multiclass", classes)
        assert found is not None
        assert found.tolist() == [1.0, 4.0, 1.0]


def test_a_class_that_no_training_row_has_is_refused() -> None:
    """By name; as for a class that only validation has."""
    model = _model(class_weights={"late": 2, "lost": 3})
    with pytest.raises(ContractError, match="class_weights: got lost, expected labels of training rows: early, late"):
        fit_model(class_rows(), COLUMNS, model, "multiclass")
    later = class_rows().with_columns(label=pl.when(IS_TRAIN).then("label").otherwise(pl.lit("lost")))
    with pytest.raises(ContractError, match="class_weights: got lost"):
        fit_model(
            pl.concat([class_rows().filter(~IS_HOLDOUT), later.filter(IS_VALIDATION)]), COLUMNS, model, "multiclass"
        )


@pytest.mark.parametrize("asked", [{"a": 0}, {"a": -1}, {}, "even", {"a": "x"}, {1.5: 2}])
def test_weights_that_are_none_are_refused(asked: Any) -> None:
    with pytest.raises(ValidationError):
        _model(class_weights=asked)


def _timed(rows: pl.DataFrame) -> pl.DataFrame:
    at = pl.Series("at", [START + timedelta(minutes=minute) for minute in range(len(rows))])
    return rows.with_columns(at.cast(pl.Datetime("us", "UTC")))


def test_a_row_counts_half_for_each_half_life_by_hand() -> None:
    """From the newest row of train on, which counts whole; rows of one time count the same."""
    at = [START, START + timedelta(days=10), START + timedelta(days=15), START + timedelta(days=20)]
    train = pl.DataFrame({"at": [*at, at[-1]]}, schema={"at": pl.Datetime("us", "UTC")})
    found = recency_weights(_model(recency_half_life="10d"), train, "at")
    assert found is not None
    np.testing.assert_allclose(found, [0.25, 0.5, 0.5**0.5, 1, 1], rtol=1e-12)
    assert recency_weights(_model(), train, "at") is None


@pytest.mark.parametrize("event_time", [None, "when"])
def test_without_an_event_time_there_is_no_age(event_time: str | None) -> None:
    with pytest.raises(SchemaMismatch, match=f"recency_half_life: got rows without the event time {event_time}"):
        fit_model(binary_rows(), COLUMNS, _model(recency_half_life="10d"), "binary", event_time=event_time)


def test_class_and_age_multiply_in_train_and_validation_knows_classes_alone() -> None:
    model = _model(class_weights={"true": 3}, recency_half_life="1d")
    parts = prepare(_timed(binary_rows()), COLUMNS, model, "binary", "at")
    by_age = recency_weights(model, _timed(binary_rows()).filter(IS_TRAIN), "at")
    assert by_age is not None
    assert parts.train.weights is not None
    np.testing.assert_allclose(parts.train.weights, by_age * np.where(parts.train.labels == 1, 3, 1))
    assert parts.validation is not None
    assert parts.validation.weights is not None
    assert set(parts.validation.weights.tolist()) == {1.0, 3.0}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_follows_the_newest_rows(kind: str) -> None:
    """The world turned round in the middle of train; with a short half-life the model knows the new one."""
    if kind == "xgboost":
        pytest.importorskip("xgboost")
    rows = _timed(binary_rows())
    old = IS_TRAIN & (pl.col("at") < START + timedelta(minutes=600))
    turned = rows.with_columns(label=pl.when(old).then(~pl.col("label")).otherwise("label"))
    plain = KINDS[kind].model_validate({"kind": kind})
    newest = plain.model_copy(update={"recency_half_life": timedelta(minutes=90)})
    losses = [fit_model(turned, COLUMNS, each, "binary", event_time="at").loss for each in (plain, newest)]
    assert losses[1] < losses[0] - 0.03
