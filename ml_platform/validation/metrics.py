"""The metrics of a model, from labels and predictions: probabilities of a binary one, values of a regression.

Put a metric here when a gate may speak of it; its name and direction stand in `ml_platform.contracts.metrics`. All of
them depend on the rows alone, never on their order, and need numpy alone.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_platform.contracts.errors import ContractError, ShapeMismatch, examples
from ml_platform.contracts.metrics import METRICS_OF, Task

FloatArray = NDArray[np.float64]

CALIBRATION_BINS = 10


def score(labels: ArrayLike, predictions: ArrayLike, task: Task) -> dict[str, float]:
    """Score predictions against what happened.

    Parameters
    ----------
    labels : (n_rows,) array
        Without nulls: of a binary task 0 or 1 (or booleans), of a regression finite.
    predictions : (n_rows,) array
        Of a binary task the probability of 1, 0 to 1; of a regression the value.
    task : Task
        Whose metrics to compute.

    Returns
    -------
    dict
        Value by metric. A metric that is not defined is left out: all of them without rows or when a prediction is not
        finite, `roc_auc` and `average_precision` when only one class occurs.

    Raises
    ------
    ShapeMismatch
        If the two are not flat arrays of the same length.
    ContractError
        If a label is none of the task, or a finite prediction of a binary task is not a probability.
    """
    happened, predicted = _checked(labels, predictions, task)
    if not happened.size or not np.isfinite(predicted).all():
        return {}
    has_both_classes = 0 < np.count_nonzero(happened) < happened.size
    return {
        name: _METRICS[name](happened, predicted)
        for name in METRICS_OF[task]
        if name in _METRICS and (has_both_classes or name not in _NEEDS_BOTH_CLASSES)
    }


def log_loss(labels: FloatArray, predictions: FloatArray) -> float:
    """Give the mean negative log-likelihood in nats; probabilities are clipped by the machine epsilon.

    Notes
    -----
    Source: scikit-learn, `sklearn.metrics.log_loss` (formula and clipping), after C. M. Bishop, Pattern Recognition and
    Machine Learning, 2006, p. 209.
    """
    epsilon = np.finfo(np.float64).eps
    clipped = np.clip(predictions, epsilon, 1 - epsilon)
    return float(-np.log(np.where(labels == 1, clipped, 1 - clipped)).mean())


def brier(labels: FloatArray, predictions: FloatArray) -> float:
    """Give the mean squared difference between probability and outcome, 0 to 1.

    Notes
    -----
    Source: scikit-learn, `sklearn.metrics.brier_score_loss`, binary case.
    """
    return float(np.square(predictions - labels).mean())


def roc_auc(labels: FloatArray, predictions: FloatArray) -> float:
    """Give the chance that a row with label 1 is ranked above one with label 0; a tie counts one half.

    Notes
    -----
    Source: J. A. Hanley and B. J. McNeil, The meaning and use of the area under a ROC curve, Radiology 143, 1982: the
    area is the Mann-Whitney statistic divided by the number of pairs.
    """
    rows, positives = _by_prediction(labels, predictions)
    negatives = rows - positives
    below = np.cumsum(negatives) - negatives
    return float(positives @ (below + negatives / 2) / (positives.sum() * negatives.sum()))


def average_precision(labels: FloatArray, predictions: FloatArray) -> float:
    """Give the mean of the precisions at each threshold, weighted by the gain in recall.

    Notes
    -----
    Source: scikit-learn, `sklearn.metrics.average_precision_score`: sum of (R_n - R_(n-1)) P_n, not interpolated.
    """
    rows, positives = _by_prediction(labels, predictions)
    precision = np.cumsum(positives[::-1]) / np.cumsum(rows[::-1])
    return float(positives[::-1] @ precision / positives.sum())


def calibration_error(labels: FloatArray, predictions: FloatArray) -> float:
    """Give the expected calibration error over ten bins of about equally many rows, 0 to 1.

    Notes
    -----
    Source: C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3, after M. P. Naeini et al.,
    Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015. Bins of equal mass instead of equal
    width, for the probability of 1: rare events leave most bins of equal width empty.
    """
    rows, predicted, happened = calibration_curve(labels, predictions)
    return float(rows @ np.abs(happened - predicted) / rows.sum())


def rmse(labels: FloatArray, predictions: FloatArray) -> float:
    """Give the root of the mean squared error, in the label's unit.

    Notes
    -----
    Source: scikit-learn, `sklearn.metrics.root_mean_squared_error`.
    """
    return float(np.sqrt(np.square(predictions - labels).mean()))


def mae(labels: FloatArray, predictions: FloatArray) -> float:
    """Give the mean absolute error, in the label's unit.

    Notes
    -----
    Source: scikit-learn, `sklearn.metrics.mean_absolute_error`.
    """
    return float(np.abs(predictions - labels).mean())


def calibration_curve(
    labels: FloatArray, predictions: FloatArray, bins: int = CALIBRATION_BINS
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compare, bin by bin, what was predicted with what happened.

    Parameters
    ----------
    labels, predictions : (n_rows,) array
        As in `score`, of either task; at least one row.
    bins : int
        Bins are cut at the quantiles of the predictions; equal predictions share a bin, so there may be fewer.

    Returns
    -------
    rows, predicted, happened : (n_bins,) arrays
        Rows in the bin, their mean prediction and their mean label (of a binary task the share of label 1), from the
        lowest prediction up.
    """
    place = calibration_bins(predictions, bins)
    rows = np.bincount(place).astype(np.float64)
    filled = rows > 0
    predicted, happened = (
        np.bincount(place, weights=values)[filled] / rows[filled] for values in (predictions, labels)
    )
    return rows[filled], predicted, happened


