"""Joining lookups: only what was known, only what is fresh, in the order of the rows."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ml_platform.contracts.errors import SchemaMismatch
from ml_platform.features.lookups import LookupPlan, join_lookup, prepare_lookup

START = datetime(2013, 1, 1, tzinfo=UTC)
INSTANT = pl.Datetime("us", "UTC")
PLAIN = LookupPlan("plane", ("tail",), None, None)
TIMED = LookupPlan("weather", ("origin",), "known_at", timedelta(hours=6))

_hours = st.integers(0, 40)
_places = st.sampled_from(["EWR", "JFK", "LGA"])
_rows = st.lists(st.tuples(_places, _hours), max_size=12)
_tolerances = st.sampled_from([None, timedelta(0), timedelta(hours=3), timedelta(hours=6)])


def _rows_at(rows: list[tuple[str, int]]) -> pl.DataFrame:
    at = [START + timedelta(hours=hour) for _, hour in rows]
    return pl.DataFrame({"origin": [place for place, _ in rows], "at": at}, schema={"origin": pl.String, "at": INSTANT})


def _readings_at(readings: list[tuple[str, int]]) -> pl.DataFrame:
    return _rows_at(readings).rename({"at": "known_at"}).with_row_index("reading").cast({"reading": pl.Int64})


def _joined_slowly(
    rows: list[tuple[str, int]], readings: list[tuple[str, int]], tolerance: timedelta | None
) -> list[int | None]:
    """Row by row: the newest reading of the place that was known and is fresh, the later one among equals."""
    found: list[int | None] = []
    for place, hour in rows:
        known = [
            (at, reading)
            for reading, (where, at) in enumerate(readings)
            if where == place and at <= hour and (tolerance is None or timedelta(hours=hour - at) <= tolerance)
        ]
        found.append(max(known)[1] if known else None)
    return found


@settings(max_examples=80, deadline=None)
@given(rows=_rows, readings=_rows, tolerance=_tolerances)
def test_as_of_join_is_the_slow_one(
    rows: list[tuple[str, int]], readings: list[tuple[str, int]], tolerance: timedelta | None
) -> None:
    """Whatever the rows, a value is the newest that was known at the event time and is not too old."""
    plan = LookupPlan("weather", ("origin",), "known_at", tolerance)
    joined = join_lookup(plan, _rows_at(rows), prepare_lookup(plan, _readings_at(readings)), "at")
    assert joined["weather_reading"].to_list() == _joined_slowly(rows, readings, tolerance)
    assert_frame_equal(joined.select("origin", "at"), _rows_at(rows))


@settings(max_examples=40, deadline=None)
@given(rows=_rows, readings=_rows, seed=st.integers(0, 9))
def test_what_becomes_known_later_changes_nothing(
    rows: list[tuple[str, int]], readings: list[tuple[str, int]], seed: int
) -> None:
    """Readings after the last event time may be shuffled, changed or left out."""
    last = max((hour for _, hour in rows), default=0)
    table = _readings_at(readings)
    is_later = pl.col("known_at") > START + timedelta(hours=last)
    later = table.filter(is_later).with_columns(pl.all().shuffle(seed)).with_columns(reading=pl.lit(-1, pl.Int64))
    changed = pl.concat([table.filter(~is_later), later])
    expected, got, without = (
        join_lookup(TIMED, _rows_at(rows), prepare_lookup(TIMED, known), "at")
        for known in (table, changed, table.filter(~is_later))
    )
    assert_frame_equal(got, expected)
    assert_frame_equal(without, expected)


def test_tolerance_is_the_oldest_that_joins() -> None:
    """Exactly six hours old joins, a microsecond more does not."""
    rows = _rows_at([("EWR", 6), ("EWR", 6)]).with_columns(
        at=pl.Series([START + timedelta(hours=6), START + timedelta(hours=6, microseconds=1)], dtype=INSTANT)
    )
    joined = join_lookup(TIMED, rows, prepare_lookup(TIMED, _readings_at([("EWR", 0)])), "at")
    assert joined["weather_reading"].to_list() == [0, None]


def test_event_time_may_be_null_or_at_the_end_of_time() -> None:
    """A null joins nothing; years 1 and 9999 do not overflow."""
    times = [None, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), START]
    rows = pl.DataFrame({"origin": ["EWR"] * 4, "at": times}, schema={"origin": pl.String, "at": INSTANT})
    joined = join_lookup(TIMED, rows, prepare_lookup(TIMED, _readings_at([("EWR", 0)])), "at")
    assert joined["weather_reading"].to_list() == [None, None, None, 0]


def test_other_units_and_zones_are_the_same_instants() -> None:
    """Nanoseconds in New York join microseconds in UTC."""
    readings = _readings_at([("EWR", 1)]).with_columns(
        pl.col("known_at").dt.cast_time_unit("ns").dt.convert_time_zone("America/New_York")
    )
    joined = join_lookup(TIMED, _rows_at([("EWR", 2)]), prepare_lookup(TIMED, readings), "at")
    assert joined["weather_reading"].to_list() == [0]


def test_plain_join_keeps_rows_and_order() -> None:
    """An unknown and a null key get null; nothing is dropped or moved."""
    lookup = pl.DataFrame({"tail": ["b", "a", None], "seats": [2, 1, 9]})
    rows = pl.DataFrame({"tail": ["a", "x", "b", "a", None]})
    joined = join_lookup(PLAIN, rows, prepare_lookup(PLAIN, lookup), "at")
    assert joined["tail"].to_list() == ["a", "x", "b", "a", None]
    assert joined["plane_seats"].to_list() == [1, None, 2, 1, None]


def test_doubled_key_is_refused() -> None:
    """A plain lookup with two rows for a key would multiply rows; the key is named."""
    with pytest.raises(SchemaMismatch, match=r"lookup plane: got several rows for \('a',\)"):
        prepare_lookup(PLAIN, pl.DataFrame({"tail": ["a", "b", "a"], "seats": [1, 2, 3]}))


def test_missing_column_is_refused() -> None:
    """The lookup and the column are named."""
    with pytest.raises(SchemaMismatch, match="lookup weather: got no column known_at"):
        prepare_lookup(TIMED, pl.DataFrame({"origin": ["EWR"]}))


def test_naive_time_is_refused() -> None:
    """A time without zone is no instant."""
    naive = _readings_at([("EWR", 0)]).with_columns(pl.col("known_at").dt.replace_time_zone(None))
    with pytest.raises(SchemaMismatch, match=r"lookup weather.known_at: .* expected a timestamp with time zone"):
        prepare_lookup(TIMED, naive)


def test_key_of_another_type_is_refused() -> None:
    """A number never silently fails to join a string."""
    with pytest.raises(SchemaMismatch, match=r"lookup plane.tail: got String, expected Int64"):
        join_lookup(PLAIN, pl.DataFrame({"tail": [1]}), prepare_lookup(PLAIN, pl.DataFrame({"tail": ["a"]})), "at")


def test_taken_name_is_refused() -> None:
    """A lookup's column never replaces an input."""
    rows = pl.DataFrame({"tail": ["a"], "plane_seats": [4]})
    lookup = prepare_lookup(PLAIN, pl.DataFrame({"tail": ["a"], "seats": [1]}))
    with pytest.raises(SchemaMismatch, match="got plane_seats twice"):
        join_lookup(PLAIN, rows, lookup, "at")
