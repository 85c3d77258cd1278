"""Files: every row is a row of its partition, rejected with its line, or noted; a file that is no file is refused."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_platform.contracts.errors import SchemaMismatch, SourceUnreadable
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.sources import csv_text
from ml_platform.data.sources.loaded import REJECTED_TYPES, Loaded
from ml_platform.data.sources.python import read_as
from ml_platform_tests.data.sources import DAYS, HEADER, RIDES, files_reader, target, write_files


def _load(folder: Path, files: dict[str, str | bytes], keys: list[str] = DAYS, **source: Any) -> Loaded:
    return files_reader(write_files(folder, files), **source).load(keys)


def _ids(loaded: Loaded) -> dict[str, list[str]]:
    """Give the ids of the rows in each partition."""
    grouped = loaded.rows.group_by(PARTITION, maintain_order=True).agg("id").sort(PARTITION)
    return dict(grouped.iter_rows())


def _rejected(loaded: Loaded) -> list[tuple[str, str, str]]:
    return loaded.rejected.select("origin", "reason", PARTITION).rows()


def test_rows_have_the_schemas_types_and_their_own_partition(tmp_path: Path) -> None:
    """One file may hold many partitions, and many files one; the raw stage's neighbours read them as they are."""
    loaded = _load(
        tmp_path,
        {
            "b.csv": HEADER + "x,2013-01-01,1.5,1\ny,2013-01-03T23:59:59,,2\n",
            "a.csv": HEADER + "z,2013-01-01 12:00,2,3\n",
            "c.txt": "not asked for",
        },
    )
    assert loaded.rows.rows() == [
        ("z", datetime(2013, 1, 1, 12, tzinfo=UTC), 2.0, 3, DAYS[0]),
        ("x", datetime(2013, 1, 1, tzinfo=UTC), 1.5, 1, DAYS[0]),
        ("y", datetime(2013, 1, 3, 23, 59, 59, tzinfo=UTC), None, 2, DAYS[2]),
    ]
    assert dict(loaded.rows.schema) == {**target().types, PARTITION: pl.String()}
    assert loaded.rejected.schema == REJECTED_TYPES
    assert (loaded.origins, loaded.notes) == ({"a.csv": 1, "b.csv": 2}, ())
    read_as(loaded.rows.to_pandas(), RIDES)


def test_files_may_differ_in_order_columns_line_ends_and_the_way_numbers_are_written(tmp_path: Path) -> None:
    """The same rows come out; a column that appears is ignored and named."""
    loaded = _load(
        tmp_path,
        {
            "a.csv": HEADER + "1,2013-01-01,7,3\n",
            "b.csv": 'seats,new,fare,at,id\r\n"3.0",9,7.00,01/01/2013,1\r\n',
            "c.csv": HEADER.replace("\n", ",new,newer\n") + "1,2013-01-01T00:00:00Z,7e0, 3 ,,\n",
        },
        time_formats=["%d/%m/%Y"],
    )
    assert loaded.rows.rows() == [("1", datetime(2013, 1, 1, tzinfo=UTC), 7.0, 3, DAYS[0])] * 3
    assert loaded.notes == ("columns ignored, first in b.csv: new, newer",)


def test_a_column_that_vanishes_is_refused_by_name_and_file(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match=r"b\.csv: missing columns: got id, at, expected fare, seats"):
        _load(tmp_path, {"a.csv": HEADER + "x,2013-01-01,1,1\n", "b.csv": "id,at\nx,2013-01-01\n"})


