"""The trivial models every candidate is held against: they know only the labels of the parts a model was fitted on."""

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def prior(fitted: pl.DataFrame, asked: pl.DataFrame) -> FloatArray:
    """Predict the mean label of all rows the model was fitted on: the share of positives of a binary task.

    Of all constants the mean has the least squared error and the least log loss, so it is the hardest to beat there;
    the least absolute error is the median's.
    """
    return np.full(len(asked), float(fitted["label"].cast(pl.Float64).to_numpy().mean()))


def last_value(fitted: pl.DataFrame, asked: pl.DataFrame) -> FloatArray:
    """Predict the mean label of the newest partition the model was fitted on."""
    newest = fitted.filter(pl.col("day") == fitted["day"].max())
    return prior(newest, asked)


BASELINES: dict[str, Callable[[pl.DataFrame, pl.DataFrame], FloatArray]] = {"prior": prior, "last_value": last_value}


def predict_baselines(rows: pl.DataFrame) -> dict[str, FloatArray]:
    """Give each baseline's prediction for the holdout part of a training set, shape (n_holdout,)."""
    is_holdout = pl.col("part") == "holdout"
    fitted, asked = rows.filter(~is_holdout), rows.filter(is_holdout)
    return {name: predict(fitted, asked) for name, predict in BASELINES.items()}
