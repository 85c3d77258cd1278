"""The calendar: every instant lies in the window of its own key, on days of 23, 24 and 25 hours, weeks and months."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from ml_platform.contracts.errors import ContractError
from ml_platform.contracts.spec import Partitions
from ml_platform.contracts.spec.partitions import Cadence
from ml_platform.data.calendar import Calendar

ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "America/Havana", "America/Sao_Paulo", "Pacific/Auckland"]


SPANS: dict[Cadence, tuple[date, date]] = {
    "day": (date(2013, 1, 1), date(2014, 1, 1)),
    "week": (date(2013, 1, 1), date(2013, 12, 31)),  # from Tuesday to Tuesday
    "month": (date(2013, 1, 1), date(2014, 1, 1)),
}


def _calendar(zone: str = "America/New_York", every: Cadence = "day") -> Calendar:
    start, end = SPANS[every]
    return Calendar(Partitions(every=every, start=start, end=end, timezone=zone))


def _keys_of(calendar: Calendar, instants: list[datetime]) -> list[str]:
    frame = pl.DataFrame({"at": instants}, schema={"at": pl.Datetime("us", "UTC")})
    return frame.select(calendar.keys_of(pl.col("at")))["at"].to_list()


@pytest.mark.parametrize(("key", "hours"), [("2013-03-10", 23), ("2013-03-11", 24), ("2013-11-03", 25)])
def test_days_are_as_long_as_their_clocks_say(key: str, hours: int) -> None:
    """New York's clocks go forward on 10 March and back on 3 November."""
    window = _calendar().window([key])
    assert window.end - window.start == timedelta(hours=hours)


def test_a_day_begins_at_its_own_midnight() -> None:
    """In winter five hours after UTC's, in summer four; the as-of instant is that midnight."""
    calendar = _calendar()
    assert calendar.as_of("2013-01-01") == datetime(2013, 1, 1, 5, tzinfo=UTC)
    assert calendar.as_of("2013-07-01") == datetime(2013, 7, 1, 4, tzinfo=UTC)


@pytest.mark.parametrize("zone", ZONES)
def test_an_instant_lies_in_the_window_of_its_key(zone: str) -> None:
    """On every day of a year the first microsecond belongs to the day, the one before it and the end do not.

    Sao Paulo has a day without midnight in it (20 October), Havana one with two (3 November).
    """
    calendar, tick = _calendar(zone), timedelta(microseconds=1)
    days = [(date(2013, 1, 1) + timedelta(days=step)).isoformat() for step in range(365)]
    windows = [calendar.window([day]) for day in days]
    assert _keys_of(calendar, [window.start for window in windows]) == days
    assert _keys_of(calendar, [window.end - tick for window in windows]) == days
    for hour in range(23):
        assert _keys_of(calendar, [window.start + timedelta(hours=hour) for window in windows]) == days
    assert [window.end for window in windows[:-1]] == [window.start for window in windows[1:]]


def test_a_run_of_keys_is_one_window_in_whatever_order() -> None:
    """From the first day's midnight to the one after the last day."""
    window = _calendar().window(["2013-03-11", "2013-03-09", "2013-03-10"])
    assert (window.start, window.end) == (datetime(2013, 3, 9, 5, tzinfo=UTC), datetime(2013, 3, 12, 4, tzinfo=UTC))


def test_keys_before_leave_out_the_as_of_and_what_the_pipeline_does_not_have() -> None:
    """Cut at the start of the pipeline and at its end, which is excluded; counted, they are not cut."""
    calendar, span = _calendar(), timedelta(days=3)
    assert calendar.keys_before("2013-03-11", span) == ["2013-03-08", "2013-03-09", "2013-03-10"]
    assert calendar.keys_before("2013-03-11", span, timedelta(days=1)) == ["2013-03-08", "2013-03-09"]
    assert calendar.keys_before("2013-01-03", span) == ["2013-01-01", "2013-01-02"]
    assert calendar.keys_before("2013-01-01", span) == []
    assert calendar.keys_before("2014-01-02", span) == ["2013-12-30", "2013-12-31"]
    assert [calendar.count_before(key, span) for key in ("2013-01-03", "2014-01-02")] == [3, 3]
    assert calendar.keys_before("2013-03-11", timedelta(0)) == calendar.keys_before("2013-03-11", span, span) == []


