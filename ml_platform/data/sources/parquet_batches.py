"""Reading a Parquet file batch by batch, only the columns that are wanted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import RawIOBase
from typing import Any

import polars as pl

from ml_platform.contracts.errors import SourceUnreadable
from ml_platform.data.sources.csv_blocks import columns_twice
from ml_platform.data.sources.shaping import PLACE

ROWS_AT_ONCE = 200_000


def read_parquet(
    name: str, stream: RawIOBase, wanted: Sequence[str] | None
) -> tuple[list[str], Iterator[pl.DataFrame]]:
    """Give the column names of a Parquet file, and the wanted columns (all, if None) with the number of each row.

    Raises
    ------
    SourceUnreadable
        If it is no Parquet file, a damaged one, or has two columns of one name.
    """
    import pyarrow.parquet as pq

    with _edge(name):
        file = pq.ParquetFile(stream)
        names: list[str] = list(file.schema_arrow.names)
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise columns_twice(name, twice)
    return names, _frames(name, file, [each for each in names if wanted is None or each in wanted])


def _frames(name: str, file: Any, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    import pyarrow as pa

    batches, row = file.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns), 1
    while True:
        with _edge(name):
            batch = next(batches, None)
        if batch is None:
            return
        frame = pl.DataFrame(pa.table(batch))
        yield frame.with_columns(pl.int_range(row, row + len(frame), dtype=pl.Int64).alias(PLACE))
        row += len(frame)


@contextmanager
def _edge(name: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except SourceUnreadable:
        raise
    except (pa.ArrowException, OSError) as error:
        said = str(error).partition("\n")[0]
        raise SourceUnreadable.because(
            name, got=said, expected="a Parquet file", hint="write it anew, or set source.format to what it is"
        ) from None
