"""Window features: aggregates over the rows before a row, as they were known at its event time.

The past is prepared once, each window as intervals of the time of asking. Then it answers for a year of rows in a batch
and for one row in the server with the very same numbers: they depend on the rows in the window alone.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.errors import SchemaMismatch
from ml_platform.features.aggregates import Aggregate, Best, Totals
from ml_platform.features.entities import MISSING, Entities
from ml_platform.features.events import NEVER, Events, read_events
from ml_platform.features.intervals import Intervals, Line, newest_rows
from ml_platform.features.window_plan import HISTORY, HistoryPlan, WindowPlan

IntArray = NDArray[np.int64]

_MICROSECOND = timedelta(microseconds=1)
_RANKED = ("min", "max", "last")


@dataclass(frozen=True)
class PreparedWindow:
    """One window over one past."""

    plan: WindowPlan
    line: Line
    aggregate: Aggregate

    def compute(self, numbers: IntArray, instants: IntArray) -> pl.Series:
        """Give the window's value for each entity and instant."""
        places = self.line.places(numbers, instants)
        order = np.argsort(places)
        made = self.aggregate.at(places[order]).alias(self.plan.name)
        if len(order) == 1:
            return made
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return made.gather(back)


@dataclass(frozen=True)
class PreparedHistory:
    """The past of a pipeline, ready to be asked many times.

    Parameters
    ----------
    plan : HistoryPlan
        What it was prepared for.
    schema : pl.Schema
        Of the rows that it was prepared from.
    entities : dict of tuple of str to Entities
        By the columns that make them.
    windows : tuple of PreparedWindow
        In the plan's order.
    """

    plan: HistoryPlan
    schema: pl.Schema
    entities: dict[tuple[str, ...], Entities]
    windows: tuple[PreparedWindow, ...]


def prepare_history(plan: HistoryPlan, frame: pl.DataFrame) -> PreparedHistory:
    """Prepare the past for `compute_windows`.

    Parameters
    ----------
    plan : HistoryPlan
        The windows.
    frame : pl.DataFrame
        Validated rows with the columns of the plan, in any order. A row asks only for those within the plan's reach.

    Raises
    ------
    SchemaMismatch
        If a column is missing, or an instant has no time zone.
    SpecError
        If a `where` cannot be evaluated.
    """
    events = read_events(plan, frame)
    entities = {by: Entities.of(by, events.rows) for by in dict.fromkeys(window.by for window in plan.windows)}
    numbers = {by: each.numbers(events.rows) for by, each in entities.items()}
    windows = tuple(_prepare(each, events, entities[each.by], numbers[each.by]) for each in plan.windows)
    return PreparedHistory(plan, events.rows.schema, entities, windows)


def compute_windows(rows: pl.DataFrame, history: PreparedHistory, event_time: str) -> pl.DataFrame:
    """Compute the windows of some rows.

    Parameters
    ----------
    rows : pl.DataFrame
        With the event time, and each window's `by`, in wide types.
    history : PreparedHistory
        The past.
    event_time : str
        Column with the instant at which each row asks.

    Returns
    -------
    pl.DataFrame
        A column for each window, in the order of the rows: of rows of the same `by` with an event time in
        `(t - over, t)`, both ends excluded. `count` is Int64; `sum`, `mean`, `share` and `std` (of a sample) are
        Float64; `min`, `max` and `last` are of the type of `of`. Of no rows, `count` and `sum` are 0 and the others
        null, as is `std` below two. Of rows of one instant that of the greater key is the newer. Values that are null,
        NaN or infinite do not count. Where the event time or a part of `by` is null, all are null.

    Raises
    ------
    SchemaMismatch
        If a column of `by` has another type than in the past.
    """
    instants = rows[event_time].to_physical()
    numbers: dict[tuple[str, ...], IntArray] = {}
    for by, entities in history.entities.items():
        _check_types(rows, history, by)
        numbers[by] = entities.numbers(rows)
        if instants.null_count():
            numbers[by][instants.is_null().to_numpy()] = MISSING
    asked = instants.fill_null(0).to_numpy()
    made: list[pl.Series] = []
    for window in history.windows:
        number = numbers[window.plan.by]
        is_missing, computed = number == MISSING, window.compute(number, asked)
        made.append(computed.set(pl.Series(is_missing), None) if is_missing.any() else computed)
    return pl.DataFrame(made)


def _prepare(window: WindowPlan, events: Events, entities: Entities, numbers: IntArray) -> PreparedWindow:
    counts = np.flatnonzero(events.counts(window) & (numbers >= 0) & (events.starts(window) < events.superseded))
    owner = numbers[counts]
    intervals = _intervals(window, events, counts, owner)
    line = Line.of(len(entities), intervals)
    if window.how in _RANKED and window.of is not None:
        best = Best.of(window.how, events.rows[window.of][counts], line, owner, intervals)
        return PreparedWindow(window, line, best)
    values = None
    if window.of is not None and window.how != "count":
        values = events.rows[window.of][counts].to_numpy()
    return PreparedWindow(window, line, Totals.of(window.how, values, line, owner, intervals))


def _intervals(window: WindowPlan, events: Events, counts: IntArray, owner: IntArray) -> Intervals:
    start, end = events.starts(window)[counts], events.superseded[counts]
    if window.rows is None:
        seen = Intervals(np.arange(len(counts)), start, end)
    else:
        seen = newest_rows(owner, start, end, window.rows, NEVER)
    over = events.at[counts][seen.event] + window.reach // _MICROSECOND
    return Intervals(seen.event, seen.start, np.minimum(seen.end, over)).only_lasting()


def _check_types(rows: pl.DataFrame, history: PreparedHistory, by: tuple[str, ...]) -> None:
    for name in by:
        if rows.schema[name] != history.schema[name]:
            raise SchemaMismatch.because(
                f"lookup {HISTORY}.{name}", got=history.schema[name], expected=rows.schema[name],
                hint="give both sides one type",
            )  # fmt: skip
