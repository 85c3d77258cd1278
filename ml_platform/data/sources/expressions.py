"""An author's SQL over the columns of a source: `derive` adds columns, in order, and `where` keeps rows.

An expression sees one row. It can open no file: `ml_platform.contracts.spec.parts` refuses what could, here it is held
against types before any data is there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product

import polars as pl
from polars.exceptions import PolarsError

from ml_platform.contracts.errors import SchemaMismatch, SpecError, examples
from ml_platform.data.sources.casting import INSTANT

Types = dict[str, pl.DataType]
Guesses = Sequence[pl.DataType]
GUESSES: Guesses = (pl.Float64(), pl.Boolean(), pl.String(), INSTANT)  # of a column that no schema types
TRIALS_AT_MOST = 1024
_JOINS_TEXT = re.compile(r"\|\||\bconcat(?:_ws)?\s*\(", re.IGNORECASE)


@dataclass(frozen=True)
class Expressions:
    """The expressions of a source.

    Parameters
    ----------
    derive : mapping of str to str
        New column -> SQL.
    where : str or None
        A condition in SQL.
    """

    derive: Mapping[str, str]
    where: str | None = None

    @cached_property
    def steps(self) -> dict[str, pl.Expr]:
        """The columns to add, in order."""
        return {name: parse(text, f"source.derive.{name}").alias(name) for name, text in self.derive.items()}

    @cached_property
    def condition(self) -> pl.Expr | None:
        """What must be true of a row."""
        return None if self.where is None else parse(self.where, "source.where")

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The columns that the source itself must have."""
        wanted: dict[str, None] = {}
        derived: set[str] = set()
        for name, step in self.steps.items():
            wanted |= dict.fromkeys(root for root in step.meta.root_names() if root not in derived)
            derived.add(name)
        if self.condition is not None:
            wanted |= dict.fromkeys(root for root in self.condition.meta.root_names() if root not in derived)
        return tuple(wanted)

    def derived(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the derived columns.

        Raises
        ------
        SchemaMismatch
            If a value makes an expression fail.
        """
        for name, step in self.steps.items():
            frame = frame.with_columns(_run(frame, step, f"source.derive.{name}").alias(name))
        return frame

    def keeps(self, frame: pl.DataFrame) -> pl.Series:
        """Tell of which rows the condition is true, false, or null where a value it needs is missing."""
        if self.condition is None:
            return pl.Series([True]).new_from_index(0, len(frame))
        return _run(frame, self.condition, "source.where").cast(pl.Boolean)

    def fit(self, known: Mapping[str, pl.DataType], guesses: Mapping[str, Guesses] | None = None) -> Types:
        """Give the types of the columns that are read, those not known being what suits every expression.

        Parameters
        ----------
        known : mapping
            Types that are settled.
        guesses : mapping of str to sequence
            What other columns may be, the likeliest first; any of GUESSES where a column is left out.

        Raises
        ------
        SpecError
            Of an expression that no types suit.
        """
        settled = {name: known[name] for name in self.reads if name in known}
        unknown = [name for name in self.reads if name not in known]
        choices = [self._sorted(name, (guesses or {}).get(name, GUESSES)) for name in unknown]
        faults: list[SpecError] = []
        for trial in islice(product(*choices), TRIALS_AT_MOST):
            types = settled | dict(zip(unknown, trial, strict=True))
            try:
                self._try_types(types)
            except SpecError as error:
                faults.append(error)
            else:
                return types
        raise faults[0]

    def _sorted(self, name: str, guesses: Guesses) -> Guesses:
        """Put text first where an expression joins texts: it would take the text of a number too, `007` as `7.0`."""
        joined = any(_JOINS_TEXT.search(text) and name in text for text in (*self.derive.values(), self.where or ""))
        return sorted(guesses, key=lambda dtype: joined and dtype != pl.String)

    def _try_types(self, types: Mapping[str, pl.DataType]) -> None:
        empty = pl.DataFrame(schema=dict(types))
        for name, step in self.steps.items():
            made = _tried(empty, step, f"source.derive.{name}", self.derive[name])
            empty = empty.with_columns(pl.Series(name, [], made))
        if self.condition is not None and self.where is not None:
            made = _tried(empty, self.condition, "source.where", self.where)
            if made not in (pl.Boolean, pl.Null):
                raise SpecError.because(
                    "source.where", got=f"{self.where} ({made})", expected="a condition", hint="compare something"
                )


def parse(text: str, field: str) -> pl.Expr:
    """Read an SQL expression.

    Raises
    ------
    SpecError
        If it is no SQL that polars knows.
    """
    try:
        return pl.sql_expr(text)
    except PolarsError as error:
        raise SpecError.because(
            field, got=text, expected=f"an SQL expression ({_first_line(error)})", hint="mend the expression"
        ) from None


def _tried(empty: pl.DataFrame, step: pl.Expr, field: str, text: str) -> pl.DataType:
    """Give the type that an expression makes of typed columns."""
    try:
        made = empty.select(step)
    except PolarsError as error:
        raise SpecError.because(
            field,
            got=text,
            expected=f"an expression that suits its columns, {_listed(empty, step)} ({_first_line(error)})",
            hint="compare numbers with numbers, text with text; CAST(x AS DOUBLE) and the like convert",
        ) from None
    if any(_crosses_rows(empty, node) for node in _nodes(step)):
        raise SpecError.because(
            field,
            got=text,
            expected="an expression over one row",
            hint="what is made of several rows belongs into features.windows",
        )
    return made.dtypes[0]


def _crosses_rows(empty: pl.DataFrame, node: pl.Expr) -> bool:
    """Tell an aggregate: of no rows it makes one."""
    return str(node) == "len()" or (bool(node.meta.root_names()) and len(empty.select(node)) > 0)


def _nodes(step: pl.Expr) -> Iterator[pl.Expr]:
    yield step
    for each in step.meta.pop():
        yield from _nodes(each)


def _run(frame: pl.DataFrame, step: pl.Expr, field: str) -> pl.Series:
    try:
        made = frame.select(step).to_series()
    except PolarsError as error:
        raise SchemaMismatch.because(
            field,
            got=_first_line(error),
            expected="values that the expression can take",
            hint="TRY_CAST gives null for what it cannot convert; CAST fails",
        ) from None
    return made if len(made) == len(frame) else made.new_from_index(0, len(frame))


def _listed(frame: pl.DataFrame, step: pl.Expr) -> str:
    roots = dict.fromkeys(step.meta.root_names())
    return examples(f"{name} {frame.schema[name]}" for name in roots if name in frame.columns) or "none"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