@pytest.mark.parametrize(
    ("days", "until", "keys"),
    [
        (7, 0, ["2013-03-05"]),
        (8, 0, ["2013-02-26", "2013-03-05"]),
        (14, 7, ["2013-02-26"]),
        (14, 6, ["2013-02-26", "2013-03-05"]),
        (15, 7, ["2013-02-19", "2013-02-26"]),
    ],
)
def test_a_week_that_is_touched_counts(days: int, until: int, keys: list[str]) -> None:
    """One day of it is enough, at either end."""
    calendar = _calendar(every="week")
    assert calendar.keys_before("2013-03-12", timedelta(days=days), timedelta(days=until)) == keys
    assert calendar.count_before("2013-03-12", timedelta(days=days), timedelta(days=until)) == len(keys)


def test_months_are_as_long_as_they_are() -> None:
    """28 days before March reach into February alone, 29 into January; before 2013 there is nothing."""
    calendar = _calendar(every="month")
    assert calendar.keys_before("2013-03-01", timedelta(days=28)) == ["2013-02-01"]
    assert calendar.keys_before("2013-03-01", timedelta(days=29)) == ["2013-01-01", "2013-02-01"]
    assert calendar.keys_before("2013-02-01", timedelta(days=60)) == ["2013-01-01"]
    assert calendar.count_before("2013-02-01", timedelta(days=60)) == 2
    assert calendar.window(["2013-12-01"]).end == datetime(2014, 1, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "counts"), [("day", [1, 7, 29]), ("week", [1, 1, 5]), ("month", [1, 1, 2])], ids=["day", "week", "month"]
)
def test_the_most_partitions_within_a_span(every: Cadence, counts: list[int]) -> None:
    """Of a day, of a week, and of a day more than February has."""
    calendar = _calendar(every=every)
    assert [calendar.partitions_within(timedelta(days=days)) for days in (1, 7, 29)] == counts


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("every", ["week", "month"])
def test_an_instant_lies_in_the_week_or_month_of_its_key(zone: str, every: Cadence) -> None:
    """Every first microsecond of a day, and the one before it, whatever the clocks did."""
    calendar, tick = _calendar(zone, every), timedelta(microseconds=1)
    start, end = SPANS[every]
    days = [start + timedelta(days=step) for step in range((end - start).days)]
    instants = [at for day in days for at in (calendar.instant(day), calendar.instant(day + timedelta(days=1)) - tick)]
    keys = _keys_of(calendar, instants)
    assert all(at in calendar.window([key]) for at, key in zip(instants, keys, strict=True))
    assert sorted(set(keys)) == calendar.keys_before(end.isoformat(), end - start)


def test_an_instant_before_the_start_has_the_key_it_would_have() -> None:
    """So that a row outside is seen to be outside, and of which week it is."""
    assert _keys_of(_calendar(every="week"), [datetime(2012, 12, 31, 12, tzinfo=UTC)]) == ["2012-12-25"]


def test_back_counts_midnights_and_not_hours() -> None:
    """One day before 11 March is midnight of the tenth, 23 hours earlier."""
    assert _calendar().back("2013-03-11", timedelta(days=1)) == datetime(2013, 3, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize("key", ["2013-02-30", "2013", "20130301", "", "yesterday"])
def test_a_key_that_is_no_day_is_refused(key: str) -> None:
    """With the key and an example of a good one."""
    with pytest.raises(ContractError, match=f"partition: got '{key}', expected a day like 2013-01-01"):
        _calendar().window([key])


@pytest.mark.parametrize(("every", "key"), [("week", "2013-03-11"), ("month", "2013-03-02")])
def test_a_key_that_begins_no_partition_is_refused(every: Cadence, key: str) -> None:
    """A week begins on the weekday of `start`, a month on its first."""
    expected = f"got '{key}', expected the first day of a {every}, like 2013-01-01"
    with pytest.raises(ContractError, match=expected):
        _calendar(every=every).as_of(key)
