"""The source `python`: the author's function is asked for one window and its answer is held against the schema.

Only columns and types are judged here; whether a row is good is `quality`'s business.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pandera.pandas as pa
import polars as pl

from ml_platform.contracts.errors import SchemaMismatch, examples
from ml_platform.contracts.records import Window
from ml_platform.data.sources.gathering import Gathering, Place
from ml_platform.data.sources.loaded import Loaded
from ml_platform.data.sources.shaping import PLACE, Shaper

Load = Callable[[Window], pd.DataFrame]


@dataclass(frozen=True)
class PythonReader:
    """The author's function, asked for one window at a time.

    Parameters
    ----------
    name : str
        What errors and origins call it.
    function : Load
        Gives the rows whose event time lies in a window.
    shaper : Shaper
        What becomes of its columns.
    """

    name: str
    function: Load
    shaper: Shaper

    def load(self, keys: Sequence[str]) -> Loaded:
        """Give the rows of a contiguous run of partitions; see `Reader`."""
        shaper, target = self.shaper, self.shaper.target
        frame = self.function(target.calendar.window(keys))
        types = {name: target.schema.columns[name].dtype.type for name in shaper.plain}
        others = [name for name in shaper.reads if name not in types]
        read = _read("source", frame, types | dict.fromkeys(others), hint="mend the source, or the schema")
        typed = _to_polars("source", read).with_row_index(PLACE, offset=1)
        place = Place(self.name, frozenset(keys).__contains__, "not one of those asked for", keys[0])
        gathering = Gathering(target, keys)
        gathering.add(place, [shaper.guess(typed).shape(self.name, typed)])
        return gathering.loaded()


def read_lookup(
    frame: pd.DataFrame, name: str, columns: Mapping[str, pl.DataType], join_on: Sequence[str]
) -> pl.DataFrame:
    """Take over a lookup table: the columns that are joined on and the declared ones, each as its declared type.

    Raises
    ------
    SchemaMismatch
        If it is no frame, or a column is missing or does not hold its type; names every such column.
    """
    types = dict.fromkeys(join_on) | {column: _PANDAS_TYPES[type(dtype)] for column, dtype in columns.items()}
    return _to_polars(f"lookup {name}", _read(f"lookup {name}", frame, types, hint="mend its source or the spec"))


def read_as(frame: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Give the schema's columns, each as its type.

    Raises
    ------
    SchemaMismatch
        If it is no frame, or a column is missing or does not hold its type; names every such column.
    """
    types = {name: column.dtype.type for name, column in schema.columns.items()}
    return _read("source", frame, types, hint="mend the source, or the schema")


def _to_polars(what: str, frame: pd.DataFrame) -> pl.DataFrame:
    columns: dict[str, pl.Series] = {}
    for name in frame.columns:
        try:
            columns[name] = pl.from_pandas(frame[name])
        except (TypeError, ValueError) as error:
            raise SchemaMismatch.because(
                f"{what}: {name}",
                got=f"values of several types ({error})",
                expected="one type in each column",
                hint="convert them in the source",
            ) from error
    return pl.DataFrame(columns)


def _read(what: str, frame: object, types: Mapping[str, Any], hint: str) -> pd.DataFrame:
    if not isinstance(frame, pd.DataFrame):
        raise SchemaMismatch.because(what, got=type(frame).__name__, expected="a pandas DataFrame", hint="return one")
    missing = [name for name in types if name not in frame.columns]
    if missing:
        raise SchemaMismatch.because(
            f"{what}: missing columns", got=examples(frame.columns), expected=examples(missing), hint=hint
        )
    read: dict[str, pd.Series] = {}
    wrong: list[str] = []
    for name, dtype in types.items():
        try:
            read[name] = frame[name] if dtype is None else _cast(frame[name], dtype)
        except (TypeError, ValueError) as error:
            wrong.append(f"{name} ({frame[name].dtype}, not {dtype}: {error})")
    if wrong:
        raise SchemaMismatch.because(
            f"{what}: wrong types",
            got=examples(wrong),
            expected="the declared types",
            hint="convert them in the source",
        )
    return pd.DataFrame(read).reset_index(drop=True)


_PANDAS_TYPES: dict[type[pl.DataType], Any] = {
    pl.String: "string",
    pl.Int64: "Int64",
    pl.Float64: "float64",
    pl.Boolean: "boolean",
    pl.Datetime: "datetime64[us, UTC]",
}
_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "boolean")
# Which values may be read as a type, and the type on the way there that refuses to lose a null or a fraction.
_READABLE: tuple[tuple[Callable[[Any], bool], tuple[str, ...], Any], ...] = (
    (pd.api.types.is_bool_dtype, ("boolean",), "boolean"),
    (pd.api.types.is_integer_dtype, _NUMBERS, "Int64"),
    (pd.api.types.is_float_dtype, _NUMBERS, "float64"),
    (pd.api.types.is_datetime64_any_dtype, ("datetime64", "datetime"), None),
    (pd.api.types.is_string_dtype, ("string",), None),
)


def _cast(values: pd.Series, dtype: Any) -> pd.Series:
    """Read values as a type without changing any: no fraction cut, no text taken for a number, no null made a value."""
    kind = "empty" if values.isna().all() else pd.api.types.infer_dtype(values, skipna=True)
    for is_of, kinds, exact in _READABLE:
        if is_of(dtype):
            if kind not in (*kinds, "empty"):
                raise TypeError(f"holds {kind}")
            values = values if exact is None else values.astype(exact)
            break
    is_plain_text = getattr(dtype, "kind", None) == "U"  # numpy would write a null as "None"
    return values.astype(object if is_plain_text else dtype)
