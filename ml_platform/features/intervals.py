"""Intervals: from when until when each event of the past is in a window, and the line on which all of them are found.

An event is in a window over an interval of the time of asking. That turns a window into something over intervals;
nothing here knows what.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

_LONGEST_LINE = 2**62


class Intervals(NamedTuple):
    """When events are in the window: event, first instant, first instant after it."""

    event: IntArray
    start: IntArray
    end: IntArray

    def only_lasting(self) -> "Intervals":
        """Leave out those that are over before they begin."""
        lasts = self.start < self.end
        return Intervals(self.event[lasts], self.start[lasts], self.end[lasts])


@dataclass(frozen=True)
class Line:
    """All instants of all entities on one line of whole numbers, one entity after the other.

    Parameters
    ----------
    first : int
        An instant before all others.
    span : int
        Length of the line that one entity takes.
    ticks : array or None
        Sorted instants to count instead of microseconds, where those would make the line too long.
    """

    first: int
    span: int
    ticks: IntArray | None

    @classmethod
    def of(cls, entities: int, intervals: Intervals) -> "Line":
        """Give the line of some intervals."""
        if not len(intervals.start):
            return cls(0, 1, None)
        first = int(intervals.start.min()) - 1
        span = int(intervals.end.max()) - first + 1
        if entities * span < _LONGEST_LINE:
            return cls(first, span, None)
        ticks = np.unique(np.concatenate([intervals.start, intervals.end]))
        return cls(first, len(ticks) + 1, ticks)

    def places(self, numbers: IntArray, instants: IntArray) -> IntArray:
        """Give the place of each instant of each entity; the order of the instants of one entity is kept."""
        if self.ticks is None:
            along = np.clip(instants - self.first, 0, self.span - 1)
        else:
            along = np.searchsorted(self.ticks, instants, side="right")
        return numbers * self.span + along


def newest_rows(numbers: IntArray, start: IntArray, end: IntArray, limit: int, never: int) -> Intervals:
    """Tell when each event is among the newest `limit` of its entity that may be seen.

    An event that goes (by a correction) lets the next older one back in, so an event may have several intervals.

    Parameters
    ----------
    numbers : (n_events,) array
        Entity of each event; the events stand from old to new.
    start, end : (n_events,) array
        From when until when each may be seen, `start < end`.
    never : int
        The end of an event that never goes.
    """
    leaving = np.flatnonzero(end < never)
    event = np.concatenate([np.arange(len(start)), leaving])
    at = np.concatenate([start, end[leaving]])
    enters = np.arange(len(event)) < len(start)
    order = np.lexsort((enters, at, numbers[event]))
    owner = numbers[event][order]
    changes = list(zip(at[order].tolist(), event[order].tolist(), enters[order].tolist(), strict=True))
    cuts = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(changes)]
    found = [each for a, b in pairwise(cuts) for each in _newest_of_one(changes[a:b], limit, never)]
    columns = np.array(found, dtype=np.int64).reshape(-1, 3)
    return Intervals(columns[:, 0], columns[:, 1], columns[:, 2])


def _newest_of_one(changes: list[tuple[int, int, bool]], limit: int, never: int) -> Iterator[tuple[int, int, int]]:
    """Go through the comings and goings of one entity's events, in order of time."""
    seen: list[int] = []
    since: dict[int, int] = {}
    for instant, event, is_entering in changes:
        if is_entering:
            insort(seen, event)
            if event >= seen[-min(limit, len(seen))]:
                since[event] = instant
                if len(seen) > limit:
                    oldest = seen[-limit - 1]
                    yield oldest, since.pop(oldest), instant
        else:
            del seen[bisect_left(seen, event)]
            if event in since:
                yield event, since.pop(event), instant
                if len(seen) >= limit:
                    since[seen[-limit]] = instant
    for event, instant in since.items():
        yield event, instant, never
