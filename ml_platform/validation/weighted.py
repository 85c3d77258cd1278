"""The metrics as functions of weights: one value for each row of weights, all of them at once.

A resample of the rows is a row of weights. Most metrics are a few weighted sums, so many resamples are one matrix
product. With equal weights each gives what `ml_platform.validation.metrics` gives.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ml_platform.validation.metrics import calibration_bins

FloatArray = NDArray[np.float64]
Weighted = Callable[[FloatArray], FloatArray]


def weighted_metric(metric: str, labels: FloatArray, predictions: FloatArray) -> Weighted:
    """Make a metric a function of weights.

    Parameters
    ----------
    labels, predictions : (n_rows,) array
        As in `ml_platform.validation.metrics.score`, finite.

    Returns
    -------
    function
        From weights, shape (n_resamples, n_rows) and not negative, to values, shape (n_resamples,); NaN where the
        metric is not defined.
    """
    match metric:
        case "roc_auc":
            return weighted_auc(labels, predictions)
        case "average_precision":
            return weighted_average_precision(labels, predictions)
        case "calibration_error":
            return weighted_calibration_error(labels, predictions)
        case "rmse":
            squared = weighted_mean(np.square(predictions - labels))
            return lambda weights: np.sqrt(squared(weights))
        case _:
            return weighted_mean(_losses(metric, labels, predictions))


def _losses(metric: str, labels: FloatArray, predictions: FloatArray) -> FloatArray:
    if metric == "log_loss":
        epsilon = np.finfo(np.float64).eps
        clipped = np.clip(predictions, epsilon, 1 - epsilon)
        return -np.log(np.where(labels == 1, clipped, 1 - clipped))
    return np.abs(predictions - labels) if metric == "mae" else np.square(predictions - labels)


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
        found = _ratio((gains * _ratio(hits, rows, empty=0.0)).sum(axis=1), hits[:, -1])
        return np.where(hits[:, -1] < rows[:, -1], found, np.nan)

    return average_precision


def weighted_calibration_error(labels: FloatArray, predictions: FloatArray) -> Weighted:
    """Give the expected calibration error over the bins of the unweighted predictions."""
    bins = calibration_bins(predictions)
    gaps = np.zeros((len(labels), int(bins.max(initial=0)) + 1))
    gaps[np.arange(len(labels)), bins] = labels - predictions
    return lambda weights: _ratio(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))


def _ratio(above: FloatArray, below: FloatArray, empty: float = float("nan")) -> FloatArray:
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, empty), where=np.asarray(below) > 0)
