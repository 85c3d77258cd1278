"""Rows of a holdout as a client sends them, what was predicted of them offline, and the lookups behind them."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from ml_platform.data.lake.tables import Lake
from ml_platform.features.window_plan import HISTORY
from ml_platform.orchestration.feature_rows import first_known, read_history
from ml_platform.orchestration.lookups import read_lookups
from ml_platform.orchestration.partitions import whole_days
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.serving.predictor import Predictor


def newest_of_holdout(training_set: pl.DataFrame, count: int) -> pl.DataFrame:
    """Give the newest rows of a training set's holdout."""
    return training_set.filter(pl.col("part") == "holdout").tail(count)


def raw_and_offline(
    pipeline: Pipeline, lake: Lake, predictor: Predictor, features: pl.DataFrame
) -> tuple[pl.DataFrame, np.ndarray]:
    """Give rows of a training set as a client sends them, and the predictions on their stored features."""
    raw = first_known(pipeline, lake.read(pipeline.table("validated"), features["day"].unique().to_list()))
    asked = features.select(pipeline.spec.key).join(raw, on=pipeline.spec.key, how="left", maintain_order="left")
    return asked.select(predictor.plan.raw_columns), predictor.predict(features)


def lookups_behind(pipeline: Pipeline, lake: Lake, features: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    """Give the lookups and the past that these rows' features were made with, from the lake.

    An online store holds them as of now: a version of an earlier as-of would be asked about a world it has not seen.
    """
    touched, every = features["day"].unique().sort(), pipeline.calendar.keys()
    days = every[every.index(touched[0]) : every.index(touched[-1]) + 1]
    lookups = read_lookups(pipeline, lake, days)
    past = pipeline.plan.history
    if past is None:
        return lookups
    return lookups | {HISTORY: read_history(pipeline, lake, days, whole_days(past.reach))}
