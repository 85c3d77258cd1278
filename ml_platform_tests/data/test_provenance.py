"""Where a partition came from, back to the source, as it was when it was read."""

from pathlib import Path

import polars as pl
import pytest

from ml_platform.contracts.errors import PartitionMissing
from ml_platform.data.lake.provenance import Tracer
from ml_platform.data.lake.recorded import recorded
from ml_platform.data.lake.tables import PARTITION, Lake, local_lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Give an empty lake."""
    return local_lake(tmp_path / "lake")


def _rows(**values: int) -> pl.DataFrame:
    return pl.DataFrame({"x": list(values.values()), PARTITION: list(values)})


def _load(lake: Lake, run: str, **values: int) -> None:
    recorded(lake, {"run": run}).write("p/raw", _rows(**values), list(values), lineage={"origins": {f"{run}.csv": 2}})


def _pass_on(lake: Lake, run: str, source: str, to: str, keys: list[str]) -> None:
    remembering = recorded(lake, {"run": run})
    remembering.write(to, remembering.read(source, keys), keys)


def test_a_partition_is_followed_to_its_source_as_it_was(lake: Lake) -> None:
    """Also after the source was loaded anew: what was read is what is told."""
    _load(lake, "first", a=1, b=2)
    _pass_on(lake, "second", "p/raw", "p/validated", ["a", "b"])
    _load(lake, "third", a=9)
    [origin] = Tracer(lake).trace("p/validated", ["a"])
    [raw] = origin.inputs
    assert (origin.run, origin.rows, origin.partitions) == ("second", 1, ("a",))
    assert (raw.table, raw.run, raw.partitions, dict(raw.sources)) == ("p/raw", "first", ("a",), {"first.csv": 2})
    assert origin.hash == raw.hash == lake.written("p/validated")["a"].hash
    [new] = Tracer(lake).trace("p/raw", ["a"])
    assert (new.run, new.inputs) == ("third", ())
    assert origin.to_json()["inputs"][0]["sources"] == {"first.csv": 2}


def test_partitions_of_several_commits_are_told_apart(lake: Lake) -> None:
    """What is made of many partitions came from each of their commits."""
    _load(lake, "first", a=1, b=2)
    _load(lake, "second", c=3)
    remembering = recorded(lake, {"run": "third"})
    rows = remembering.read("p/raw", ["a", "b", "c"]).with_columns(partition=pl.lit("d"))
    remembering.write("p/training_set", rows, ["d"])
    [origin] = Tracer(lake).trace("p/training_set", ["d"])
    assert [(each.run, each.partitions, each.rows) for each in origin.inputs] == [
        ("first", ("a", "b"), 2),
        ("second", ("c",), 1),
    ]
    assert origin.inputs[0].hash is None


def test_a_partition_that_is_not_there_is_refused_by_name(lake: Lake) -> None:
    """With those that are."""
    _load(lake, "first", a=1, b=2)
    with pytest.raises(PartitionMissing, match=r"p/raw: got no partition c, expected one of b, a\. Hint: materialize"):
        Tracer(lake).trace("p/raw", ["c"])
