"""The source `files`: CSV and Parquet, read block by block, so that memory holds one block and the rows asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import RawIOBase

import polars as pl

from ml_platform.contracts.errors import SourceUnreadable
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.sources.csv_blocks import Block, CsvText, Ragged
from ml_platform.data.sources.gathering import Gathering, Place
from ml_platform.data.sources.loaded import CONTENT, ORIGIN, REASON, REJECTED_TYPES, Loaded
from ml_platform.data.sources.locations import Found, Location
from ml_platform.data.sources.parquet_batches import read_parquet
from ml_platform.data.sources.shaping import CELL_AT_MOST, PLACE, Shaped, Shaper


@dataclass(frozen=True)
class FilesReader:
    """A source of files.

    Parameters
    ----------
    location : Location
        Where they lie.
    shaper : Shaper
        What becomes of their columns.
    """

    location: Location
    shaper: Shaper

    def load(self, keys: Sequence[str]) -> Loaded:
        """Give the rows of a contiguous run of partitions; see `Reader`."""
        gathering = Gathering(self.shaper.target, keys)
        for place, found in self._places(keys):
            with self.location.opened(found) as stream:
                names, frames = self._frames(found, stream)
                self.shaper.require(found.name, names)
                gathering.ignore(found.name, [name for name in names if name not in self.shaper.reads])
                gathering.add(place, self._shaped(found, frames))
        return gathering.loaded()

    def _places(self, keys: Sequence[str]) -> Iterator[tuple[Place, Found]]:
        if not self.location.is_template:
            yield from ((Place(found.name), found) for found in self.location.every())
            return
        every = self.shaper.target.calendar.keys()
        for path, files in self.location.of(keys).items():
            own = [key for key in every if self.location.path_of(key) == path]
            for found in files:
                yield Place(found.name, frozenset(own).__contains__, "not one of its file's", own[0]), found

    def _shaped(self, found: Found, frames: Iterator["_Part"]) -> Iterator[Shaped]:
        shaper, rows = None, 0
        for part in frames:
            shaper = shaper or self.shaper.guess(part.frame)
            rows += len(part.frame) + len(part.ragged)
            shaped = shaper.shape(found.name, part.frame)
            yield Shaped(shaped.good, shaped.bad.vstack(part.ragged), shaped.filtered)
        if not rows and self.location.source.empty == "refuse":
            raise SourceUnreadable.because(
                found.name, got="no rows", expected="at least one",
                hint="write it anew or take it away; source.empty: allow takes files without rows",
            )  # fmt: skip

    def _frames(self, found: Found, stream: RawIOBase) -> tuple[list[str], Iterator["_Part"]]:
        if self.location.format_of(found) == "parquet":
            names, frames = read_parquet(found.name, stream, self.shaper.reads)
            return names, (_Part(frame, _no_ragged()) for frame in frames)
        source = self.location.source
        text = CsvText(found.name, stream, source.encoding, source.delimiter)
        names, blocks = text.blocks()
        return names, (self._part(found, text, names, block) for block in blocks)

    def _part(self, found: Found, text: CsvText, names: list[str], block: Block) -> "_Part":
        frame = read_block(text, block, names, self.shaper.reads, "" in self.location.source.null_values)
        return _Part(frame, _ragged(found.name, block.ragged, len(names)))


@dataclass(frozen=True)
class _Part:
    frame: pl.DataFrame
    ragged: pl.DataFrame


def read_block(
    text: CsvText, block: Block, names: Sequence[str], wanted: Sequence[str], empty_is_null: bool = True
) -> pl.DataFrame:
    """Parse a block of CSV: the wanted columns, all of them text, and the line of each row.

    Raises
    ------
    SourceUnreadable
        If polars cuts it into other rows than we did.
    """
    columns = sorted(names.index(name) for name in wanted)
    found = [names[place] for place in columns]
    if not block.content:
        return pl.DataFrame(schema={**dict.fromkeys(found, pl.String()), PLACE: pl.Int64()})
    frame = pl.read_csv(
        block.content, has_header=False, infer_schema=False, columns=columns, separator=text.delimiter,
        empty_string_is_null=empty_is_null,
    )  # fmt: skip
    if len(frame) != len(block.lines):
        raise SourceUnreadable.because(
            f"{text.name}:{block.lines[0]}", got=f"{len(frame)} rows in {len(block.lines)} records",
            expected="one row a record", hint="write the file anew with a CSV library",
        )  # fmt: skip
    frame.columns = found
    return frame.with_columns(pl.Series(PLACE, block.lines, pl.Int64))


def _ragged(name: str, ragged: Sequence[Ragged], width: int) -> pl.DataFrame:
    if not ragged:
        return _no_ragged()
    fields = pl.Series([[field[:CELL_AT_MOST] for field in each.fields] for each in ragged], dtype=pl.List(pl.String))
    return pl.DataFrame(
        {
            PARTITION: pl.Series([None] * len(ragged), dtype=pl.String),
            REASON: [f"{len(each.fields)} fields, not {width}" for each in ragged],
            ORIGIN: [f"{name}:{each.line}" for each in ragged],
            CONTENT: pl.DataFrame({"fields": fields}).select(pl.struct("fields").struct.json_encode()).to_series(),
        },
        schema=REJECTED_TYPES,
    )


def _no_ragged() -> pl.DataFrame:
    return pl.DataFrame(schema=REJECTED_TYPES)
