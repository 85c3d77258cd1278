"""The paired bootstrap: how sure it is that one model is better than another on the same rows.

Rows are resampled by weights, both models and all metrics always with the same weights, so what is common to them
cancels out. A metric joins in as a function from weights to values; most are a few weighted sums.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ml_platform.contracts.errors import ContractError
from ml_platform.validation.measure import FloatArray
from ml_platform.validation.quantiles import NORMAL, t_quantile
from ml_platform.validation.weighted import Weighted

RESAMPLES = 2000
CONFIDENCE = 0.95
_CELLS_AT_ONCE = 8_000_000  # weights held in memory at a time: 64 MB
_DRAWS = 2**16
_COUNTS = 12  # a larger weight has no share of the table


@dataclass(frozen=True)
class Interval:
    """An estimate between the bounds of a two-sided interval; all NaN where the metric is not defined."""

    estimate: float
    low: float
    high: float


UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Gap:
    """How much more the candidate has of a metric than its rival, as a function of weights."""

    candidate: Weighted
    rival: Weighted

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Give the difference for each row of weights."""
        return self.candidate(weights) - self.rival(weights)

    def influence(self) -> FloatArray:
        """Give how fast the difference changes with each row's weight."""
        return self.candidate.influence() - self.rival.influence()


def paired_intervals(
    rows: int,
    metrics: Mapping[str, tuple[Weighted, Weighted]],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Give the interval of `candidate - rival` for each metric; see `intervals`."""
    gaps = {name: Gap(*pair) for name, pair in metrics.items()}
    return intervals(rows, gaps, confidence=confidence, resamples=resamples, seed=seed)


def intervals(
    rows: int,
    metrics: Mapping[str, Weighted],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    is_sure: bool = False,
) -> dict[str, Interval]:
    """Give the interval of each metric, by the bias-corrected and accelerated bootstrap.

    Parameters
    ----------
    rows : int
        How many rows were scored.
    metrics : mapping of str to Weighted
        See `ml_platform.validation.weighted`.
    confidence : float
        Of the two-sided interval, between 0 and 1; either bound alone holds with half the risk.
    resamples : int
        How many weighted resamples are drawn.
    seed : int
        The same seed gives the same interval.
    is_sure : bool
        Whether the bounds are moved outward by what so few resamples leave uncertain of them, with confidence 0.95.

    Raises
    ------
    ContractError
        If the confidence is not between 0 and 1.

    Notes
    -----
    Source: B. Efron, Better Bootstrap Confidence Intervals, Journal of the American Statistical Association 82, 1987:
    which quantiles of the resamples are the bounds follows from their bias and from the skewness of the influence of
    rows, so that each bound errs by a share of order 1/n, not 1/sqrt(n). The levels are widened as a t interval is
    wider than a normal one: T. Hesterberg, What Teachers Should Know About the Bootstrap: Resampling in the
    Undergraduate Statistics Curriculum, The American Statistician 69, 2015, and `ExpandProbs` of his R package
    resample. Weights are independent Poisson(1) variables instead of multinomial ones: A. Chamandy et
    al., Estimating Uncertainty for Massive Data Streams, Google technical report, 2012.

    A sure bound is read further out by 1.645 standard errors of its level, as R. Woodruff, Confidence Intervals for
    Medians and Other Position Measures, Journal of the American Statistical Association 47, 1952, reads the bounds of
    a quantile: the share of resamples below a value is binomial. Two such shares count here, that below the bound and
    that below the estimate, from which the level follows; their covariance is min(p, q) - p q, over the resamples.
    """
    if not 0 < confidence < 1:
        raise ContractError.because("confidence", got=confidence, expected="between 0 and 1", hint="0.95 is usual")
    if rows < 2:
        return dict.fromkeys(metrics, UNDEFINED)
    drawn: dict[str, list[FloatArray]] = {name: [] for name in metrics}
    for weights in _weights(rows, resamples, np.random.default_rng(seed)):
        for name, metric in metrics.items():
            drawn[name].append(metric(weights))
    levels = ((1 - confidence) / 2, (1 + confidence) / 2)
    sureness = NORMAL.inv_cdf(0.95) if is_sure else 0.0
    return {
        name: _interval(np.concatenate(drawn[name]), each.influence(), levels, sureness)
        for name, each in metrics.items()
    }


def _weights(rows: int, resamples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    at_once = max(1, _CELLS_AT_ONCE // rows)
    yield np.ones((1, rows))
    for start in range(0, resamples, at_once):
        shape = (min(at_once, resamples - start), rows)
        yield _poisson()[rng.integers(_DRAWS, size=shape, dtype=np.uint16)]


def _interval(values: FloatArray, influence: FloatArray, levels: Sequence[float], sureness: float) -> Interval:
    """Read the interval off the resamples; those for which the metric is not defined (one class only) do not count."""
    estimate, drawn = float(values[0]), values[1:][np.isfinite(values[1:])]
    if not math.isfinite(estimate) or 2 * len(drawn) < len(values) - 1:
        return UNDEFINED
    at = _corrected(levels, estimate, drawn, influence)
    (lower, lower_error), (upper, upper_error) = at
    low, high = np.quantile(drawn, [max(lower - sureness * lower_error, 0.0), min(upper + sureness * upper_error, 1.0)])
    return Interval(estimate, float(low), float(high))


def _corrected(
    levels: Sequence[float], estimate: float, drawn: FloatArray, influence: FloatArray
) -> list[tuple[float, float]]:
    """Move the levels for the bias of the resamples, the skewness of rows, and the number of rows.

    Each comes with the standard error that so few resamples leave it as the level of the bound.
    """
    rows, acceleration = len(influence), _acceleration(influence)
    below = (int((drawn < estimate).sum()) + 0.5 * int((drawn == estimate).sum())) / len(drawn)
    below = min(max(below, 1 / (len(drawn) + 1)), len(drawn) / (len(drawn) + 1))
    bias = NORMAL.inv_cdf(below)
    found: list[tuple[float, float]] = []
    for level in levels:
        moved = bias + math.sqrt(rows / (rows - 1)) * t_quantile(level, rows - 1)
        shrunk = max(1 - acceleration * moved, 0.1)
        at = bias + moved / shrunk
        slope = (1 + shrunk**-2) * NORMAL.pdf(at) / NORMAL.pdf(bias)
        found.append((NORMAL.cdf(at), _error(NORMAL.cdf(at), below, slope, len(drawn))))
    return found


def _error(level: float, below: float, slope: float, resamples: int) -> float:
    """Give the standard error of a level that moves by `slope` with the share below the estimate; both are counted."""
    shared = min(level, below) - level * below
    variance = slope**2 * below * (1 - below) - 2 * slope * shared + level * (1 - level)
    return math.sqrt(max(variance, 0.0) / resamples)


def _acceleration(influence: FloatArray) -> float:
    """Give a sixth of the skewness of the influence; 0 where it is not known or all rows count the same."""
    spread = float(np.square(influence).sum())
    if not math.isfinite(spread) or spread <= 0:
        return 0.0
    return float((influence**3).sum() / (6 * spread**1.5))


@cache
def _poisson() -> FloatArray:
    """Give Poisson(1) as a table of equally likely draws."""
    at_most = np.cumsum([math.exp(-1) / math.factorial(count) for count in range(_COUNTS)])
    return np.searchsorted(at_most, (np.arange(_DRAWS) + 0.5) / _DRAWS).astype(np.float64)