def test_a_value_that_cannot_be_read_rejects_its_row_alone(tmp_path: Path) -> None:
    """All that is wrong with it, by line, also behind cells of several lines; a type without null takes none."""
    loaded = _load(
        tmp_path,
        {
            "a.csv": HEADER
            + 'ok,2013-01-01,1,1\n"two\nlines",2013-01-01,1,1\n\nbad,2013-01-02,abc,3.5\nnone,2013-01-02,1,\n'
            + "ragged,1\nlong,2013-01-02,1,1,1\nnull,,1,1\nwhen,31/31/2013,1,1\n"
        },
    )
    assert _ids(loaded) == {DAYS[0]: ["ok", "two\nlines"]}
    by_line = {origin: reason for origin, reason, _ in _rejected(loaded)}
    assert by_line == {
        "a.csv:6": "fare: 'abc' is not float64; seats: '3.5' is not int64",
        "a.csv:7": "seats: no value",
        "a.csv:8": "2 fields, not 4",
        "a.csv:9": "5 fields, not 4",
        "a.csv:10": "at: no value",
        "a.csv:11": "at: '31/31/2013' is not timestamp",
    }
    contents = dict(loaded.rejected.select("origin", "content").iter_rows())
    assert json.loads(contents["a.csv:6"]) == {"id": "bad", "at": "2013-01-02", "fare": "abc", "seats": "3.5"}
    assert json.loads(contents["a.csv:8"]) == {"fields": ["ragged", "1"]}


def test_a_row_without_a_time_counts_once_with_the_earliest_row_of_its_file(tmp_path: Path) -> None:
    """Whether days are asked for one by one or together."""
    files: dict[str, str | bytes] = {
        "a.csv": HEADER + "t,?,1,1\nx,2013-01-03,1,1\ny,2013-01-02,1,1\n",
        "b.csv": HEADER + "old,2012-12-31,1,1\nu,?,1,1\nz,2013-01-03,1,1\n",
    }
    together = _load(tmp_path, files)
    assert _rejected(together) == [
        ("a.csv:2", "at: '?' is not timestamp", DAYS[1]),
        ("b.csv:3", "at: '?' is not timestamp", DAYS[2]),
    ]
    one_by_one = [files_reader(tmp_path).load([day]) for day in DAYS]
    assert [_rejected(each) for each in one_by_one] == [[], _rejected(together)[:1], _rejected(together)[1:]]
    assert together.notes == ("1 rows outside 2013-01-01 to 2014-01-01",)


@pytest.mark.parametrize("chunk_bytes", [10, 2**20])
def test_the_earliest_row_may_come_last_or_be_a_bad_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    """However the file is cut into blocks."""
    monkeypatch.setattr(csv_text, "CHUNK_BYTES", chunk_bytes)
    rows = "t,?,1,1\nx,2013-01-03,1,1\ny,2013-01-02,1,1\nz,2013-01-03,1,1\nbad,2013-01-01,x,1\n"
    loaded = _load(tmp_path, {"a.csv": HEADER + rows})
    assert dict(loaded.rejected.select("origin", PARTITION).iter_rows()) == {"a.csv:2": DAYS[0], "a.csv:6": DAYS[0]}


def test_a_file_that_tells_no_time_at_all_is_refused(tmp_path: Path) -> None:
    """Nobody could say which partition to blame; the hint names the format."""
    with pytest.raises(
        SchemaMismatch, match=r"b\.csv: at: got no row with a time; b\.csv:2 at: '1\.2\.13' is not .*time_f"
    ):
        _load(tmp_path, {"a.csv": HEADER + "x,2013-01-01,1,1\n", "b.csv": HEADER + "x,1.2.13,1,1\n"})


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["2012-12-31", *DAYS, "2013-01-04", "2014-01-01", "?", ""]),
        st.sampled_from(["1", "x", ""]),
        st.sampled_from(["3", "3.5", ""]),
        st.sampled_from(["", ",more"]),
    ),
    max_size=8,
)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(ROWS, min_size=1, max_size=3), st.integers(20, 200))
def test_no_row_is_lost_or_counted_twice(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[tuple[str, ...]]],
    block_bytes: int,
) -> None:
    """Partitions asked for one by one give what they give together, and every row of a file is somewhere."""
    monkeypatch.setattr(csv_text, "CHUNK_BYTES", block_bytes)
    anchor = ("2013-01-02", "1", "3", "")
    written = {
        f"{place}.csv": HEADER + "".join(f"r,{at},{fare},{seats}{more}\n" for at, fare, seats, more in [anchor, *rows])
        for place, rows in enumerate(files)
    }
    reader = files_reader(write_files(tmp_path_factory.mktemp("files"), written), null_values=[""])
    days = [*DAYS, "2013-01-04"]
    together = reader.load(days)
    apart = [reader.load([day]) for day in days]
    for part in ("rows", "rejected"):
        rows = Counter(getattr(together, part).rows())
        assert rows == sum((Counter(getattr(each, part).rows()) for each in apart), Counter())
    outside = sum(at in ("2012-12-31", "2014-01-01") and not more for rows in files for at, _, _, more in rows)
    assert len(together.rows) + len(together.rejected) + outside == sum(len(rows) + 1 for rows in files)
    assert together.notes == ((f"{outside} rows outside 2013-01-01 to 2014-01-01",) if outside else ())


