"""Reading somebody's files for the first time: which columns they have, some rows of each, and how many rows a day."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import islice

import polars as pl

from ml_platform.data.sources.casting import INSTANT, TextRules, cast
from ml_platform.data.sources.csv_blocks import CsvText
from ml_platform.data.sources.expressions import Expressions
from ml_platform.data.sources.files import read_block
from ml_platform.data.sources.locations import Found, Location, Stream
from ml_platform.data.sources.parquet_batches import read_parquet

ROWS_AT_MOST = 20_000  # of the sample
RUN_ROWS = 250  # that lie together, so that rows that stand twice are seen
BLOCKS_AT_MOST = 40  # that are read for it


@dataclass(frozen=True)
class Counted:
    """Rows of each day, and the most rows of one file in which no time could be read."""

    rows_by_day: Mapping[date, int]
    timeless: int


@dataclass(frozen=True)
class Files:
    """Files that nobody has described yet."""

    location: Location

    @cached_property
    def found(self) -> list[Found]:
        """Every file."""
        return self.location.every()

    @cached_property
    def headers(self) -> dict[str, list[str]]:
        """The column names of each file."""
        headers: dict[str, list[str]] = {}
        for found in self.found:
            with self.location.opened(found) as stream:
                headers[found.name] = self._open(found, stream, [])[0]
        return headers

    @property
    def columns(self) -> list[str]:
        """The columns that every file has, in the order of the first."""
        first, *others = self.headers.values()
        return [name for name in first if name and all(name in names for names in others)]

    @property
    def missing(self) -> dict[str, str]:
        """Columns that some file lacks, and the first such file."""
        shared = set(self.columns)
        partial = dict.fromkeys(
            name for names in self.headers.values() for name in names if name and name not in shared
        )
        return {name: next(file for file, names in self.headers.items() if name not in names) for name in partial}

    def sample(self, columns: Sequence[str]) -> pl.DataFrame:
        """Give some rows of many files: runs of rows that lie together, spread evenly over what is read."""
        chosen = self.found[:: -(-len(self.found) // BLOCKS_AT_MOST)]
        quota, blocks = -(-ROWS_AT_MOST // len(chosen)), BLOCKS_AT_MOST // len(chosen)
        parts: list[pl.DataFrame] = []
        for found in chosen:
            with closing(self.frames(found, columns)) as frames:
                parts.append(_thinned(pl.concat(islice(frames, blocks), how="vertical_relaxed"), quota))
        return pl.concat(parts, how="vertical_relaxed")

    def count(
        self, time: str, zone: str, expressions: Expressions, types: Mapping[str, pl.DataType], rules: TextRules
    ) -> Counted:
        """Count the rows of each day, of all files, that the author's condition keeps."""
        days: Counter[date] = Counter()
        timeless = 0
        for found in self.found:
            lost = 0
            for frame in self.frames(found, list(dict.fromkeys([time, *expressions.reads]))):
                typed = frame.with_columns(cast(frame[name], types[name], rules) for name in frame.columns)
                lost += typed[time].null_count()
                kept = typed.filter(expressions.keeps(expressions.derived(typed)).fill_null(value=False))
                local = kept[time].drop_nulls().cast(INSTANT).dt.convert_time_zone(zone).dt.date()
                days.update(dict(local.value_counts().iter_rows()))
            timeless = max(timeless, lost)
        return Counted(days, timeless)

    def frames(self, found: Found, columns: Sequence[str]) -> Generator[pl.DataFrame, None, None]:
        """Give some columns of a file, block by block: text of a CSV file, with types of a Parquet file."""
        with self.location.opened(found) as stream:
            for frame in self._open(found, stream, columns)[1]:
                yield frame.select(columns)

    def _open(self, found: Found, stream: Stream, columns: Sequence[str]) -> tuple[list[str], Iterator[pl.DataFrame]]:
        if self.location.format_of(found) == "parquet":
            return read_parquet(found.name, stream, columns)
        source = self.location.source
        text = CsvText(found.name, stream, source.encoding, source.delimiter)
        names, blocks = text.blocks()
        return names, (read_block(text, block, names, columns, "" in source.null_values) for block in blocks)


def _thinned(rows: pl.DataFrame, quota: int) -> pl.DataFrame:
    """Keep every so many runs of rows, so that about the quota is left."""
    step = max(1, -(-len(rows) // quota))
    return rows.filter(pl.int_range(pl.len()) // RUN_ROWS % step == 0)
