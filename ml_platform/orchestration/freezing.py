"""The schema of a pipeline that has none yet, from what its source gives: types and nulls of the first rows."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pandera.pandas as pa
import polars as pl
import yaml
from pydantic import ValidationError

from ml_platform.contracts.errors import NotEnoughRows, SpecError
from ml_platform.contracts.records import FieldType
from ml_platform.contracts.spec import FilesSource, PipelineSpec, PythonSource
from ml_platform.data.calendar import Calendar
from ml_platform.data.quality.frozen_schema import FILE, FrozenSchema, infer_schema
from ml_platform.data.sources.casting import INSTANT, TextRules, cast
from ml_platform.data.sources.files import FilesReader
from ml_platform.data.sources.inference import infer_types
from ml_platform.data.sources.loaded import Reader, Target
from ml_platform.data.sources.python import PythonReader
from ml_platform.data.sources.samples import read_sample
from ml_platform.data.sources.sql import SqlReader
from ml_platform.features.types import POLARS_TYPES
from ml_platform.orchestration.source_readers import reader_of
from ml_platform.orchestration.spec_faults import fault_of, refusal

ROWS_WANTED = 20_000


def find_pipeline(defs: Path, name: str) -> Path:
    """Give the YAML file of a pipeline.

    Raises
    ------
    SpecError
        If there is none of this name; names those there are.
    """
    known: dict[str, Path] = {}
    for path in sorted(defs.glob("*/defs.yaml")):
        attributes = _attributes(path)
        known[str(attributes.get("name"))] = path
    if name not in known:
        raise SpecError.because(
            "pipeline", got=name, expected=", ".join(known) or "none is there", hint="check the name"
        )
    return known[name]


def read_spec(path: Path) -> PipelineSpec:
    """Read the spec of a pipeline, without the author's Python.

    Raises
    ------
    SpecError
        With every fault of the text, each with its line.
    """
    try:
        return PipelineSpec.model_validate(_attributes(path))
    except ValidationError as error:
        raise refusal(path, [fault_of(detail) for detail in error.errors(include_url=False)]) from None


def freeze_schema(path: Path, package: str) -> FrozenSchema:
    """Infer the schema of a pipeline's source.

    Parameters
    ----------
    path : Path
        The YAML file of the pipeline.
    package : str
        Import name of its folder.

    Raises
    ------
    SpecError
        If the YAML has a fault.
    NotEnoughRows
        If the source gives no rows.
    """
    spec = read_spec(path)
    target = Target(pa.DataFrameSchema(), Calendar(spec.partitions), spec.event_time)
    function = _function(spec.source.load, package) if isinstance(spec.source, PythonSource) else None
    reader: Any = reader_of(spec, target, path.parent, function)
    expressions = reader.shaper.expressions
    made = expressions.derived(_typed(_sample(reader, spec), spec, reader.shaper.rules))
    rows = made.filter(expressions.keeps(made).fill_null(value=False))
    if rows.is_empty():
        raise NotEnoughRows.because(
            f"source of {spec.name}", got="no rows", expected="some to infer the schema from",
            hint=f"mend source, or write {FILE} by hand",
        )  # fmt: skip
    return infer_schema(rows, (spec.event_time, *spec.key))


def _attributes(path: Path) -> Mapping[str, Any]:
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = written.get("attributes") if isinstance(written, dict) else None
    return found if isinstance(found, dict) else {}


def _function(name: str, package: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module, package), attribute)


def _sample(reader: Reader, spec: PipelineSpec) -> pl.DataFrame:
    if isinstance(reader, FilesReader):
        return read_sample(reader.location, ROWS_WANTED).frame
    frames: list[pl.DataFrame] = []
    for keys in _growing(Calendar(spec.partitions), spec):
        frames.append(_asked(reader, keys).head(ROWS_WANTED))
        if sum(map(len, frames)) >= ROWS_WANTED:
            break
    return pl.concat(frames, how="vertical_relaxed").head(ROWS_WANTED)


def _asked(reader: Reader, keys: Sequence[str]) -> pl.DataFrame:
    if isinstance(reader, SqlReader):
        return reader.sample(keys, ROWS_WANTED)
    assert isinstance(reader, PythonReader)  # noqa: S101 - there are three kinds
    return pl.from_pandas(reader.function(reader.shaper.target.calendar.window(keys)))


def _growing(calendar: Calendar, spec: PipelineSpec) -> Iterator[list[str]]:
    """Give the partitions from the first on, four times as many each time."""
    left = calendar.keys_before(spec.partitions.end.isoformat(), spec.partitions.end - spec.partitions.start)
    many = 1
    while left:
        yield left[:many]
        left, many = left[many:], many * 4


def _typed(sample: pl.DataFrame, spec: PipelineSpec, rules: TextRules) -> pl.DataFrame:
    """Read text and times without zone as what they hold; text of a function is meant as text."""
    types: dict[str, FieldType] = {}
    if not isinstance(spec.source, PythonSource):
        inferred = infer_types(sample.select(pl.col(pl.String)), rules.time_formats)
        only_times = not isinstance(spec.source, FilesSource)  # a database has numbers, but some have no times
        types = {name: kind for name, kind in inferred.items() if kind == "timestamp" or not only_times}
    wanted = {name: POLARS_TYPES[kind] for name, kind in types.items()}
    naive = (pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("ns"), pl.Date())
    wanted |= {name: INSTANT for name, dtype in sample.schema.items() if dtype in naive}
    return sample.with_columns(cast(sample[name], dtype, rules) for name, dtype in wanted.items())
