"""The paired bootstrap: how sure it is that one model is better than another on the same rows.

Rows are resampled by weights, both models and all metrics always with the same weights, so what is common to them
cancels out. A metric joins in as a function from weights to values; most are a few weighted sums.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.errors import ContractError
from ml_platform.validation.weighted import Weighted

FloatArray = NDArray[np.float64]

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


def paired_intervals(
    rows: int,
    metrics: Mapping[str, tuple[Weighted, Weighted]],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Give the interval of `candidate - rival` for each metric.

    Parameters
    ----------
    rows : int
        How many rows both were scored on.
    metrics : mapping of str to pair of function
        The metric of the candidate and of the rival, each from weights (n_resamples, n_rows) to values (n_resamples,),
        NaN where it is not defined; see `ml_platform.validation.weighted`.
    confidence : float
        Of the two-sided percentile interval, between 0 and 1.
    resamples : int
        How many weighted resamples are drawn.
    seed : int
        The same seed gives the same interval.

    Raises
    ------
    ContractError
        If the confidence is not between 0 and 1.

    Notes
    -----
    Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3 (percentile interval).
    Weights are independent Poisson(1) variables instead of multinomial ones: A. Chamandy et al., Estimating Uncertainty
    for Massive Data Streams, Google technical report, 2012.
    """
    if not 0 < confidence < 1:
        raise ContractError.because("confidence", got=confidence, expected="between 0 and 1", hint="0.95 is usual")
    if not rows:
        return dict.fromkeys(metrics, UNDEFINED)
    drawn: dict[str, list[FloatArray]] = {name: [] for name in metrics}
    for weights in _weights(rows, resamples, np.random.default_rng(seed)):
        for name, (candidate, rival) in metrics.items():
            drawn[name].append(candidate(weights) - rival(weights))
    return {name: _interval(np.concatenate(gaps), confidence) for name, gaps in drawn.items()}


def _weights(rows: int, resamples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    at_once = max(1, _CELLS_AT_ONCE // rows)
    yield np.ones((1, rows))
    for start in range(0, resamples, at_once):
        shape = (min(at_once, resamples - start), rows)
        yield _poisson()[rng.integers(_DRAWS, size=shape, dtype=np.uint16)]


def _interval(gaps: FloatArray, confidence: float) -> Interval:
    """Read the interval off the resamples; those for which the metric is not defined (one class only) do not count."""
    drawn = gaps[1:][np.isfinite(gaps[1:])]
    if not np.isfinite(gaps[0]) or 2 * len(drawn) < len(gaps) - 1:
        return UNDEFINED
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(gaps[0]), float(low), float(high))


@cache
def _poisson() -> FloatArray:
    """Give Poisson(1) as a table of equally likely draws."""
    at_most = np.cumsum([math.exp(-1) / math.factorial(count) for count in range(_COUNTS)])
    return np.searchsorted(at_most, (np.arange(_DRAWS) + 0.5) / _DRAWS).astype(np.float64)
