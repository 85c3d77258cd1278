"""Sources: what they give is read as the schema's types without a value being changed, or refused by column."""

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pandera.pandas as pa
import polars as pl
import pytest

from ml_platform.contracts.errors import SchemaMismatch
from ml_platform.contracts.records import Window
from ml_platform.contracts.spec import Partitions
from ml_platform.data.calendar import Calendar
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.sources.casting import TextRules
from ml_platform.data.sources.expressions import Expressions
from ml_platform.data.sources.loaded import Loaded, Target
from ml_platform.data.sources.python import Load, PythonReader, read_as, read_lookup
from ml_platform.data.sources.shaping import Shaper

CALENDAR = Calendar(Partitions(start=date(2013, 1, 1), end=date(2014, 1, 1), timezone="America/New_York"))
TIME = "datetime64[us, UTC]"
SCHEMA = pa.DataFrameSchema(
    {
        "id": pa.Column(pd.StringDtype()),
        "at": pa.Column(TIME),
        "miles": pa.Column(float, nullable=True),
        "seats": pa.Column(int),
        "is_late": pa.Column(pd.BooleanDtype(), nullable=True),
    }
)
KEYS = ["2013-03-01", "2013-03-02"]
NOON, NEXT_NOON = datetime(2013, 3, 1, 17, tzinfo=UTC), datetime(2013, 3, 2, 17, tzinfo=UTC)
GOOD: dict[str, list[Any]] = {
    "id": ["a", "b"],
    "at": [pd.Timestamp(NOON), pd.Timestamp(NEXT_NOON)],
    "miles": [1.5, None],
    "seats": [3, 4],
    "is_late": [True, None],
}


def _ask(load: Load, derive: dict[str, str] | None = None, where: str | None = None) -> Loaded:
    shaper = Shaper(Target(SCHEMA, CALENDAR, "at"), Expressions(derive or {}, where), TextRules())
    return PythonReader(".source.load", load, shaper).load(KEYS)


def _load(frame: Any) -> pl.DataFrame:
    return _ask(lambda _: frame).rows


def _frame(**changed: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(GOOD | changed)


def _read(values: Any, dtype: Any) -> list[Any]:
    return read_as(pd.DataFrame({"x": values}), pa.DataFrameSchema({"x": pa.Column(dtype)}))["x"].tolist()


def test_rows_come_with_the_schemas_columns_their_types_and_their_partition() -> None:
    """In the schema's order; a column it does not know is left out, and the index with it."""
    rows = _load(_frame(more=[1, 2])[["more", "miles", "at", "id", "is_late", "seats"]].set_index("more", drop=False))
    assert dict(rows.schema) == {
        "id": pl.String,
        "at": pl.Datetime("us", "UTC"),
        "miles": pl.Float64,
        "seats": pl.Int64,
        "is_late": pl.Boolean,
        PARTITION: pl.String,
    }
    assert rows.rows() == [("a", NOON, 1.5, 3, True, KEYS[0]), ("b", NEXT_NOON, None, 4, None, KEYS[1])]


def test_the_source_is_asked_for_one_window_of_all_partitions() -> None:
    """From the first midnight to the one after the last day."""
    asked: list[Window] = []

    def load(window: Window) -> pd.DataFrame:
        asked.append(window)
        return _frame()

    _ask(load)
    assert asked == [CALENDAR.window(KEYS)]


@pytest.mark.parametrize("dtype", [object, float])
def test_an_empty_frame_has_the_types_too(dtype: Any) -> None:
    """Whatever pandas made of columns without a value."""
    rows = _load(pd.DataFrame(columns=list(SCHEMA.columns), dtype=dtype))
    assert rows.schema == _load(_frame()).schema
    assert len(rows) == 0


def test_missing_columns_are_named() -> None:
    """All of them, beside what there is."""
    with pytest.raises(SchemaMismatch, match="source: missing columns: got id, at, is_late, expected miles, seats"):
        _load(_frame().drop(columns=["miles", "seats"]))


def test_every_wrong_column_is_named() -> None:
    """Text where a number is due, and a number where text is due, in one message."""
    with pytest.raises(SchemaMismatch, match=r"id \(int64, not string.*: holds integer\), seats \(object, not int64"):
        _load(_frame(id=[1, 2], seats=["many", "few"]))


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        (["12"], float, "holds string"),
        (["12"], int, "holds string"),
        (["a", 1], float, "holds mixed-integer"),
        ([1.5], int, "cannot safely cast"),
        ([1.0, None], int, "cannot convert NA to integer"),
        ([1], bool, "holds integer"),
        (["False"], bool, "holds string"),
        ([True, None], bool, "NaN|missing"),
        ([12], TIME, "holds integer"),
        (["2013-03-01"], TIME, "holds string"),
        ([datetime(2013, 3, 1)], TIME, "timezone-naive"),
        ([1], pd.StringDtype(), "holds integer"),
        ([b"a"], pd.StringDtype(), "holds bytes"),
        ([1.5], str, "holds floating"),
    ],
)
def test_a_value_that_would_change_is_refused(values: list[Any], dtype: Any, message: str) -> None:
    """No fraction is cut, no text taken for a number, no null made a value, no zone guessed."""
    with pytest.raises(SchemaMismatch, match=rf"source: wrong types: got x \(.*({message})"):
        _read(values, dtype)


@pytest.mark.parametrize(
    ("values", "dtype", "read"),
    [
        ([1, 2], float, [1.0, 2.0]),
        ([1.0, 2.0], int, [1, 2]),
        ([True, False], float, [1.0, 0.0]),
        (["a", None], str, ["a", None]),
        ([2**53 + 1], int, [2**53 + 1]),
        ([pd.Timestamp("2013-03-01", tz="America/New_York")], TIME, [pd.Timestamp("2013-03-01T05", tz="UTC")]),
    ],
)
def test_a_value_that_stays_the_same_is_read(values: list[Any], dtype: Any, read: list[Any]) -> None:
    """A null is no text "None"; a time in another zone is the same instant."""
    assert _read(values, dtype) == read


