"""Sources made in a test: a schema of rides, files written into a folder, and the readers over them."""

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa

from ml_platform.contracts.spec import FilesSource, Partitions
from ml_platform.data.calendar import Calendar
from ml_platform.data.sources.casting import TextRules
from ml_platform.data.sources.expressions import Expressions
from ml_platform.data.sources.files import FilesReader
from ml_platform.data.sources.loaded import Target
from ml_platform.data.sources.locations import Location, Options
from ml_platform.data.sources.shaping import Shaper

RIDES = pa.DataFrameSchema(
    {
        "id": pa.Column(pd.StringDtype()),
        "at": pa.Column("datetime64[us, UTC]"),
        "fare": pa.Column(float, nullable=True),
        "seats": pa.Column(int),
    }
)
HEADER = "id,at,fare,seats\n"
DAYS = ["2013-01-01", "2013-01-02", "2013-01-03"]


def target(schema: pa.DataFrameSchema = RIDES, **partitions: Any) -> Target:
    """Give the target: rides of 2013, by the day in UTC unless told otherwise."""
    span: dict[str, Any] = {"start": date(2013, 1, 1), "end": date(2014, 1, 1)} | partitions
    return Target(schema, Calendar(Partitions(**span)), "at")


def files_reader(folder: Path, path: str = "*.csv", to: Target | None = None, **source: Any) -> FilesReader:
    """Give the reader of files in a folder."""
    options: Options = source.pop("options", dict)
    spec = FilesSource(kind="files", path=path, **source)
    to = to or target()
    rules = TextRules(
        spec.timezone or to.calendar.partitions.timezone, tuple(spec.time_formats), tuple(spec.null_values)
    )
    return FilesReader(Location(spec, folder, options), Shaper(to, Expressions(spec.derive, spec.where), rules))


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files, and give their folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else os.fsencode(content))
    return folder
