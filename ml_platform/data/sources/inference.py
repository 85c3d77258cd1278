"""From text to types: what the columns of a sample hold, decided strictly, so that no value is ever bent to fit.

Pure: frames in, types out. A column of numbers with leading zeros is text (a postcode), and so is one whose numbers no
integer holds. Reading files is the business of `sources`, writing down what was found that of `frozen_schema`.
"""

from collections.abc import Sequence

import polars as pl

from ml_platform.contracts.errors import ContractError, SchemaMismatch, examples
from ml_platform.contracts.records import FieldType

ISO_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
)
"""The time formats that need no mention in a spec."""

_DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y")
_OTHERS = ("%Y/%m/%d", "%Y%m%d", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y")
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p")
_INTEGER = r"^[+-]?(?:0|[1-9][0-9]*)$"
_NUMBER = r"^[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$"
_BOOL = r"^(?i:true|false)$"
_TYPES: dict[type[pl.DataType], FieldType] = {pl.String: "string", pl.Boolean: "bool", pl.Null: "string"}


def infer_types(text: pl.DataFrame, time_formats: Sequence[str] = ()) -> dict[str, FieldType]:
    """Tell the type of each column of text; nulls say nothing, and a column of nothing else is a string.

    Parameters
    ----------
    text : (n_rows, n_columns)
        String columns, with what stands for no value already null.
    time_formats : sequence of str
        Formats of times beside ISO 8601; they go before numbers (`%Y%m%d`).
    """
    return {name: _infer(text[name].drop_nulls().str.strip_chars().unique(), time_formats) for name in text.columns}


def read_times(text: pl.Series, formats: Sequence[str]) -> pl.Series:
    """Read each text by the first format that fits, an offset kept in mind; null where none does.

    Returns
    -------
    (n_rows,) of datetime
        Without time zone: texts with an offset in UTC, the others as they stand.
    """
    read = pl.Series(text.name, [None] * len(text), pl.Datetime("us"))
    for each in formats:
        if not read.null_count():
            break
        found = text.str.to_datetime(each, strict=False, time_unit="us", exact=True)
        read = read.fill_null(found.dt.replace_time_zone(None))
    return read


def guess_time_formats(text: pl.Series, odd_at_most: float = 0.0) -> tuple[str, ...]:
    """Find the formats by which every text is a time; none beside ISO 8601 if they all are that.

    Parameters
    ----------
    text : (n_rows,)
        Texts or nulls.
    odd_at_most : float
        Share of the distinct texts that may be no time at all.

    Returns
    -------
    tuple of str
        What belongs into a spec's `time_formats`; empty if nothing does, or if these are no times.

    Raises
    ------
    ContractError
        If day and month could be either way round.
    """
    values = text.drop_nulls().str.strip_chars().unique()
    left = values.filter(read_times(values, ISO_FORMATS).is_null())
    are_numbers = left.str.contains(_NUMBER).all() and not left.str.contains(r"^[0-9]{8}$").all()
    if left.is_empty() or are_numbers:
        return ()
    odd = int(odd_at_most * len(values))
    families = [_fitting(left, dates, odd) for dates in (_DAY_FIRST + _OTHERS, _MONTH_FIRST + _OTHERS)]
    found = [family for family in families if family]
    if len(found) > 1 and found[0] != found[1]:
        raise ContractError.because(
            f"times in {text.name}", got=f"{examples(left.sort())}, which may be day or month first",
            expected="one way to read them", hint=f"set time_formats to {found[0][0]!r} or to {found[1][0]!r}",
        )  # fmt: skip
    return found[0] if found else ()


def type_of(column: str, dtype: pl.DataType) -> FieldType:
    """Name the field type of a typed column.

    Raises
    ------
    SchemaMismatch
        If it is none of the five, or a time without time zone.
    """
    if dtype.is_integer():
        return "int64"
    if dtype.is_float() or dtype.is_decimal():
        return "float64"
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return "timestamp"
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return "string"
    if type(dtype) in _TYPES:
        return _TYPES[type(dtype)]
    raise SchemaMismatch.because(
        f"column {column}", got=dtype, expected="a string, number, bool or timestamp with time zone",
        hint="cast it in the source; times need a time zone",
    )  # fmt: skip


def _infer(values: pl.Series, time_formats: Sequence[str]) -> FieldType:
    if values.is_empty():
        return "string"
    if time_formats and not read_times(values, time_formats).null_count():
        return "timestamp"
    is_integer = values.str.contains(_INTEGER)
    if values.filter(is_integer).cast(pl.Int64, strict=False).null_count():
        return "string"
    if is_integer.all():
        return "int64"
    if values.str.contains(_NUMBER).all():
        return "float64"
    if values.str.contains(_BOOL).all() or set(values.str.to_lowercase()) == {"yes", "no"}:
        return "bool"
    return "string" if read_times(values, (*time_formats, *ISO_FORMATS)).null_count() else "timestamp"


def _fitting(values: pl.Series, dates: Sequence[str], odd: int) -> tuple[str, ...]:
    """Give the fewest formats, in order, that read all values but a few odd ones; none if more stay unread."""
    used: list[str] = []
    left = values
    for each in (f"{date}{clock}" for date in dates for clock in _CLOCKS):
        unread = left.filter(read_times(left, [each]).is_null())
        if len(unread) < len(left):
            used.append(each)
        left = unread
        if left.is_empty():
            break
    return tuple(used) if len(left) <= odd else ()
