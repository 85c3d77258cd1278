"""A bounded look at the files of a source, before there is a pipeline: what `ml-platform new` decides on."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from ml_platform.contracts.errors import SourceUnreadable
from ml_platform.data.sources.csv_blocks import CsvText
from ml_platform.data.sources.files import read_block
from ml_platform.data.sources.locations import Found, Location
from ml_platform.data.sources.parquet_batches import read_parquet
from ml_platform.data.sources.shaping import PLACE

FILES_AT_MOST = 12


@dataclass(frozen=True)
class Sample:
    """Rows from some of a source's files.

    Parameters
    ----------
    frame : (n_rows, n_columns)
        Every column of the files read; CSV columns are text with null for no value, Parquet columns have their type,
        or are text where the files differ.
    files : tuple of str
        All files of the source, by name.
    read : tuple of str
        Those of them that were looked into.
    """

    frame: pl.DataFrame
    files: tuple[str, ...]
    read: tuple[str, ...]


def read_sample(location: Location, rows_at_most: int = 20_000, files_at_most: int = FILES_AT_MOST) -> Sample:
    """Read rows from the beginning of some files, evenly chosen, the first and the last among them.

    Raises
    ------
    SourceUnreadable
        If there is no file, or one of them cannot be read; names it.
    """
    files = location.every()
    chosen = _spread(files, files_at_most)
    each = max(1, rows_at_most // len(chosen))
    frames = [frame for found in chosen if (frame := _beginning(location, found, each)).width]
    if not any(len(frame) for frame in frames):
        raise SourceUnreadable.because(
            f"source.path {location.source.path}", got=f"no row in {len(chosen)} files", expected="rows to look at",
            hint="mend source.path",
        )  # fmt: skip
    return Sample(_together(frames), tuple(each.name for each in files), tuple(each.name for each in chosen))


def _spread(files: Sequence[Found], at_most: int) -> list[Found]:
    if len(files) <= at_most:
        return list(files)
    return [files[round(place * (len(files) - 1) / (at_most - 1))] for place in range(at_most)]


def _beginning(location: Location, found: Found, rows: int) -> pl.DataFrame:
    source = location.source
    with location.opened(found) as stream:
        if location.format_of(found) == "parquet":
            names, frames = read_parquet(found.name, stream, None)
            first = next(frames, pl.DataFrame(schema=dict.fromkeys(names, pl.Null)))
        else:
            text = CsvText(found.name, stream, source.encoding, source.delimiter)
            names, blocks = text.blocks()
            first = read_block(text, next(blocks), names, [name for name in names if name], "" in source.null_values)
            first = first.with_columns(pl.col(pl.String).replace(dict.fromkeys(source.null_values)))
    return first.head(rows).drop(PLACE, strict=False)


def _together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put frames below each other; a column whose type differs between them becomes text."""
    types: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            types.setdefault(name, set()).add(dtype)
    mixed = [name for name, kinds in types.items() if len(kinds - {pl.Null()}) > 1]
    texts = [
        frame.with_columns(pl.col(each).cast(pl.String) for each in mixed if each in frame.columns) for frame in frames
    ]
    return pl.concat(texts, how="diagonal_relaxed")
