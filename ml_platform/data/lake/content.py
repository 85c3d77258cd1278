"""The content hash of a partition: equal rows give an equal hash, in any order, in any process, however they are cut.

What is hashed is a form of our own, not a file's bytes, so it outlives versions of the libraries. Values are compared
as a reader sees them: a column without any value in the partition counts as absent, because a table that gains
the column later reads as nulls there; -0.0 is 0.0, and one NaN is like another.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

PARTITION = "partition"


@dataclass(frozen=True)
class _Column:
    """One column of all partitions, as bytes: which rows have a value, and the values one after another."""

    name: str
    kind: str
    has_value: NDArray[np.uint8]
    values: NDArray[Any]
    text: memoryview | None = None  # of strings, where `values` are their offsets

    def add_to(self, digest: "hashlib._Hash", first: int, end: int) -> None:
        """Hash rows `first` to `end`; name, type and number of rows lead, so that no two columns can be confused."""
        has_value = self.has_value[first:end]
        if not has_value.any():
            return
        digest.update(json.dumps([self.name, self.kind, end - first]).encode())
        digest.update(has_value.data)
        if self.text is None:
            digest.update(self.values[first:end].data)
            return
        offsets = self.values[first : end + 1]
        digest.update(np.diff(offsets).data)
        digest.update(self.text[offsets[0] : offsets[-1]])


def content_hashes(frame: pl.DataFrame, partitions: Sequence[str]) -> dict[str, str]:
    """Give the SHA-256 of each partition's rows.

    Parameters
    ----------
    frame : (n_rows, n_columns)
        With a string column `partition`, which is not hashed itself.
    partitions : sequence of str
        The partitions to hash; one without rows has the hash of no rows.

    Returns
    -------
    dict of str to str
        Partition -> SHA-256 in hex.
    """
    names = sorted(name for name in frame.columns if name != PARTITION)
    plain = frame.select(PARTITION, *(_plain(name, frame.schema[name]) for name in names))
    plain = plain.sort(PARTITION, *names, nulls_last=False).rechunk()
    columns = [_column(plain[name], _kind(frame.schema[name])) for name in names]
    counts = plain.group_by(PARTITION, maintain_order=True).len()
    ends = counts.with_columns(first=pl.col("len").cum_sum() - pl.col("len"), end=pl.col("len").cum_sum())
    spans = {key: (first, end) for key, first, end in ends.select(PARTITION, "first", "end").iter_rows()}
    return {key: _digest(columns, *spans.get(key, (0, 0))) for key in partitions}


def _digest(columns: list[_Column], first: int, end: int) -> str:
    digest = hashlib.sha256(f"{end - first} rows".encode())
    for column in columns:
        column.add_to(digest, first, end)
    return digest.hexdigest()


def _plain(name: str, dtype: pl.DataType) -> pl.Expr:
    """Give a column as numbers or text, where equal values look equal."""
    column = pl.col(name)
    if dtype.is_float():
        return (
            pl.when(column.is_nan())
            .then(math.nan)
            .when(column == 0)
            .then(0.0)
            .otherwise(column)
            .cast(dtype)
            .alias(name)
        )
    if dtype.is_nested():
        return pl.when(column.is_not_null()).then(pl.struct(column).struct.json_encode()).alias(name)
    if (dtype.is_numeric() and not dtype.is_decimal()) or dtype.is_temporal() or dtype == pl.Boolean:
        return column.to_physical()
    return column.cast(pl.Binary if dtype == pl.Binary else pl.String)


def _kind(dtype: pl.DataType) -> str:
    """Name a type, in words that do not depend on how polars writes it."""
    unit, zone = getattr(dtype, "time_unit", None), getattr(dtype, "time_zone", None)
    return " ".join([type(dtype).__name__, *(str(each) for each in (unit, zone) if each)])


def _column(values: pl.Series, kind: str) -> _Column:
    has_value = values.is_not_null().to_numpy().astype(np.uint8)
    if values.dtype not in (pl.String, pl.Binary):
        zero = False if values.dtype == pl.Boolean else 0
        return _Column(values.name, kind, has_value, np.ascontiguousarray(values.fill_null(zero).to_numpy()))
    text = values.cast(pl.Binary).fill_null(b"").to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, content = text.buffers()
    return _Column(values.name, kind, has_value, np.frombuffer(offsets, np.int64)[: len(text) + 1], memoryview(content))
