"""The rules of a pandera schema, those that polars can tell as expressions, all others as a smaller schema.

A rule becomes an expression only if it then means exactly what pandera takes it to mean, whatever the values; of a rule
that is not known so well, pandera stays the judge. A test holds the two against each other.
"""

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pandera.pandas as pa
import polars as pl

_EXACT = 2**53  # up to here a float holds every integer
_TOKEN = r"[A-Za-z0-9 _:,;/@#%=<>!\"'.|()-]|\\[d.\\/+*?()\[\]{}^$|-]"  # noqa: S105 - of a regular expression
_CLASS = r"\[\^?(?:[A-Za-z0-9 _:,;/@#%=.+-]|\\[d.-])+\]"
_TIMES = r"(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})\??"
_STRANGE = re.compile(r"\(\?[^:]|--")  # flags, look-arounds, and a difference of classes where `re` sees a range
_PATTERN = re.compile(rf"\^?(?:(?:\(\?:|{_TOKEN}|{_CLASS})(?:{_TIMES})?)*(\$|\\Z)?")


@dataclass(frozen=True)
class Rules:
    """A schema, taken apart.

    Parameters
    ----------
    broken : list of (str, expression)
        The reason, and where it applies.
    others : pandera schema or None
        The rules that only pandera can judge, with the columns they need.
    by_partition : bool
        Whether `others` compare rows with each other, which is then done within a partition.
    """

    broken: list[tuple[str, pl.Expr]]
    others: pa.DataFrameSchema | None
    by_partition: bool


def take_apart(schema: pa.DataFrameSchema, types: Mapping[str, pl.DataType]) -> Rules:
    """Take a schema apart.

    Parameters
    ----------
    types : mapping
        Column -> type of the rows that will be judged.
    """
    if schema.parsers or schema.index is not None or any(column.parsers for column in schema.columns.values()):
        return Rules([], _shown(schema, schema.columns), _compares(schema))  # they see other values than we do
    broken: list[tuple[str, pl.Expr]] = []
    left: dict[str, pa.Column] = {}
    for name, column in schema.columns.items():
        told, others = _split(name, column, types.get(name))
        broken += told
        if others is not None:
            left[name] = others
    if schema.checks or schema.unique:
        left = {name: left.get(name) or _bare(column, []) for name, column in schema.columns.items()}
    return Rules(broken, _shown(schema, left) if left else None, _compares(schema))


def _split(
    name: str, column: pa.Column, dtype: pl.DataType | None
) -> tuple[list[tuple[str, pl.Expr]], pa.Column | None]:
    """Give the rules of a column that polars can tell, and a column with the others."""
    if dtype is None or not _is_of(column.dtype, dtype):
        return [], column
    told = [] if column.nullable else [(f"{name}: not_nullable", _is_missing(name, dtype))]
    left: list[pa.Check] = []
    for check in column.checks:
        keeps = _expression(check, pl.col(name), dtype)
        if keeps is None:
            left.append(check)
        else:
            told.append((f"{name}: {check.error}", keeps.not_() & _is_missing(name, dtype).not_()))
    return told, _bare(column, left) if left or column.unique else None


def _is_of(declared: Any, dtype: pl.DataType) -> bool:
    """Tell whether rows hold the declared type, so that reading them as it changes no value."""
    of = getattr(declared, "type", None)
    if of is None or isinstance(of, pd.CategoricalDtype):
        return False
    kinds = pd.api.types
    return (
        (dtype == pl.Boolean() and kinds.is_bool_dtype(of))
        or (dtype.is_integer() and kinds.is_integer_dtype(of))
        or (dtype.is_float() and kinds.is_float_dtype(of))
        or (isinstance(dtype, pl.Datetime) and kinds.is_datetime64_any_dtype(of))
        or (dtype == pl.String() and kinds.is_string_dtype(of) and not kinds.is_object_dtype(of))
    )


