"""A sample of a source's files is bounded, strict like the source itself, and shows every column."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml_platform.contracts.errors import SourceUnreadable
from ml_platform.contracts.spec import FilesSource
from ml_platform.data.sources.locations import Location
from ml_platform.data.sources.samples import Sample, read_sample
from ml_platform_tests.data.sources import HEADER, write_files


def _sample(folder: Path, path: str = "*.csv", rows: int = 100, files: int = 12, **source: Any) -> Sample:
    return read_sample(Location(FilesSource(kind="files", path=path, **source), folder), rows, files)


def test_csv_is_text_and_every_column_is_there(tmp_path: Path) -> None:
    """Null for no value; a column of one file alone is null in the others."""
    write_files(tmp_path, {"a.csv": HEADER + "1,2013-01-01,NA,\n", "b.csv": "more,id\nx,2\n"})
    sample = _sample(tmp_path)
    assert sample.frame.to_dict(as_series=False) == {
        "id": ["1", "2"], "at": ["2013-01-01", None], "fare": [None, None], "seats": [None, None], "more": [None, "x"],
    }  # fmt: skip
    assert set(sample.frame.dtypes) == {pl.String()}
    assert sample.files == sample.read == ("a.csv", "b.csv")


def test_files_are_chosen_evenly_and_rows_shared_out(tmp_path: Path) -> None:
    """The first and the last file are among them."""
    write_files(tmp_path, {f"{n:02d}.csv": HEADER + f"{n},2013-01-01,1,1\n" * 50 for n in range(21)})
    sample = _sample(tmp_path, rows=30, files=3)
    assert len(sample.files) == 21
    assert sample.read == ("00.csv", "10.csv", "20.csv")
    assert sample.frame["id"].value_counts().sort("id").rows() == [("0", 10), ("10", 10), ("20", 10)]


def test_parquet_keeps_its_types_unless_files_differ(tmp_path: Path) -> None:
    at = datetime(2013, 1, 1, tzinfo=UTC)
    pl.DataFrame({"n": [1], "at": [at]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"n": ["2"], "at": [at]}).write_parquet(tmp_path / "b.parquet")
    frame = _sample(tmp_path, "*.parquet").frame
    assert frame.rows() == [("1", at), ("2", at)]


def test_nothing_to_look_at_is_refused(tmp_path: Path) -> None:
    """And so is whatever the source itself would refuse."""
    with pytest.raises(SourceUnreadable, match="got no file"):
        _sample(tmp_path)
    write_files(tmp_path, {"a.csv": HEADER})
    with pytest.raises(SourceUnreadable, match=r"source\.path \*\.csv: got no row in 1 files"):
        _sample(tmp_path)
    write_files(tmp_path, {"a.csv": b"a,b\n1,\xe9\n"})
    with pytest.raises(SourceUnreadable, match=r"a\.csv:2: got byte 0xe9"):
        _sample(tmp_path)


def test_a_template_shows_the_files_of_all_partitions(tmp_path: Path) -> None:
    write_files(tmp_path, {f"2013-0{n}.csv": HEADER + f"{n},2013-01-01,1,1\n" for n in (1, 2)})
    assert _sample(tmp_path, "{partition:%Y-%m}.csv").read == ("2013-01.csv", "2013-02.csv")
