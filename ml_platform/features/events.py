"""The rows of the past as events: since when and until when each of them may be seen.

Instants are microseconds since 1970. A row is seen by what is asked strictly after its event time. A value that is
known with the label is seen from its known-at on; a correction replaces its row from its own known-at on.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.features.expressions import evaluate, localize
from ml_platform.features.types import INSTANT, require_columns, require_instant, widen
from ml_platform.features.window_plan import HISTORY, HistoryPlan, WindowPlan

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NEVER = 2**62
_AT, _KNOWN, _IS_CORRECTION, _SUPERSEDED = "__at__", "__known__", "__is_correction__", "__superseded__"


@dataclass(frozen=True)
class Events:
    """The rows of the past; where a window asks for the newest of them, in order of event time and key.

    Of rows of one instant no known-at says which is newer: it may not be known itself yet.

    Parameters
    ----------
    plan : HistoryPlan
        What they are needed for.
    rows : pl.DataFrame
        The plan's columns, in wide types.
    at : (n_rows,) array
        Event time.
    known : (n_rows,) array
        When the label became known; `NEVER` where it did not.
    superseded : (n_rows,) array
        When a correction of the row became known; `NEVER` where there is none.
    is_correction : (n_rows,) array
        Whether the row corrects an earlier one.
    """

    plan: HistoryPlan
    rows: pl.DataFrame
    at: IntArray
    known: IntArray
    superseded: IntArray
    is_correction: BoolArray

    def starts(self, window: WindowPlan) -> IntArray:
        """Give the instant from which on each row may be seen by a window."""
        after = self.at + 1
        known = np.maximum(self.known, after)
        return known if window.awaits_label else np.where(self.is_correction, known, after)

    def counts(self, window: WindowPlan) -> BoolArray:
        """Tell which rows a window counts: its condition holds, and the value is not null, NaN or infinite."""
        counts = np.ones(len(self.rows), dtype=np.bool_)
        if window.of is not None:
            counts &= _is_value(self.rows[window.of])
        if window.where is not None:
            holds = evaluate(window.where_place, window.where, self._local).fill_null(value=False)
            counts &= holds.to_numpy()
        return counts

    @cached_property
    def _local(self) -> pl.DataFrame:
        return localize(self.rows, self.plan.timezone)


def read_events(plan: HistoryPlan, frame: pl.DataFrame) -> Events:
    """Read the past.

    Raises
    ------
    SchemaMismatch
        If a column is missing, or an instant has no time zone.
    """
    table = f"lookup {HISTORY}"
    require_columns(table, frame, plan.columns)
    rows = widen(frame.select(plan.columns))
    for name in (plan.event_time, plan.known_at):
        if name is not None:
            require_instant(table, rows, name)
    marked = _marked(plan, rows.drop_nulls(plan.event_time))
    return Events(
        plan=plan,
        rows=marked.select(plan.columns),
        at=marked[_AT].to_numpy(),
        known=marked[_KNOWN].fill_null(NEVER).to_numpy(),
        superseded=marked[_SUPERSEDED].fill_null(NEVER).to_numpy(),
        is_correction=marked[_IS_CORRECTION].to_numpy(),
    )


def known_before(plan: HistoryPlan, frame: pl.DataFrame, instant: datetime) -> pl.DataFrame:
    """Give the past as it was known at an instant, that one excluded.

    A row whose label became known later loses all that is known with the label; a later correction is left out.

    Parameters
    ----------
    plan : HistoryPlan
        What it is needed for.
    frame : pl.DataFrame
        Rows with the columns of the plan.
    """
    rows = _marked(plan, widen(frame.select(plan.columns))).filter(pl.col(plan.event_time) < instant)
    is_late = (pl.col(_KNOWN) >= pl.lit(instant).cast(INSTANT).to_physical()).fill_null(value=False)
    rows = rows.filter(~(is_late & pl.col(_IS_CORRECTION)))
    hidden = [pl.when(~is_late).then(name).alias(name) for name in plan.known_later]
    return rows.with_columns(hidden).select(plan.columns).sort(plan.columns)


def _marked(plan: HistoryPlan, rows: pl.DataFrame) -> pl.DataFrame:
    known = pl.col(plan.event_time) + plan.known_after if plan.known_at is None else pl.col(plan.known_at)
    rows = rows.with_columns(
        pl.col(plan.event_time).to_physical().alias(_AT),
        known.to_physical().alias(_KNOWN),
        pl.lit(value=False).alias(_IS_CORRECTION),
        pl.lit(None, pl.Int64).alias(_SUPERSEDED),
    )
    if plan.corrected:
        rows = rows.sort(*plan.key, _KNOWN, *plan.columns, nulls_last=False).with_columns(*_corrections(plan))
    if any(window.rows is not None or window.how == "last" for window in plan.windows):
        rows = rows.sort(_AT, *plan.key, _KNOWN, *plan.columns, nulls_last=False)
    return rows


def _corrections(plan: HistoryPlan) -> list[pl.Expr]:
    """Hold each row against the next of its key; two of which nobody knows which is newer leave the last one."""
    is_next = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(-1)) for name in plan.key)
    has_next = is_next & (pl.int_range(pl.len()) < pl.len() - 1)
    until = pl.col(_KNOWN).shift(-1).fill_null(pl.col(_AT))
    return [
        has_next.shift(1, fill_value=False).alias(_IS_CORRECTION),
        pl.when(has_next).then(until).otherwise(None).alias(_SUPERSEDED),
    ]


def _is_value(column: pl.Series) -> BoolArray:
    is_value = column.is_not_null()
    if column.dtype.is_float():
        is_value &= column.is_finite().fill_null(value=False)
    return is_value.to_numpy()
