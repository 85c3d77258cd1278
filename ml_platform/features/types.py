"""The five field types as polars types, and how a frame is brought to them.

Offline rows come from tables, online rows from JSON; both pass through `widen`, so a feature never depends on the way
its row came in. Keep type decisions here, not in the rooms that read or write.
"""

from collections.abc import Sequence

import polars as pl

from ml_platform.contracts.errors import SchemaMismatch
from ml_platform.contracts.records import FieldType

INSTANT = pl.Datetime("us", "UTC")

POLARS_TYPES: dict[FieldType, pl.DataType] = {
    "string": pl.String(),
    "int64": pl.Int64(),
    "float64": pl.Float64(),
    "bool": pl.Boolean(),
    "timestamp": INSTANT,
}


def widen_type(dtype: pl.DataType) -> pl.DataType:
    """Give the wide type of a column: Int64, Float64, String or an instant in UTC; other types stay as they are."""
    if dtype.is_integer():
        return pl.Int64()
    if dtype.is_float() or dtype.is_decimal():
        return pl.Float64()
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return pl.String()
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return INSTANT
    return dtype


def widen(frame: pl.DataFrame) -> pl.DataFrame:
    """Cast every column to its wide type, see `widen_type`."""
    wider = {name: wide for name, dtype in frame.schema.items() if (wide := widen_type(dtype)) != dtype}
    return frame.with_columns(pl.col(name).cast(wide) for name, wide in wider.items()) if wider else frame


def field_type(column: str, dtype: pl.DataType) -> FieldType:
    """Name the field type of a column.

    Parameters
    ----------
    column : str
        Named in the error.
    dtype : pl.DataType
        Any width of integer or float counts; a timestamp must carry a time zone.

    Raises
    ------
    SchemaMismatch
        If the type is none of the five.
    """
    wide = widen_type(dtype)
    for name, known in POLARS_TYPES.items():
        if wide == known:
            return name
    raise SchemaMismatch.because(
        column,
        got=dtype,
        expected=f"one of {', '.join(POLARS_TYPES)}",
        hint="cast it in the source; times need a time zone",
    )


def require_columns(table: str, frame: pl.DataFrame, columns: tuple[str, ...]) -> None:
    """Check that a frame has some columns.

    Raises
    ------
    SchemaMismatch
        Naming the table and the columns it lacks.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise SchemaMismatch.because(
            table,
            got=f"no column {', '.join(missing)}",
            expected=", ".join(columns),
            hint="mend its source or the spec",
        )


def colliding_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of names that differ in capital letters alone: one table of the lake cannot hold both."""
    first: dict[str, str] = {}
    return [(first[name.lower()], name) for name in names if first.setdefault(name.lower(), name) != name]


def require_instant(table: str, frame: pl.DataFrame, column: str) -> None:
    """Check that a column holds aware instants (after `widen`).

    Raises
    ------
    SchemaMismatch
        Naming table and column.
    """
    dtype = frame.schema[column]
    if dtype != INSTANT:
        raise SchemaMismatch.because(
            f"{table}.{column}", got=dtype, expected="a timestamp with time zone", hint="localize it in the source"
        )
