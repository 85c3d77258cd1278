"""The lake: a write replaces the partitions it names and nothing else, or leaves the table as it was."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ml_platform.contracts.errors import ContractError, PartitionMissing, SchemaMismatch
from ml_platform.data.lake.tables import PARTITION, STATIC, Lake, local_lake

TABLE = "flights/raw"
TYPES = {"x": pl.Int64, "word": pl.String, "at": pl.Datetime("us", "UTC"), PARTITION: pl.String}
WRITER = """
import sys
import polars as pl
from ml_platform.data.lake.tables import Lake
root, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
for day in range(8):
    key = f"{name}-{day}"
    Lake(root).write("t", pl.DataFrame({"x": [1, 2], "partition": [key, key]}), [key])
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Give an empty lake."""
    return local_lake(tmp_path / "lake")


def _rows(**values: list[int]) -> pl.DataFrame:
    rows = [(x, None, None, key) for key, numbers in values.items() for x in numbers]
    return pl.DataFrame(rows, schema=TYPES, orient="row")


def _read(lake: Lake, version: int | None = None) -> dict[str, list[int]]:
    rows = lake.read(TABLE, version=version).sort(PARTITION, "x")
    return {str(key): part["x"].to_list() for (key,), part in rows.group_by(PARTITION, maintain_order=True)}


def test_what_is_written_is_read(lake: Lake) -> None:
    """With its types, nulls and all; `partition` comes along whatever columns are asked for."""
    rows = _rows(a=[1, 2], b=[3])
    written = lake.write(TABLE, rows, ["a", "b"])
    assert (written.table, written.version, written.rows) == (TABLE, lake.version(TABLE), 3)
    assert lake.read(TABLE).sort("x").equals(rows)
    assert dict(lake.read(TABLE).schema) == TYPES
    assert lake.read(TABLE, ["b"], columns=["x"]).rows() == [(3, "b")]
    assert lake.read(TABLE, ["b"], columns=[PARTITION, "x"]).rows() == [(3, "b")]


def test_a_write_replaces_exactly_the_partitions_it_names(lake: Lake) -> None:
    """A partition named without rows is emptied, one not named stays."""
    lake.write(TABLE, _rows(a=[1], b=[2], c=[3]), ["a", "b", "c"])
    lake.write(TABLE, _rows(a=[7, 8]), ["a", "b"])
    assert _read(lake) == {"a": [7, 8], "c": [3]}


def test_a_partition_without_rows_gives_none(lake: Lake) -> None:
    """Also as the first thing a table holds; asking for no partition at all gives no rows either."""
    lake.write(TABLE, _rows(), ["a"])
    assert dict(lake.read(TABLE, ["a"]).schema) == TYPES
    lake.write(TABLE, _rows(b=[2]), ["b"])
    assert [len(lake.read(TABLE, keys)) for keys in (["a"], ["never"], [], ["a", "b"])] == [0, 0, 0, 1]


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("key", ["b", None])
def test_rows_outside_their_partition_are_refused(lake: Lake, key: str | None, is_first: bool) -> None:
    """By name, a row without a partition too; the lake is as it was."""
    if not is_first:
        lake.write(TABLE, _rows(a=[1], b=[2]), ["a", "b"])
    before = lake.version(TABLE)
    rows = _rows(a=[9, 10]).with_columns(partition=pl.Series(["a", key], dtype=pl.String))
    with pytest.raises(ContractError, match=f"{TABLE}: rows outside their partition: got {key}, expected a"):
        lake.write(TABLE, rows, ["a"])
    assert lake.version(TABLE) == before
    assert is_first or _read(lake) == {"a": [1], "b": [2]}


def test_an_old_version_can_be_read(lake: Lake) -> None:
    """Each version as it was, long after it was overwritten."""
    versions = [lake.write(TABLE, _rows(a=[x]), ["a"]).version for x in (1, 2, 3)]
    assert versions == sorted(set(versions))
    assert [_read(lake, version) for version in versions] == [{"a": [1]}, {"a": [2]}, {"a": [3]}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.col("x").cast(pl.String), "got x string, expected x long"),
        (pl.lit(1.5).alias("x"), "got x double, expected x long"),
        (pl.lit(1).alias("more"), "got more integer, expected more missing"),
    ],
    ids=["text", "fraction", "new"],
)
def test_a_changed_column_is_refused_by_name(lake: Lake, change: pl.Expr, message: str) -> None:
    """Never cast in silence: 1.5 would become 1. The lake is as it was."""
    lake.write(TABLE, _rows(a=[1], b=[2]), ["a", "b"])
    before = lake.version(TABLE)
    with pytest.raises(SchemaMismatch, match=f"{TABLE}: {message}. Hint: a table keeps its columns"):
        lake.write(TABLE, _rows(a=[3]).with_columns(change), ["a"])
    assert (lake.version(TABLE), _read(lake)) == (before, {"a": [1], "b": [2]})


def test_a_missing_column_is_refused_by_name(lake: Lake) -> None:
    """Instead of filling it with nulls."""
    lake.write(TABLE, _rows(a=[1]), ["a"])
    with pytest.raises(SchemaMismatch, match="got word missing, expected word string"):
        lake.write(TABLE, _rows(a=[3]).drop("word"), ["a"])


def test_the_order_of_columns_and_the_unit_of_times_do_not_matter(lake: Lake) -> None:
    """Columns go by name; times are kept in microseconds whatever they come in."""
    fine = pl.col("at").cast(pl.Datetime("ns", "UTC"))
    lake.write(TABLE, _rows(a=[1]).with_columns(fine), ["a"])
    lake.write(TABLE, _rows(b=[2]).select(PARTITION, "at", "word", "x"), ["b"])
    lake.write(TABLE, _rows(b=[2]).with_columns(fine), ["b"])
    assert _read(lake) == {"a": [1], "b": [2]}
    assert dict(lake.read(TABLE).schema) == TYPES


def test_a_stamp_changes_when_its_partition_is_written_and_only_then(lake: Lake) -> None:
    """Even by the same rows; a partition without rows has none."""
    assert lake.stamps(TABLE) == {}
    lake.write(TABLE, _rows(a=[1], b=[2], c=[3]), ["a", "b", "c"])
    before = lake.stamps(TABLE)
    lake.write(TABLE, _rows(b=[2]), ["b", "c"])
    after = lake.stamps(TABLE)
    assert (list(before), list(after)) == (["a", "b", "c"], ["a", "b"])
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]


def test_a_table_that_was_never_written_is_named(lake: Lake) -> None:
    """To read it is an error, to ask for its version is not."""
    assert lake.version(TABLE) == -1
    with pytest.raises(PartitionMissing, match=f"{TABLE}: got no such table.* Hint: materialize {TABLE} first"):
        lake.read(TABLE, [STATIC])


def test_tables_do_not_touch_each_other(lake: Lake) -> None:
    """The same partition of two tables."""
    lake.write(TABLE, _rows(a=[1]), ["a"])
    lake.write("flights/features", _rows(a=[2]), ["a"])
    assert _read(lake) == {"a": [1]}


@pytest.mark.slow
def test_writers_in_other_processes_lose_nothing(tmp_path: Path) -> None:
    """Two begin at the same instant on a table that neither has seen, each writing its own partitions."""
    root = str(tmp_path / "lake")
    command = [sys.executable, "-c", WRITER, root]
    writers = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for name in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    errors = [writer.communicate(timeout=60)[1].decode() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], errors
    counts = dict(Lake(root).read("t").group_by(PARTITION).len().iter_rows())
    assert counts == {f"{name}-{day}": 2 for name in ("one", "two") for day in range(8)}
