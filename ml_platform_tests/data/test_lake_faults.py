"""Writers that fail: two on one partition, a disk that fills, a process that is killed. Nothing is half-written."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from ml_platform.contracts.errors import WriteConflict
from ml_platform.data.lake.refusals import told
from ml_platform.data.lake.tables import Lake, local_lake

pytestmark = pytest.mark.slow

TABLE = "flights/raw"
RIVAL = """
import sys
import polars as pl
from ml_platform.data.lake.tables import Lake
root, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    rows = pl.DataFrame({"by": [name, name], "n": [number, number], "partition": ["a", "a"]})
    try:
        print("won", Lake(root).write("flights/raw", rows, ["a"]).version, number, flush=True)
    except Exception as error:
        print("lost", type(error).__name__, error, flush=True)
"""
FULL_DISK = """
import resource, signal, sys
import polars as pl
from ml_platform.data.lake.tables import Lake
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
rows = pl.DataFrame({"x": pl.int_range(int(sys.argv[3]), eager=True)}).with_columns(partition=pl.lit("a"))
try:
    Lake(sys.argv[1]).write("flights/raw", rows, ["a"], lineage={"note": "n" * 3000})
except Exception as error:
    print(type(error).__name__, error)
"""
ENDLESS = """
import sys
import polars as pl
from ml_platform.data.lake.tables import Lake
number = 0
while True:
    rows = pl.DataFrame({"x": [number] * 50_000, "partition": ["a", "b"] * 25_000})
    Lake(sys.argv[1]).write("flights/raw", rows, ["a", "b"], lineage={"n": number})
    number += 1
    print(number, flush=True)
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Give an empty lake."""
    return local_lake(tmp_path / "lake")


def _start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_of_two_writers_on_one_partition_one_is_told(lake: Lake) -> None:
    """Each version holds one writer's rows and no other; who lost is told what to do, and may write again."""
    rivals = [_start(RIVAL, lake.root, name) for name in ("one", "two")]
    for rival in rivals:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    told = dict(zip(("one", "two"), (each.communicate(timeout=120)[0].splitlines() for each in rivals), strict=True))
    lost = [line for lines in told.values() for line in lines if line.startswith("lost")]
    assert lost, "they never met"
    for line in lost:
        assert re.match(r"lost WriteConflict flights/raw: got another writer's commit .* run again", line), line
    for name, lines in told.items():
        for _, version, number in (line.split() for line in lines if line.startswith("won")):
            assert lake.read(TABLE, version=int(version)).rows() == [(name, int(number), "a")] * 2
    again = lake.write(TABLE, pl.DataFrame({"by": ["me"], "n": [0], "partition": ["a"]}), ["a"])
    assert lake.read(TABLE, version=again.version).rows() == [("me", 0, "a")]


@pytest.mark.parametrize("meant", ["rows", "table"])
def test_whatever_the_other_writer_committed_is_told_as_a_conflict(lake: Lake, meant: str) -> None:
    """New rows of the same partition, or the table made once more: two that write a new table both make it."""
    rows = pl.DataFrame({"x": [1], "partition": ["a"]})
    lake.write(TABLE, rows, ["a"])
    late = DeltaTable(f"{lake.root}/{TABLE}")
    if meant == "rows":
        lake.write(TABLE, rows, ["a"])
    else:
        DeltaTable.create(f"{lake.root}/{TABLE}", late.schema(), mode="overwrite", partition_by=["partition"])
    with (
        pytest.raises(WriteConflict, match=r"flights/raw: got another writer's commit .*Hint: .*run again"),
        told(TABLE),
    ):
        write_deltalake(late, rows.to_arrow(), mode="overwrite", predicate="partition = 'a'")


@pytest.mark.parametrize(("limit", "rows"), [(20_000, 200_000), (2_000, 10)], ids=["rows", "commit"])
def test_a_disk_that_fills_leaves_the_table_as_it_was(lake: Lake, limit: int, rows: int) -> None:
    """Whether it is the rows that find no room or the commit; with room the same write succeeds."""
    lake.write(TABLE, pl.DataFrame({"x": [1, 2], "partition": ["a", "b"]}), ["a", "b"])
    before = (lake.version(TABLE), lake.read(TABLE).sort("x").rows(), lake.written(TABLE))
    output, errors = _start(FULL_DISK, lake.root, str(limit), str(rows)).communicate(timeout=60)
    assert re.match(r"WriteFailed flights/raw: got .*File too large.*Hint: .*free space", output), output + errors
    assert "\x1b" not in output
    assert (lake.version(TABLE), lake.read(TABLE).sort("x").rows(), lake.written(TABLE)) == before
    assert _start(FULL_DISK, lake.root, str(10**9), str(rows)).communicate(timeout=60)[0] == ""
    assert len(lake.read(TABLE, ["a"])) == rows


@pytest.mark.parametrize("pause", [0.0, 0.01, 0.03, 0.05])
def test_a_writer_that_is_killed_leaves_a_whole_version(lake: Lake, pause: float) -> None:
    """Both partitions are of one write, and the lineage is that of the rows."""
    writer = _start(ENDLESS, lake.root)
    assert writer.stdout is not None
    for _ in range(3):
        writer.stdout.readline()
    time.sleep(pause)
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=10)
    rows, written = lake.read(TABLE), lake.written(TABLE)
    [number] = rows["x"].unique()
    assert dict(rows.group_by("partition").len().iter_rows()) == {"a": 25_000, "b": 25_000}
    assert {key: each.lineage for key, each in written.items()} == {"a": {"n": number}, "b": {"n": number}}
    assert lake.write(TABLE, rows[:2], ["a", "b"]).version > written["a"].version
