"""The paired bootstrap: how sure it is that one model is better than another on the same rows.

Rows are resampled by weights, both models and all metrics always with the same weights, so what is common to them
cancels out. A metric joins in as a function from weights to values; most are a few weighted sums.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.errors import ContractError, ShapeMismatch

FloatArray = NDArray[np.float64]
Weighted = Callable[[FloatArray], FloatArray]

RESAMPLES = 2000
CONFIDENCE = 0.95
_CELLS_AT_ONCE = 8_000_000  # weights held in memory at a time: 64 MB
_DRAWS = 2**16


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
        NaN where it is not defined. See `weighted_metric`.
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


def weighted_mean(values: FloatArray) -> Weighted:
    """Give the mean of a value of each row, as of a loss."""
    columns = np.column_stack([values, np.ones(len(values))])

    def mean(weights: FloatArray) -> FloatArray:
        sums = weights @ columns
        return _ratio(sums[:, 0], sums[:, 1])

    return mean


def weighted_auc(labels: FloatArray, predictions: FloatArray) -> Weighted:
    """Give the area under the ROC curve, linear in each row's weight about its value for equal weights.

    Notes
    -----
    Source: E. R. DeLong et al., Comparing the Areas under Two or More Correlated ROC Curves, Biometrics 44, 1988: the
    area is the mean of the placements of either class, which carry its variance up to terms of order 1/n.
    """
    place = placements(labels, predictions)
    columns = np.column_stack([place * labels, labels, place * (1 - labels), 1 - labels])
    center = float(_ratio(columns[:, :1].sum(axis=0), columns[:, 1:2].sum(axis=0))[0])

    def auc(weights: FloatArray) -> FloatArray:
        sums = weights @ columns
        return _ratio(sums[:, 0], sums[:, 1]) + _ratio(sums[:, 2], sums[:, 3]) - center

    return auc


def placements(labels: FloatArray, predictions: FloatArray) -> FloatArray:
    """Give, for each row, the share of the other class that it is ranked rightly against; a tie counts one half."""
    values, place = np.unique(predictions, return_inverse=True)
    positives = np.bincount(place, weights=labels, minlength=len(values))
    negatives = np.bincount(place, weights=1 - labels, minlength=len(values))
    below = np.cumsum(negatives) - negatives / 2
    above = positives.sum() - np.cumsum(positives) + positives / 2
    return np.where(labels == 1, _ratio(below, negatives.sum())[place], _ratio(above, positives.sum())[place])


def weighted_average_precision(labels: FloatArray, predictions: FloatArray) -> Weighted:
    """Give the mean of the precisions at each threshold, weighted by the gain in recall; see `metrics`."""
    order = np.argsort(-predictions, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(predictions[order]) != 0, True))
    positive = labels[order]

    def average_precision(weights: FloatArray) -> FloatArray:
        ranked = weights[:, order]
        rows = np.cumsum(ranked, axis=1)[:, ends]
        hits = np.cumsum(ranked * positive, axis=1)[:, ends]
        gains = np.diff(hits, axis=1, prepend=0.0)
        return _ratio((gains * _ratio(hits, rows, empty=0.0)).sum(axis=1), hits[:, -1])

    return average_precision


def check_same_rows(labels: FloatArray, *predictions: FloatArray) -> None:
    """Refuse models that were not scored on the labels' rows."""
    for values in predictions:
        if values.shape != labels.shape:
            raise ShapeMismatch.because(
                "predictions", got=values.shape, expected=f"the labels' {labels.shape}", hint="score the same rows"
            )


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


def _ratio(above: FloatArray, below: FloatArray, empty: float = float("nan")) -> FloatArray:
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, empty), where=np.asarray(below) > 0)


@cache
def _poisson() -> FloatArray:
    """Give Poisson(1) as a table of equally likely draws."""
    from scipy.stats import poisson

    return np.asarray(poisson.ppf((np.arange(_DRAWS) + 0.5) / _DRAWS, 1.0), dtype=np.float64)
