"""Finding the files of a source: globs and templates with the partition in them, on any file system of fsspec."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import date
from io import RawIOBase
from pathlib import Path
from typing import Any

from ml_platform.contracts.errors import PlatformError, SourceUnreadable
from ml_platform.contracts.spec import FilesSource

Options = Callable[[], Mapping[str, Any]]
TEMPLATE = re.compile(r"\{partition(?::([^{}]+))?\}")
EXTRAS = {
    "s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure", "dvc": "dvc",
}  # fmt: skip
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://")
_FORMATS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}
_SECRET_AT_LEAST = 4  # characters; a shorter value would mask half the message


@dataclass(frozen=True)
class Found:
    """A file: where the file system has it, and how it is called in errors and origins."""

    path: str
    name: str


class Stream(RawIOBase):
    """A file whose driver's errors are told in our words."""

    def __init__(self, driver: Any, edge: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__()
        self._driver, self._edge = driver, edge

    def read(self, size: int = -1, /) -> bytes:
        """Read at most so many bytes."""
        with self._edge():
            return self._driver.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        with self._edge():
            return self._driver.seek(offset, whence)

    def tell(self) -> int:
        """Tell the place."""
        return self._driver.tell()

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def close(self) -> None:
        """Close the driver's file."""
        if not self.closed:
            self._driver.close()
        super().close()


@dataclass(frozen=True)
class Location:
    """Where the files of a source lie.

    Parameters
    ----------
    source : FilesSource
        As the author wrote it.
    folder : Path
        Where relative paths begin.
    options : function
        Gives fsspec's options for the file system; called when files are looked for, not before.
    """

    source: FilesSource
    folder: Path
    options: Options = dict

    @property
    def is_template(self) -> bool:
        """Whether the path has the partition in it."""
        return TEMPLATE.search(self.source.path) is not None

    def path_of(self, key: str) -> str:
        """Give the path of a partition's files."""
        day = date.fromisoformat(key)
        return TEMPLATE.sub(lambda match: day.strftime(match[1]) if match[1] else key, self.source.path)

    def every(self) -> list[Found]:
        """Give every file, sorted.

        Raises
        ------
        SourceUnreadable
            If there is none, or the file system cannot be asked.
        """
        return self._find(TEMPLATE.sub(lambda match: re.sub("[^/]+", "*", match[1] or "*"), self.source.path))

    def of(self, keys: Sequence[str]) -> dict[str, list[Found]]:
        """Give the files of partitions, by the path that the template makes of them.

        Raises
        ------
        SourceUnreadable
            If a partition has no file, or the file system cannot be asked.
        """
        return {path: self._find(path) for path in dict.fromkeys(self.path_of(key) for key in keys)}

    def format_of(self, found: Found) -> str:
        """Tell a file's format by the spec, or by how it ends.

        Raises
        ------
        SourceUnreadable
            If neither tells.
        """
        suffixes = [each.lower() for each in Path(found.path).suffixes if each.lower() not in (".gz", ".bz2", ".xz")]
        known = self.source.format or _FORMATS.get(suffixes[-1] if suffixes else "")
        if known is None:
            raise SourceUnreadable.because(
                found.name, got="a file of unknown kind", expected=f"one of {', '.join(_FORMATS)}",
                hint="set source.format to csv or parquet",
            )  # fmt: skip
        return known

    @contextmanager
    def opened(self, found: Found) -> Iterator["Stream"]:
        """Open a file; what its driver raises, now or while it is read, becomes SourceUnreadable."""
        compression = None if self.format_of(found) == "parquet" else "infer"
        with self._edge(found.name):
            opened = self._file_system().open(found.path, "rb", compression=compression)
        with closing(Stream(opened, lambda: self._edge(found.name))) as stream:
            yield stream

    def _file_system(self) -> Any:
        from fsspec.core import get_filesystem_class

        match, path = _SCHEME.match(self.source.path), self._absolute(self.source.path)
        made = get_filesystem_class(match[1] if match else "file")
        told = made._get_kwargs_from_urls(path)  # noqa: SLF001 - as fsspec's url_to_fs, which takes no option named url
        files = made(**{**told, **self.options()})
        files.invalidate_cache()  # a file may have come since this process last looked
        return files

    def _find(self, path: str) -> list[Found]:
        with self._edge(path):
            files = self._file_system()
            wanted = files._strip_protocol(self._absolute(path))  # noqa: SLF001 - fsspec has no other way
            if any(sign in path for sign in "*?["):
                listed = files.glob(wanted, detail=True)
                paths = sorted(name for name, entry in listed.items() if entry["type"] == "file")
            else:
                paths = [wanted] if files.isfile(wanted) else []
        if not paths:
            raise SourceUnreadable.because(
                f"source.path {path}", got="no file", expected="at least one",
                hint="put it there, or mend source.path" + self._where(path),
            )  # fmt: skip
        return [Found(each, self._name(each)) for each in paths]

    def _where(self, path: str) -> str:
        is_relative = not (_SCHEME.match(path) or Path(path).is_absolute())
        return f"; a relative path begins at {self.folder}" if is_relative else ""

    def _absolute(self, path: str) -> str:
        return path if _SCHEME.match(path) else str(self.folder / path)

    def _name(self, path: str) -> str:
        match = _SCHEME.match(self.source.path)
        if match:
            return f"{match[0]}{path.lstrip('/')}"
        inside = Path(path)
        return str(inside.relative_to(self.folder)) if inside.is_relative_to(self.folder) else path

    @contextmanager
    def _edge(self, what: str) -> Iterator[None]:
        try:
            yield
        except PlatformError:
            raise
        except ImportError as error:
            raise self._without_driver(what, error) from None
        except Exception as error:  # each driver raises what its own library knows, from OSError to bare Exception
            raise SourceUnreadable.because(
                what,
                got=f"{type(error).__name__}: {self._masked(str(error))}",
                expected="to read it",
                hint="see that it is there and that the credentials are right" + self._options_hint(),
            ) from None

    def _without_driver(self, what: str, error: Exception) -> SourceUnreadable:
        match = _SCHEME.match(self.source.path)
        extra = EXTRAS.get(match[1] if match else "")
        hint = f"pip install 'ml-platform[{extra}]'" if extra else "install it"
        return SourceUnreadable.because(what, got=str(error), expected="the driver of its file system", hint=hint)

    def _options_hint(self) -> str:
        return f" in ${self.source.options_env}" if self.source.options_env else ""

    def _masked(self, text: str) -> str:
        for secret in sorted(_texts(self.options()), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, str) and len(value) >= _SECRET_AT_LEAST:
        yield value
