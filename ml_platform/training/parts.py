"""The parts of a training set as trainers take them: encoded, with labels as numbers and the weight of each row.

What every kind of model asks of its rows is seen to here, once; the holdout part is never looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.errors import ContractError, NotEnoughRows, examples
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import Model
from ml_platform.features.encoding import Encoder
from ml_platform.scoring.classes import Class, class_numbers, ordered
from ml_platform.training.weights import class_weights, recency_weights

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Rows of one part.

    Parameters
    ----------
    features : (n_rows, n_columns) array
        Encoded.
    labels : (n_rows,) array
        0 or 1, the number of the class, or the value.
    weights : (n_rows,) array or None
        How much each row counts; None if all count the same.
    """

    features: FloatArray
    labels: FloatArray
    weights: FloatArray | None = None


@dataclass(frozen=True)
class Parts:
    """What a model is fitted on, and what it is stopped by.

    Parameters
    ----------
    encoder : Encoder
        Fitted on train.
    task : Task
        What the label is.
    classes : tuple
        Of a multiclass task the labels of train, in their order; else empty.
    train : Part
        The rows to learn from.
    validation : Part or None
        The rows to stop by, whose weights know classes, not age: they are newer than all of train. None of a refit,
        whose rounds are fixed.
    notes : tuple of str
        What people should know of the rows.
    warnings : tuple of str
        What makes them doubtful.
    """

    encoder: Encoder
    task: Task
    classes: tuple[Class, ...]
    train: Part
    validation: Part | None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def prepare(
    rows: pl.DataFrame, columns: Sequence[str], model: Model, task: Task, event_time: str | None = None
) -> Parts:
    """Encode the parts of a training set.

    Parameters
    ----------
    rows : (n_rows, ...)
        A training set: the columns, `label` and `part`.
    event_time : str, optional
        The column that tells the age of a row; needed with `recency_half_life`.

    Raises
    ------
    NotEnoughRows
        If all labels of a part are the same: then nothing can be learned or stopped.
    ContractError
        If the model weighs a class that no training row has.
    """
    train, validation = (rows.filter(pl.col("part") == part) for part in ("train", "validation"))
    _refuse_one_label("train", train, task)
    classes = ordered(train["label"].unique().drop_nulls()) if task == "multiclass" else ()
    validation, notes = _known_classes(validation, classes) if task == "multiclass" else (validation, ())
    _refuse_one_label("validation", validation, task)
    encoder = Encoder.fit(train, columns)
    labels = tuple(_numbers(part["label"], classes) for part in (train, validation))
    by_class = class_weights(model, labels[0], task, classes)
    weights = [None if by_class is None else by_class[each.astype(np.intp)] for each in labels]
    by_age = recency_weights(model, train, event_time)
    if by_age is not None:
        weights[0] = by_age if weights[0] is None else weights[0] * by_age
    parts = [
        Part(encoder.encode(part), numbers, weight)
        for part, numbers, weight in zip((train, validation), labels, weights, strict=True)
    ]
    return Parts(encoder, task, classes, *parts, notes=notes, warnings=_empty_features(train, columns))


def refuse_infinite(parts: Parts, kind: str) -> None:
    """Refuse features that are infinite, for a kind of model that cannot take them.

    Raises
    ------
    ContractError
        Names each such feature, with the number of rows of train and validation.
    """
    counts = sum(np.isinf(part.features).sum(axis=0) for part in (parts.train, parts.validation) if part is not None)
    infinite = {
        name: int(count) for name, count in zip(parts.encoder.columns, np.atleast_1d(counts), strict=True) if count
    }
    if infinite:
        raise ContractError.because(
            "features", got=f"infinite values: {examples(f'{name} in {rows} rows' for name, rows in infinite.items())}",
            expected=f"finite numbers with kind: {kind}, null where there is none",
            hint="divide by NULLIF(x, 0) where the feature is derived, or mend the source; kind: lightgbm takes them",
        )  # fmt: skip


def prepare_whole(
    rows: pl.DataFrame, columns: Sequence[str], model: Model, task: Task, event_time: str | None = None
) -> Parts:
    """Encode all rows as rows to learn from: what a refit takes, which stops at a fixed round.

    Parameters
    ----------
    rows : (n_rows, ...)
        The columns and `label`; which part a row belongs to does not matter.
    event_time : str, optional
        As in `prepare`, which raises the same errors.
    """
    _refuse_one_label("rows of the refit", rows, task)
    classes = ordered(rows["label"].unique().drop_nulls()) if task == "multiclass" else ()
    encoder, labels = Encoder.fit(rows, columns), _numbers(rows["label"], classes)
    by_class = class_weights(model, labels, task, classes)
    weights = None if by_class is None else by_class[labels.astype(np.intp)]
    by_age = recency_weights(model, rows, event_time)
    if by_age is not None:
        weights = by_age if weights is None else weights * by_age
    train = Part(encoder.encode(rows), labels, weights)
    return Parts(encoder, task, classes, train, None, warnings=_empty_features(rows, columns))


def _numbers(labels: pl.Series, classes: Sequence[Class]) -> FloatArray:
    return class_numbers(labels, classes) if classes else labels.cast(pl.Float64).to_numpy()


def _known_classes(validation: pl.DataFrame, classes: Sequence[Class]) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Leave out the rows whose class no training row has: there is no number for it to be stopped by."""
    is_known = validation["label"].is_in(list(classes))
    unknown = validation.filter(~is_known)
    if unknown.is_empty():
        return validation, ()
    named = examples(ordered(unknown["label"].unique()))
    note = f"{len(unknown)} validation rows were left out: no training row has their class ({named})."
    return validation.filter(is_known), (note,)


def _refuse_one_label(name: str, part: pl.DataFrame, task: Task) -> None:
    different = part["label"].n_unique()
    if different < 2:
        one = "value" if task == "regression" else "class"
        wanted = {"binary": "rows of both classes", "multiclass": "rows of two classes or more"}
        raise NotEnoughRows.because(
            f"training set: {name}",
            got=f"{len(part)} rows with {different} {one}",
            expected=wanted.get(task, "labels that differ"),
            hint="choose a longer window, or an as-of partition with several outcomes before it",
        )


def _empty_features(train: pl.DataFrame, columns: Sequence[str]) -> tuple[str, ...]:
    """Warn of features without any value: a model learns nothing from them, and ignores them later."""
    values = [train[name] for name in columns]
    known = ((each.name, each.drop_nans() if each.dtype.is_float() else each) for each in values)
    empty = [name for name, each in known if each.null_count() == len(each)]
    return (f"No training row has a value of {examples(empty)}: nothing was learned from it.",) if empty else ()