def test_a_template_reads_the_files_of_the_partitions_alone(tmp_path: Path) -> None:
    """One file a partition, or several."""
    files: dict[str, str | bytes] = {
        f"{day}/{part}.csv": HEADER + f"{day[-1]}{part},{day},1,1\n" for day in DAYS for part in "ab"
    }
    loaded = _load(tmp_path, files | {"2013-01-01/c.csv": "broken"}, DAYS[1:], path="{partition}/*.csv")
    assert _ids(loaded) == {DAYS[1]: ["2a", "2b"], DAYS[2]: ["3a", "3b"]}


def test_a_row_outside_its_files_partition_is_rejected(tmp_path: Path) -> None:
    """Also one that another partition's file should have held."""
    files: dict[str, str | bytes] = {
        f"{day}.csv": HEADER + f"own,{day},1,1\nstray,2013-01-02,1,1\nbad,2013-01-02,x,1\n" for day in DAYS[::2]
    }
    loaded = _load(tmp_path, files, [DAYS[0]], path="{partition}.csv")
    assert _ids(loaded) == {DAYS[0]: ["own"]}
    assert _rejected(loaded) == [
        ("2013-01-01.csv:4", "fare: 'x' is not float64", DAYS[0]),
        ("2013-01-01.csv:3", "at: in partition 2013-01-02, not one of its file's", DAYS[0]),
    ]


def test_a_coarse_template_covers_what_its_text_covers(tmp_path: Path) -> None:
    """A file a month for partitions of a day, in the pipeline's zone: the last evening is still its own."""
    new_york = target(timezone="America/New_York")
    files: dict[str, str | bytes] = {
        "2013/01.csv": HEADER
        + "first,2013-01-01 00:00,1,1\nlast,2013-01-31 23:59:59,1,1\nover,2013-02-01 00:00,1,1\n?,?,1,1\n",
        "2013/02.csv": HEADER + "no row has a time,?,1,1\n",
    }
    reader = files_reader(write_files(tmp_path, files), "{partition:%Y/%m}.csv", new_york)
    assert _ids(reader.load(["2013-01-31"])) == {"2013-01-31": ["last"]}
    assert _rejected(reader.load(["2013-01-31"])) == []
    assert _rejected(reader.load(["2013-01-01"])) == [
        ("2013/01.csv:5", "at: '?' is not timestamp", "2013-01-01"),
        ("2013/01.csv:4", "at: in partition 2013-02-01, not one of its file's", "2013-01-01"),
    ]
    assert _rejected(reader.load(["2013-02-01", "2013-02-02"])) == [
        ("2013/02.csv:2", "at: '?' is not timestamp", "2013-02-01")
    ]


@pytest.mark.parametrize(
    ("path", "named"), [("*.csv", r"\*\.csv"), ("{partition}.csv", r"2013-01-02\.csv"), ("x.csv", r"x\.csv")]
)
def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path, path: str, named: str) -> None:
    """And succeeds once it is."""
    reader = files_reader(tmp_path, path)
    if path != "*.csv":
        write_files(tmp_path, {"2013-01-01.csv": HEADER + "x,2013-01-01,1,1\n"})
    with pytest.raises(
        SourceUnreadable, match=rf"source\.path {named}: got no file.*relative path begins at {tmp_path}"
    ):
        reader.load(DAYS)
    write_files(
        tmp_path, {f"{name}.csv": HEADER + f"x,{name if name != 'x' else DAYS[0]},1,1\n" for name in (*DAYS, "x")}
    )
    assert len(reader.load(DAYS).rows)


