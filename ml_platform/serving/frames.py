"""Rows of a pandas frame, as MLflow hands them over, checked like those of a request.

pandas writes a missing value in many ways, and an integer with gaps as a float. Here each becomes the JSON value that a
caller of the server would have sent, so that every door takes and refuses the same.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from ml_platform.contracts.records import SignatureField
from ml_platform.serving.requests import columns_to_frame


def pandas_to_frame(rows: Any, signature: Sequence[SignatureField]) -> pl.DataFrame:
    """Check the rows of a pandas frame against a signature.

    Parameters
    ----------
    rows : pd.DataFrame
        Times without a zone are UTC. A column that may be null may be absent.
    signature : sequence of SignatureField
        The fields of a row; other columns are dropped.

    Raises
    ------
    RequestRejected
        With at most five values that do not fit.
    """
    columns: Mapping[str, Any] = {str(name): rows[name] for name in rows.columns}
    values = {field.name: _values(columns.get(field.name), field, len(rows)) for field in signature}
    return columns_to_frame(values, signature)


def _values(column: Any, field: SignatureField, count: int) -> list[Any]:
    """Return plain values of a column, None where one is missing."""
    if column is None:
        return [None] * count
    is_missing = column.isna().tolist()
    plain = [None if gone else value for value, gone in zip(column.tolist(), is_missing, strict=True)]
    return [_instant(value) for value in plain] if field.type == "timestamp" else [_item(value) for value in plain]


def _item(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value  # numpy's numbers in a column of objects


def _instant(value: Any) -> Any:
    """Return a time as text with its zone; what is none stays as it is, to be refused by name."""
    if isinstance(value, datetime):  # pandas counts nanoseconds
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat(timespec="microseconds")
    try:
        return _instant(datetime.fromisoformat(value)) if type(value) is str else value
    except ValueError:
        return value
