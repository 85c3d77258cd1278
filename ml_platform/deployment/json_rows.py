"""Rows of a frame as a request carries them: plain JSON values."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any


def plain_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give rows whose every value JSON can hold; what is unequal to itself (NaN, NaT) is no value."""
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if value is None or value != value:
        return None
    if isinstance(value, date):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value