def calibration_bins(predictions: FloatArray, bins: int = CALIBRATION_BINS) -> NDArray[np.intp]:
    """Give the bin of each prediction, counted from the lowest; a bin may be empty."""
    edges = np.unique(np.quantile(predictions, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, predictions, side="left")


_METRICS: dict[str, Callable[[FloatArray, FloatArray], float]] = {
    "log_loss": log_loss,
    "brier": brier,
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "calibration_error": calibration_error,
    "rmse": rmse,
    "mae": mae,
}
_NEEDS_BOTH_CLASSES = frozenset({"roc_auc", "average_precision"})


def _checked(labels: ArrayLike, predictions: ArrayLike, task: Task) -> tuple[FloatArray, FloatArray]:
    happened, predicted = np.asarray(labels, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if happened.ndim != 1 or happened.shape != predicted.shape:
        raise ShapeMismatch.because(
            "predictions", got=predicted.shape, expected=f"the labels' {happened.shape}", hint="score one row at a time"
        )
    is_binary = task == "binary"
    is_label = (happened == 0) | (happened == 1) if is_binary else np.isfinite(happened)
    hint = "drop rows whose label is not known yet"
    _refuse("labels", happened[~is_label], expected="0 or 1" if is_binary else "finite numbers", hint=hint)
    is_outside = np.isfinite(predicted) & ((predicted < 0) | (predicted > 1)) & is_binary
    _refuse("predictions", predicted[is_outside], expected="probabilities", hint="use a probability objective")
    return happened, predicted


def _refuse(what: str, strange: FloatArray, *, expected: str, hint: str) -> None:
    if strange.size:
        raise ContractError.because(what, got=examples(np.unique(strange)), expected=expected, hint=hint)


def _by_prediction(labels: FloatArray, predictions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Count rows and rows with label 1 for each distinct prediction, lowest first."""
    _, place, rows = np.unique(predictions, return_inverse=True, return_counts=True)
    return rows.astype(np.float64), np.bincount(place, weights=labels).astype(np.float64)
