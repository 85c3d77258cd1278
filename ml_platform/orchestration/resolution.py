"""From the text of a spec to a pipeline that can run: the spec checked, and the author's Python found and tried.

Everything wrong with it is found when definitions load, and said at once, by file and line.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from inspect import getsource
from pathlib import Path
from typing import Any

import pandera.pandas as pa
import polars as pl
from pydantic import ValidationError

from ml_platform.contracts.errors import PlatformError
from ml_platform.contracts.records import SignatureField
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.data.calendar import Calendar
from ml_platform.data.sources import Load
from ml_platform.features.plan import FeaturePlan
from ml_platform.features.types import POLARS_TYPES, field_type
from ml_platform.orchestration.spec_faults import Fault, Location, fault_of, nearest, refusal


@dataclass(frozen=True)
class Pipeline:
    """A spec with the author's Python at hand.

    Parameters
    ----------
    spec : PipelineSpec
        As written.
    load : Load
        The source.
    lookups : mapping of str to function
        The source of each lookup; takes a window if the lookup has `known_at`.
    schema : pandera schema
        What a raw row must be.
    plan : FeaturePlan
        What features are made of.
    """

    spec: PipelineSpec
    load: Load
    lookups: Mapping[str, Callable[..., Any]]
    schema: pa.DataFrameSchema
    plan: FeaturePlan

    @property
    def name(self) -> str:
        """The pipeline's name: first part of its assets' keys, and the registered model's name."""
        return self.spec.name

    @cached_property
    def calendar(self) -> Calendar:
        """The pipeline's days."""
        return Calendar(self.spec.partitions)

    @cached_property
    def signature(self) -> tuple[SignatureField, ...]:
        """The fields of a request."""
        types = raw_types(self.schema)
        required = {*self.spec.key, self.spec.event_time}
        return tuple(
            SignatureField(
                name=name,
                type=field_type(name, types[name]),
                nullable=name not in required and bool(self.schema.columns[name].nullable),
            )
            for name in self.plan.raw_columns
        )

    def table(self, stage: str) -> str:
        """Name the lake table of a stage."""
        return f"{self.name}/{stage}"


def resolve(attributes: Mapping[str, Any], path: Path, package: str) -> Pipeline:
    """Make a pipeline of the attributes in a YAML file.

    Parameters
    ----------
    attributes : mapping
        What stands under `attributes:`.
    path : Path
        The YAML file, named in errors.
    package : str
        Import name of its folder; a path like `.source.load` is relative to it.

    Raises
    ------
    SpecError
        With every fault found, each with its line.
    """
    try:
        spec = PipelineSpec.model_validate(attributes)
    except ValidationError as error:
        raise refusal(path, [fault_of(detail) for detail in error.errors(include_url=False)]) from None
    found, faults = _find_python(spec, package)
    if faults:
        raise refusal(path, faults)
    schema = found[("schema",)]
    schema = schema.to_schema() if hasattr(schema, "to_schema") else schema
    faults = list(_column_faults(spec, schema)) or list(_window_faults(spec))
    if faults:
        raise refusal(path, faults)
    code = _code(spec, package)
    try:
        plan = FeaturePlan.from_spec(spec, code)
        plan.output_types(*_input_types(spec, schema, plan))
    except PlatformError as error:
        raise refusal(path, _feature_faults(spec, error)) from error
    lookups = {name: found["features", "lookups", name, "load"] for name in spec.features.lookups}
    return Pipeline(spec, found["source", "load"], lookups, schema, plan)


def raw_types(schema: pa.DataFrameSchema) -> dict[str, pl.DataType]:
    """Give the polars type of each raw column."""
    import pandas as pd

    empty = pd.DataFrame({name: pd.Series(dtype=column.dtype.type) for name, column in schema.columns.items()})
    return dict(pl.from_pandas(empty).schema)


def _find_python(spec: PipelineSpec, package: str) -> tuple[dict[Location, Any], list[Fault]]:
    paths: dict[Location, str] = {("source", "load"): spec.source.load, ("schema",): spec.schema_}
    paths |= {("features", "lookups", name, "load"): each.load for name, each in spec.features.lookups.items()}
    if spec.features.python:
        paths["features", "python"] = spec.features.python
    found: dict[Location, Any] = {}
    faults: list[Fault] = []
    for location, path in paths.items():
        try:
            found[location] = _import(path, package)
        except (ImportError, AttributeError) as error:
            hint = f"a path with a leading dot is looked up in {package}"
            faults.append(Fault(location, path, f"an importable module and a name in it ({error})", hint))
    return found, faults


def _import(path: str, package: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module, package), name)


def _code(spec: PipelineSpec, package: str) -> str | None:
    if spec.features.python is None:
        return None
    return getsource(import_module(spec.features.python.rpartition(".")[0], package))


def _column_faults(spec: PipelineSpec, schema: pa.DataFrameSchema) -> Iterator[Fault]:
    known = list(schema.columns)
    asked: dict[Location, str] = {
        ("event_time",): spec.event_time,
        ("label", "column"): spec.label.column,
        ("label", "known_at"): spec.label.known_at,
    }
    asked |= {("key", place): name for place, name in enumerate(spec.key)}
    asked |= {("features", "inputs", place): name for place, name in enumerate(spec.features.inputs)}
    for location, name in asked.items():
        if name not in known:
            yield Fault(location, name, "a column of the schema", nearest(name, known))
    for place, name in enumerate(spec.features.inputs):
        if name in (spec.label.column, spec.label.known_at):
            yield Fault(
                ("features", "inputs", place), name, "a column known at the event time", "it is the label: take it out"
            )
    types = raw_types(schema)
    for location in (("event_time",), ("label", "known_at")):
        name = asked[location]
        if name in known and not isinstance(types[name], pl.Datetime):
            yield Fault(
                location, f"{name} ({types[name]})", "a timestamp with time zone", "declare it so in the schema"
            )


def _window_faults(spec: PipelineSpec) -> Iterator[Fault]:
    days, span = spec.partitions.days, spec.split.span.days
    if span > days:
        hint = f"partitions has {days} days; shorten train, validation, holdout or embargo"
        yield Fault(("split",), f"{span} days from the first training row to the as-of", f"at most {days} days", hint)


def _input_types(
    spec: PipelineSpec, schema: pa.DataFrameSchema, plan: FeaturePlan
) -> tuple[dict[str, pl.DataType], dict[str, dict[str, pl.DataType]]]:
    types = raw_types(schema)
    lookups: dict[str, dict[str, pl.DataType]] = {}
    for name, lookup in spec.features.lookups.items():
        lookups[name] = {column: types.get(column, pl.String()) for column in lookup.by}
        lookups[name] |= {column: POLARS_TYPES[kind] for column, kind in lookup.columns.items()}
        if lookup.known_at:
            lookups[name][lookup.known_at] = POLARS_TYPES["timestamp"]
    return {name: types[name] for name in plan.raw_columns}, lookups


def _feature_faults(spec: PipelineSpec, error: PlatformError) -> list[Fault]:
    """Give a fault for each feature that nothing makes, or one for whatever else is wrong with the features."""
    got, _, rest = str(error).removeprefix("features: got ").partition(", expected ")
    expected, _, hint = rest.partition(". Hint: ")
    columns = spec.features.columns
    missing = [name for name in got.removeprefix("no column ").split(", ") if name in columns]
    return [
        Fault(("features", "columns", columns.index(name)), f"no column {name}", expected, hint) for name in missing
    ] or [Fault(("features",), got, expected, hint)]
