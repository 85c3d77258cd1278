"""Requests: from the bytes of a body to a frame that fits a signature, or a refusal that names what is wrong.

Both protocols end here, as columns of plain JSON values. A category that was never seen is no fault: it is served and
counted. Everything else that the model was not trained on is the caller's to mend.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import polars as pl

from ml_platform.contracts.errors import EXAMPLES_AT_MOST, RequestRejected
from ml_platform.contracts.records import FieldType, SignatureField
from ml_platform.features.types import POLARS_TYPES

_MISSING = object()
_INVALID = object()
_INT64 = range(-(2**63), 2**63)
_WHOLE_BELOW = 2**53  # from here on a float may stand for several integers
NAME_AT_MOST = 64


class Fault(NamedTuple):
    """One value that cannot be taken; `row` counts from 0."""

    field: str
    row: int
    got: str
    expected: str

    def __str__(self) -> str:
        return f"{self.field} in row {self.row}: got {self.got}, expected {self.expected}"


def rejected(what: str, *, got: object, expected: object, hint: str, status: int = 422) -> RequestRejected:
    """Build the refusal of a request; `what` is the field at fault."""
    return RequestRejected(f"{what}: got {got}, expected {expected}. Hint: {hint}", status=status, field=what)


def read_json(content: bytes) -> Any:
    """Decode a body.

    NaN and Infinity pass, although they are no JSON: the check of the values names the field that has them.

    Raises
    ------
    RequestRejected
        400, if it is not JSON.
    """
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):
        pass
    try:
        value = json.loads(content)
        json.dumps(value, ensure_ascii=False).encode()  # refuses halves of surrogate pairs
    except (ValueError, RecursionError) as error:
        reason = type(error).__name__ if isinstance(error, RecursionError | UnicodeError) else error
        hint = "send UTF-8 JSON"
        raise rejected("body", got=f"malformed JSON ({reason})", expected="JSON", hint=hint, status=400) from error
    return value


def rows_to_frame(
    rows: Sequence[Mapping[str, Any]], signature: Sequence[SignatureField], batch_at_most: int
) -> pl.DataFrame:
    """Check rows against a signature.

    Parameters
    ----------
    rows : sequence of mapping
        Raw rows as JSON gave them.
    signature : sequence of SignatureField
        The fields a row must have, no more and no less.
    batch_at_most : int
        How many rows are taken.

    Returns
    -------
    pl.DataFrame
        The signature's columns and types, in the order of the rows.

    Raises
    ------
    RequestRejected
        422 with at most five faults, after which nothing more is looked at; 413 if there are too many rows.
    """
    check_batch("rows", len(rows), batch_at_most)
    known = {field.name for field in signature}
    expected = f"one of {', '.join(sorted(known))}"
    _refuse(
        Fault(name[:NAME_AT_MOST], row, "a field that the model does not take", expected)
        for row, values in enumerate(rows)
        for name in values
        if name not in known
    )
    return columns_to_frame({name: [row.get(name, _MISSING) for row in rows] for name in known}, signature)


def columns_to_frame(columns: Mapping[str, Sequence[Any]], signature: Sequence[SignatureField]) -> pl.DataFrame:
    """Check columns of JSON values, one of equal length for each field; raises like `rows_to_frame`."""
    faults: list[Fault] = []
    checked: list[pl.Series] = []
    for field in signature:
        parse, values = _PARSERS[field.type], columns[field.name]
        parsed = [None if value is None and field.nullable else parse(value) for value in values]
        bad = [row for row, value in enumerate(parsed) if value is _INVALID]
        faults.extend(Fault(field.name, row, show(values[row]), _expected(field)) for row in bad)
        if not bad:
            checked.append(pl.Series(field.name, parsed, dtype=POLARS_TYPES[field.type]))
    _refuse(faults)
    return pl.DataFrame(checked)


def empty_frame(signature: Sequence[SignatureField]) -> pl.DataFrame:
    """Give a frame of no rows that fits a signature."""
    return columns_to_frame({field.name: [] for field in signature}, signature)


def check_batch(what: str, rows: int, batch_at_most: int) -> None:
    """Refuse an empty batch (422) and one beyond the limit (413)."""
    if not rows:
        raise rejected(what, got="an empty batch", expected="at least one row", hint="send a row")
    if rows > batch_at_most:
        expected = f"at most {batch_at_most}"
        raise rejected(what, got=f"{rows} rows", expected=expected, hint="send several requests", status=413)


def show(value: object) -> str:
    """Write a value of a request for a message, short."""
    if value is _MISSING:
        return "no such field"
    if isinstance(value, str | list | dict) and len(value) > 40:
        return f"a long {_NAMES[type(value)]}"
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"a long {_NAMES.get(type(value), 'value')}"


def _refuse(faults: Iterable[Fault]) -> None:
    found = list(islice(faults, EXAMPLES_AT_MOST + 1))
    if found:
        hint = "GET /v2/models/<pipeline> lists the fields"
        shown = "; ".join(map(str, found[:EXAMPLES_AT_MOST]))
        more = "; and more" if len(found) > EXAMPLES_AT_MOST else ""
        raise RequestRejected(f"{shown}{more}. Hint: {hint}", status=422, field=found[0].field)


def _expected(field: SignatureField) -> str:
    return f"{_WORDS[field.type]} or null" if field.nullable else _WORDS[field.type]


def _string(value: Any) -> object:
    return value if type(value) is str else _INVALID


def _int64(value: Any) -> object:
    if type(value) is float and value.is_integer() and abs(value) < _WHOLE_BELOW:
        return int(value)  # how pandas and JavaScript write whole numbers of a column with gaps
    return value if type(value) is int and value in _INT64 else _INVALID


def _float64(value: Any) -> object:
    if type(value) is int and value in _INT64:
        return float(value)
    return value if type(value) is float and math.isfinite(value) else _INVALID


def _bool(value: Any) -> object:
    return value if type(value) is bool else _INVALID


def _timestamp(value: Any) -> object:
    try:
        instant = datetime.fromisoformat(value) if type(value) is str else None
        return _INVALID if instant is None or instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return _INVALID


_PARSERS: dict[FieldType, Callable[[Any], object]] = {
    "string": _string,
    "int64": _int64,
    "float64": _float64,
    "bool": _bool,
    "timestamp": _timestamp,
}
_WORDS: dict[FieldType, str] = {
    "string": "a string",
    "int64": "an integer of 64 bits",
    "float64": "a finite number",
    "bool": "true or false",
    "timestamp": "an ISO 8601 time with offset, like 2013-07-01T12:00:00Z",
}
_NAMES = {str: "string", list: "list", dict: "object", int: "integer"}
