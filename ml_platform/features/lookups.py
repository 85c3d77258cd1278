"""Joining lookups: plain by key, or as of the event time by key and known-at.

A lookup is prepared once (types, names, order) and then joined many times: 336k rows offline, one row in the server.
A value that became known after the event time never enters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from ml_platform.contracts.errors import SchemaMismatch, examples
from ml_platform.features.types import require_columns, require_instant, widen
from ml_platform.features.window_plan import HISTORY
from ml_platform.features.windows import PreparedHistory

_KNOWN_AT = "__known_at__"
_ROW = "__row__"


@dataclass(frozen=True)
class LookupPlan:
    """How one lookup is joined.

    Parameters
    ----------
    name : str
        Prefix of its columns: `<name>_<column>`.
    by : tuple of str
        Columns that the rows and the lookup share.
    known_at : str or None
        Column with the instant at which a lookup row became known; None for a plain join.
    tolerance : timedelta or None
        How old a joined value may be, with `known_at`; None for any age.
    """

    name: str
    by: tuple[str, ...]
    known_at: str | None
    tolerance: timedelta | None

    def to_json(self) -> dict[str, Any]:
        """Give a JSON object."""
        seconds = None if self.tolerance is None else self.tolerance.total_seconds()
        return {"name": self.name, "by": list(self.by), "known_at": self.known_at, "tolerance_seconds": seconds}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "LookupPlan":
        """Read what `to_json` gave."""
        seconds = value["tolerance_seconds"]
        tolerance = None if seconds is None else timedelta(seconds=seconds)
        return cls(value["name"], tuple(value["by"]), value["known_at"], tolerance)


class PreparedLookups(dict[str, "pl.DataFrame | PreparedHistory"]):
    """Lookups by name as `FeaturePlan.prepare` left them.

    Tables are as from `prepare_lookup`: wide types, prefixed columns, timed ones sorted by known-at. `history` is as
    from `prepare_history`.
    """

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """Those that are joined."""
        return {name: each for name, each in self.items() if isinstance(each, pl.DataFrame)}

    @property
    def history(self) -> PreparedHistory:
        """The past that windows look at."""
        found = self[HISTORY]
        assert isinstance(found, PreparedHistory)  # noqa: S101 - by its name
        return found


def prepare_lookup(plan: LookupPlan, lookup: pl.DataFrame) -> pl.DataFrame:
    """Bring a lookup to the form that `join_lookup` takes.

    Raises
    ------
    SchemaMismatch
        If a column is missing, known-at has no time zone, or a plain lookup has two rows for one key.
    """
    table = f"lookup {plan.name}"
    require_columns(table, lookup, plan.by if plan.known_at is None else (*plan.by, plan.known_at))
    own = {name: f"{plan.name}_{name}" for name in lookup.columns if name not in plan.by}
    if plan.known_at is None:
        lookup = widen(lookup).drop_nulls(list(plan.by))
        _refuse_duplicates(plan, lookup)
        return lookup.rename(own)
    own[plan.known_at] = _KNOWN_AT
    lookup = widen(lookup)
    require_instant(table, lookup, plan.known_at)
    return lookup.rename(own).drop_nulls([*plan.by, _KNOWN_AT]).sort(_KNOWN_AT, maintain_order=True)


def _refuse_duplicates(plan: LookupPlan, lookup: pl.DataFrame) -> None:
    by = list(plan.by)
    doubled = lookup.select(by).filter(pl.struct(by).is_duplicated()).unique(maintain_order=True)
    if len(doubled):
        raise SchemaMismatch.because(
            f"lookup {plan.name}",
            got=f"several rows for {examples(doubled.iter_rows())}",
            expected=f"one row for each {', '.join(by)}",
            hint="drop duplicates in the lookup's function, or give it known_at",
        )


def join_lookup(plan: LookupPlan, frame: pl.DataFrame, lookup: pl.DataFrame, event_time: str) -> pl.DataFrame:
    """Add a prepared lookup's columns to the rows; the rows keep their order.

    Parameters
    ----------
    plan : LookupPlan
        How to join.
    frame : pl.DataFrame
        Rows with the `by` columns and the event time, in wide types.
    lookup : pl.DataFrame
        From `prepare_lookup`.
    event_time : str
        With known-at, the newest lookup row with known-at <= this is taken, the later in the lookup among equals.

    Raises
    ------
    SchemaMismatch
        If a joined column's name is taken, or a `by` column has another type on either side.
    """
    _check_join(plan, frame, lookup)
    if plan.known_at is None:
        return frame.join(lookup, on=list(plan.by), how="left", maintain_order="left")
    if frame.height < 2:
        return _join_as_of(plan, frame, lookup, event_time)
    ordered = frame.with_row_index(_ROW).sort(event_time, maintain_order=True)
    return _join_as_of(plan, ordered, lookup, event_time).sort(_ROW).drop(_ROW)


def _join_as_of(plan: LookupPlan, ordered: pl.DataFrame, lookup: pl.DataFrame, event_time: str) -> pl.DataFrame:
    return ordered.join_asof(
        _near(plan, ordered[event_time], lookup),
        left_on=event_time,
        right_on=_KNOWN_AT,
        by=list(plan.by),
        tolerance=plan.tolerance,
        coalesce=False,
        check_sortedness=False,  # both sides are sorted; polars cannot check it with by
    ).drop(_KNOWN_AT)


def _near(plan: LookupPlan, event_times: pl.Series, lookup: pl.DataFrame) -> pl.DataFrame:
    """Cut the lookup to the rows that any of the event times could take: a binary search instead of a scan."""
    if event_times.is_empty():
        return lookup.clear()
    known_at, times = lookup[_KNOWN_AT].to_numpy(), event_times.to_numpy()
    end = int(known_at.searchsorted(np.fmax.reduce(times), side="right"))
    if plan.tolerance is None:
        return lookup.head(end)
    start = int(known_at.searchsorted(np.fmin.reduce(times) - np.timedelta64(plan.tolerance), side="left"))
    return lookup.slice(start, max(0, end - start))


def _check_join(plan: LookupPlan, frame: pl.DataFrame, lookup: pl.DataFrame) -> None:
    table = f"lookup {plan.name}"
    if taken := [name for name in lookup.columns if name in frame.columns and name not in plan.by]:
        raise SchemaMismatch.because(
            table, got=f"{examples(taken)} twice", expected="new names", hint="rename the lookup"
        )
    for name in plan.by:
        if frame.schema[name] != lookup.schema[name]:
            raise SchemaMismatch.because(
                f"{table}.{name}", got=lookup.schema[name], expected=frame.schema[name], hint="give both sides one type"
            )