@pytest.mark.parametrize("content", [HEADER, HEADER + "\n\r\n"])
def test_a_file_without_rows(tmp_path: Path, content: str) -> None:
    """Is refused, or allowed if the spec says so; one without even a header always is refused."""
    files: dict[str, str | bytes] = {"a.csv": content, "b.csv": HEADER + "x,2013-01-01,1,1\n"}
    with pytest.raises(SourceUnreadable, match=r"a\.csv: got no rows, expected at least one.* source\.empty: allow"):
        _load(tmp_path, files)
    assert _ids(_load(tmp_path, files, empty="allow")) == {DAYS[0]: ["x"]}
    with pytest.raises(SourceUnreadable, match=r"a\.csv: got an empty file"):
        _load(tmp_path, {"a.csv": ""}, empty="allow")


def test_only_the_columns_that_are_needed_are_read(tmp_path: Path) -> None:
    """Of 5,000; and one that has a single column lacks the others."""
    wide = ",".join(["id", "at", *(f"c{place}" for place in range(4_996)), "fare", "seats"])
    loaded = _load(tmp_path, {"a.csv": f"{wide}\nx,2013-01-01{',0' * 4_996},x,1\ny,2013-01-01{',0' * 4_996},2,1\n"})
    assert _ids(loaded) == {DAYS[0]: ["y"]}
    assert loaded.notes == ("columns ignored, first in a.csv: c0, c1, c2, c3, c4 and 4991 more",)
    assert json.loads(loaded.rejected["content"][0]).keys() == {"id", "at", "fare", "seats"}
    with pytest.raises(SchemaMismatch, match=r"a\.csv: missing columns: got id, expected at, fare, seats"):
        _load(tmp_path, {"a.csv": "id\nx\n"})


def test_what_stands_for_no_value(tmp_path: Path) -> None:
    """By default the usual words; only what the spec names, if it names any."""
    files: dict[str, str | bytes] = {"a.csv": HEADER + 'NA,2013-01-01,NaN,1\n"",2013-01-01,-,1\n'}
    assert _load(tmp_path, files).rows["id"].to_list() == [None]
    loaded = _load(tmp_path, files, null_values=["-"])
    assert loaded.rows["id"].to_list() == [""]
    assert _rejected(loaded) == [("a.csv:2", "fare: 'NaN' is not float64", DAYS[0])]


def test_derived_and_filtered_rows(tmp_path: Path) -> None:
    """Expressions see typed columns, also ones that the schema lacks; text that they make is read by its types."""
    loaded = _load(
        tmp_path,
        {
            "a.csv": "id,day,hour,price,tax,kind,places\n"
            "a,2013-01-01,05:00,1.5,0.5,bus,3\nb,2013-01-01,06:00,x,1,bus,3\nc,2013-01-02,07:00,1,1,tram,3\n"
            "d,2013-01-01,08:00,1,-,tram,3\ne,2013-01-01,99:00,1,1,bus,3\n"
        },
        derive={
            "fare": "price + tax",
            "at": "day || ' ' || hour",
            "seats": "places",
        },
        where="kind = 'bus' and seats > 2",
        timezone="America/New_York",
    )
    assert loaded.rows.rows() == [("a", datetime(2013, 1, 1, 10, tzinfo=UTC), 2.0, 3, DAYS[0])]
    assert _rejected(loaded) == [
        ("a.csv:3", "price: 'x' is not float64", DAYS[0]),
        ("a.csv:6", "at: '2013-01-01 99:00' is not timestamp", DAYS[0]),
    ]
    assert loaded.notes == ("2 rows left out by source.where",)


def test_a_bad_row_that_the_condition_leaves_out_is_left_out(tmp_path: Path) -> None:
    """What nobody wants need not be readable; where the condition itself lacks a value, the row is rejected."""
    loaded = _load(
        tmp_path,
        {"a.csv": HEADER + "test,2013-01-01,n/a yet,1\nride,2013-01-01,?,1\nride,2013-01-01,1,?\n"},
        where="id <> 'test' and seats > 0",
    )
    assert [origin for origin, _, _ in _rejected(loaded)] == ["a.csv:3", "a.csv:4"]
    assert loaded.notes == ("1 rows left out by source.where",)


PARQUET = pl.DataFrame(
    {
        "seats": [1, 2, None],
        "id": ["a", "b", "c"],
        "at": [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(3)],
        "fare": [1.5, float("nan"), 2.0],
        "more": [1, 2, 3],
    }
)


