"""Made-up rows and specs to cut training sets from."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from ml_platform.contracts.spec import PipelineSpec
from ml_platform.data.calendar import Calendar
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.splits.cut import parted, split_rows
from ml_platform.data.splits.parts import KNOWN_AT, LABEL

AS_OF = "2020-02-01"
END = datetime(2020, 2, 1, tzinfo=UTC)
LENGTHS = {"train": "14d", "train_at_least": "7d", "validation": "3d", "holdout": "3d"}


def spec_of(columns: Sequence[str], task: str = "binary", **split: Any) -> PipelineSpec:
    """Give a spec of twenty days before AS_OF, with some features."""
    metric = "log_loss" if task == "binary" else "mae"
    return PipelineSpec.model_validate(
        {
            "name": "made_up",
            "description": "Nothing real.",
            "partitions": {"every": "day", "start": "2020-01-01", "end": "2020-03-01"},
            "source": {"kind": "python", "load": ".source.load"},
            "key": ["id"],
            "event_time": "at",
            "label": {"column": "y", "task": task, "known_after": "1h"},
            "features": {"inputs": list(columns), "columns": list(columns)},
            "split": LENGTHS | split,
            "models": {"gbm": {"kind": "lightgbm"}},
            "gates": [{"metric": metric, "at_most": 1.0}],
        }
    )


def events(count: int, days: int = 30) -> pl.DataFrame:
    """Give ids and times evenly spread over the days before AS_OF, with their partitions."""
    step = timedelta(days=days) / count
    at = [END - step * back for back in range(count, 0, -1)]
    frame = pl.DataFrame({"id": range(count), "at": at}, schema={"id": pl.Int64, "at": pl.Datetime("us", "UTC")})
    return frame.with_columns(pl.col("at").dt.date().cast(pl.String).alias(PARTITION))


def known_soon(rows: pl.DataFrame, labels: pl.Series) -> pl.DataFrame:
    """Give each row a label that is known a minute after it."""
    return rows.select("id", labels.alias(LABEL), (pl.col("at") + timedelta(minutes=1)).alias(KNOWN_AT))


def cut(features: pl.DataFrame, labels: pl.DataFrame, spec: PipelineSpec) -> pl.DataFrame:
    """Cut the three parts of a training set as of AS_OF."""
    calendar = Calendar(spec.partitions)
    rows = split_rows(
        features, labels, key=spec.key, event_time=spec.event_time, split=spec.split, calendar=calendar, as_of=AS_OF
    )
    return parted(rows)


def training_set(
    columns: Mapping[str, pl.Series], labels: pl.Series, **split: Any
) -> tuple[pl.DataFrame, PipelineSpec]:
    """Cut rows with these features and labels; numbers as labels make it a regression."""
    task = "binary" if labels.dtype == pl.Boolean else "regression"
    spec = spec_of(list(columns), task, **split)
    rows = events(len(labels))
    return cut(rows.with_columns(**columns), known_soon(rows, labels), spec), spec
