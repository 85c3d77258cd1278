"""The paired bootstrap, held against scipy's and against the plain metrics."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from ml_platform.contracts.errors import ContractError
from ml_platform.contracts.metrics import METRICS_OF, Task
from ml_platform.contracts.spec import Costs
from ml_platform.validation.bootstrap import intervals, paired_intervals
from ml_platform.validation.measure import Measure
from ml_platform.validation.metrics import score, weighted_metric
from ml_platform.validation.quantiles import t_quantile
from ml_platform.validation.ranking import weighted_auc
from ml_platform.validation.weighted import Weighted, weighted_mean

FloatArray = NDArray[np.float64]


def _models(rows: int, seed: int = 1) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give labels, and the probabilities of a good model and of the same model with noise."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < 0.3).astype(float)
    good = np.clip(0.3 + 0.3 * (labels - 0.3) + 0.2 * rng.standard_normal(rows), 0.01, 0.99)
    return labels, good, np.clip(good + 0.1 * rng.standard_normal(rows), 0.01, 0.99)


def _once(metric: Weighted, weights: FloatArray) -> float:
    return float(metric(weights[None, :])[0])


MEASURES = [
    Measure("binary", threshold=0.4, costs=Costs(false_positive=1, false_negative=5, true_positive=-2)),
    Measure("regression", quantile=0.9),
]
# The area is linear in the weights, and bins are those of equal weights.
APPROXIMATE = {"roc_auc", "calibration_error"}


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=40),
    st.sampled_from(MEASURES),
)
def test_a_weight_counts_a_row_so_many_times(rows: list[tuple[bool, int, int]], measure: Measure) -> None:
    """For every metric, ties included; NaN where it is not defined."""
    labels = np.array([float(label) for label, _, _ in rows])
    predictions = np.array([value / 5 for _, value, _ in rows])
    weights = np.array([weight for _, _, weight in rows])
    plain = score(np.repeat(labels, weights), np.repeat(predictions, weights), measure)
    for name in {*measure.metrics} - APPROXIMATE - {"mape"}:
        got = _once(weighted_metric(name, labels, predictions, measure), weights.astype(float))
        assert got == pytest.approx(plain.get(name, math.nan), nan_ok=True), name


@pytest.mark.parametrize("task", METRICS_OF)
def test_the_influence_of_a_row_is_how_fast_the_metric_changes_with_its_weight(task: Task) -> None:
    """Of every metric, of rows that stand out and of such that do not."""
    rng = np.random.default_rng(11)
    measure = replace(MEASURES[task == "regression"], task=task)
    predictions = rng.dirichlet([2, 1, 1], 300) if task == "multiclass" else rng.random(300).round(2)
    labels = rng.integers(3, size=300) if task == "multiclass" else rng.random(300) < 0.4
    happened = labels.astype(float) + (task == "regression")
    for name in measure.metrics:
        metric = weighted_metric(name, happened, predictions, measure)
        influence, step = metric.influence(), 1e-4
        for row in (0, 150, int(np.abs(influence).argmax())):
            more, less = np.ones((2, 1, 300))
            more[0, row] += step
            less[0, row] -= step
            slope = (metric(more) - metric(less))[0] / (2 * step)
            assert influence[row] == pytest.approx(slope, rel=1e-3, abs=1e-8), name


def test_the_interval_of_a_mean_is_scipys() -> None:
    labels, good, noisy = _models(2000)
    gap = np.square(good - labels) - np.square(noisy - labels)
    losses = weighted_mean(np.square(good - labels)), weighted_mean(np.square(noisy - labels))
    ours = paired_intervals(2000, {"brier": losses}, resamples=20_000)["brier"]
    rng = np.random.default_rng(5)
    theirs = stats.bootstrap((gap,), np.mean, n_resamples=20_000, method="BCa", rng=rng, batch=500)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.estimate == pytest.approx(gap.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)


def test_the_interval_of_the_auc_is_that_of_resampled_rows() -> None:
    """The linear form has the width of the area computed anew on each resample."""
    labels, good, noisy = _models(800)
    ours = paired_intervals(800, {"auc": (weighted_auc(labels, good), weighted_auc(labels, noisy))})["auc"]
    rng = np.random.default_rng(7)
    drawn = [rng.integers(800, size=800) for _ in range(2000)]
    gaps = [roc_auc_score(labels[rows], good[rows]) - roc_auc_score(labels[rows], noisy[rows]) for rows in drawn]
    low, high = np.quantile(gaps, [0.025, 0.975])
    assert ours.low == pytest.approx(low, abs=0.1 * (high - low))
    assert ours.high == pytest.approx(high, abs=0.1 * (high - low))


def test_skewed_rows_move_both_bounds_to_their_side() -> None:
    """A few rows with a huge loss: the percentiles alone would promise too little on the side of the tail."""
    losses = np.random.default_rng(2).lognormal(0, 1.5, 300)
    found = intervals(300, {"loss": weighted_mean(losses)}, resamples=20_000)["loss"]
    rng = np.random.default_rng(5)
    theirs = stats.bootstrap((losses,), np.mean, n_resamples=20_000, method="BCa", rng=rng, batch=500)
    plain = stats.bootstrap((losses,), np.mean, n_resamples=20_000, method="percentile", rng=rng, batch=500)
    width = found.high - found.low
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.05 * width)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.05 * width)
    assert found.high > plain.confidence_interval.high + 0.05 * width


def test_a_model_is_neither_better_nor_worse_than_itself() -> None:
    labels, good, _ = _models(500)
    same = weighted_auc(labels, good), weighted_auc(labels, good)
    interval = paired_intervals(500, {"auc": same})["auc"]
    assert (interval.estimate, interval.low, interval.high) == (0.0, 0.0, 0.0)


def test_more_confidence_is_a_wider_interval_and_the_same_seed_the_same_one() -> None:
    labels, good, noisy = _models(300)
    pair = {"auc": (weighted_auc(labels, good), weighted_auc(labels, noisy))}
    narrow, wide = (paired_intervals(300, pair, confidence=confidence)["auc"] for confidence in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert paired_intervals(300, pair, confidence=0.8)["auc"] == narrow
    assert paired_intervals(300, pair, confidence=0.8, seed=1)["auc"] != narrow


@pytest.mark.parametrize("freedom", [10, 20, 60, 1000])
def test_the_quantile_of_t_is_scipys(freedom: int) -> None:
    """To 0.03 % at the levels that intervals are read at; from 60 degrees of freedom on to a ten-millionth."""
    levels = [0.0005, 0.0125, 0.05, 0.5, 0.95, 0.975, 0.995, 0.9995]
    ours, theirs = [t_quantile(level, freedom) for level in levels], stats.t.ppf(levels, freedom)
    np.testing.assert_allclose(ours, theirs, rtol=3e-4 if freedom < 60 else 1e-7, atol=1e-12)


def test_a_sure_bound_lies_outside_the_true_one_with_its_confidence() -> None:
    """The true bound is that of very many resamples; read from few, a plain bound is inside it every other time."""
    mean = {"mean": weighted_mean(np.random.default_rng(1).normal(size=40))}
    true = intervals(40, mean, confidence=0.9, resamples=200_000)["mean"]
    outside = {True: np.zeros(2), False: np.zeros(2)}
    for seed, is_sure in itertools.product(range(1, 601), (True, False)):
        found = intervals(40, mean, confidence=0.9, resamples=300, seed=seed, is_sure=is_sure)["mean"]
        outside[is_sure] += (found.low <= true.low, found.high >= true.high)
    sure, plain = (outside[is_sure] / 600 for is_sure in (True, False))
    assert ((sure > 0.93) & (sure < 0.98)).all(), sure
    assert ((plain > 0.4) & (plain < 0.65)).all(), plain


def test_one_class_has_no_auc() -> None:
    ones, scores = np.ones(50), np.linspace(0, 1, 50)
    undefined = paired_intervals(50, {"auc": (weighted_auc(ones, scores), weighted_auc(ones, scores))})["auc"]
    assert math.isnan(undefined.estimate)
    assert math.isnan(undefined.low)
    nothing = weighted_mean(np.empty(0))
    assert math.isnan(paired_intervals(0, {"auc": (nothing, nothing)})["auc"].high)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ContractError, match="confidence: got"):
        paired_intervals(1, {}, confidence=confidence)
