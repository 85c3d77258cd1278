"""The days of a pipeline: from a partition key to its window in UTC and back, as Dagster counts them.

The lower rooms need this without Dagster; a test holds the two against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from ml_platform.contracts.errors import ContractError
from ml_platform.contracts.records import Window
from ml_platform.contracts.spec import Partitions


@dataclass(frozen=True)
class Calendar:
    """Daily partitions that begin at midnight of a time zone.

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
        """Give the as-of instant of a partition key: the beginning of its day."""
        return self.instant(self._day(key))

    def window(self, keys: Sequence[str]) -> Window:
        """Give the window of a contiguous run of partition keys."""
        days = sorted(self._day(key) for key in keys)
        return Window(start=self.instant(days[0]), end=self.instant(days[-1] + timedelta(days=1)))

    def days_before(self, key: str, span: timedelta) -> list[str]:
        """Give the keys of the days `[as-of - span, as-of)` that the pipeline has, oldest first."""
        day = self._day(key)
        days = [day - timedelta(days=back) for back in range(span.days, 0, -1)]
        return [each.isoformat() for each in days if self.partitions.start <= each < self.partitions.end]

    def back(self, key: str, span: timedelta) -> datetime:
        """Give the midnight that lies whole days before the as-of instant, whatever the clocks did."""
        return self.instant(self._day(key) - span)

    def keys_of(self, instants: pl.Expr) -> pl.Expr:
        """Give the partition key of each instant."""
        return instants.dt.convert_time_zone(self.partitions.timezone).dt.date().cast(pl.String)

    def _day(self, key: str) -> date:
        try:
            return date.fromisoformat(key)
        except ValueError:
            raise ContractError.because(
                "partition", got=repr(key), expected="a day like 2013-03-01", hint="name one partition of the pipeline"
            ) from None
