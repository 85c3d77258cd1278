"""The online store: a reader sees the newest table that can be read."""

import os
from pathlib import Path

import polars as pl
import pytest

from ml_platform.features.online import OnlineStore

OLD, NEW = pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1, 2]})


def test_published_is_read_and_replaced(tmp_path: Path) -> None:
    """A reader that is already open takes up the new table; an unchanged one is the same object."""
    writer, reader = OnlineStore(tmp_path), OnlineStore(tmp_path)
    assert reader.read("parcels", "road") is None
    writer.publish("parcels", "road", OLD)
    first = reader.read("parcels", "road")
    assert first is not None
    assert first.equals(OLD)
    assert reader.read("parcels", "road") is first
    writer.publish("parcels", "road", NEW)
    second = reader.read("parcels", "road")
    assert second is not None
    assert second.equals(NEW)
    assert [path.name for path in (tmp_path / "parcels").iterdir()] == ["road.arrow"]


def test_damaged_file_keeps_the_last_table(tmp_path: Path) -> None:
    """Half a file is counted once, and never served."""
    store = OnlineStore(tmp_path)
    store.publish("parcels", "road", NEW)
    store.read("parcels", "road")
    path = tmp_path / "parcels" / "road.arrow"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for _ in range(2):
        kept = store.read("parcels", "road")
        assert kept is not None
        assert kept.equals(NEW)
    assert store.faults == {"parcels/road": 1}
    store.publish("parcels", "road", OLD)
    mended = store.read("parcels", "road")
    assert mended is not None
    assert mended.equals(OLD)


def test_damaged_from_the_start_is_as_never_published(tmp_path: Path) -> None:
    """Without a last good table there is none."""
    (tmp_path / "parcels").mkdir()
    (tmp_path / "parcels" / "road.arrow").write_bytes(b"")
    store = OnlineStore(tmp_path)
    assert store.read("parcels", "road") is None
    assert store.faults == {"parcels/road": 1}


def test_folder_that_cannot_be_looked_into_keeps_the_last_table(tmp_path: Path) -> None:
    """A file in its place is counted once; the folder that comes back is read again."""
    store, folder = OnlineStore(tmp_path), tmp_path / "parcels"
    store.publish("parcels", "road", NEW)
    kept = store.read("parcels", "road")
    folder.rename(tmp_path / "aside")
    folder.write_text("a file")
    assert [store.read("parcels", "road") is kept for _ in range(2)] == [True, True]
    assert store.faults == {"parcels/road": 1}
    folder.unlink()
    (tmp_path / "aside").rename(folder)
    mended = store.read("parcels", "road")
    assert mended is not None
    assert mended.equals(NEW)


@pytest.mark.usefixtures("capfd")  # Polars says on standard error where it panicked
def test_no_damaged_byte_ends_the_reader(tmp_path: Path) -> None:
    """Polars panics on some of them, and its panic is no Exception."""
    store, path = OnlineStore(tmp_path), tmp_path / "parcels" / "road.arrow"
    store.publish("parcels", "road", NEW)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + b"\x01" + whole[at + 1 :])
        os.utime(path, ns=(at, at))
        store.read("parcels", "road")
    assert store.faults["parcels/road"] > 0
