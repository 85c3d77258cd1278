"""Points of curves and counts of decisions, from labels and predictions; thinned out, so that a page stays small."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
POINTS_AT_MOST = 300


def ranked(labels: FloatArray, predictions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Count true and false positives when every distinct prediction, from the highest down, says yes.

    Parameters
    ----------
    labels, predictions : (n_rows,) array
        0 or 1, and probabilities.

    Returns
    -------
    true, false : (n_distinct + 1,) arrays
        Beginning with none.
    """
    order = np.argsort(-predictions, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(predictions[order])), len(order) - 1)
    true = np.cumsum(labels[order])[ends]
    return np.append(0.0, true), np.append(0.0, ends + 1 - true)


def roc_points(labels: FloatArray, predictions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give the share of negatives that are called positive, and of positives that are; both classes must be there."""
    true, false = ranked(labels, predictions)
    return thinned(false / false[-1]), thinned(true / true[-1])


def recall_points(labels: FloatArray, predictions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give recall and precision at every threshold, highest first; there must be a positive."""
    true, false = ranked(labels, predictions)
    return thinned(true[1:] / true[-1]), thinned(true[1:] / (true[1:] + false[1:]))


def thinned(values: FloatArray) -> FloatArray:
    """Give at most so many of the values, the first and the last among them."""
    if len(values) <= POINTS_AT_MOST:
        return values
    return values[np.linspace(0, len(values) - 1, POINTS_AT_MOST).round().astype(np.int64)]


def confusion(labels: FloatArray, decided: FloatArray, classes: int) -> NDArray[np.int64]:
    """Count rows by what happened (down) and what was said (across)."""
    place = labels.astype(np.int64) * classes + decided.astype(np.int64)
    return np.bincount(place, minlength=classes * classes).reshape(classes, classes)


def has_both(labels: FloatArray) -> bool:
    """Tell whether both classes are there."""
    return bool((labels == 0).any() and (labels == 1).any())
