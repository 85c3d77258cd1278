"""The online store: lookup tables as the server may know them now, one Arrow file for each lookup.

A pipeline publishes, servers read. A server keeps the last table that could be read; a damaged file is counted, never
served.
"""

import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

_Stamp = tuple[int, int]


@dataclass(frozen=True)
class _Cached:
    stamp: _Stamp | None
    frame: pl.DataFrame | None


class OnlineStore:
    """Lookup tables under one folder, `<root>/<pipeline>/<lookup>.arrow`.

    Parameters
    ----------
    root : Path
        Made on the first `publish`.

    Attributes
    ----------
    faults : Counter of str
        How often a `<pipeline>/<lookup>` file could not be read, once for each damaged file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: Counter[str] = Counter()
        self._cache: dict[Path, _Cached] = {}

    def publish(self, pipeline: str, lookup: str, frame: pl.DataFrame) -> None:
        """Replace a lookup as a whole; a reader sees the old table or the new one."""
        path = self._path(pipeline, lookup)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".staged-") as folder:
            staged = Path(folder) / path.name
            frame.write_ipc(staged)
            os.replace(staged, path)  # noqa: PTH105 - the name that says it is atomic

    def read(self, pipeline: str, lookup: str) -> pl.DataFrame | None:
        """Give the newest readable table, or None if none was ever published.

        The same object is given until the file changes, so a caller may keep what it derived from it.
        """
        path = self._path(pipeline, lookup)
        try:
            stamp = _stamp(path)
        except FileNotFoundError:
            return None
        cached = self._cache.get(path)
        if cached is None or cached.stamp != stamp:
            cached = self._cache[path] = _Cached(stamp, self._load(path, cached))
        return cached.frame

    def _load(self, path: Path, before: _Cached | None) -> pl.DataFrame | None:
        try:
            return pl.read_ipc(path.read_bytes())
        except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
            self.faults[f"{path.parent.name}/{path.stem}"] += 1
            return before.frame if before else None

    def _path(self, pipeline: str, lookup: str) -> Path:
        return self.root / pipeline / f"{lookup}.arrow"


def _stamp(path: Path) -> _Stamp | None:
    """Tell one state of a file from another; None where there is something, but nothing that can be looked at."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
