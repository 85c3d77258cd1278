"""Partitions, mappings and what every asset of a pipeline shares."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg

from ml_platform.orchestration.resolution import Pipeline


def days(pipeline: Pipeline) -> dg.DailyPartitionsDefinition:
    """Give the pipeline's daily partitions."""
    partitions = pipeline.spec.partitions
    return dg.DailyPartitionsDefinition(
        start_date=partitions.start.isoformat(), end_date=partitions.end.isoformat(), timezone=partitions.timezone
    )


def lookback(first: int, last: int) -> dg.TimeWindowPartitionMapping:
    """Depend on the partitions from `first` to `last` days before; those that do not exist are left out."""
    return dg.TimeWindowPartitionMapping(
        start_offset=-first, end_offset=-last, allow_nonexistent_upstream_partitions=True
    )


def whole_days(span: timedelta) -> int:
    """Count the days before its own that a span reaches back to, from any instant of a day.

    Where a clock goes forward a day has 23 hours, and a span reaches an hour further than its days.
    """
    return -(-(span + timedelta(hours=1)) // timedelta(days=1))


def stage_asset(
    pipeline: Pipeline, stage: str, *, kinds: set[str], description: str, **options: Any
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """Decorate the function that makes a stage: key, group and owners are the pipeline's, `options` as in Dagster."""
    return dg.asset(
        key=[pipeline.name, stage],
        group_name=pipeline.name,
        owners=pipeline.spec.owners,
        kinds=kinds,
        description=description,
        **options,
    )
