"""Partitions, mappings and what every asset of a pipeline shares."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any

import dagster as dg

from ml_platform.data.lake.recorded import RecordedLake, recorded
from ml_platform.data.lake.tables import Lake
from ml_platform.orchestration.code_versions import author_version, code_version, spec_digest, stage_version
from ml_platform.orchestration.resolution import Pipeline


def partitions_def(pipeline: Pipeline) -> dg.TimeWindowPartitionsDefinition:
    """Give the pipeline's daily, weekly or monthly partitions."""
    partitions = pipeline.spec.partitions
    span: dict[str, Any] = {
        "start_date": partitions.start.isoformat(),
        "end_date": partitions.end.isoformat(),
        "timezone": partitions.timezone,
    }
    match partitions.every:
        case "day":
            return dg.DailyPartitionsDefinition(**span)
        case "week":  # Dagster counts weekdays from Sunday
            return dg.WeeklyPartitionsDefinition(**span, day_offset=partitions.start.isoweekday() % 7)
        case "month":
            return dg.MonthlyPartitionsDefinition(**span)


def lookback(pipeline: Pipeline, span: timedelta, *, and_own: bool = False) -> dg.TimeWindowPartitionMapping:
    """Depend on the partitions before, as many as a span of days may touch, `and_own` one; there may be fewer.

    This is lineage, and for months it may name one more than is read: reading asks the calendar.
    """
    return dg.TimeWindowPartitionMapping(
        start_offset=-pipeline.calendar.partitions_within(span),
        end_offset=0 if and_own else -1,
        allow_nonexistent_upstream_partitions=True,
    )


def whole_days(span: timedelta) -> timedelta:
    """Round up to the days before its own that a span reaches back to, from any instant of a day.

    Where a clock goes forward a day has 23 hours, and a span reaches an hour further than its days.
    """
    day = timedelta(days=1)
    return -(-(span + timedelta(hours=1)) // day) * day


def stage_asset(
    pipeline: Pipeline, stage: str, *, kinds: set[str], description: str, **options: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Decorate the function that makes a stage: key, group and owners are the pipeline's, `options` as in Dagster.

    Its lake remembers what the stage reads, and says so in what the stage writes.
    """
    decorate = dg.asset(
        key=[pipeline.name, stage],
        group_name=pipeline.name,
        owners=pipeline.spec.owners,
        kinds=kinds,
        description=description,
        code_version=stage_version(pipeline, stage),
        **options,
    )
    return lambda make: decorate(_recording(pipeline, make))


def recording_lake(pipeline: Pipeline, lake: Lake, run_id: str) -> RecordedLake:
    """Return a lake that has read nothing yet, and whose writes say by which run, code and spec they were made."""
    said = {"run": run_id, "code_version": code_version(), "spec_digest": spec_digest(pipeline)}
    return recorded(lake, {**said, "author_version": author_version(pipeline)})


def _recording(pipeline: Pipeline, make: Callable[..., Any]) -> Callable[..., Any]:
    """Give the stage a lake that remembers."""

    def completed(context: dg.AssetExecutionContext, resources: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(lake := resources.get("lake"), Lake):
            return resources
        return {**resources, "lake": recording_lake(pipeline, lake, context.run.run_id)}

    @wraps(make)
    def run(context: dg.AssetExecutionContext, **resources: Any) -> Any:
        return make(context, **completed(context, resources))

    @wraps(make)
    def run_and_yield(context: dg.AssetExecutionContext, **resources: Any) -> Iterator[Any]:
        yield from make(context, **completed(context, resources))

    return run_and_yield if isgeneratorfunction(make) else run  # Dagster asks for the kind of function
