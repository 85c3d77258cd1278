"""Weeks and months from the source to drift: the stages cut, read and count whatever the partitions are."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml

from ml_platform.contracts.home import Home
from ml_platform.contracts.records import DriftReport
from ml_platform.contracts.spec import Partitions
from ml_platform.data.splits.cut import parted
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines import tiny as tiny_package
from ml_platform_tests.pipelines.fixtures import enter
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import FOLDER, InProcessTarget, World, definitions, error_of

pytestmark = [pytest.mark.slow, *DAGSTER]


@dataclass(frozen=True)
class Story:
    """A cadence, the partitions to load, and what each part of the training set must then be made of."""

    partitions: Partitions
    split: dict[str, int]
    loaded: tuple[str, str]
    as_of: str
    parts: dict[str, list[str]]
    window: int

    @cached_property
    def pipeline(self) -> Pipeline:
        """The tiny pipeline in this cadence."""
        path = FOLDER / "defs.yaml"
        changed: dict[str, Any] = {
            "partitions": self.partitions.model_dump(mode="json"),
            "split": {name: f"{days}d" for name, days in self.split.items()},
            "monitoring": {"window": f"{self.window}d"},
        }
        return resolve(yaml.safe_load(path.read_text())["attributes"] | changed, path, tiny_package.__name__)


WEEKS = Story(  # from Wednesday to Wednesday; the clocks go forward on 29 March
    Partitions(every="week", start=date(2020, 1, 1), end=date(2020, 5, 20), timezone="Europe/Berlin"),
    {"train": 21, "train_at_least": 14, "validation": 7, "holdout": 14},
    ("2020-02-26", "2020-04-01"),
    "2020-04-08",
    {
        "train": ["2020-02-26", "2020-03-04", "2020-03-11"],
        "validation": ["2020-03-18"],
        "holdout": ["2020-03-25", "2020-04-01"],
    },
    window=10,
)
MONTHS = Story(
    Partitions(every="month", start=date(2020, 1, 1), end=date(2020, 7, 1), timezone="Europe/Berlin"),
    {"train": 60, "train_at_least": 29, "validation": 31, "holdout": 30},
    ("2020-01-01", "2020-04-01"),
    "2020-05-01",
    {"train": ["2020-01-01", "2020-02-01"], "validation": ["2020-03-01"], "holdout": ["2020-04-01"]},
    window=30,
)


@pytest.fixture(scope="module", params=[WEEKS, MONTHS], ids=["week", "month"])
def story(request: pytest.FixtureRequest) -> Story:
    """Give a cadence."""
    return request.param


@pytest.fixture(scope="module")
def world(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a world with a champion."""
    home = Home(tmp_path_factory.mktemp("cadence"))
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        enter(home, patched)
        world = World(home, instance, definitions(story.pipeline, target=InProcessTarget(home)))
        for done in (world.run("data", *story.loaded), world.run("retrain", story.as_of)):
            assert done.success, error_of(done)
        yield world


def _next(story: Story) -> str:
    return story.pipeline.calendar.window([story.as_of]).end.astimezone(story.partitions.zone).date().isoformat()


def _report(world: World, as_of: str) -> DriftReport:
    assert world.run("monitor", as_of).success
    event = world.instance.get_latest_materialization_event(dg.AssetKey(["tiny", "drift"]))
    assert event is not None
    assert event.asset_materialization is not None
    return DriftReport.model_validate(event.asset_materialization.metadata["report"].value)


def test_the_training_set_is_cut_out_of_whole_partitions(story: Story, world: World) -> None:
    """Each part of those it spans, and of every ride in them but the last of a part: 120 a day."""
    rows = parted(world.lake.read("tiny/training_set", [story.as_of]))
    found = dict(rows.group_by("part").agg(pl.col("day").unique().sort()).iter_rows())
    assert found == story.parts
    counts = dict(rows.group_by("part").len().iter_rows())
    assert counts == pytest.approx({part: 120 * story.split[part] for part in story.parts}, abs=5)


def test_the_champion_is_as_of_the_beginning_of_a_partition(story: Story, world: World) -> None:
    """Promoted like any other, and known to the ledger by that day."""
    assert world.promoted() == [1]
    [promoted] = world.decisions("promoted")
    assert promoted.payload["as_of"] == story.as_of


def test_drift_looks_at_the_partitions_that_its_window_touches(story: Story, world: World) -> None:
    """As of the next partition, since no champion is older than the first; the newest one of the window is missing."""
    later = _next(story)
    report = _report(world, later)
    keys = story.pipeline.calendar.keys_before(later, timedelta(days=story.window))
    assert report.window == story.pipeline.calendar.window(keys)
    loaded = [story.pipeline.calendar.window([key]) for key in keys if key != story.as_of]
    assert report.rows == 120 * sum(round((each.end - each.start) / timedelta(days=1)) for each in loaded)
    assert report.outcome == "inconclusive"


def test_a_partition_that_is_missing_is_named(story: Story, world: World) -> None:
    """The next one was never loaded: there is nothing to judge, and nothing to train on."""
    later = _next(story)
    report = _report(world, later)
    assert report.outcome == "inconclusive"
    assert report.sentence.startswith(f"data fault: no rows in {story.as_of};")
    result = world.run("retrain", later)
    assert not result.success
    assert f"got {story.as_of} (no verdict)" in error_of(result)
