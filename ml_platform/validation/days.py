"""Intervals with days as units: rows of one day share their weather, their outages and their mood.

Rows that depend on each other are fewer than they look: an interval over rows alone is then too narrow. Here the rows
of a day stay together. Put here what takes whole days out of a metric; how rows are resampled stands in `bootstrap`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.evaluations import Bounds
from ml_platform.validation.bootstrap import CONFIDENCE, UNDEFINED, Gap, Interval
from ml_platform.validation.influence import clipped
from ml_platform.validation.measure import FloatArray
from ml_platform.validation.quantiles import t_quantile
from ml_platform.validation.weighted import Sums, Weighted

IntArray = NDArray[np.intp]
_CELLS_AT_ONCE = 8_000_000  # weights held in memory at a time: 64 MB
# Of the risk that is named. Losses of days are skewed to the worse (a storm, which few holdouts of two weeks have), so
# that the plain t interval misses up to twice as often as it says: `benchmarks/day_gates.py`.
_RISK_SHARE = 1 / 3


@dataclass(frozen=True)
class WiderInterval(Interval):
    """The wider of two intervals, each end by itself: over rows, and over days whose rows stay together.

    Parameters
    ----------
    by_rows, by_days : Interval
        The two; all NaN where the metric is not defined, or there is one day only.
    days : int
        How many days there are.
    """

    by_rows: Interval
    by_days: Interval
    days: int


def wider(by_rows: Interval, by_days: Interval, days: int) -> WiderInterval:
    """Return the wider interval; an end that one of the two does not know is not known."""
    low, high = np.minimum(by_rows.low, by_days.low), np.maximum(by_rows.high, by_days.high)
    return WiderInterval(by_rows.estimate, float(low), float(high), by_rows, by_days, days)


def day_numbers(at: NDArray[np.datetime64]) -> IntArray:
    """Return the number of each row's calendar day, from 0 for the first day that has a row."""
    return np.unique(at.astype("datetime64[D]"), return_inverse=True)[1].astype(np.intp)


def day_interval(metric: Weighted, days: IntArray, confidence: float = CONFIDENCE) -> Interval:
    """Compute the interval of a metric, or of a `Gap`, with days as units.

    Parameters
    ----------
    metric : Weighted
        See `ml_platform.validation.weighted`.
    days : (n_rows,) array of int
        A number for each row's day.
    confidence : float
        Of the two-sided interval, between 0 and 1; either bound alone holds with half the risk.

    Notes
    -----
    Source: B. Efron and C. Stein, The Jackknife Estimate of Variance, The Annals of Statistics 9, 1981: with the metric
    of all days but one for each of the G days, the variance is (G - 1) / G times the sum of their squared distances
    from their mean, and is rather too large than too small. Days are few, so the width is that of a t interval with
    G - 1 degrees of freedom, read at a third of the risk: what days are lost on is skewed, and a holdout that lacks its
    worst days says too little of them.
    """
    numbers = np.unique(days, return_inverse=True)[1].astype(np.intp)
    count = int(numbers.max(initial=-1)) + 1
    if count < 2:
        return UNDEFINED
    estimate = float(metric(np.ones((1, len(days))))[0])
    without = without_each(metric, numbers, count)
    error = math.sqrt((count - 1) / count * float(np.square(without - without.mean()).sum()))
    half = t_quantile(1 - _RISK_SHARE * (1 - confidence) / 2, count - 1) * error
    return Interval(estimate, estimate - half, estimate + half) if math.isfinite(estimate + half) else UNDEFINED


def without_each(metric: Weighted, days: IntArray, count: int) -> FloatArray:
    """Compute the metric without each of the days, shape (count,); NaN where it is not defined."""
    if isinstance(metric, Gap):
        return without_each(metric.candidate, days, count) - without_each(metric.rival, days, count)
    if isinstance(metric, Sums):
        sums = np.column_stack([np.bincount(days, column, minlength=count) for column in metric.columns.T])
        return metric.combine(sums.sum(axis=0) - sums)
    at_once = max(1, _CELLS_AT_ONCE // len(days))
    blocks = [np.arange(start, min(start + at_once, count)) for start in range(0, count, at_once)]
    return np.concatenate([metric((days[None, :] != block[:, None]).astype(np.float64)) for block in blocks])


def day_bounds(
    metrics: Mapping[str, tuple[float, Weighted]], days: IntArray, confidence: float = CONFIDENCE
) -> dict[str, Bounds]:
    """Compute the two-sided interval of each metric with days as units, cut off where the metric ends.

    One that is not defined is left out. As `influence_intervals` with the influences of a day's rows summed.
    """
    count = int(days.max(initial=-1)) + 1
    if count < 2:
        return {}
    quantile = t_quantile((1 + confidence) / 2, count - 1)
    bounds: dict[str, Bounds] = {}
    for name, (value, metric) in metrics.items():
        influence = np.bincount(days, metric.influence(), minlength=count)
        half = quantile * math.sqrt(float(np.square(influence).sum()) * count / (count - 1))
        if math.isfinite(half):
            bounds[name] = clipped(name, value, half)
    return bounds
