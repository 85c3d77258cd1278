"""The metrics of a model, from labels and predictions.

Put a metric here when a gate may speak of it; its name and direction stand in `ml_platform.contracts.metrics`. All of
them depend on the rows alone, never on their order.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_platform.contracts.errors import ContractError, ShapeMismatch, examples
from ml_platform.contracts.metrics import Task
from ml_platform.validation.measure import FloatArray, Measure
from ml_platform.validation.multiclass import multiclass_metrics
from ml_platform.validation.own import OwnWeighted
from ml_platform.validation.ranking import weighted_auc, weighted_average_precision
from ml_platform.validation.weighted import Weighted, plain_metrics

__all__ = ["FloatArray", "check_predictions", "score", "weighted_metric"]


def score(labels: ArrayLike, predictions: ArrayLike, how: Measure | Task) -> dict[str, float]:
    """Score predictions against what happened.

    Parameters
    ----------
    labels : (n_rows,) array
        Without nulls: of a binary task 0 or 1 (or booleans), of several classes their numbers from 0, of a regression
        finite.
    predictions : (n_rows,) array, of several classes (n_rows, n_classes)
        The probability of 1, or of each class, 0 to 1; of a regression the value.
    how : Measure or Task
        What is measured; see `Measure`.

    Returns
    -------
    dict
        Value by metric. A metric that is not defined is left out: all of them without rows or when a prediction is not
        finite; what ranks when a class does not occur; `mape` when a label is zero; the author's when it gives no
        number.

    Raises
    ------
    ShapeMismatch
        If the two do not have the same rows, or not the shape of the task.
    ContractError
        If a label is none of the task, or a finite prediction is not a probability where it must be.
    """
    measure = Measure.of(how)
    happened, predicted = _checked(labels, predictions, measure.task)
    if not happened.size or not np.isfinite(predicted).all():
        return {}
    once = np.ones((1, happened.size))
    values = {
        name: float(weighted_metric(name, happened, predicted, measure)(once)[0]) for name in measure.metrics
    }  # fmt: skip
    return {name: value for name, value in values.items() if np.isfinite(value)}


def weighted_metric(metric: str, labels: FloatArray, predictions: FloatArray, how: Measure | Task) -> Weighted:
    """Make a metric a function of weights.

    Parameters
    ----------
    metric : str
        One of the measure's.
    labels, predictions : arrays
        As in `score`, checked and finite.
    """
    return _makers(labels, predictions, Measure.of(how))[metric]()


def check_predictions(predictions: FloatArray, labels: FloatArray, task: Task) -> str | None:
    """Say what is wrong with the predictions of a model that was made for something else; None if they fit."""
    try:
        _checked(labels, predictions, task)
    except ContractError as error:
        return str(error)
    return None


def _makers(labels: FloatArray, predictions: FloatArray, measure: Measure) -> Mapping[str, Callable[[], Weighted]]:
    own: dict[str, Callable[[], Weighted]] = {
        name: lambda function=each.function: OwnWeighted(function, labels, predictions)
        for name, each in measure.own.items()
    }
    if measure.task == "multiclass":
        return {**multiclass_metrics(labels, predictions), **own}
    ranking: dict[str, Callable[[], Weighted]] = {
        "roc_auc": lambda: weighted_auc(labels, predictions),
        "average_precision": lambda: weighted_average_precision(labels, predictions),
    }
    return {**plain_metrics(labels, predictions, measure), **ranking, **own}


def _checked(labels: ArrayLike, predictions: ArrayLike, task: Task) -> tuple[FloatArray, FloatArray]:
    happened, predicted = np.asarray(labels, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    is_wide = task == "multiclass"
    if happened.ndim != 1 or predicted.ndim != 1 + is_wide or len(happened) != len(predicted):
        expected = f"the labels' {happened.shape}" + (" and a column for each class" if is_wide else "")
        raise ShapeMismatch.because(
            "predictions", got=predicted.shape, expected=expected, hint="score one row at a time"
        )  # fmt: skip
    is_label, expected = _labels_of(happened, predicted, task)
    _refuse("labels", happened[~is_label], expected=expected, hint="drop rows whose label is not known yet")
    is_outside = np.isfinite(predicted) & ((predicted < 0) | (predicted > 1)) & (task != "regression")
    _refuse("predictions", predicted[is_outside], expected="probabilities", hint="use a probability objective")
    return happened, predicted


def _labels_of(labels: FloatArray, predictions: FloatArray, task: Task) -> tuple[NDArray[np.bool_], str]:
    """Tell which labels the task may have, and what it may have."""
    if task == "regression":
        return np.isfinite(labels), "finite numbers"
    if task == "binary":
        return (labels == 0) | (labels == 1), "0 or 1"
    classes = predictions.shape[1]
    return (labels >= 0) & (labels < classes) & (labels == np.floor(labels)), f"whole numbers from 0 to {classes - 1}"


def _refuse(what: str, strange: FloatArray, *, expected: str, hint: str) -> None:
    if strange.size:
        raise ContractError.because(what, got=examples(np.unique(strange)), expected=expected, hint=hint)
