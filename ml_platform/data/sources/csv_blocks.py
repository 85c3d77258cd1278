"""Cutting a CSV file into blocks of whole records before anything parses it: each bounded, and its fields counted.

What would mislead a parser is found here by file and line: a record without end, a quote in the middle of a field, a
record with too many or too few fields. Nothing here knows what a column means.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import RawIOBase, StringIO
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml_platform.contracts.errors import SourceUnreadable, examples
from ml_platform.data.sources.csv_text import utf8_chunks

RECORD_BYTES_AT_MOST = 4 * 2**20
NEWLINE, RETURN, QUOTE = 10, 13, 34
_SHOWN_FIELDS = 100
_SHOWN_CHARACTERS = 1000
Places = npt.NDArray[np.int64]


class Ragged(NamedTuple):
    """A record with too many or too few fields."""

    line: int
    fields: list[str]


@dataclass(frozen=True)
class Block:
    """Whole records in UTF-8, each with as many fields as the header; `lines` tells where each begins."""

    content: bytes
    lines: Places
    ragged: list[Ragged]


@dataclass(frozen=True)
class _Records:
    """Where the records of a piece of text begin and end, the lines they begin on, and how many fields they have."""

    content: bytes
    starts: Places
    ends: Places
    lines: Places
    fields: Places

    @property
    def whole(self) -> bytes:
        return self.content[self.starts[0] : self.ends[-1] + 1] if len(self.ends) else b""

    def text(self, place: int) -> str:
        return self.content[self.starts[place] : self.ends[place]].decode()


@dataclass(frozen=True)
class CsvText:
    """A CSV file that is read once, from its beginning.

    Parameters
    ----------
    name : str
        How errors name it.
    stream : binary file
        Open at its beginning.
    encoding, delimiter : str
        As the author declared them.
    """

    name: str
    stream: RawIOBase
    encoding: str = "utf-8"
    delimiter: str = ","

    def blocks(self) -> tuple[list[str], Iterator[Block]]:
        """Give the header, and the records after it.

        Raises
        ------
        SourceUnreadable
            If it holds no header, or what follows is not CSV in the declared encoding; names file and line.
        """
        pieces = self._pieces()
        for first in pieces:
            full = np.flatnonzero(~_blank(first))
            if len(full):
                header = self._header(first, int(full[0]))
                return header, self._cleaned(_from(first, int(full[0]) + 1), pieces, len(header))
        raise SourceUnreadable.because(
            self.name, got="an empty file", expected="a line of column names", hint="write it anew, or take it away"
        )

    def fields(self, record: str) -> list[str]:
        """Split one record."""
        try:
            return next(csv.reader(StringIO(record, newline=""), delimiter=self.delimiter), [])
        except csv.Error:  # a field longer than the module takes
            return [record[:_SHOWN_CHARACTERS]]

    def _header(self, first: _Records, place: int) -> list[str]:
        names = [name.strip() for name in self.fields(first.text(place))]
        if twice := sorted({name for name in names if name and names.count(name) > 1}):
            raise columns_twice(self.name, twice)
        return names

    def _cleaned(self, first: _Records, rest: Iterator[_Records], width: int) -> Iterator[Block]:
        yield self._clean(first, width)
        for records in rest:
            yield self._clean(records, width)

    def _clean(self, records: _Records, width: int) -> Block:
        is_blank = _blank(records)
        is_good = ~is_blank & (records.fields == width)
        lines = records.lines[is_good]
        if is_good.all():
            return Block(records.whole, lines, [])
        ragged = [
            Ragged(int(records.lines[place]), self.fields(records.text(place))[:_SHOWN_FIELDS])
            for place in map(int, np.flatnonzero(~is_blank & ~is_good))
        ]
        edges = np.flatnonzero(np.diff(is_good.astype(np.int8), prepend=0, append=0))
        runs = zip(edges[::2], edges[1::2] - 1, strict=True)
        parts = [records.content[records.starts[begin] : records.ends[end] + 1] for begin, end in runs]
        return Block(b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts), lines, ragged)

    def _pieces(self) -> Iterator[_Records]:
        """Cut the text after the last whole record of each block."""
        carried, line = b"", 1
        for chunk in utf8_chunks(self.name, self.stream, self.encoding):
            records = self._split(carried + chunk, line)
            if len(records.ends):
                yield records
                line += records.content.count(b"\n", 0, int(records.ends[-1]) + 1)
                carried = records.content[int(records.ends[-1]) + 1 :]
            else:
                carried = records.content
            self._refuse_long(len(carried), line)
        if carried:
            records = self._split(carried + b"\n", line)
            if not len(records.ends):
                raise SourceUnreadable.because(
                    f"{self.name}:{line}", got="a quote that is never closed", expected="a second one",
                    hint="mend the file from this line on",
                )  # fmt: skip
            yield records

    def _split(self, content: bytes, first_line: int) -> _Records:
        data = np.frombuffer(content, np.uint8)
        newlines, delimiters = np.flatnonzero(data == NEWLINE), np.flatnonzero(data == ord(self.delimiter))
        ends = newlines
        if b'"' in content:
            quotes = np.flatnonzero(data == QUOTE)
            ends, delimiters = _outside(quotes, newlines), _outside(quotes, delimiters)
            self._refuse_stray(data, quotes, newlines, first_line)
        starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
        lines = first_line + np.searchsorted(newlines, starts)
        if len(ends):
            longest = int(np.argmax(ends - starts))
            self._refuse_long(int(ends[longest] - starts[longest]), int(lines[longest]))
        before = np.searchsorted(delimiters, ends)
        return _Records(content, starts, ends, lines, np.diff(before, prepend=0) + 1)

    def _refuse_long(self, length: int, line: int) -> None:
        if length > RECORD_BYTES_AT_MOST:
            raise SourceUnreadable.because(
                f"{self.name}:{line}", got=f"a record of more than {RECORD_BYTES_AT_MOST // 2**20} MiB",
                expected="a row", hint="it may be a quote that is never closed, or no CSV at all; mend the file",
            )  # fmt: skip

    def _refuse_stray(self, data: npt.NDArray[np.uint8], quotes: Places, newlines: Places, first_line: int) -> None:
        """Refuse a quote inside a field: two of them would make one row of all that lies between."""
        opens, closes = quotes[::2], quotes[1::2]
        before = np.where(opens > 0, data[opens - 1], NEWLINE)
        after = np.where(closes + 1 < len(data), data[np.minimum(closes + 1, len(data) - 1)], NEWLINE)
        edges = (ord(self.delimiter), NEWLINE, QUOTE)
        strays = np.concatenate([opens[~np.isin(before, edges)], closes[~np.isin(after, (*edges, RETURN))]])
        if len(strays):
            line = first_line + int(np.searchsorted(newlines, strays.min()))
            raise SourceUnreadable.because(
                f"{self.name}:{line}", got="a quote in the middle of a field",
                expected='quotes around the whole field, and those in it doubled, like "5"" pipe"',
                hint="write the file anew with a CSV library",
            )  # fmt: skip


def columns_twice(name: str, twice: list[str]) -> SourceUnreadable:
    """Make the error for a file that has two columns of one name."""
    return SourceUnreadable.because(
        name, got=f"columns named twice: {examples(twice)}", expected="each name once", hint="rename them in the file"
    )


def _outside(quotes: Places, places: Places) -> Places:
    return places[np.searchsorted(quotes, places) % 2 == 0]


def _blank(records: _Records) -> npt.NDArray[np.bool_]:
    length = records.ends - records.starts
    is_return = np.zeros(len(length), bool)
    ones = length == 1
    is_return[ones] = np.frombuffer(records.content, np.uint8)[records.starts[ones]] == RETURN
    return (length == 0) | is_return


def _from(records: _Records, place: int) -> _Records:
    return _Records(
        records.content, records.starts[place:], records.ends[place:], records.lines[place:], records.fields[place:]
    )
