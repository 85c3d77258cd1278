"""What the lake remembers: of every partition its last write, and every version as it was."""

import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from ml_platform.contracts.errors import SchemaMismatch
from ml_platform.data.lake.content import PARTITION, content_hashes
from ml_platform.data.lake.history import last_writes
from ml_platform.data.lake.tables import Lake, local_lake

TABLE = "flights/raw"
MONTHS_AGO = datetime(2020, 1, 1, tzinfo=UTC).timestamp()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Give an empty lake."""
    return local_lake(tmp_path / "lake")


def _rows(**values: list[int]) -> pl.DataFrame:
    rows = [(x, key) for key, numbers in values.items() for x in numbers]
    return pl.DataFrame(rows, schema={"x": pl.Int64, PARTITION: pl.String}, orient="row")


def test_each_partition_says_how_it_was_written_last(lake: Lake) -> None:
    """Its version, hash, rows and lineage; another partition's write does not touch them."""
    before = datetime.now(UTC).replace(microsecond=0)
    first = lake.write(TABLE, _rows(a=[1, 2], b=[3]), ["a", "b", "empty"], lineage={"inputs": ["x"], "n": 1.5})
    second = lake.write(TABLE, _rows(b=[4]), ["b"], lineage={"inputs": ["y"]})
    written = lake.written(TABLE)
    assert {key: each.version for key, each in written.items()} == {
        "a": first.version, "b": second.version, "empty": first.version,
    }  # fmt: skip
    assert {key: each.rows for key, each in written.items()} == {"a": 2, "b": 1, "empty": 0}
    assert written["a"].lineage == {"inputs": ["x"], "n": 1.5}
    assert written["b"].lineage == {"inputs": ["y"]}
    assert before <= written["a"].at <= written["b"].at <= datetime.now(UTC)
    assert written["b"].hash == second.partitions["b"].hash != first.partitions["b"].hash


def test_the_hash_is_that_of_the_rows_that_are_read(lake: Lake) -> None:
    """So that anybody can take it again, also at an old version and after the table has gained a column."""
    first = lake.write(TABLE, _rows(a=[2, 1], b=[3]), ["a", "b"])
    more = _rows(b=[4]).with_columns(word=pl.lit("w"), at=pl.lit(datetime(2020, 1, 1)).cast(pl.Datetime("ns", "UTC")))
    lake.write(TABLE, more, ["b"], evolve=True)
    for version, written in ((first.version, first.partitions), (None, lake.written(TABLE))):
        hashes = content_hashes(lake.read(TABLE, version=version), ["a", "b"])
        assert hashes == {key: each.hash for key, each in written.items()}


def test_a_table_that_is_not_there_was_never_written(lake: Lake) -> None:
    """Nothing to tell, and no error."""
    assert lake.written(TABLE) == {}


def test_commits_of_others_are_passed_over() -> None:
    """A vacuum, say, or a commit made before there was lineage."""
    assert last_writes([{"version": 3, "timestamp": 0, "operation": "VACUUM END"}]) == {}


@pytest.mark.slow
def test_history_outlives_checkpoints_and_the_retention_of_the_log(lake: Lake) -> None:
    """After more commits than a checkpoint takes, with a log that is months old: every version and its lineage."""
    first = lake.write(TABLE, _rows(a=[1]), ["a"], lineage={"n": -1})
    for number in range(110):
        lake.write(TABLE, _rows(b=[number]), ["b"], lineage={"n": number})
        for log in Path(lake.root, TABLE, "_delta_log").glob("*.json"):
            os.utime(log, (MONTHS_AGO, MONTHS_AGO))
    assert list(Path(lake.root, TABLE, "_delta_log").glob("*.checkpoint.parquet"))
    assert {key: each.lineage for key, each in lake.written(TABLE).items()} == {"a": {"n": -1}, "b": {"n": 109}}
    assert _read(lake, first.version) == {"a": [1]}
    assert _read(lake, first.version + 50) == {"a": [1], "b": [49]}
    DeltaTable(f"{lake.root}/{TABLE}").cleanup_metadata()
    assert len(DeltaTable(f"{lake.root}/{TABLE}").history()) == 112


def test_a_new_column_is_null_in_the_partitions_that_are_there(lake: Lake) -> None:
    """And a column that is gone is null in the new ones; the old version reads as it was."""
    first = lake.write(TABLE, _rows(a=[1], b=[2]), ["a", "b"])
    lake.write(TABLE, _rows(b=[3]).rename({"x": "y"}), ["b"], evolve=True)
    found = lake.read(TABLE).sort(PARTITION).select("x", "y", PARTITION).rows()
    assert found == [(1, None, "a"), (None, 3, "b")]
    assert lake.read(TABLE, columns=["y"]).sort(PARTITION).rows() == [(None, "a"), (3, "b")]
    assert lake.read(TABLE, version=first.version).columns == ["x", PARTITION]


def test_a_write_that_evolves_is_one_commit(lake: Lake) -> None:
    """A reader sees the new column with its rows, or neither."""
    first = lake.write(TABLE, _rows(a=[1]), ["a"])
    second = lake.write(TABLE, _rows(a=[1]).with_columns(y=2.5), ["a"], evolve=True)
    assert second.version == first.version + 1


def test_a_column_that_changes_its_type_is_refused_by_name(lake: Lake) -> None:
    """Also where columns may come and go; the lake is as it was."""
    lake.write(TABLE, _rows(a=[1]), ["a"])
    before = lake.version(TABLE)
    changed = _rows(a=[2]).with_columns(pl.col("x").cast(pl.String), y=pl.lit(1))
    with pytest.raises(SchemaMismatch, match=r"got x string, expected x long\. Hint: a column keeps its type"):
        lake.write(TABLE, changed, ["a"], evolve=True)
    assert (lake.version(TABLE), _read(lake)) == (before, {"a": [1]})


def _read(lake: Lake, version: int | None = None) -> dict[str, list[int]]:
    rows = lake.read(TABLE, version=version).sort(PARTITION, "x")
    return {str(key): part["x"].to_list() for (key,), part in rows.group_by(PARTITION, maintain_order=True)}
