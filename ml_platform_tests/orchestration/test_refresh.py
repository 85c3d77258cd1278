"""Stale features in Dagster: refused by name, shown as stale, rebuilt where the spec says so, refreshed by one job."""

from functools import cache

import dagster as dg
import polars as pl
import pytest
import yaml
from dagster._core.definitions.data_version import (
    SKIP_PARTITION_DATA_VERSION_DEPENDENCY_THRESHOLD,
    CachingStaleStatusResolver,
    StaleStatus,
)
from dagster._core.loader import LoadingContextForTest
from polars.testing import assert_frame_equal

from ml_platform.orchestration.feature_rows import make_features
from ml_platform.orchestration.freshness import stale_partitions
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform.orchestration.training_rows import read_training_set
from ml_platform_tests.pipelines.fixtures import as_pipeline
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.tiny.source import FAULTS
from ml_platform_tests.pipelines.world import AS_OF, FIRST, FOLDER, LAST, NAME, World, error_of, faults

pytestmark = [pytest.mark.slow, *DAGSTER]

DAY, OTHER = "2020-01-10", "2020-01-15"
FOLLOW = [DAY, "2020-01-11", "2020-01-12"]  # whose windows of a day touch it
VERSION = "dagster/data_version"


@cache
def _windowed(stale: str) -> Pipeline:
    """Return the tiny pipeline with a window of one day."""
    attributes = yaml.safe_load((FOLDER / "defs.yaml").read_text())["attributes"]
    features = attributes["features"]
    window = {"name": "late_share_1d", "by": ["line"], "how": "share", "of": "is_late", "over": "1d"}
    attributes["features"] = features | {"windows": [window], "columns": [*features["columns"], "late_share_1d"]}
    attributes["training"] = {"stale": stale}
    return resolve(attributes, FOLDER / "defs.yaml", f"ml_platform_tests.pipelines.{NAME}")


def _world(loaded: World, stale: str) -> World:
    """Return a world with windows, its features of all days made by one run."""
    world = as_pipeline(loaded, _windowed(stale))
    assert world.run("data", FIRST, LAST).success
    return world


@pytest.fixture
def refusing(loaded: World) -> World:
    """Return a world that refuses to train on stale features, as by default."""
    return _world(loaded, "refuse")


def _corrected(world: World, monkeypatch: pytest.MonkeyPatch, *stages: str, **broken: list[str]) -> None:
    """Change days in the source, and load only these stages of them again."""
    monkeypatch.setenv(FAULTS, faults(**broken))
    for key in sorted({key for keys in broken.values() for key in keys}):
        assert world.materialize(*stages, key=key).success
    monkeypatch.delenv(FAULTS)


def _refresh(world: World) -> dg.ExecuteInProcessResult:
    return world.execute(world.definitions.resolve_job_def("tiny_refresh"), None)


def _stale_in_ui(world: World, stage: str) -> list[str]:
    graph = world.definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(world.instance, graph, LoadingContextForTest(world.instance))
    days = sorted(world.lake.written(f"tiny/{stage}"))
    return [day for day in days if resolver.get_status(dg.AssetKey([NAME, stage]), day) is StaleStatus.STALE]


def _made(world: World, stage: str, result: dg.ExecuteInProcessResult) -> dict[str | None, str]:
    """Return the partitions of a stage that a run made, each with its data version."""
    return {each.partition: (each.tags or {})[VERSION] for each in world.materializations(stage, result.run_id)}


def _hashes(world: World, stage: str, keys: list[str]) -> dict[str | None, str]:
    written = world.lake.written(f"tiny/{stage}")
    return {key: written[key].hash for key in keys}


def _require_recomputed(world: World, stale: str = "refuse") -> None:
    """Compare every stored feature row with one computed from the rows of now."""
    keys = sorted(world.lake.written("tiny/features"))
    again = make_features(_windowed(stale), world.lake, keys)
    stored = world.lake.read("tiny/features").select(again.columns)
    assert_frame_equal(stored, again, check_row_order=False)


