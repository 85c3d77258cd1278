"""The text of a file as UTF-8, chunk by chunk; what is no text in the declared encoding is refused by file and line."""

import codecs
from collections.abc import Iterator
from io import RawIOBase

from ml_platform.contracts.errors import SourceUnreadable

CHUNK_BYTES = 16 * 2**20
_OTHERS = {b"PAR1": "a Parquet file", b"PK\x03\x04": "a zip archive or an Excel file", b"\x1f\x8b": "a gzip archive"}
_WIDE = ("utf-16", "utf-32")
_NUL = b"\0"


def utf8_chunks(name: str, stream: RawIOBase, encoding: str) -> Iterator[bytes]:
    """Read a file, without the mark of its byte order.

    Raises
    ------
    SourceUnreadable
        If it holds bytes that are no text in this encoding; names file and line.
    """
    known = codecs.lookup(encoding).name
    decoder = codecs.getincrementaldecoder("utf-8-sig" if known == "utf-8" else encoding)()
    line, is_first = 1, True
    while chunk := stream.read(CHUNK_BYTES):
        if is_first:
            _refuse_other_kinds(name, chunk, known)
        if not known.startswith(_WIDE):
            _refuse_nul(name, chunk, line)
        text = _decoded(name, decoder, chunk, line, known)
        _refuse_nul(name, text, line)
        line, is_first = line + text.count(b"\n"), False
        yield text
    _decoded(name, decoder, b"", line, known)


def _decoded(name: str, decoder: codecs.IncrementalDecoder, chunk: bytes, line: int, encoding: str) -> bytes:
    try:
        return decoder.decode(chunk, final=not chunk).encode()
    except UnicodeDecodeError as error:
        at = line + error.object.count(b"\n", 0, error.start)
        raise SourceUnreadable.because(
            f"{name}:{at}", got=f"byte 0x{error.object[error.start]:02x}" + ("" if chunk else " at its end"),
            expected=f"text in {encoding}",
            hint="set source.encoding to the one it was written in, often latin-1 or cp1252" if chunk
            else "copy the file again, it seems to be cut off",
        ) from None  # fmt: skip


def _refuse_other_kinds(name: str, chunk: bytes, encoding: str) -> None:
    for magic, said in _OTHERS.items():
        if chunk.startswith(magic):
            raise _binary(name, said)
    if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and not encoding.startswith(_WIDE):
        raise SourceUnreadable.because(
            name, got="text in UTF-16", expected=f"text in {encoding}", hint="set source.encoding to utf-16"
        )


def _refuse_nul(name: str, chunk: bytes, line: int) -> None:
    if _NUL in chunk:
        at = line + chunk.count(b"\n", 0, chunk.index(_NUL))
        raise _binary(f"{name}:{at}", "a NUL byte")


def _binary(where: str, said: str) -> SourceUnreadable:
    return SourceUnreadable.because(
        where, got=said, expected="CSV, which is text", hint="set source.format to what it is, or source.encoding"
    )