@pytest.mark.parametrize("dtype", [pd.StringDtype(), pd.BooleanDtype(), TIME, pd.Int64Dtype(), float, str])
@pytest.mark.parametrize("nothing", [None, math.nan])
def test_a_column_of_nulls_is_of_any_type(dtype: Any, nothing: Any) -> None:
    """Pandas makes numbers of a text column on a day without a value."""
    assert pd.isna(_read([nothing, nothing], dtype)).all()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("frame", [None, [{"id": "a"}], pl.DataFrame({"id": ["a"]})])
def test_what_is_no_pandas_frame_is_refused(frame: Any) -> None:
    """By its type."""
    with pytest.raises(SchemaMismatch, match=f"source: got {type(frame).__name__}, expected a pandas DataFrame"):
        _load(frame)


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (pd.Timestamp("2013-03-03T05:00", tz="UTC"), "at: in partition 2013-03-03, not one of those asked for"),
        (pd.Timestamp("2013-03-01T04:59:59", tz="UTC"), "at: in partition 2013-02-28, not one of those asked for"),
        (None, "at: no value"),
    ],
)
def test_rows_outside_the_window_are_rejected(at: Any, reason: str) -> None:
    """Each once, with the partition of the earliest row that is within, and with what it said."""
    loaded = _ask(lambda _: _frame(at=[at, GOOD["at"][1]]))
    assert loaded.rows["id"].to_list() == ["b"]
    [rejected] = loaded.rejected.rows()
    assert rejected[:3] == (KEYS[1], reason, ".source.load:1")
    assert json.loads(rejected[3])["miles"] == "1.5"


def test_a_row_at_the_edge_of_the_window_is_within() -> None:
    """Its first instant, and the last before its end."""
    first, last = pd.Timestamp("2013-03-01T05:00", tz="UTC"), pd.Timestamp("2013-03-03T04:59:59.999999", tz="UTC")
    assert _load(_frame(at=[first, last]))[PARTITION].to_list() == KEYS


def test_a_python_source_derives_and_filters_too() -> None:
    """A column may be made anew of the one it replaces, and `where` sees what was made."""
    loaded = _ask(
        lambda _: _frame(seats=["3", "4"], kind=["bus", "tram"]),
        derive={"seats": "CAST(seats AS BIGINT) * 2", "is_late": "miles > 1"},
        where="kind = 'bus' and seats = 6",
    )
    assert loaded.rows.select("id", "seats", "is_late").rows() == [("a", 6, True)]
    assert loaded.notes == ("1 rows left out by source.where",)


COLUMNS: dict[str, pl.DataType] = {
    "seats": pl.Int64(),
    "year": pl.Float64(),
    "is_new": pl.Boolean(),
    "maker": pl.String(),
    "known_at": pl.Datetime("us", "UTC"),
}
LOOKUP: dict[str, list[Any]] = {
    "tail": ["N1", "N2"],
    "seats": [3, None],
    "year": [1999, 2001],
    "is_new": [True, None],
    "maker": ["x", None],
    "known_at": [pd.Timestamp(NOON), None],
}


def _lookup(**changed: list[Any]) -> pl.DataFrame:
    return read_lookup(pd.DataFrame(LOOKUP | {"more": [1, 2]} | changed), "planes", COLUMNS, ["tail"])


def test_a_lookup_comes_with_its_key_and_the_declared_columns() -> None:
    """Each as its declared type."""
    rows = _lookup()
    assert dict(rows.schema) == {"tail": pl.String, **COLUMNS}
    assert rows.rows() == [("N1", 3, 1999.0, True, "x", NOON), ("N2", None, 2001.0, None, None, None)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seats": [1.5, 2]}, r"wrong types: got seats \(float64, not Int64: cannot safely cast"),
        ({"year": ["old", "new"]}, r"wrong types: got year \(object, not float64: holds string"),
        ({"maker": [1, 2]}, r"wrong types: got maker \(int64, not string: holds integer"),
        ({"is_new": [2, 0]}, r"wrong types: got is_new \(int64, not boolean: holds integer"),
        ({"known_at": [pd.Timestamp("2013")] * 2}, r"wrong types: got known_at \(.*timezone-naive"),
        ({"tail": ["a", 1]}, "tail: got values of several types"),
    ],
)
def test_a_lookup_that_does_not_hold_its_types_is_refused(changed: dict[str, list[Any]], message: str) -> None:
    """Naming lookup and column."""
    with pytest.raises(SchemaMismatch, match=f"lookup planes: {message}"):
        _lookup(**changed)


@pytest.mark.parametrize("missing", ["tail", "seats"])
def test_a_lookup_without_a_column_is_refused(missing: str) -> None:
    """Be it joined on or declared."""
    with pytest.raises(SchemaMismatch, match=f"lookup planes: missing columns: .* expected {missing}. Hint"):
        read_lookup(pd.DataFrame(LOOKUP).drop(columns=missing), "planes", COLUMNS, ["tail"])


@pytest.mark.parametrize("make", [lambda: None, lambda: pl.DataFrame(LOOKUP)])
def test_a_lookup_that_is_no_pandas_frame_is_refused(make: Callable[[], Any]) -> None:
    """By its type."""
    with pytest.raises(SchemaMismatch, match=r"lookup planes: got (NoneType|DataFrame), expected a pandas DataFrame"):
        read_lookup(make(), "planes", COLUMNS, ["tail"])
