"""Margins from the sample: the larger of a share of the best baseline's loss and twice the spread of three seeds."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.authoring.gates import TABLE, draft_gates, predicted_of
from ml_platform.authoring.margins import Margins, Recipe, Target, measure_margins
from ml_platform.contracts.spec import Gate
from ml_platform_tests.authoring.drafted import rides

TARGET = Target("is_yes", "at", "binary", None, "1d")
COLUMNS = ["distance_km", "zone", "people", "weekday"]
RECIPE = Recipe(
    {"kind": "lightgbm", "params": {"min_data_in_leaf": 20}}, COLUMNS, {"weekday": "extract(isodow from at)"}
)  # fmt: skip
ROWS = rides("binary", 40, 60, seed=1)
BASELINES = {"prior": {"log_loss": 0.6, "roc_auc": 0.5}, "last_value": {"log_loss": 0.62, "roc_auc": 0.5}}


def _margins(*losses: float) -> Margins:
    return Margins(BASELINES, [{"log_loss": loss} for loss in losses], 900)


@pytest.mark.parametrize(
    ("losses", "size", "origin"),
    [
        (
            (0.5, 0.5, 0.5),
            0.006,
            "1 % of the best baseline's log_loss (prior 0.6), which is more than twice the spread",
        ),
        ((0.5, 0.502, 0.501), 0.006, "1 % of the best"),
        (
            (0.5, 0.51, 0.505),
            0.02,
            "twice the spread of three seeds, each on its own four fifths (0.01), which is more",
        ),
    ],
)
def test_the_larger_one_is_the_margin_and_says_so(losses: tuple[float, ...], size: float, origin: str) -> None:
    margin = _margins(*losses).of("log_loss")
    assert margin.size == pytest.approx(size)
    assert margin.origin.startswith(origin)
    assert "on 900 sampled rows" in margin.origin


def test_without_three_seeds_the_share_alone_is_the_margin() -> None:
    margins = Margins(BASELINES, (), 900, "the recipe could not be fitted on it (one class)")
    assert margins.of("log_loss").size == pytest.approx(0.006)
    assert margins.of("log_loss").origin.endswith(
        "on 900 sampled rows; the recipe could not be fitted on it (one class)"
    )


@given(st.floats(1e-9, 1e9), st.floats(0, 1))
def test_a_margin_is_rounded_up_and_never_by_much(loss: float, spread: float) -> None:
    """Whatever the unit of the label."""
    margins = Margins({"prior": {"rmse": loss}}, [{"rmse": loss * (1 + part * spread)} for part in (0, 1, 0.5)], 900)
    exact = max(0.01 * loss, 2 * spread * loss)
    assert exact * (1 - 1e-6) <= margins.of("rmse").size <= exact * 1.11


def test_the_sample_gives_the_same_margin_each_time() -> None:
    """From baselines and seeds on the newest fifth; the seeds differ, and beat the baselines."""
    one, other = (measure_margins(ROWS, TARGET, RECIPE) for _ in range(2))
    assert one == other
    assert one.rows == len(ROWS) // 5
    losses = [seed["log_loss"] for seed in one.seeds]
    assert len(set(losses)) == 3
    assert max(losses) < min(each["log_loss"] for each in one.baselines.values())


def test_a_sample_that_cannot_be_fitted_says_why() -> None:
    """Here the older part has one class only."""
    half = len(ROWS) * 7 // 10
    rows = ROWS.with_columns(is_yes=pl.when(pl.int_range(pl.len()) < half).then(0).otherwise(pl.col("is_yes")))
    margins = measure_margins(rows, TARGET, RECIPE)
    assert margins.seeds == ()
    assert "could not be fitted on it (training set: train" in margins.of("log_loss").origin
    assert margins.of("log_loss").size > 0


@pytest.mark.parametrize("predicted", TABLE)
def test_each_line_of_the_table_asks_every_baseline_and_the_champion_with_confidence(predicted: str) -> None:
    """For the proper loss; the watched metric by its estimate."""
    line = TABLE[predicted]  # type: ignore[index]
    watched: dict[str, float] = {} if line.watched is None else {line.watched: 0.5}
    values: dict[str, float] = {line.loss: 0.5, **watched}
    margins = Margins({"prior": values}, [values] * 3, 900)
    gates = [Gate.model_validate(each.gate) for each in draft_gates(predicted, margins)]  # type: ignore[arg-type]
    assert [(gate.metric, gate.versus, gate.confidence) for gate in gates[:2]] == [
        (line.loss, "baseline", 0.95),
        (line.loss, "champion", 0.95),
    ]
    assert [(gate.metric, gate.versus, gate.confidence) for gate in gates[2:]] == (
        [(line.watched, "champion", None)] if line.watched else []
    )
    assert all(gate.bound > 0 for gate in gates)


def test_a_quantile_has_a_line_of_its_own() -> None:
    assert [predicted_of("regression", each) for each in (None, 0.9)] == ["regression", "quantile"]
