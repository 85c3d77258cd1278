"""The calendar counts as Dagster does, and the lineage that Dagster shows covers what is read."""

from dataclasses import replace
from datetime import UTC, date, timedelta

import dagster as dg
import pytest

from ml_platform.contracts.spec import Partitions
from ml_platform.contracts.spec.partitions import Cadence
from ml_platform.orchestration.jobs import data_job, data_schedule
from ml_platform.orchestration.partitions import lookback, partitions_def
from ml_platform.orchestration.resolution import Pipeline
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import definitions, tiny

pytestmark = DAGSTER

ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "America/Havana", "America/Sao_Paulo", "Pacific/Auckland"]
SPANS: list[tuple[Cadence, date, date]] = [
    ("day", date(2013, 1, 1), date(2014, 1, 1)),
    *[("week", date(2013, 1, day), date(2013, 1, day) + timedelta(weeks=60)) for day in range(6, 13)],
    ("month", date(2011, 11, 1), date(2014, 2, 1)),
]


def _pipeline(every: Cadence, start: date, end: date, zone: str = "UTC") -> Pipeline:
    partitions = Partitions(every=every, start=start, end=end, timezone=zone)
    return replace(tiny(), spec=tiny().spec.model_copy(update={"partitions": partitions}))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("every", "start", "end"), SPANS, ids=lambda value: str(value))
def test_the_calendar_counts_as_dagster_does(every: Cadence, start: date, end: date, zone: str) -> None:
    """The same keys, each with the same window; weeks begin on the weekday of the start."""
    pipeline = _pipeline(every, start, end, zone)
    calendar, theirs = pipeline.calendar, partitions_def(pipeline)
    keys = theirs.get_partition_keys()
    assert keys[0] == start.isoformat()
    assert calendar.keys_before(end.isoformat(), end - start) == keys
    for key in keys:
        window = theirs.time_window_for_partition_key(key)
        ours = calendar.window([key])
        assert (ours.start, ours.end) == (window.start.astimezone(UTC), window.end.astimezone(UTC))
        assert calendar.as_of(key) == ours.start


@pytest.mark.parametrize("days", [1, 7, 10, 28, 29, 60, 90])
@pytest.mark.parametrize(("every", "start", "end"), [SPANS[0], SPANS[1], SPANS[-1]], ids=["day", "week", "month"])
def test_what_is_read_lies_upstream(every: Cadence, start: date, end: date, days: int) -> None:
    """For days and weeks it is exactly that, for months there may be one more."""
    pipeline, span = _pipeline(every, start, end), timedelta(days=days)
    partitions, mapping = partitions_def(pipeline), lookback(pipeline, span)
    for key in partitions.get_partition_keys():
        subset = partitions.subset_with_partition_keys([key])
        upstream = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, partitions, partitions)
        shown, read = set(upstream.partitions_subset.get_partition_keys()), pipeline.calendar.keys_before(key, span)
        assert shown >= set(read)
        assert len(shown) - len(read) in ((0, 1) if every == "month" else (0,))


@pytest.mark.parametrize(
    ("every", "start", "end", "name", "cron"),
    [(*SPANS[0], "daily", "0 0 * * *"), (*SPANS[3], "weekly", "0 0 * * 2"), (*SPANS[-1], "monthly", "0 0 1 * *")],
    ids=["day", "week", "month"],
)
def test_the_schedule_runs_when_a_partition_is_over(
    every: Cadence, start: date, end: date, name: str, cron: str
) -> None:
    """And is named by how often."""
    pipeline = _pipeline(every, start, end)
    schedule = data_schedule(pipeline, data_job(pipeline))
    repository = dg.Definitions.merge(definitions(pipeline)).get_repository_def()
    assert schedule.name == f"tiny_{name}"
    assert repository.get_schedule_def(f"tiny_{name}").cron_schedule == cron
