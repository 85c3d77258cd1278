"""What a model sees: inputs, lookups, windows over the past, SQL expressions and the author's own function."""

import re
from datetime import timedelta
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from ml_platform.contracts.records import FieldType
from ml_platform.contracts.spec.parts import (
    NAME,
    Duration,
    Names,
    PythonPath,
    SomeTime,
    SpecPart,
    SqlExpression,
    read_duration,
    some_time,
    write_duration,
)

STAGES = frozenset(["raw", "validated", "features", "training_set", "candidate", "evaluation", "endpoint", "drift"])
TABLES = frozenset({"quarantine", "rejected", "verdicts", "profiles", "history"})  # beside stages and lookups
_ROWS = re.compile(r"(\d{1,5}) rows?")

Aggregate = Literal["count", "mean", "sum", "min", "max", "std", "last", "share"]


class RowsWindow(NamedTuple):
    """A window of the newest so many rows."""

    rows: int


def _free_name(value: str) -> str:
    if value in STAGES | TABLES:
        raise ValueError(f"expected a name other than {', '.join(sorted(STAGES | TABLES))}")
    return value


def _read_over(value: object) -> object:
    if isinstance(value, RowsWindow):
        return value
    match = _ROWS.fullmatch(value) if isinstance(value, str) else None
    if match is not None and int(match[1]) > 0:
        return RowsWindow(int(match[1]))
    try:
        duration = read_duration(value)
    except ValueError:
        raise ValueError("expected a duration like 7d or 6h, or a number of rows like 20 rows") from None
    return some_time(duration) if isinstance(duration, timedelta) else duration


def _write_over(value: timedelta | RowsWindow) -> str:
    return f"{value.rows} rows" if isinstance(value, RowsWindow) else write_duration(value)


LookupName = Annotated[str, Field(pattern=NAME), AfterValidator(_free_name)]
Over = Annotated[
    timedelta | RowsWindow,
    BeforeValidator(_read_over, json_schema_input_type=str),
    PlainSerializer(_write_over, return_type=str),
]


class Lookup(SpecPart):
    """A table that features join, by key and, if it has `known_at`, as it was known at the event time."""

    load: PythonPath
    by: Names
    columns: Annotated[dict[str, FieldType], Field(min_length=1)]
    known_at: str | None = None
    tolerance: Annotated[Duration, AfterValidator(some_time)] | None = None

    @model_validator(mode="after")
    def _tolerance_needs_time(self) -> Self:
        if (self.known_at is None) != (self.tolerance is None):
            raise ValueError("expected known_at and tolerance together: how old may a joined value be?")
        return self


class WindowFeature(SpecPart):
    """An aggregate over the validated rows before a row, of the same `by`, as they were known at its event time.

    `over` is a duration (rows whose event time lies less than this before, the row's own instant left out) or a number
    of rows (the newest of them by event time, of those that were known), which needs `within`: how far back they may
    lie. Key, event time and inputs of a row count from its event time on; every other column, as the label, once the
    label was known. `where` is an SQL condition on the rows that count, its clock that of the pipeline. `of` may be
    left out with `count`, which then counts rows; values that are null, NaN or infinite do not count, also not among
    the newest. `share` is the share of true. Of no rows, count and sum are 0 and the others null.
    """

    name: Annotated[str, Field(pattern=NAME)]
    by: Names
    how: Aggregate
    of: str | None = None
    over: Over
    within: SomeTime | None = None
    where: SqlExpression | None = None
    description: str = ""

    @model_validator(mode="after")
    def _parts_go_together(self) -> Self:
        if self.of is None and self.how != "count":
            raise ValueError(f"expected of with how: {self.how}, the column to aggregate")
        if isinstance(self.over, RowsWindow) != (self.within is not None):
            raise ValueError("expected within with a number of rows, and only there: how far back may they lie?")
        return self

    @property
    def reach(self) -> timedelta:
        """How far back from its row's event time the window may look."""
        return self.within if isinstance(self.over, RowsWindow) and self.within is not None else _duration(self.over)


def _duration(over: timedelta | RowsWindow) -> timedelta:
    assert isinstance(over, timedelta)  # noqa: S101 - WindowFeature has seen to it
    return over


class Features(SpecPart):
    """From the columns known when the prediction is asked for, to the columns a model sees.

    In this order: `inputs`, the columns of the `lookups` (as `<lookup>_<column>`), the `windows`, `derive` (SQL over
    one row, each may use what stands before it; instants are shown in the pipeline's time zone), `python`. `columns`
    chooses the features among all of them.
    """

    inputs: Names
    columns: Names
    lookups: dict[LookupName, Lookup] = {}
    windows: list[WindowFeature] = []
    derive: dict[str, SqlExpression] = {}
    python: PythonPath | None = None
    descriptions: dict[str, str] = {}

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        names = [*(window.name for window in self.windows), *self.derive]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"expected each name of windows and derive once, not {', '.join(twice)} again")
        return self