def _is_missing(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    return column.is_null() | column.is_nan().fill_null(value=False) if dtype.is_float() else column.is_null()


def _expression(check: pa.Check, column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """Give what is true of a value that keeps the check, or None if polars might see it otherwise."""
    is_plain = check.ignore_na and not (
        check.element_wise or check.groupby or check.raise_warning or check.n_failure_cases or check.error is None
    )
    rules = _INTEGERS if dtype.is_integer() else _FLOATS if dtype.is_float() else _TEXTS if dtype == pl.String() else {}
    made = rules.get(str(check.name)) if is_plain else None
    return None if made is None else made(column, **check.statistics)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _EXACT


def _compared(how: str) -> Callable[..., pl.Expr | None]:
    def make(column: pl.Expr, **statistics: Any) -> pl.Expr | None:
        [bound] = statistics.values()
        return getattr(column, how)(bound) if _number(bound) else None

    return make


def _in_range(
    column: pl.Expr, min_value: object, max_value: object, include_min: bool, include_max: bool
) -> pl.Expr | None:
    if not (_number(min_value) and _number(max_value)):
        return None
    above = column.ge(min_value) if include_min else column.gt(min_value)
    return above & (column.le(max_value) if include_max else column.lt(max_value))


def _listed(kinds: tuple[type, ...], read: type, *, is_in: bool) -> Callable[..., pl.Expr | None]:
    def make(column: pl.Expr, **statistics: Any) -> pl.Expr | None:
        [values] = (list(given) for given in statistics.values())
        if not values or not all(isinstance(each, kinds) and (read is str or _number(each)) for each in values):
            return None
        isin = column.is_in([read(value) for value in values])
        return isin if is_in else isin.not_()

    return make


def _str_length(
    column: pl.Expr, min_value: int | None = None, max_value: int | None = None, exact_value: int | None = None
) -> pl.Expr | None:
    length = column.str.len_chars()
    if exact_value is not None:
        return length == exact_value
    bounds = ([] if min_value is None else [length >= min_value]) + ([] if max_value is None else [length <= max_value])
    return pl.all_horizontal(bounds) if bounds else None


def _matching(begin: str) -> Callable[..., pl.Expr | None]:
    def make(column: pl.Expr, pattern: object) -> pl.Expr | None:
        translated = _rust_pattern(pattern)
        return None if translated is None else column.str.contains(f"{begin}{translated}")

    return make


def _rust_pattern(pattern: object) -> str | None:
    """Write a pattern of `re` for polars, or give None if a part of it is not surely the same in both."""
    if not isinstance(pattern, str) or _STRANGE.search(pattern) or (found := _PATTERN.fullmatch(pattern)) is None:
        return None
    end = found[1] or ""
    body = pattern.removesuffix(end)
    translated = f"(?:{body})" + {"": "", "$": r"(?:\n?\z)", "\\Z": r"\z"}[end]
    try:
        re.compile(pattern)
        pl.Series([""]).str.contains(translated)
    except (re.error, pl.exceptions.ComputeError):
        return None
    return None if end and "|" in body else translated


def _bare(column: pa.Column, checks: list[pa.Check]) -> pa.Column:
    """Give the column with these checks and no other rule."""
    bare = copy.copy(column)
    bare.checks, bare.nullable = checks, True
    return bare


def _shown(schema: pa.DataFrameSchema, columns: Mapping[str, pa.Column]) -> pa.DataFrameSchema:
    """Give the schema with these columns, told to show every row that breaks a rule."""
    shown = copy.copy(schema)
    shown.columns, shown.drop_invalid_rows = dict(columns), False
    return shown


def _compares(schema: pa.DataFrameSchema) -> bool:
    return bool(schema.unique) or any(column.unique for column in schema.columns.values())


_COMPARED: dict[str, Callable[..., pl.Expr | None]] = {
    "greater_than": _compared("gt"),
    "greater_than_or_equal_to": _compared("ge"),
    "less_than": _compared("lt"),
    "less_than_or_equal_to": _compared("le"),
    "equal_to": _compared("eq"),
    "not_equal_to": _compared("ne"),
    "in_range": _in_range,
}
_INTEGERS = _COMPARED | {
    "isin": _listed((int,), int, is_in=True),
    "notin": _listed((int,), int, is_in=False),
}
_FLOATS = _COMPARED | {
    "isin": _listed((int, float), float, is_in=True),
    "notin": _listed((int, float), float, is_in=False),
}
_TEXTS: dict[str, Callable[..., pl.Expr | None]] = {
    "isin": _listed((str,), str, is_in=True),
    "notin": _listed((str,), str, is_in=False),
    "str_length": _str_length,
    "str_matches": _matching("^"),
    "str_contains": _matching(""),
}
