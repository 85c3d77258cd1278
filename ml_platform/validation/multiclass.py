"""The metrics of several classes, as functions of weights.

Labels are the numbers of the classes, from 0; predictions have a probability for each class, shape (n_rows, n_classes).
"""

from collections.abc import Callable, Mapping

import numpy as np

from ml_platform.validation.measure import FloatArray
from ml_platform.validation.ranking import weighted_auc
from ml_platform.validation.weighted import (
    Sums,
    Weighted,
    log_loss_of_rows,
    ratio,
    weighted_calibration_error,
    weighted_mean,
)


def multiclass_metrics(labels: FloatArray, predictions: FloatArray) -> Mapping[str, Callable[[], Weighted]]:
    """Give the metrics of several classes, each ready to be made."""
    happened = _one_hot(labels, predictions.shape[1])
    return {
        "log_loss": lambda: weighted_mean(log_loss_of_rows((predictions * happened).sum(axis=1))),
        "brier": lambda: weighted_mean(np.square(predictions - happened).sum(axis=1)),
        "roc_auc": lambda: weighted_macro_auc(happened, predictions),
        "calibration_error": lambda: weighted_top_calibration_error(labels, predictions),
        "f1": lambda: weighted_macro_f1(happened, predictions),
        "accuracy": lambda: weighted_mean((predictions.argmax(axis=1) == labels).astype(np.float64)),
    }


def weighted_macro_auc(happened: FloatArray, predictions: FloatArray) -> Sums:
    """Give the mean of the areas of each class against the rest; not defined where a class does not occur.

    Notes
    -----
    Source: scikit-learn, `sklearn.metrics.roc_auc_score` with multi_class="ovr" and average="macro".
    """
    areas = [weighted_auc(happened[:, each], predictions[:, each]) for each in range(predictions.shape[1])]
    width = areas[0].columns.shape[1]

    def combine(sums: FloatArray) -> FloatArray:
        each = [area.combine(sums[:, place * width : (place + 1) * width]) for place, area in enumerate(areas)]
        return np.mean(each, axis=0)

    return Sums(np.hstack([area.columns for area in areas]), combine)


def weighted_macro_f1(happened: FloatArray, predictions: FloatArray) -> Sums:
    """Give the mean of the F1 of each class that occurs or is predicted; the likeliest class is predicted.

    Notes
    -----
    Source: scikit-learn, `sklearn.metrics.f1_score` with average="macro".
    """
    classes = predictions.shape[1]
    said = _one_hot(predictions.argmax(axis=1).astype(np.float64), classes)

    def combine(sums: FloatArray) -> FloatArray:
        right, either = sums[:, :classes], sums[:, classes:]
        return ratio(ratio(2 * right, either, empty=0.0).sum(axis=1), (either > 0).sum(axis=1).astype(np.float64))

    return Sums(np.hstack([said * happened, said + happened]), combine)


def weighted_top_calibration_error(labels: FloatArray, predictions: FloatArray) -> Sums:
    """Give the expected calibration error of the likeliest class: its probability against how often it happened.

    Notes
    -----
    Source: C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 2; bins of equal mass.
    """
    is_right = (predictions.argmax(axis=1) == labels).astype(np.float64)
    return weighted_calibration_error(is_right, predictions.max(axis=1, initial=0.0))


def _one_hot(labels: FloatArray, classes: int) -> FloatArray:
    return (labels[:, None] == np.arange(classes)).astype(np.float64)
