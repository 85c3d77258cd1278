"""The calendar: every instant lies in the window of its own key, on days of 23, 24 and 25 hours."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from ml_platform.contracts.errors import ContractError
from ml_platform.contracts.spec import Partitions
from ml_platform.data.calendar import Calendar

ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "America/Havana", "America/Sao_Paulo", "Pacific/Auckland"]


def _calendar(zone: str = "America/New_York") -> Calendar:
    return Calendar(Partitions(start=date(2013, 1, 1), end=date(2014, 1, 1), timezone=zone))


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


def test_days_before_leave_out_the_as_of_and_what_the_pipeline_does_not_have() -> None:
    """Cut at the start of the pipeline and at its end, which is excluded."""
    calendar, span = _calendar(), timedelta(days=3)
    assert calendar.days_before("2013-03-11", span) == ["2013-03-08", "2013-03-09", "2013-03-10"]
    assert calendar.days_before("2013-01-03", span) == ["2013-01-01", "2013-01-02"]
    assert calendar.days_before("2013-01-01", span) == []
    assert calendar.days_before("2014-01-02", span) == ["2013-12-30", "2013-12-31"]


def test_back_counts_midnights_and_not_hours() -> None:
    """One day before 11 March is midnight of the tenth, 23 hours earlier."""
    assert _calendar().back("2013-03-11", timedelta(days=1)) == datetime(2013, 3, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize("key", ["2013-02-30", "2013", "", "yesterday"])
def test_a_key_that_is_no_day_is_refused(key: str) -> None:
    """With the key and an example of a good one."""
    with pytest.raises(ContractError, match=f"partition: got '{key}', expected a day like 2013-03-01"):
        _calendar().window([key])
