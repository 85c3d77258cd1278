"""SQL expressions over the columns of one row: what `derive` and the `where` of a window are made of.

Only functions that look at one row alone may be called, so a feature is the same in a batch and by itself. None of them
reads a file, a clock or chance. Instants are shown in the pipeline's time zone, so that an hour is the local one.
"""

import re
from functools import lru_cache

import polars as pl
import polars.selectors as cs

from ml_platform.contracts.errors import SpecError, examples

_NUMBERS = (
    "abs ceil ceiling floor round sign sqrt cbrt exp ln log log2 log10 log1p pow power mod div sin cos tan asin acos "
    "atan atan2 degrees radians greatest least"
)
_WORDS = (
    "upper lower initcap length char_length octet_length trim ltrim rtrim left right substr substring replace reverse "
    "concat concat_ws starts_with ends_with regexp_like strpos position split_part"
)
_TIMES = "extract date_part strftime strptime date timestamp"
_OTHERS = "coalesce nullif ifnull if cast try_cast decimal numeric varchar char float"
_KEYWORDS = "in and or not when then else case between like ilike is"
FUNCTIONS = frozenset(f"{_NUMBERS} {_WORDS} {_TIMES} {_OTHERS}".split())
_CALL = re.compile(r"(\w+)\s*\(")
_TEXT = re.compile(r"'(?:[^']|'')*'")
_REFUSED = re.compile(r"\b(select|over|current_date|current_time|current_timestamp|localtime|localtimestamp)\b", re.I)
_MADE = "__made__"
_FAULTS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, TypeError, OverflowError)


@lru_cache(maxsize=1024)
def parse(what: str, sql: str) -> pl.Expr:
    """Read an SQL expression.

    Parameters
    ----------
    what : str
        Where it stands, for the error: `features.derive.hour`.
    sql : str
        One expression, over columns of the same row.

    Raises
    ------
    SpecError
        If it is none, or calls what does not look at one row alone.
    """
    bare = _TEXT.sub("''", sql)
    called = [name.lower() for name in _CALL.findall(bare)]
    strange = [name for name in called if name not in FUNCTIONS and name not in _KEYWORDS.split()]
    if strange := [*strange, *(found.lower() for found in _REFUSED.findall(bare))]:
        raise SpecError.because(
            what, got=f"a call of {examples(dict.fromkeys(strange))}", expected="an expression over one row",
            hint="windows and features.python see more than one row; aggregates, subqueries and clocks may not be used",
        )  # fmt: skip
    try:
        return pl.sql_expr(sql)
    except _FAULTS as error:
        raise _refused(what, error) from error


def columns_of(what: str, sql: str) -> list[str]:
    """Name the columns that an SQL expression reads; raises like `parse`."""
    return list(dict.fromkeys(parse(what, sql).meta.root_names()))


def evaluate(what: str, sql: str, frame: pl.DataFrame) -> pl.Series:
    """Evaluate an SQL expression on each row of a frame.

    Raises
    ------
    SpecError
        If it is no expression, names a column that is not there, or cannot work on these types.
    """
    expression = parse(what, sql).alias(_MADE)
    try:
        return frame.with_columns(expression)[_MADE]
    except _FAULTS as error:
        raise _refused(what, error) from error


def localize(frame: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """Show the instants of a frame in a time zone."""
    return frame.with_columns(cs.datetime(time_zone="*").dt.convert_time_zone(timezone))


def _refused(what: str, error: BaseException) -> SpecError:
    said = str(error).partition("\n")[0]
    return SpecError.because(
        what, got=f"{type(error).__name__}: {said}", expected="an SQL expression over the columns that stand before it",
        hint="columns are inputs, <lookup>_<column>, windows and earlier names of derive",
    )  # fmt: skip
