"""Baselines, by hand: they know the labels of train and validation, and nothing of the holdout."""

import polars as pl
import pytest

from ml_platform.training.baselines import predict_baselines

ROWS = pl.DataFrame(
    [
        ("train", "d1", True),
        ("train", "d1", False),
        ("train", "d2", False),
        ("validation", "d3", True),
        ("validation", "d4", True),
        ("validation", "d4", False),
        ("validation", "d4", False),
        ("validation", "d4", False),
        ("holdout", "d5", True),
        ("holdout", "d5", True),
    ],
    schema={"part": pl.String, "day": pl.String, "label": pl.Boolean},
    orient="row",
)


@pytest.mark.parametrize("dtype", [pl.Boolean, pl.Int64, pl.Float64])
@pytest.mark.parametrize("order", [1, -1])
def test_values_by_hand(dtype: pl.DataType, order: int) -> None:
    """Three of eight rows are positive, and one of four on the newest day; the order of rows does not matter."""
    found = predict_baselines(ROWS.with_columns(pl.col("label").cast(dtype))[::order])
    assert {name: values.tolist() for name, values in found.items()} == {"prior": [0.375] * 2, "last_value": [0.25] * 2}


def test_the_mean_of_a_number_in_its_own_unit() -> None:
    """Minutes may be below zero."""
    found = predict_baselines(ROWS.with_columns(label=pl.Series([-8.0, 4, 4, 4, 4, 4, 4, 8, 99, 99])))
    assert {name: values.tolist() for name, values in found.items()} == {"prior": [3.0] * 2, "last_value": [5.0] * 2}


def test_the_labels_of_the_holdout_are_not_known() -> None:
    """Turned round, they change nothing."""
    turned = ROWS.with_columns(pl.col("label") ^ (pl.col("part") == "holdout"))
    assert turned["label"].sum() == 3
    found, expected = predict_baselines(turned), predict_baselines(ROWS)
    assert all((found[name] == expected[name]).all() for name in expected)


def test_shares_of_several_classes_by_hand() -> None:
    """In the order of the classes asked for; one that no fitted row has gets nothing."""
    words = ROWS.with_columns(label=pl.when("label").then(pl.lit("b")).otherwise(pl.lit("c")))
    found = predict_baselines(words, ("a", "b", "c"))
    assert {name: values.tolist() for name, values in found.items()} == {
        "prior": [[0, 0.375, 0.625]] * 2,
        "last_value": [[0, 0.25, 0.75]] * 2,
    }


def test_a_quantile_is_that_of_the_labels() -> None:
    numbers = ROWS.with_columns(label=pl.Series([0.0, 1, 2, 3, 4, 5, 6, 7, 99, 99]))
    found = predict_baselines(numbers, quantile=0.9)
    assert {name: values.tolist() for name, values in found.items()} == {
        "prior": [pytest.approx(6.3)] * 2,
        "last_value": [pytest.approx(6.7)] * 2,
    }
