"""Reading a table version of the past again: compared partition by partition, and what is gone is named."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from ml_platform.contracts.errors import NotReproducible
from ml_platform.contracts.records import Content, TableContent, TrainingManifest
from ml_platform.data.lake.manifest import manifest_lineage
from ml_platform.data.lake.recorded import recorded
from ml_platform.data.lake.rereading import kept_training_set, require_readable, reread, written_since
from ml_platform.data.lake.tables import Lake, local_lake

TABLE = "flights/features"
DAYS = ["2013-01-01", "2013-01-02"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Give a lake with two days."""
    lake = local_lake(tmp_path / "lake")
    lake.write(TABLE, _rows(0.0), DAYS)
    return lake


def _rows(added: float) -> pl.DataFrame:
    return pl.DataFrame({"partition": DAYS, "value": [1.0 + added, 2.0]})


def _held(lake: Lake) -> TableContent:
    written = lake.written(TABLE)
    contents = {key: Content(hash=each.hash, rows=each.rows) for key, each in written.items()}
    return TableContent(table=TABLE, version=lake.version(TABLE), partitions=contents)


def test_a_version_of_the_past_holds_what_it_held(lake: Lake) -> None:
    then = _held(lake)
    lake.write(TABLE, _rows(5.0), DAYS)

    assert reread(lake, then) == []
    assert [each.name for each in written_since(lake, then)] == [f"{TABLE}[2013-01-01]"]


def test_a_partition_that_holds_other_rows_than_it_is_said_to_is_named(lake: Lake) -> None:
    then = _held(lake)
    other = then.partitions[DAYS[1]].model_copy(update={"hash": "0" * 64})
    changed = then.model_copy(update={"partitions": {**then.partitions, DAYS[1]: other}})

    [found] = reread(lake, changed)

    assert (found.kind, found.name, found.then) == ("table", f"{TABLE}[2013-01-02]", "000000000000, 1 rows")


def test_partitions_whose_files_are_gone_are_named(lake: Lake) -> None:
    then = _held(lake)
    lake.write(TABLE, _rows(5.0).head(1), DAYS[:1])
    lake.vacuum(TABLE, timedelta(0), [], is_dry=False)

    with pytest.raises(NotReproducible, match="no files of partitions 2013-01-01; other rows by now in 2013-01-01,"):
        reread(lake, then)


def test_the_first_and_the_newest_version_can_be_read_and_none_beyond(lake: Lake) -> None:
    newest = lake.version(TABLE)
    require_readable(lake, TABLE, 0)
    require_readable(lake, TABLE, newest)
    with pytest.raises(NotReproducible, match=f"got versions up to {newest}, expected version {newest + 1}"):
        require_readable(lake, TABLE, newest + 1)
    with pytest.raises(NotReproducible, match="flights/raw: got no such table"):
        require_readable(lake, "flights/raw", 0)


def test_a_training_set_is_found_by_the_digest_of_its_manifest(lake: Lake) -> None:
    manifest = TrainingManifest(pipeline="flights", as_of="2013-01-03", tables=(), spec_digest="a", code_version="1")
    rows = pl.DataFrame({"partition": ["2013-01-03"], "value": [1.0]})
    commit = lake.write("flights/training_set", rows, ["2013-01-03"], lineage=manifest_lineage(manifest))
    lake.write("flights/training_set", rows.with_columns(value=2.0), ["2013-01-03"])

    kept = kept_training_set(lake, "flights/training_set", manifest.digest, "2013-01-03")

    assert kept == (manifest, commit.partitions["2013-01-03"])
    for digest in ("other", None):
        with pytest.raises(NotReproducible, match="got none of this digest"):
            kept_training_set(lake, "flights/training_set", digest, "2013-01-03")


def test_a_pinned_table_is_seen_as_it_was(lake: Lake) -> None:
    first = lake.version(TABLE)
    before = lake.written(TABLE)
    lake.write(TABLE, _rows(5.0), DAYS)
    seen = recorded(lake, {}, {TABLE: first})

    assert seen.version(TABLE) == first
    assert seen.written(TABLE) == before
    assert seen.read(TABLE)["value"].sort().to_list() == [1.0, 2.0]
    assert recorded(lake, {}).read(TABLE)["value"].sort().to_list() == [2.0, 6.0]
