"""The data version of a partition is the hash of its rows: equal rows are not new, however and whenever they came."""

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.tiny.source import FAULTS
from ml_platform_tests.pipelines.world import World, faults

pytestmark = [pytest.mark.slow, *DAGSTER]

DAYS = ["2020-01-20", "2020-01-21", "2020-01-22"]
STAGES = ["raw", "validated", "features"]
VERSION, CODE = "dagster/data_version", "dagster/code_version"


def _versions(world: World, stage: str, run_id: str) -> dict[str | None, str]:
    return {each.partition: (each.tags or {})[VERSION] for each in world.materializations(stage, run_id)}


def _stale(world: World, stage: str, key: str) -> bool:
    graph = world.definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(world.instance, graph, LoadingContextForTest(world.instance))
    return resolver.get_status(dg.AssetKey(["tiny", stage]), key) is StaleStatus.STALE


def test_each_partition_of_a_range_has_the_hash_of_its_rows(loaded: World) -> None:
    """And a run of one partition gives the same as the range, so nothing that follows looks stale."""
    together = loaded.run("data", DAYS[0], DAYS[-1])
    assert together.success
    for stage in STAGES:
        hashes = {key: each.hash for key, each in loaded.lake.written(f"tiny/{stage}").items() if key in DAYS}
        assert _versions(loaded, stage, together.run_id) == hashes
        assert len(set(hashes.values())) == len(DAYS)
    alone = loaded.run("data", DAYS[1])
    for stage in STAGES:
        assert _versions(loaded, stage, alone.run_id)[DAYS[1]] == _versions(loaded, stage, together.run_id)[DAYS[1]]
    assert not any(_stale(loaded, stage, key) for stage in STAGES for key in DAYS)


def test_a_partition_that_changed_is_told_from_those_that_did_not(
    loaded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a range too: only what follows the changed one is stale, until it is made anew."""
    before = loaded.run("data", DAYS[0], DAYS[-1])
    monkeypatch.setenv(FAULTS, faults(few_bad_values=[DAYS[1]]))
    again = loaded.materialize("raw", key=DAYS[0], last=DAYS[-1])
    assert again.success
    old, new = (_versions(loaded, "raw", each.run_id) for each in (before, again))
    assert [key for key in DAYS if old[key] != new[key]] == [DAYS[1]]
    assert [key for key in DAYS if _stale(loaded, "validated", key)] == [DAYS[1]]
    assert loaded.run("data", DAYS[1]).success
    assert not any(_stale(loaded, stage, key) for stage in STAGES for key in DAYS)


def test_a_materialization_says_where_it_came_from(loaded: World) -> None:
    """Delta version, hash and code in the UI; tables, versions, run, spec and source in the commit."""
    result = loaded.run("data", DAYS[0], DAYS[-1])
    for stage in STAGES:
        [first, *_] = loaded.materializations(stage, result.run_id)
        written = loaded.lake.written(f"tiny/{stage}")[str(first.partition)]
        assert first.metadata["delta/version"].value == written.version
        assert first.metadata["content_hash"].value == written.hash
        assert first.metadata["code_version"].value == written.lineage["code_version"]
        assert (first.tags or {})[CODE] != result.run_id
        assert written.lineage["run"] == result.run_id
        assert len(written.lineage["spec_digest"]) == 64
    raw, validated = (loaded.lake.written(f"tiny/{stage}")[DAYS[0]] for stage in ("raw", "validated"))
    assert raw.lineage["origins"]
    read = {each["table"]: each for each in validated.lineage["inputs"]}
    assert read["tiny/raw"] == {"table": "tiny/raw", "version": raw.version, "partitions": DAYS}
    features = loaded.lake.written("tiny/features")[DAYS[0]].lineage["inputs"]
    assert [each["table"] for each in features] == ["tiny/lines", "tiny/road", "tiny/validated"]
