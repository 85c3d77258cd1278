"""Aggregates over the events that are in a window at the instants asked for.

Two ways. What can be taken away again (count, sum, mean, share, std) is a running total over the beginnings less one
over the ends. What cannot (min, max, last) is the best rank among the intervals that cover an instant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.features.exact import FloatArray, divide, running_total, to_whole
from ml_platform.features.intervals import Intervals, Line

IntArray = NDArray[np.int64]


class Aggregate(Protocol):
    """One aggregate over prepared intervals."""

    def at(self, places: IntArray) -> pl.Series:
        """Give its value at each place of the line; the places are sorted."""
        ...


@dataclass(frozen=True)
class Totals:
    """Count, sum, mean, share or std.

    Parameters
    ----------
    how : str
        Which.
    starts, ends : (n_intervals,) array
        Where intervals begin and end, each sorted.
    begun, ended : sequence of (n_intervals + 1,) array
        Running totals of the values and, for std, of their squares, in the order of `starts` and of `ends`.
    exponent : int
        Unit of the values, see `Whole`.
    """

    how: str
    starts: IntArray
    ends: IntArray
    begun: Sequence[IntArray]
    ended: Sequence[IntArray]
    exponent: int

    @classmethod
    def of(cls, how: str, values: NDArray[Any] | None, line: Line, numbers: IntArray, intervals: Intervals) -> "Totals":
        """Prepare the totals; `values` and `numbers` by event, None where only the count is asked for."""
        owner = numbers[intervals.event]
        starts, ends = line.places(owner, intervals.start), line.places(owner, intervals.end)
        by_start, by_end = np.argsort(starts), np.argsort(ends)
        whole = None if values is None or not len(values) else to_whole(values)
        powers = [] if whole is None else [whole, whole.squared()] if how == "std" else [whole]
        return cls(
            how=how,
            starts=starts[by_start],
            ends=ends[by_end],
            begun=[running_total(power.units[intervals.event][by_start]) for power in powers],
            ended=[running_total(power.units[intervals.event][by_end]) for power in powers],
            exponent=0 if whole is None else whole.exponent,
        )

    def at(self, places: IntArray) -> pl.Series:
        """Give the aggregate at each place."""
        begun = np.searchsorted(self.starts, places, side="right")
        ended = np.searchsorted(self.ends, places, side="right")
        count = begun - ended
        if self.how == "count":
            return pl.Series(count, dtype=pl.Int64)
        if not self.begun:
            return _series(np.zeros(len(places)) if self.how == "sum" else np.full(len(places), np.nan))
        totals = [start[begun] - end[ended] for start, end in zip(self.begun, self.ended, strict=True)]
        if self.how == "sum":
            return _series(divide(totals[0], np.ones_like(count), self.exponent))
        if self.how == "std":
            return _series(_deviation(count, totals[0], totals[1], self.exponent))
        return _series(divide(totals[0], count, self.exponent))


@dataclass(frozen=True)
class Best:
    """Min, max or last: the value of the highest rank.

    Parameters
    ----------
    values : pl.Series
        The value of each rank.
    line : Line
        On which the places lie.
    starts, ends, ranks : (n_intervals,) array
        Where each interval begins and ends, and the rank of its value; by beginning.
    """

    values: pl.Series
    line: Line
    starts: IntArray
    ends: IntArray
    ranks: IntArray

    @classmethod
    def of(cls, how: str, values: pl.Series, line: Line, numbers: IntArray, intervals: Intervals) -> "Best":
        """Prepare the ranks; for `last` the events stand from old to new."""
        owner = numbers[intervals.event]
        starts, ends = line.places(owner, intervals.start), line.places(owner, intervals.end)
        order = np.arange(len(values)) if how == "last" else values.arg_sort(descending=how == "min").to_numpy()
        if values.dtype.is_float():
            values = values + 0.0  # of a positive and a negative zero either might be the best
        rank = np.empty(len(values), dtype=np.int64)
        rank[order] = np.arange(len(values))
        by_start = np.argsort(starts)
        return cls(values.gather(order), line, starts[by_start], ends[by_start], rank[intervals.event][by_start])

    def at(self, places: IntArray) -> pl.Series:
        """Give the value at each place."""
        if not len(places):
            return self.values.clear()
        first = np.searchsorted(self.starts, places[0] - places[0] % self.line.span)
        behind = np.searchsorted(self.starts, places[-1], side="right")
        begins = np.searchsorted(places, self.starts[first:behind])
        ends = np.searchsorted(places, self.ends[first:behind])
        best = highest_cover(begins, ends, self.ranks[first:behind], len(places))
        return self.values.gather(pl.Series(best).replace(-1, None))


def highest_cover(begins: IntArray, ends: IntArray, ranks: IntArray, length: int) -> IntArray:
    """Give, for each of `length` places, the highest rank among the ranges `[begin, end)` that cover it, -1 for none.

    Notes
    -----
    A sparse table the other way round: a range is two overlapping ranges of a power of two; those of one size are
    collected, and handed on to the two halves of each.
    """
    covers = begins < ends
    begins, ends, ranks = begins[covers], ends[covers], ranks[covers]
    levels = np.frexp((ends - begins).astype(np.float64))[1] - 1
    best = np.full(length, -1, dtype=np.int64)
    for level in range(int(levels.max(initial=0)), -1, -1):
        of_size = levels == level
        np.maximum.at(best, begins[of_size], ranks[of_size])
        np.maximum.at(best, ends[of_size] - 2**level, ranks[of_size])
        if level:
            half = 2 ** (level - 1)
            handed = best.copy()
            np.maximum(handed[half:], best[:-half], out=handed[half:])
            best = handed
    return best


def _series(values: FloatArray) -> pl.Series:
    return pl.Series(values=values, nan_to_null=True)


def _deviation(count: IntArray, total: IntArray, squares: IntArray, exponent: int) -> FloatArray:
    many = count.astype(object)
    spread = many * squares.astype(object) - total.astype(object) ** 2
    return np.sqrt(divide(spread, many * (many - 1), 2 * exponent))
