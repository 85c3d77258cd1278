"""What happened and what several models say of it, as arrays that can be compared: one order of classes for all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.metrics import Task
from ml_platform.scoring.classes import Class, class_numbers, ordered, spread

FloatArray = NDArray[np.float64]


class Predicts(Protocol):
    """What predicts: a model as it is served, or as it was fitted."""

    @property
    def classes(self) -> tuple[Class, ...]:
        """Of a multiclass model, in the order of its predictions; else empty."""
        ...

    def predict(self, features: pl.DataFrame) -> FloatArray:
        """Give the predictions for rows that have the features' columns."""
        ...


@dataclass(frozen=True)
class Outcomes:
    """The labels of some rows.

    Parameters
    ----------
    labels : (n_rows,) array
        0 or 1, the number of the class, or the value.
    task : Task
        What they are.
    classes : tuple
        Of a multiclass task: those that occur in any part, or that some model knows; else empty.
    """

    labels: FloatArray
    task: Task
    classes: tuple[Class, ...]

    def said_by(self, predictor: Predicts, features: pl.DataFrame) -> FloatArray:
        """Give a model's predictions for the rows, (n_rows,) or (n_rows, n_classes); 0 for a class it never saw."""
        predictions = predictor.predict(features)
        return spread(predictions, predictor.classes, self.classes) if self.task == "multiclass" else predictions


def outcomes(rows: pl.DataFrame, part: str, task: Task, *predictors: Predicts) -> Outcomes:
    """Give the labels of one part of a training set, comparable with what some models say.

    Parameters
    ----------
    rows : (n_rows, ...)
        All parts, with `label`, none of them null.
    """
    labels = rows.filter(pl.col("part") == part)["label"]
    if task != "multiclass":
        return Outcomes(labels.cast(pl.Float64).to_numpy(), task, ())
    known = [label for predictor in predictors for label in predictor.classes]
    classes = ordered([*rows["label"].unique(), *known])
    return Outcomes(class_numbers(labels, classes), task, classes)


def class_by_class(
    labels: FloatArray, predictions: Mapping[str, FloatArray]
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Give whether each class happened and what each model says of it, row after row: a binary task for each class."""
    width = next(iter(predictions.values())).shape[1]
    happened = (labels[:, None] == np.arange(width)).astype(np.float64).ravel()
    return happened, {name: shares.ravel() for name, shares in predictions.items()}
