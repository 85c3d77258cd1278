"""What vacuum leaves: the newest version of a table, and every version that somebody relies on."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from ml_platform.contracts.errors import LakeError
from ml_platform.contracts.records import TableVersion
from ml_platform.data.lake.manifest import manifest_digest, manifest_lineage, training_manifest
from ml_platform.data.lake.recorded import recorded
from ml_platform.data.lake.retention import needed_versions, vacuum
from ml_platform.data.lake.tables import PARTITION, Lake, local_lake

TABLE, SET = "tiny/features", "tiny/training_set"
NOW, MONTH = timedelta(0), timedelta(days=30)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Give an empty lake."""
    return local_lake(tmp_path / "lake")


def _write(lake: Lake, x: int, table: str = TABLE) -> int:
    rows = pl.DataFrame({"x": [x], PARTITION: ["a"]})
    return lake.write(table, rows, ["a"]).version


def _read(lake: Lake, version: int, table: str = TABLE) -> list[int]:
    return lake.read(table, version=version)["x"].to_list()


def test_a_version_that_is_named_stays_readable_and_others_go(lake: Lake) -> None:
    """However often the table was overwritten since; the newest is as it was."""
    first, second, third = (_write(lake, x) for x in (1, 2, 3))
    needed = needed_versions(lake, [TABLE], [TableVersion(table=TABLE, version=first, rows=1)], [])
    assert needed == {TABLE: [first]}
    told = vacuum(lake, needed, NOW, is_dry=True)
    assert len(told[TABLE]) == 1
    assert _read(lake, second) == [2]
    assert vacuum(lake, needed, NOW, is_dry=False) == told
    assert (_read(lake, first), _read(lake, third)) == ([1], [3])
    with pytest.raises(FileNotFoundError):
        _read(lake, second)
    assert set(lake.written(TABLE)) == {"a"}


def test_what_left_a_table_lately_stays(lake: Lake) -> None:
    """Nothing goes before its time."""
    versions = [_write(lake, x) for x in (1, 2, 3)]
    assert vacuum(lake, {TABLE: []}, MONTH, is_dry=False) == {TABLE: []}
    assert [_read(lake, version) for version in versions] == [[1], [2], [3]]


def test_a_training_set_is_known_by_its_manifest(lake: Lake) -> None:
    """Which names tables, versions and hashes, and is equal for equal inputs."""
    _write(lake, 1)
    made = []
    for run in ("one", "two"):
        remembering = recorded(lake, {"run": run, "spec_digest": "s", "code_version": "c"})
        rows = remembering.read(TABLE, ["a"])
        manifest = training_manifest(remembering, "tiny", "a")
        made.append((manifest, remembering.write(SET, rows, ["a"], lineage=manifest_lineage(manifest)).version))
    (first, at), (again, _) = made
    assert first.digest == again.digest == manifest_digest(lake, SET, "a")
    assert [(each.table, each.version, list(each.partitions)) for each in first.tables] == [(TABLE, 1, ["a"])]
    assert (first.spec_digest, first.code_version) == ("s", "c")
    _write(lake, 9, SET)
    assert needed_versions(lake, [SET], [], [first.digest]) == {SET: [at, at + 1]}
    assert needed_versions(lake, [SET], [], ["another"]) == {SET: []}


def test_a_lake_that_remembers_reads_a_table_at_one_version(lake: Lake) -> None:
    """Whatever others write meanwhile; after its own write it reads anew."""
    first = _write(lake, 1)
    remembering = recorded(lake, {"run": "r"})
    assert remembering.read(TABLE, ["a"])["x"].to_list() == [1]
    _write(lake, 2)
    assert remembering.read(TABLE, ["a", "b"])["x"].to_list() == [1]
    assert remembering.inputs() == [{"table": TABLE, "version": first, "partitions": ["a", "b"]}]
    remembering.write(TABLE, pl.DataFrame({"x": [3], PARTITION: ["a"]}), ["a"])
    assert remembering.read(TABLE)["x"].to_list() == [3]
    lineage = lake.written(TABLE)["a"].lineage
    assert lineage == {"run": "r", "inputs": [{"table": TABLE, "version": first, "partitions": ["a", "b"]}]}


def test_the_tables_of_an_object_store_are_not_guessed() -> None:
    """They are named by who asks."""
    with pytest.raises(LakeError, match=r"got an object store.* name the tables you mean"):
        Lake("s3://bucket/lake").tables()
