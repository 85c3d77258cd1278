"""How much each row counts in a fit: by its class, and by its age."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.errors import ContractError, SchemaMismatch, examples
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import Model
from ml_platform.scoring.classes import Class

FloatArray = NDArray[np.float64]
# How the two labels of a binary task may be named in the spec: both are false and true, or 0 and 1.
BINARY_NAMES = {"false": 0, "0": 0, "true": 1, "1": 1}


def class_weights(model: Model, labels: FloatArray, task: Task, classes: Sequence[Class]) -> FloatArray | None:
    """Give the weight of each class, by its number.

    Parameters
    ----------
    labels : (n_rows,) array
        Of the training rows: the number of each one's class.
    classes : sequence
        Of a multiclass task, in the order of their numbers.

    Returns
    -------
    (n_classes,) array or None
        None if the model weighs no classes.

    Raises
    ------
    ContractError
        If the model weighs a class that no training row has.

    Notes
    -----
    `balanced` is rows / (classes * rows of the class), as in scikit-learn's `compute_class_weight`, after G. King and
    L. Zeng, Logistic Regression in Rare Events Data, 2001.
    """
    asked = model.class_weights
    if asked is None:
        return None
    numbers = BINARY_NAMES if task == "binary" else {str(label): number for number, label in enumerate(classes)}
    counts = np.bincount(labels.astype(np.intp), minlength=max(numbers.values()) + 1)
    if asked == "balanced":
        return len(labels) / (len(counts) * counts.astype(np.float64))
    if unknown := [name for name in asked if name not in numbers]:
        raise ContractError.because(
            "class_weights", got=examples(unknown), expected=f"labels of training rows: {examples(numbers)}",
            hint="take it out, or choose a longer window that has it",
        )  # fmt: skip
    weights = np.ones(len(counts))
    for name, weight in asked.items():
        weights[numbers[name]] = weight
    return weights


def recency_weights(model: Model, train: pl.DataFrame, event_time: str | None) -> FloatArray | None:
    """Give the weight of each training row by its age: 1 for the newest, half of it for each half-life before.

    Parameters
    ----------
    event_time : str or None
        The column that tells the age.

    Raises
    ------
    SchemaMismatch
        If the model asks for it and the rows have no such column.
    """
    half_life = model.recency_half_life
    if half_life is None:
        return None
    if event_time is None or event_time not in train.columns:
        raise SchemaMismatch.because(
            "recency_half_life", got=f"rows without the event time {event_time}", expected="a column with the age",
            hint="fit on a training set, and name its event time",
        )  # fmt: skip
    at = train[event_time]
    ages = (at.max() - at) / timedelta(microseconds=1)  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
    return np.exp2(-ages.to_numpy() / (half_life / timedelta(microseconds=1)))
