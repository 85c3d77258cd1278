"""What is measured of a partition, and what a check finds of it.

Every number of every partition of a run comes out of one pass over the rows. What the numbers mean is decided in
`partition_checks`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import polars as pl

from ml_platform.contracts.spec import Quality
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.quality.rows import REASON, REPEATED


@dataclass(frozen=True)
class Finding:
    """What one check says of one partition."""

    name: str
    passed: bool
    severity: Literal["error", "warn"]
    sentence: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    examples: Sequence[Mapping[str, Any]] = ()

    @property
    def is_fatal(self) -> bool:
        """Whether the partition cannot be trusted."""
        return not self.passed and self.severity == "error"


@dataclass(frozen=True)
class Past:
    """What trusted partitions had, oldest first: their row counts, and of watched columns the values."""

    rows: list[int] = field(default_factory=list)
    values: list[Mapping[str, frozenset[str]]] = field(default_factory=list)

    def add(self, rows: int, values: Mapping[str, frozenset[str]]) -> None:
        """Go one partition on."""
        self.rows.append(rows)
        self.values.append(values)


@dataclass(frozen=True)
class Partition:
    """One partition of a run, measured."""

    key: str
    numbers: Mapping[str, Any]
    categories: Mapping[str, Mapping[str, int]]
    end: datetime
    kept: pl.DataFrame
    quarantine: pl.DataFrame

    def count(self, name: str) -> int:
        """Give a count, 0 where nothing was there to be counted."""
        return self.numbers.get(name) or 0

    def share(self, name: str) -> float:
        """Give a count as a share of the good rows; no rows are no bad ones."""
        return self.count(name) / self.count("rows") if self.count("rows") else 0.0

    def rows(self, frame: pl.DataFrame) -> pl.LazyFrame:
        """Give the rows of this partition."""
        return frame.lazy().filter(pl.col(PARTITION) == self.key)


def category_counts(rows: pl.DataFrame, columns: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
    """Count the rows of each value, by partition and column; a null is no value."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for column in columns:
        counts = rows.group_by(PARTITION, pl.col(column).cast(pl.String).alias("value")).len().drop_nulls()
        for key, value, count in counts.iter_rows():
            found.setdefault(key, {}).setdefault(column, {})[value] = count
    return found


def measure(kept: pl.DataFrame, quarantine: pl.DataFrame, quality: Quality, event_time: str) -> dict[str, Any]:
    """Take every number of every partition, in one pass over the rows."""
    numbers = [pl.len().alias("rows"), pl.col(event_time).max().alias("newest")]
    numbers += [_is_null(kept, column).sum().alias(f"null {column}") for column in quality.null_share_at_most]
    numbers += [is_outside(quality, column).sum().alias(f"outside {column}") for column in quality.ranges]
    bad = quarantine.group_by(PARTITION).agg(
        pl.len().alias("quarantined"), pl.col(REASON).str.starts_with(REPEATED).sum().alias("repeated")
    )
    joined = kept.group_by(PARTITION).agg(numbers).join(bad, on=PARTITION, how="full", coalesce=True)
    return {row[PARTITION]: row for row in joined.iter_rows(named=True)}


def _is_null(rows: pl.DataFrame, column: str) -> pl.Expr:
    value = pl.col(column)
    return (
        value.is_null() | value.is_nan().fill_null(value=False) if rows.schema[column].is_float() else value.is_null()
    )


def is_outside(quality: Quality, column: str) -> pl.Expr:
    """Tell which values lie outside their range; a null does not."""
    bounds, value = quality.ranges[column], pl.col(column)
    low = pl.lit(value=False) if bounds.at_least is None else value < bounds.at_least
    high = pl.lit(value=False) if bounds.at_most is None else value > bounds.at_most
    return (low | high).fill_null(value=False) & value.cast(pl.Float64).is_nan().not_().fill_null(value=False)
