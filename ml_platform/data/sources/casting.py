"""Reading a column as a type, value by value: what cannot be read without changing it is marked, not guessed.

Text is read as numbers, truth values and times by the rules below; any other type is only widened or narrowed where
every value stays what it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl
from polars.exceptions import PolarsError

from ml_platform.contracts.errors import SpecError

INSTANT = pl.Datetime("us", "UTC")
TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_ISO = r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2})?([.,]\d{1,9})?)? ?(Z|z|[+-]\d{2}:?\d{2})?$"
_USUAL = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")  # ISO 8601 too, read faster than by its pattern
_OFFSETS = ("%z", "%:z", "%#z", "%+")
_YEARS = (1000, 9999)  # a two-digit year read by %Y is no year
_ANY_TIME = datetime(2013, 12, 31, 13, 45, 30, tzinfo=UTC)
_EXACT_BELOW = 2**53


@dataclass(frozen=True)
class TextRules:
    """How text is read.

    Parameters
    ----------
    zone : str
        The zone of times that name none. Of a time that the clocks went through twice the first is taken; one that
        they skipped cannot be read.
    time_formats : sequence of str
        Tried in order, before ISO 8601.
    nulls : sequence of str
        Texts that stand for no value.
    """

    zone: str = "UTC"
    time_formats: Sequence[str] = ()
    nulls: Sequence[str] = field(default=("",))


def type_name(dtype: pl.DataType) -> str:
    """Name a type as a spec does."""
    if isinstance(dtype, pl.Datetime):
        return "timestamp"
    return {"Boolean": "bool", "String": "string"}.get(str(dtype), str(dtype).lower())


def cast(values: pl.Series, dtype: pl.DataType, rules: TextRules) -> pl.Series:
    """Read values as a type; a value that cannot be read without changing it becomes null.

    Raises
    ------
    TypeError
        If no value of this type can be read as the other.
    """
    if values.dtype in (pl.Categorical, pl.Enum):
        values = values.cast(pl.String)
    if values.dtype == dtype:
        return _clean(values, rules)
    if values.dtype == pl.Null:
        return values.cast(dtype)
    return _of_text(values, dtype, rules) if values.dtype == pl.String else _of_value(values, dtype, rules)


def check_time_format(form: str) -> None:
    """Write a time in a format and read it back.

    Raises
    ------
    SpecError
        If polars does not know the format, or it does not name a day.
    """
    wrong = "it does not name a day"
    try:
        if _formatted(pl.Series([_ANY_TIME]).dt.strftime(form), form, TextRules()).null_count() == 0:
            return
    except PolarsError as error:
        wrong = str(error).partition("\n")[0]
    raise SpecError.because(
        "source.time_formats", got=f"{form} ({wrong})", expected="a format that reads what it writes",
        hint="like %d/%m/%Y, or %d/%m/%Y %H:%M",
    )  # fmt: skip


def blanks(values: pl.Series, rules: TextRules) -> pl.Series:
    """Tell which values are no value: null, not a number, or a text that stands for it."""
    if values.dtype.is_float():
        return values.is_null() | values.is_nan()
    if values.dtype != pl.String:
        return values.is_null()
    return values.is_null() | values.str.strip_chars().is_in(list(rules.nulls))


def _clean(values: pl.Series, rules: TextRules) -> pl.Series:
    if values.dtype == pl.String:
        return values.set(values.is_in(list(rules.nulls)), None)
    return values.fill_nan(None) if values.dtype.is_float() else values


def _of_text(text: pl.Series, dtype: pl.DataType, rules: TextRules) -> pl.Series:
    """Read the plain texts at once; only what is left goes the long way."""
    read = _plain(text, dtype, rules)
    left = (read.is_null() & text.is_not_null()).arg_true()
    if not len(left):
        return read
    rest = text.gather(left).str.strip_chars()
    return read.scatter(left, _unusual(rest.set(rest.is_in(list(rules.nulls)), None), dtype, rules))


def _plain(text: pl.Series, dtype: pl.DataType, rules: TextRules) -> pl.Series:
    if dtype == pl.Boolean:
        return pl.Series(text.name, [None], pl.Boolean).new_from_index(0, len(text))
    if isinstance(dtype, pl.Datetime):
        return _in_zone(_times(text, rules), dtype)
    return _finite(text.cast(dtype, strict=False))


def _unusual(text: pl.Series, dtype: pl.DataType, rules: TextRules) -> pl.Series:
    if dtype == pl.Boolean:
        lower = text.str.to_lowercase()
        known = lower.is_in(list(TRUE)) | lower.is_in(list(FALSE))
        return lower.is_in(list(TRUE)).set(~known.fill_null(value=False), None)
    if dtype.is_integer():
        numbers = _finite(text.cast(pl.Float64, strict=False))
        whole = (numbers == numbers.floor()) & (numbers.abs() < _EXACT_BELOW)
        return text.cast(dtype, strict=False).zip_with(
            text.cast(dtype, strict=False).is_not_null(),
            numbers.set(~whole.fill_null(value=False), None).cast(dtype, strict=False),
        )
    return _plain(text, dtype, rules)


def _finite(numbers: pl.Series) -> pl.Series:
    return numbers.set(~numbers.is_finite(), None) if numbers.dtype.is_float() else numbers


def _times(text: pl.Series, rules: TextRules) -> pl.Series:
    """Read times by each format in turn, each of what the ones before it left."""
    read = pl.Series(text.name, [None], INSTANT).new_from_index(0, len(text))
    for form in (*rules.time_formats, *_USUAL, None):
        left = (read.is_null() & text.is_not_null()).arg_true()
        if len(left):
            rest = text.gather(left)
            read = read.scatter(left, _iso(rest, rules) if form is None else _formatted(rest, form, rules))
    return read


def _formatted(text: pl.Series, form: str, rules: TextRules) -> pl.Series:
    if any(offset in form for offset in _OFFSETS):
        return _with_year(text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False))
    naive = _with_year(text.str.to_datetime(form, time_unit="us", strict=False))
    return _localised(naive, "UTC" if "%s" in form else rules.zone)


def _iso(text: pl.Series, rules: TextRules) -> pl.Series:
    parts = text.str.extract_groups(_ISO).struct.unnest()
    day, minute, second, fraction, offset = (parts.to_series(place) for place in range(5))
    canonical = (
        day + "T" + minute.fill_null("00:00") + second.fill_null(":00") + fraction.fill_null("").str.replace(",", ".")
    )
    naive = _with_year(canonical.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False))
    local = _localised(naive, rules.zone)
    if offset.is_null().all():
        return local
    return local.zip_with(offset.is_null(), _localised(naive, "UTC") - _offsets(offset))


def _offsets(offset: pl.Series) -> pl.Series:
    digits = offset.str.replace_all("[:Zz]", "").replace("", "+0000")
    sign = digits.str.starts_with("-").cast(pl.Int64) * -2 + 1
    minutes = digits.str.slice(1, 2).cast(pl.Int64) * 60 + digits.str.slice(3, 2).cast(pl.Int64)
    return (sign * minutes * 60_000_000).cast(pl.Duration("us"))


def _with_year(times: pl.Series) -> pl.Series:
    return times.set(~times.dt.year().is_between(*_YEARS), None)


def _localised(naive: pl.Series, zone: str) -> pl.Series:
    aware = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return aware.dt.convert_time_zone("UTC")


def _in_zone(instants: pl.Series, dtype: pl.Datetime) -> pl.Series:
    zoned = instants.dt.convert_time_zone(dtype.time_zone or "UTC")
    return (zoned if dtype.time_zone else zoned.dt.replace_time_zone(None)).dt.cast_time_unit(dtype.time_unit)


def _of_value(values: pl.Series, dtype: pl.DataType, rules: TextRules) -> pl.Series:
    source = values.dtype
    if isinstance(dtype, pl.Datetime) and source.is_temporal() and source != pl.Time and source != pl.Duration:
        return _in_zone(_instants(values, rules), dtype)
    if dtype == pl.Boolean and source.is_numeric():
        return (values == 1).set(~values.is_in([0, 1]).fill_null(value=False), None)
    if dtype.is_numeric() and (source.is_numeric() or source == pl.Boolean):
        return _number(values, dtype)
    if dtype == pl.String and (source.is_integer() or source == pl.Boolean):
        return values.cast(pl.String)
    raise TypeError(f"holds {type_name(source)}")


def _instants(values: pl.Series, rules: TextRules) -> pl.Series:
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone:
        return values.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    return _localised(values.cast(pl.Datetime("us")), rules.zone)


def _number(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    if values.dtype.is_float():
        values = values.fill_nan(None)
    read = values.cast(dtype, strict=False)
    if dtype.is_float() and not values.dtype.is_integer():
        return read
    changed = read.cast(values.dtype, strict=False).ne_missing(values)
    return read.set(changed, None)