def test_new_labels_do_not_meet_old_inputs(refusing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day is corrected up to `validated`: refused by name and shown; one job makes exactly what must follow."""
    assert refusing.materialize("training_set", key=AS_OF).success
    before = refusing.lake.version("tiny/training_set")
    _corrected(refusing, monkeypatch, "raw", "validated", drifted=[DAY], shuffled_labels=[DAY])
    assert [each.partition for each in stale_partitions(_windowed("refuse"), refusing.lake)] == [*FOLLOW, AS_OF]
    assert _stale_in_ui(refusing, "features") == FOLLOW
    assert _stale_in_ui(refusing, "training_set") == [AS_OF]

    refused = refusing.materialize("training_set", key=AS_OF)

    assert not refused.success
    said = f"got stale partitions (3 of features): features[{DAY}] (validated[{DAY}] changed), features[{FOLLOW[1]}] ("
    assert said in error_of(refused)
    assert "Hint: run the job tiny_refresh, which makes exactly the stale partitions again" in error_of(refused)
    [shown] = refusing.evaluations("training_set", "features_are_fresh", refused.run_id)
    assert (shown.passed, shown.partition, shown.metadata["stale"].value) == (False, AS_OF, 3)
    assert refusing.lake.version("tiny/training_set") == before

    refreshed = _refresh(refusing)

    assert refreshed.success, error_of(refreshed)
    assert _made(refusing, "features", refreshed) == _hashes(refusing, "features", FOLLOW)
    assert not _made(refusing, "validated", refreshed)
    assert _stale_in_ui(refusing, "features") == []
    _require_recomputed(refusing)
    trained = refusing.materialize("training_set", key=AS_OF)
    assert trained.success
    [shown] = refusing.evaluations("training_set", "features_are_fresh", trained.run_id)
    assert (shown.passed, shown.metadata["rebuilt"].value) == (True, 0)
    assert _stale_in_ui(refusing, "training_set") == []


def test_the_spec_may_ask_to_rebuild(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then `training_set` makes the stale partitions itself: as the job would, logged under `features`."""
    world = _world(loaded, "rebuild")
    _corrected(world, monkeypatch, "raw", "validated", shuffled_labels=[DAY], drifted=[OTHER])
    stale = [*FOLLOW, OTHER, "2020-01-16", "2020-01-17"]

    result = world.materialize("training_set", key=AS_OF)

    assert result.success, error_of(result)
    assert _made(world, "features", result) == _hashes(world, "features", stale)
    [shown] = world.evaluations("training_set", "features_are_fresh", result.run_id)
    assert (shown.passed, shown.metadata["rebuilt"].value) == (True, len(stale))
    assert _stale_in_ui(world, "features") == _stale_in_ui(world, "training_set") == []
    _require_recomputed(world, "rebuild")
    rows = read_training_set(_windowed("rebuild"), world.lake, AS_OF)
    features = world.lake.read("tiny/features", stale).select("ride_id", "passengers", "late_share_1d")
    met = rows.join(features, on="ride_id", suffix="_stored")
    assert len(met) > 500
    assert met.filter(pl.col("late_share_1d").ne_missing(pl.col("late_share_1d_stored"))).is_empty()
    assert met.filter(pl.col("passengers") != pl.col("passengers_stored")).is_empty()


def test_a_lookup_that_changed_makes_its_features_stale(refusing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that knows time of the days that may join it, one that knows none of all days."""
    road = refusing.lake.read("tiny/road", [DAY])
    refusing.lake.write("tiny/road", road.with_columns(ice=pl.col("ice") / 2), [DAY])
    assert [each.partition for each in stale_partitions(_windowed("refuse"), refusing.lake)] == FOLLOW[:2]
    assert _refresh(refusing).success
    assert stale_partitions(_windowed("refuse"), refusing.lake) == []
    monkeypatch.setattr("ml_platform_tests.pipelines.tiny.source.LINES", ["u3", "u2", "u1"])
    assert refusing.materialize("lines").success
    every = [each.partition for each in stale_partitions(_windowed("refuse"), refusing.lake)]
    assert every == sorted(refusing.lake.written("tiny/features")) == _stale_in_ui(refusing, "features")
    result = _refresh(refusing)
    assert len(_made(refusing, "features", result)) == len(every)
    _require_recomputed(refusing)
    assert _stale_in_ui(refusing, "features") == []


def test_the_refresh_judges_again_and_names_what_is_refused(refusing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days whose raw rows changed: the good one goes through to features, the bad one is refused, once."""
    _corrected(refusing, monkeypatch, "raw", drifted=[DAY], bad_values=[OTHER])
    assert _stale_in_ui(refusing, "validated") == [DAY, OTHER]
    refused = refusing.materialize("training_set", key=AS_OF)
    assert f"got stale partitions (2 of validated): validated[{DAY}] (raw[{DAY}] changed), validated" in error_of(
        refused
    )

    result = _refresh(refusing)

    assert not result.success
    assert f"partition {OTHER}: got 20.0% of rows quarantined" in error_of(result)
    assert _made(refusing, "validated", result) == _hashes(refusing, "validated", [DAY])
    assert _made(refusing, "features", result) == _hashes(refusing, "features", FOLLOW)
    checked = refusing.evaluations("validated", "few_rows_quarantined", result.run_id)
    assert {each.partition: each.passed for each in checked} == {DAY: True, OTHER: False}
    assert f"{OTHER} (20.0% of rows quarantined" in error_of(refusing.materialize("training_set", key=AS_OF))
    assert stale_partitions(_windowed("refuse"), refusing.lake) == []  # the source must change, nothing else helps
    assert refusing.run("data", OTHER).success
    assert _refresh(refusing).success
    _require_recomputed(refusing)
    assert refusing.materialize("training_set", key=AS_OF).success


def test_a_day_that_nobody_made_is_missed(refusing: World) -> None:
    """Rows were loaded and judged, features never made: today their rows would be left out without a word."""
    late = "2020-02-01"
    assert refusing.materialize("raw", "validated", key=late).success
    stale = {each.stage: each for each in stale_partitions(_windowed("refuse"), refusing.lake)}
    assert {stage: each.partition for stage, each in stale.items()} == {"road": late, "features": late}
    refused = refusing.materialize("training_set", key="2020-02-02")
    assert f"features[{late}] (never materialized)" in error_of(refused)
    assert _refresh(refusing).success
    _require_recomputed(refusing)
    assert refusing.materialize("training_set", key="2020-02-02").success


def test_with_nothing_stale_the_refresh_does_nothing(refusing: World) -> None:
    """No table is written again."""
    tables = [f"tiny/{stage}" for stage in ("raw", "validated", "road", "lines", "features")]
    before = {table: refusing.lake.version(table) for table in tables}
    assert _refresh(refusing).success
    assert {table: refusing.lake.version(table) for table in tables} == before


def test_a_candidate_alone_takes_no_stale_training_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The training set of an earlier run is not what the lake holds now; a retrain cuts it again."""
    _corrected(world, monkeypatch, "raw", "validated", "features", shuffled_labels=[DAY])
    refused = world.materialize("candidate", key=AS_OF)
    assert f"training_set[{AS_OF}] (validated[{DAY}] changed" in error_of(refused)
    assert world.materialize("training_set", "candidate", key=AS_OF).success


def test_dagster_looks_at_no_dependency_on_a_hundred_partitions() -> None:
    """So a training set has a check of its own; if this limit goes, the check may go."""
    assert SKIP_PARTITION_DATA_VERSION_DEPENDENCY_THRESHOLD == 100
