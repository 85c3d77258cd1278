"""CSV is cut into blocks of whole records as a slow reader would, and what is no CSV is refused by file and line."""

import csv
from io import BytesIO, RawIOBase, StringIO
from typing import cast

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_platform.contracts.errors import SourceUnreadable
from ml_platform.data.sources import csv_blocks, csv_text
from ml_platform.data.sources.csv_blocks import CsvText
from ml_platform.data.sources.files import read_block
from ml_platform.data.sources.shaping import PLACE

CELLS = st.text(st.sampled_from('ab,"\n\r;é '), max_size=5)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=12)
)


def _text(content: bytes, **options: str) -> CsvText:
    return CsvText("f.csv", cast("RawIOBase", BytesIO(content)), **options)


def _read(text: CsvText) -> tuple[list[str], pl.DataFrame, list[csv_blocks.Ragged]]:
    names, blocks = text.blocks()
    frames, ragged = [], []
    for block in blocks:
        frames.append(read_block(text, block, names, names, empty_is_null=False))
        ragged += block.ragged
    return names, pl.concat(frames), ragged


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TABLES, st.sampled_from(["\n", "\r\n"]), st.integers(1, 40), st.sampled_from([",", ";"]))
def test_any_table_comes_back(
    monkeypatch: pytest.MonkeyPatch, table: list[list[str]], end: str, block_bytes: int, delimiter: str
) -> None:
    """Quotes, delimiters and line ends in cells, blocks of any size; each row with the line it begins on."""
    monkeypatch.setattr(csv_text, "CHUNK_BYTES", block_bytes)
    written = StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    header = [f"c{place}" for place in range(len(table[0]))]
    lines = []
    for row in [header, *table]:
        lines.append(written.getvalue().count("\n") + 1)
        writer.writerow(row)
    names, frame, ragged = _read(_text(written.getvalue().encode(), delimiter=delimiter))
    assert (names, ragged) == (header, [])
    assert frame.drop(PLACE).rows() == [tuple(row) for row in table]
    assert frame[PLACE].to_list() == lines[1:]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.text("abé ", min_size=1, max_size=3), max_size=4), max_size=12),
    st.integers(1, 40),
    st.booleans(),
)
def test_every_record_is_a_row_or_named(
    monkeypatch: pytest.MonkeyPatch, table: list[list[str]], block_bytes: int, is_ended: bool
) -> None:
    """None is lost, none is made up: too many or too few fields are told by line; blank lines are no rows."""
    monkeypatch.setattr(csv_text, "CHUNK_BYTES", block_bytes)
    text = "\n".join(["x,y", *(",".join(row) for row in table)]) + ("\n" if is_ended else "")
    _, frame, ragged = _read(_text(text.encode()))
    rows = {2 + place: row for place, row in enumerate(table) if row}
    assert dict(zip(frame[PLACE], frame.drop(PLACE).rows(), strict=True)) == {
        line: tuple(row) for line, row in rows.items() if len(row) == 2
    }
    assert {each.line: each.fields for each in ragged} == {line: row for line, row in rows.items() if len(row) != 2}


def test_the_header_is_the_first_line_that_is_not_blank() -> None:
    """Without spaces around its names, and without the mark of the byte order."""
    names, frame, _ = _read(_text(b"\xef\xbb\xbf\n\r\n a , b\r\n1,2"))
    assert names == ["a", "b"]
    assert frame.rows() == [("1", "2", 4)]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "cp1252", "utf-8"])
def test_the_encoding_is_honoured(encoding: str) -> None:
    _, frame, _ = _read(_text("a,b\né,ö\n".encode(encoding), encoding=encoding))
    assert frame.drop(PLACE).rows() == [("é", "ö")]


REFUSED = {
    "empty": (b"", {}, r"f\.csv: got an empty file, expected a line of column names\. Hint"),
    "blank": (b"\n\r\n", {}, r"f\.csv: got an empty file"),
    "binary": (b"a,b\n1,\0\n", {}, r"f\.csv:2: got a NUL byte, expected CSV, which is text\. Hint"),
    "binary that is no text either": (bytes(range(256)), {}, r"f\.csv:1: got a NUL byte"),
    "parquet": (b"PAR1\0", {}, r"f\.csv: got a Parquet file, expected CSV.* Hint: set source\.format"),
    "excel": (b"PK\x03\x04rest", {}, r"f\.csv: got a zip archive or an Excel file"),
    "latin-1": (b"a,b\n1,2\n\xe9,2\n", {}, r"f\.csv:3: got byte 0xe9, expected text in utf-8\. Hint: set source\.enc"),
    "half a character": (b"a\n\xc3", {}, r"f\.csv:2: got byte 0xc3 at its end, .* Hint: copy the file again"),
    "utf-16": ("a,b\n".encode("utf-16"), {}, r"f\.csv: got text in UTF-16.* Hint: set source\.encoding to utf-16"),
    "names twice": (b"a,b,a\n1,2,3\n", {}, r"f\.csv: got columns named twice: a, expected each name once"),
    "open quote": (b'a,b\n1,2\n"3,4\n5,6\n', {}, r"f\.csv:3: got a quote that is never closed"),
    "quote opens inside": (b'a,b\n1,2\n5" pipe,x\n6" pipe,y\n', {}, r"f\.csv:3: got a quote in the middle of a field"),
    "quote closes inside": (b'a,b\n1,2\n"x"y,2\n', {}, r"f\.csv:3: got a quote in the middle of a field"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("block_bytes", [7, 2**20])
def test_what_is_no_csv_is_refused(monkeypatch: pytest.MonkeyPatch, case: str, block_bytes: int) -> None:
    """By file and line, with what to do."""
    content, options, said = REFUSED[case]
    monkeypatch.setattr(csv_text, "CHUNK_BYTES", block_bytes)
    with pytest.raises(SourceUnreadable, match=said):
        _read(_text(content, **options))


@pytest.mark.parametrize(("more", "is_read"), [(0, True), (1, False)])
@pytest.mark.parametrize("tail", [b"\n", b"", b"\n2,y\n"])
def test_a_record_is_bounded(monkeypatch: pytest.MonkeyPatch, more: int, is_read: bool, tail: bytes) -> None:
    """Before it is parsed, at its limit, be it the last one or not."""
    monkeypatch.setattr(csv_blocks, "RECORD_BYTES_AT_MOST", 2**20)
    content = b"a,b\n1," + b"x" * (2**20 - 2 + more) + tail
    if is_read:
        assert _read(_text(content))[1]["b"].str.len_bytes()[0] == 2**20 - 2
    else:
        with pytest.raises(SourceUnreadable, match=r"f\.csv:2: got a record of more than 1 MiB"):
            _read(_text(content))


def test_a_line_of_50_mb_is_refused_before_the_rest_is_read() -> None:
    """As a line, and as a quote that is never closed."""
    for begin in (b"1,", b'1,"'):
        stream = BytesIO(b"a,b\n" + begin + b"x\n"[: 1 if begin == b"1," else 2] * (50 * 2**20))
        text = CsvText("f.csv", cast("RawIOBase", stream))
        with pytest.raises(SourceUnreadable, match=r"f\.csv:2: got a record of more than 4 MiB"):
            _read(text)
        assert stream.tell() <= 2 * csv_text.CHUNK_BYTES


def test_a_ragged_record_with_a_huge_field_is_told_shortened() -> None:
    """The slow reader takes no field beyond its own limit."""
    _, frame, [ragged] = _read(_text(b"a,b\n" + b"x" * 200_000 + b"\n1,2\n"))
    assert len(frame) == 1
    assert len(ragged.fields[0]) == 1000
