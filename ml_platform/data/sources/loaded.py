"""What a source gives, whatever its kind: rows of the schema, rows that could not be read, and where both came from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd
import pandera.pandas as pa
import polars as pl

from ml_platform.data.calendar import Calendar
from ml_platform.data.lake.tables import PARTITION

REASON, ORIGIN, CONTENT = "reason", "origin", "content"
REJECTED_TYPES: dict[str, pl.DataType] = dict.fromkeys((PARTITION, REASON, ORIGIN, CONTENT), pl.String())


def nothing_rejected() -> pl.DataFrame:
    """Give the table of rejected rows without a row."""
    return pl.DataFrame(schema=REJECTED_TYPES)


@dataclass(frozen=True)
class Loaded:
    """The rows of some partitions.

    Parameters
    ----------
    rows : (n_rows, n_columns + 1)
        The schema's columns, each as its type, and `partition`.
    rejected : (n_rejected, 4)
        Rows that could not be read: `partition`, `reason`, `origin` (`file.csv:17`), `content` (the row as JSON).
    origins : mapping
        Each file that was read, or the query or function, and how many of the rows came from it.
    notes : tuple of str
        What else happened to rows or columns: ignored, filtered, outside the pipeline's range.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame = field(default_factory=nothing_rejected)
    origins: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Reader(Protocol):
    """A source that is ready to be asked."""

    def load(self, keys: Sequence[str]) -> Loaded:
        """Give the rows of a contiguous run of partitions.

        Raises
        ------
        PlatformError
            If the source cannot be read at all; names the file, the query or the columns.
        """
        ...


@dataclass(frozen=True)
class Target:
    """What the rows of a source must become.

    Parameters
    ----------
    schema : pandera schema
        Names and types of the columns.
    calendar : Calendar
        Which partitions there are.
    event_time : str
        The column that tells a row's partition.
    """

    schema: pa.DataFrameSchema
    calendar: Calendar
    event_time: str

    @cached_property
    def types(self) -> dict[str, pl.DataType]:
        """The polars type of each column."""
        return raw_types(self.schema)

    @cached_property
    def never_null(self) -> frozenset[str]:
        """The columns whose type has no null: numpy's integers and bools."""
        types = {name: column.dtype.type for name, column in self.schema.columns.items()}
        return frozenset(name for name, dtype in types.items() if isinstance(dtype, np.dtype) and dtype.kind in "iub")


def raw_types(schema: pa.DataFrameSchema) -> dict[str, pl.DataType]:
    """Give the polars type of each column of a schema."""
    empty = pd.DataFrame({name: pd.Series(dtype=column.dtype.type) for name, column in schema.columns.items()})
    return dict(pl.from_pandas(empty).schema)
