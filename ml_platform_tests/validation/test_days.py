"""Intervals with days as units: rows of one day stay together, and the wider of the two intervals counts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from ml_platform.contracts.evaluations import Verdict
from ml_platform.contracts.metrics import METRICS_OF, Task
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Costs, Gate
from ml_platform.validation.bootstrap import Gap
from ml_platform.validation.days import day_interval, without_each
from ml_platform.validation.evaluation import ChampionScores, evaluate
from ml_platform.validation.measure import Measure, Own
from ml_platform.validation.metrics import score, weighted_metric
from ml_platform.validation.weighted import weighted_mean

FloatArray = NDArray[np.float64]

VERSION = ModelVersion(pipeline="flights", version=4, digest="d", as_of="2013-07-01", run_id="r")
KEEPS = Gate(metric="log_loss", versus="champion", worse_by_at_most=0.02, confidence=0.95)
OWN = Own(lambda labels, predictions: float(np.median(np.abs(labels - predictions))), is_higher_better=False)
# The area is linear in the weights; bins are those of all rows.
APPROXIMATE = {"roc_auc", "calibration_error"}


def _models(task: Task, rows: int, seed: int) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    if task == "multiclass":
        return rng.integers(3, size=rows).astype(float), rng.dirichlet([2, 1, 1], rows)
    labels = (rng.random(rows) < 0.4).astype(float) + (task == "regression")
    return labels, rng.uniform(0.05, 0.95, rows)


@pytest.mark.parametrize("task", METRICS_OF)
@given(days=st.lists(st.integers(0, 3), min_size=40, max_size=80), seed=st.integers(0, 99))
def test_a_metric_without_a_day_is_that_of_the_other_rows(task: Task, days: list[int], seed: int) -> None:
    """Of every metric, the author's too; days may have any number of rows."""
    costs = Costs(false_positive=1, false_negative=3)
    measure = Measure(task, costs=costs, quantile=0.7, own={} if task == "multiclass" else {"own": OWN})
    labels, predictions = _models(task, len(days), seed)
    numbers = np.unique(days, return_inverse=True)[1].astype(np.intp)
    count = int(numbers.max()) + 1
    for name in {*measure.metrics} - APPROXIMATE:
        got = without_each(weighted_metric(name, labels, predictions, measure), numbers, count)
        kept = [numbers != day for day in range(count)]
        expected = [score(labels[each], predictions[each], measure).get(name, math.nan) for each in kept]
        np.testing.assert_allclose(got, expected, rtol=1e-9, equal_nan=True, err_msg=name)


def test_days_of_one_size_give_the_t_interval_of_their_means() -> None:
    """Read at a third of the risk; the order of the rows does not matter."""
    values, days = np.random.default_rng(1).normal(size=140), np.repeat(np.arange(14), 10)
    means = values.reshape(14, 10).mean(axis=1)
    half = stats.t.ppf(1 - 0.1 / 6, 13) * stats.sem(means)
    found = day_interval(weighted_mean(values), days, confidence=0.9)
    assert (found.low, found.high) == pytest.approx((means.mean() - half, means.mean() + half), rel=1e-3)
    order = np.random.default_rng(2).permutation(140)
    again = day_interval(weighted_mean(values[order]), days[order], confidence=0.9)
    assert (again.low, again.high) == pytest.approx((found.low, found.high))


@pytest.mark.parametrize("freedom", [1, 2, 3, 6])
def test_few_days_have_the_quantile_of_t(freedom: int) -> None:
    values = np.random.default_rng(freedom).normal(size=freedom + 1)
    found = day_interval(weighted_mean(values), np.arange(freedom + 1), confidence=0.9)
    expected = stats.t.ppf(1 - 0.1 / 6, freedom) * stats.sem(values)
    assert found.high - found.estimate == pytest.approx(expected, rel=0.01)


def test_one_day_is_no_sample() -> None:
    found = day_interval(weighted_mean(np.arange(9.0)), np.zeros(9, dtype=np.intp))
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_rows_that_stand_many_times_say_no_more_of_their_day() -> None:
    labels, one = _models("binary", 200, 3)
    other, days = np.clip(one + 0.05, 0.01, 0.99), np.repeat(np.arange(10), 20)

    def width(times: int) -> float:
        rows = np.repeat(np.arange(200), times)
        gap = Gap(*(weighted_metric("log_loss", labels[rows], each[rows], "binary") for each in (one, other)))
        found = day_interval(gap, days[rows])
        return found.high - found.low

    assert width(50) == pytest.approx(width(1))


def _verdict(days: int, spread: float, seed: int = 0, gate: Gate = KEEPS) -> Verdict:
    """Judge a candidate that is as good as the champion, but not on each day: its logits are off by so much a day."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1, 3000)
    day = np.arange(3000) * days // 3000
    labels = (rng.random(3000) < 1 / (1 + np.exp(-logits))).astype(float)
    off = spread * rng.standard_normal(days)[day]
    champion, candidate = (1 / (1 + np.exp(-logits - each)) for each in (np.flip(off), off))
    at = np.datetime64("2020-01-01T08:00:00", "us") + day.astype("timedelta64[D]")
    found = evaluate(
        VERSION, labels=labels, candidate=candidate, baselines={}, gates=[gate], measure="binary", at=at,
        champion=ChampionScores(3, champion, np.ones(3000, dtype=bool)),
    )  # fmt: skip
    return found.verdicts[0]


def test_both_intervals_stand_in_the_verdict_and_the_wider_one_decides() -> None:
    """Where days differ, that over days."""
    verdict = _verdict(days=8, spread=0.3)
    assert verdict.by_rows is not None
    assert verdict.by_days is not None
    assert (verdict.days, verdict.high) == (8, verdict.by_days.high)
    assert verdict.by_days.high > 1.5 * verdict.by_rows.high
    between = KEEPS.model_copy(update={"worse_by_at_most": (verdict.by_days.high + verdict.by_rows.high) / 2})
    assert _verdict(days=8, spread=0.3, gate=between).outcome == "inconclusive"
    assert f"(over rows worse by at most {verdict.by_rows.high:.3g}; over 8 days worse by at most" in verdict.sentence


def test_where_days_are_alike_the_gate_passes() -> None:
    assert _verdict(days=14, spread=0.02).outcome == "pass"


def test_on_one_day_a_gate_with_confidence_is_inconclusive() -> None:
    verdict = _verdict(days=1, spread=0.0)
    assert verdict.outcome == "inconclusive"
    assert "over 1 day cannot be told" in verdict.sentence
    assert _verdict(days=1, spread=0.0, gate=KEEPS.model_copy(update={"confidence": None})).outcome == "pass"


def test_the_record_has_intervals_over_days_of_every_model() -> None:
    """Wider than those over rows where days differ."""
    rng = np.random.default_rng(5)
    day = np.repeat(np.arange(10), 100)
    labels = (rng.random(1000) < np.repeat(rng.uniform(0.1, 0.9, 10), 100)).astype(float)
    at = np.datetime64("2020-01-01T00:30:00", "us") + day.astype("timedelta64[D]")
    half = np.full(1000, 0.4)
    found = evaluate(
        VERSION, labels=labels, candidate=half, baselines={"prior": half + 0.1}, gates=[KEEPS], measure="binary", at=at,
        champion=None,
    )  # fmt: skip
    assert found.days == 10
    for model in ("candidate", "prior"):
        rows, days = found.intervals[model]["log_loss"], found.day_intervals[model]["log_loss"]
        assert days.high - days.low > 2 * (rows.high - rows.low)
