"""The losses that fits make small, taken on the validation part."""

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.errors import ContractError
from ml_platform.contracts.metrics import Task

FloatArray = NDArray[np.float64]


def loss_of(labels: FloatArray, predictions: FloatArray, task: Task, quantile: float | None = None) -> float:
    """Give the loss of a task: log loss, pinball loss of a quantile, else the root of the mean squared error.

    Parameters
    ----------
    labels : (n_rows,) array
        0 or 1, the number of the class, or the value.
    predictions : (n_rows,) array, or (n_rows, n_classes) of a multiclass task
        What the model says.

    Raises
    ------
    ContractError
        If a prediction is not finite: then there is no loss.
    """
    if not np.isfinite(predictions).all():
        raise ContractError.because(
            "predictions on the validation part", got=f"{np.count_nonzero(~np.isfinite(predictions))} not finite",
            expected="finite numbers", hint="a smaller learning rate, or features of a smaller range",
        )  # fmt: skip
    if quantile is not None:
        missed = labels - predictions
        return float(np.maximum(quantile * missed, (quantile - 1) * missed).mean())
    if task == "regression":
        return float(np.sqrt(np.square(predictions - labels).mean()))
    told = (
        predictions[np.arange(len(labels)), labels.astype(np.intp)]
        if task == "multiclass"
        else (np.where(labels == 1, predictions, 1 - predictions))
    )
    return float(-np.log(np.clip(told, np.finfo(np.float64).eps, 1)).mean())
