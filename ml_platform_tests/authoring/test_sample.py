"""The first reading of somebody's files: bounded, typed, counted by day; bad input is refused by name."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml_platform.authoring.reading import ROWS_AT_MOST
from ml_platform.authoring.sample import COLUMNS_AT_MOST, read_sample
from ml_platform.contracts.errors import PlatformError, SchemaMismatch, SourceUnreadable, SpecError
from ml_platform_tests.authoring.worlds import A_DAY, DAYS, parcels, said, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "data", "a.csv", parcels())
    return tmp_path


def test_a_sample_has_types_the_target_and_all_days(folder: Path) -> None:
    sample = read_sample(said(), folder)
    assert sample.rows.schema["weight_kg"] == pl.Float64
    assert sample.rows.schema["sent_at"] == pl.Datetime("us", "UTC")
    assert sample.rows["is_late"].unique().sort().to_list() == [0, 1]
    assert (len(sample.rows), len(sample.rows_by_day), set(sample.rows_by_day.values())) == (
        DAYS * A_DAY,
        DAYS,
        {A_DAY},
    )
    assert sample.schema.columns["parcel_id"].type == "string"
    assert not sample.schema.columns["sent_at"].nullable


def test_parquet_files_are_read_as_they_are(tmp_path: Path) -> None:
    rows = parcels().with_columns(
        pl.col("sent_at").str.to_datetime("%Y-%m-%d %H:%M"), pl.col("is_late").cast(pl.Boolean)
    )
    write(tmp_path / "data", "a.parquet", rows)
    sample = read_sample(said("data/*.parquet", timezone="Europe/Berlin"), tmp_path)
    assert sample.rows.schema["sent_at"] == pl.Datetime("us", "Europe/Berlin")
    assert sample.rows["sent_at"].dt.hour()[0] == 0
    assert sample.source["timezone"] == "Europe/Berlin"


def test_a_derived_target_and_a_filter_are_applied_and_written(folder: Path) -> None:
    wanted = said(target=None, target_sql="hours > 30 and weight_kg < 9", where="depot = 'east'")
    sample = read_sample(wanted, folder)
    assert sample.rows["target"].dtype == pl.Boolean
    assert sample.rows["depot"].unique().to_list() == ["east"]
    assert sum(sample.rows_by_day.values()) == len(sample.rows) < DAYS * A_DAY
    assert set(sample.target_columns) == {"hours", "weight_kg"}
    assert sample.source["derive"] == {"target": "hours > 30 and weight_kg < 9"}
    assert sample.source["where"] == "depot = 'east'"


def test_columns_that_some_file_lacks_are_told(folder: Path) -> None:
    write(folder / "data", "b.csv", parcels().with_columns(route=pl.lit("n1")))
    sample = read_sample(said(), folder)
    assert sample.missing == {"route": "data/a.csv"}
    assert "route" not in sample.rows.columns
    with pytest.raises(
        SpecError, match=r"--target: got route, expected a column of every file, and data/a.csv lacks it"
    ):
        read_sample(said(target="route"), folder)


def test_a_sample_is_bounded_and_all_rows_are_counted(tmp_path: Path) -> None:
    many = pl.concat([parcels()] * 40)
    write(tmp_path / "data", "a.csv", many)
    write(tmp_path / "data", "b.csv", many)
    sample = read_sample(said(), tmp_path)
    assert ROWS_AT_MOST // 2 < len(sample.rows) <= ROWS_AT_MOST < len(many)
    assert sum(sample.rows_by_day.values()) == 2 * len(many)


def test_rows_that_are_not_what_their_column_is_are_counted_apart(folder: Path) -> None:
    rows = parcels().with_columns(pl.col("weight_kg").cast(pl.String), pl.col("sent_at"))
    spoilt = rows.with_row_index("row").with_columns(
        weight_kg=pl.when(pl.col("row") % A_DAY == 5).then(pl.lit("heavy")).otherwise("weight_kg"),
        sent_at=pl.when(pl.col("row") % A_DAY == 7).then(pl.lit("soon")).otherwise("sent_at"),
    )
    write(folder / "data", "a.csv", spoilt.drop("row"))
    sample = read_sample(said(), folder)
    assert sample.unreadable_share == pytest.approx(2 / A_DAY)
    assert sample.timeless == DAYS
    assert len(sample.rows) == DAYS * (A_DAY - 2)


def _bytes(folder: Path, content: bytes) -> None:
    (folder / "data" / "a.csv").write_bytes(content)


HEADER = b"parcel_id,sent_at,weight_kg,is_late\n"
BAD = {
    "an empty file": (b"", SourceUnreadable, r"data/a\.csv: got an empty file"),
    "a header only": (HEADER, PlatformError, r"data/\*\.csv: got no row in 1 files"),
    "a binary file": (b"\x7fELF\x00\x01" * 99, SourceUnreadable, "a NUL byte, expected CSV, which is text"),
    "an archive": (b"PK\x03\x04" + b"x" * 99, SourceUnreadable, "got a zip archive or an Excel file"),
    "one column": (b"sent_at\n2024-03-01\n", SpecError, r"--target: got is_late, expected a column of the files"),
    "another delimiter": (
        b"parcel_id;sent_at;is_late\n1;2024-03-01;0\n", SpecError, r"--time: got sent_at.*--delimiter ';'",
    ),
    "a column twice": (b"sent_at,is_late,is_late\n2024-03-01,0,1\n", SourceUnreadable, "columns named twice: is_late"),
    "another encoding": (HEADER + b"p1,2024-03-01,1.5,\xff\xfe\n", SourceUnreadable, r"data/a\.csv:2: got byte 0xff"),
    "a line of 50 MB": (HEADER + b"x" * 50_000_000, SourceUnreadable, "a record of more than"),
    "no times": (HEADER + b"p1,often,1,0\np2,never,2,1\n", SchemaMismatch, "times in sent_at: got often, never"),
    "a day that may be a month": (
        HEADER + b"".join(b"p,%02d/%02d/2024,1,0\n" % (day, day % 7 + 1) for day in range(1, 13)),
        PlatformError, "times in sent_at: got .*may be day or month first",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_by_name(case: str, folder: Path) -> None:
    content, error, said_of_it = BAD[case]
    _bytes(folder, content)
    with pytest.raises(error, match=said_of_it):
        read_sample(said(), folder)


def test_a_glob_without_a_match_is_refused(folder: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"nothing/\*\.csv: got no file"):
        read_sample(said("nothing/*.csv"), folder)


def test_very_many_columns_need_a_choice(folder: Path) -> None:
    """Five thousand of them are read as soon as the author names a few."""
    wide = parcels().with_columns(pl.lit(row).alias(f"c{row}") for row in range(5000))
    write(folder / "data", "a.csv", wide)
    with pytest.raises(SpecError, match=f"got 5006 columns, expected at most {COLUMNS_AT_MOST} without --columns"):
        read_sample(said(), folder)
    chosen = read_sample(said(columns=["weight_kg"]), folder)
    assert chosen.rows.columns == ["parcel_id", "sent_at", "weight_kg", "is_late"]


@pytest.mark.parametrize(
    ("option", "given", "told"),
    [
        ("time", "sent", "--time: got sent, expected a column of the files. Hint: did you mean sent_at?"),
        ("target", "late", "--target: got late, .* Hint: did you mean is_late?"),
        ("known_at", "arrived", "--known-at: got arrived"),
        ("key", ["parcel"], "--key: got parcel, .* Hint: did you mean parcel_id?"),
        ("columns", ["weight"], "--columns: got weight, .* Hint: did you mean weight_kg?"),
        ("where", "colour = 'red'", "--target-sql or --where: got colour"),
    ],
)
def test_a_column_that_is_not_there_is_guessed(option: str, given: object, told: str, folder: Path) -> None:
    more: dict[str, Any] = {option: given} | ({"known_after": None} if option == "known_at" else {})
    with pytest.raises(SpecError, match=told.replace("?", "[?]")):
        read_sample(said(**more), folder)


def test_an_expression_that_suits_no_column_is_refused(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"source\.derive\.target: got hours >"):
        read_sample(said(target=None, target_sql="hours >"), folder)
    with pytest.raises(SpecError, match="a column of the files, expected a new name for --target-sql"):
        read_sample(said(target="is_late", target_sql="hours > 30"), folder)
