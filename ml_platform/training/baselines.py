"""The trivial models every candidate is held against: they know only the labels of the parts a model was fitted on."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.scoring.classes import Class, class_numbers

FloatArray = NDArray[np.float64]
Constant = Callable[[pl.Series], FloatArray | float]


def predict_baselines(
    rows: pl.DataFrame, classes: Sequence[Class] = (), quantile: float | None = None
) -> dict[str, FloatArray]:
    """Give each baseline's prediction for the holdout part of a training set.

    `prior` is the best constant for all rows that a model was fitted on, `last_value` for those of their newest
    partition: the mean label (the share of positives of a binary task), of several classes the share of each, or the
    quantile that the models predict. Of all constants the mean has the least squared error and the least log loss, so
    it is the hardest to beat there.

    Parameters
    ----------
    classes : sequence
        Of a multiclass task; the order of the shares.
    quantile : float, optional
        What the models of a regression predict instead of the mean.

    Returns
    -------
    dict of str to (n_holdout,) array, or (n_holdout, n_classes) with classes
    """
    is_holdout = pl.col("part") == "holdout"
    fitted, asked = rows.filter(~is_holdout), int(rows.select(is_holdout.sum()).item())
    newest = fitted.filter(pl.col("day") == fitted["day"].max())
    constant = _constant(classes, quantile)
    known = {"prior": fitted["label"], "last_value": newest["label"]}
    return {name: np.repeat(np.asarray(constant(labels))[None], asked, axis=0) for name, labels in known.items()}


def _constant(classes: Sequence[Class], quantile: float | None) -> Constant:
    def shares(labels: pl.Series) -> FloatArray:
        numbers = class_numbers(labels, classes).astype(np.intp)
        return np.bincount(numbers, minlength=len(classes)) / len(numbers)

    if classes:
        return shares
    if quantile is not None:
        return lambda labels: float(np.quantile(labels.cast(pl.Float64).to_numpy(), quantile))
    return lambda labels: float(labels.cast(pl.Float64).to_numpy().mean())
