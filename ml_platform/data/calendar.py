"""The partitions of a pipeline: from a key to its window in UTC and back, as Dagster counts them.

A key is the ISO date of the partition's first day. The lower rooms need this without Dagster; a test holds the two
against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from ml_platform.contracts.errors import ContractError
from ml_platform.contracts.records import Window
from ml_platform.contracts.spec import Partitions

_WEEK = 7
_MONTHS = 12


@dataclass(frozen=True)
class Calendar:
    """Days, weeks or months that begin at midnight of a time zone.

    Parameters
    ----------
    partitions : Partitions
        As the author wrote them.
    """

    partitions: Partitions

    def instant(self, day: date) -> datetime:
        """Give the instant at which a day begins, in UTC."""
        return datetime.combine(day, time(), self.partitions.zone).astimezone(UTC)

    def as_of(self, key: str) -> datetime:
        """Give the as-of instant of a partition key: the beginning of its first day."""
        return self.instant(self._day(key))

    def window(self, keys: Sequence[str]) -> Window:
        """Give the window of a contiguous run of partition keys."""
        days = sorted(self._day(key) for key in keys)
        return Window(start=self.instant(days[0]), end=self.instant(self._first_day(self._place(days[-1]) + 1)))

    def keys(self) -> list[str]:
        """Give the keys of all partitions, oldest first."""
        return [self._first_day(place).isoformat() for place in range(self._place(self.partitions.end))]

    def keys_before(self, key: str, span: timedelta, until: timedelta = timedelta(0)) -> list[str]:
        """Give the keys that touch the days `[as-of - span, as-of - until)`, oldest first.

        Those that the pipeline does not have are left out.
        """
        first, end = self._places_before(key, span, until)
        end_of_all = self._place(self.partitions.end)
        return [self._first_day(place).isoformat() for place in range(max(first, 0), min(end, end_of_all))]

    def count_before(self, key: str, span: timedelta, until: timedelta = timedelta(0)) -> int:
        """Count the partitions of `keys_before`, also those that the pipeline does not have."""
        first, end = self._places_before(key, span, until)
        return end - first

    def partitions_within(self, span: timedelta) -> int:
        """Give the largest number of partitions that a span of days before any partition touches."""
        places = range(1, self._place(self.partitions.end) + 1)
        return max(place - self._place(self._first_day(place) - span) for place in places)

    def back(self, key: str, span: timedelta) -> datetime:
        """Give the midnight that lies whole days before the as-of instant, whatever the clocks did."""
        return self.instant(self._day(key) - span)

    def keys_of(self, instants: pl.Expr) -> pl.Expr:
        """Give the partition key of each instant."""
        days = instants.dt.convert_time_zone(self.partitions.timezone).dt.date()
        if self.partitions.every == "week":
            since = (days - self.partitions.start).dt.total_days()
            days = days - pl.duration(days=since % _WEEK)
        if self.partitions.every == "month":
            days = days.dt.month_start()
        return days.cast(pl.String)

    def _places_before(self, key: str, span: timedelta, until: timedelta) -> tuple[int, int]:
        day = self._day(key)
        if span <= until:
            return (self._place(day), self._place(day))
        return self._place(day - span), self._place(day - until - timedelta(days=1)) + 1

    def _place(self, day: date) -> int:
        """Give the number of the partition that holds a day, counted from that of `start`."""
        start = self.partitions.start
        if self.partitions.every == "month":
            return (day.year - start.year) * _MONTHS + day.month - start.month
        return (day - start).days // (_WEEK if self.partitions.every == "week" else 1)

    def _first_day(self, place: int) -> date:
        start = self.partitions.start
        if self.partitions.every == "month":
            years, month = divmod(start.month - 1 + place, _MONTHS)
            return start.replace(year=start.year + years, month=month + 1)
        return start + place * timedelta(days=_WEEK if self.partitions.every == "week" else 1)

    def _day(self, key: str) -> date:
        try:
            day = date.fromisoformat(key)
        except ValueError:
            raise self._refused(key) from None
        if self._first_day(self._place(day)).isoformat() != key:
            raise self._refused(key)
        return day

    def _refused(self, key: str) -> ContractError:
        every, start = self.partitions.every, self.partitions.start
        expected = f"a day like {start}" if every == "day" else f"the first day of a {every}, like {start}"
        return ContractError.because(
            "partition", got=repr(key), expected=expected, hint="name one partition of the pipeline"
        )