def _parquet(folder: Path, frame: pl.DataFrame, name: str = "a.parquet") -> None:
    frame.write_parquet(folder / name)


def test_parquet_keeps_its_types_and_rejects_by_row(tmp_path: Path) -> None:
    """Files may differ in them: text is read as CSV's is."""
    _parquet(tmp_path, PARQUET)
    texts = PARQUET.select(
        pl.col("at").dt.strftime("%Y-%m-%d"), "id", pl.lit("x").alias("fare"), pl.col("seats").cast(pl.Float64)
    )
    _parquet(tmp_path, texts, "b.parquet")
    loaded = files_reader(tmp_path, "*.parquet").load(DAYS)
    assert loaded.rows.select("id", "fare", "seats", PARTITION).rows() == [
        ("a", 1.5, 1, DAYS[0]),
        ("b", None, 2, DAYS[1]),
    ]
    assert _rejected(loaded) == [
        ("a.parquet:3", "seats: no value", DAYS[2]),
        ("b.parquet:1", "fare: 'x' is not float64", DAYS[0]),
        ("b.parquet:2", "fare: 'x' is not float64", DAYS[1]),
        ("b.parquet:3", "fare: 'x' is not float64; seats: no value", DAYS[2]),
    ]
    assert loaded.notes == ("columns ignored, first in a.parquet: more",)


def test_parquet_that_is_none_is_refused(tmp_path: Path) -> None:
    """Damaged at the end, in the middle, empty, or of a type that nothing is read from."""
    _parquet(tmp_path, PARQUET)
    content = (tmp_path / "a.parquet").read_bytes()
    middle = content[:4] + b"\xff" * 60 + content[64:]
    for broken in (b"", content[:-9], b"PAR1" + b"x" * 100, middle):
        (tmp_path / "a.parquet").write_bytes(broken)
        with pytest.raises(SourceUnreadable, match=r"a\.parquet: got .*, expected a Parquet file\. Hint"):
            files_reader(tmp_path, "*.parquet").load(DAYS)
    _parquet(tmp_path, PARQUET.with_columns(fare=pl.concat_list("seats")))
    with pytest.raises(SchemaMismatch, match=r"a\.parquet: wrong types: got fare \(holds list.*, not float64\)"):
        files_reader(tmp_path, "*.parquet").load(DAYS)
    _parquet(tmp_path, PARQUET.clear())
    with pytest.raises(SourceUnreadable, match=r"a\.parquet: got no rows"):
        files_reader(tmp_path, "*.parquet").load(DAYS)


def test_the_kind_of_a_file_is_told_by_its_name_or_the_spec(tmp_path: Path) -> None:
    """Compressed CSV too."""
    import gzip

    content = HEADER + "x,2013-01-01,1,1\n"
    write_files(
        tmp_path, {"a.csv.gz": gzip.compress(content.encode()), "a.data": content, "a.tsv": content.replace(",", "\t")}
    )
    for path, options in {"*.gz": {}, "*.data": {"format": "csv"}, "*.tsv": {"delimiter": "\t"}}.items():
        assert _ids(files_reader(tmp_path, path, **options).load(DAYS)) == {DAYS[0]: ["x"]}
    with pytest.raises(SourceUnreadable, match=r"a\.data: got a file of unknown kind.* set source\.format"):
        files_reader(tmp_path, "*.data").load(DAYS)


def test_weeks_and_months_are_partitions_too(tmp_path: Path) -> None:
    """A file a day, read for the week that it lies in."""
    files: dict[str, str | bytes] = {
        f"{day}.csv": HEADER + f"{day[-2:]},2013-01-{day[-2:]},1,1\n" for day in ("x06", "x07", "x14")
    }
    weeks = target(start=date(2013, 1, 7), end=date(2013, 12, 30), every="week")
    loaded = files_reader(write_files(tmp_path, files), to=weeks).load(["2013-01-07", "2013-01-14"])
    assert _ids(loaded) == {"2013-01-07": ["07"], "2013-01-14": ["14"]}
    assert loaded.notes == ("1 rows outside 2013-01-07 to 2013-12-30",)
