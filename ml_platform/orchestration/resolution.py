"""From the text of a spec to a pipeline that can run: the spec checked, and the author's Python found and tried.

Everything wrong with it is found when definitions load, and said at once, by file and line.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from inspect import getsource
from pathlib import Path
from types import ModuleType
from typing import Any

import pandera.pandas as pa
import polars as pl
from pydantic import ValidationError

from ml_platform.contracts.errors import PlatformError
from ml_platform.contracts.records import SignatureField
from ml_platform.contracts.spec import PipelineSpec, PythonSource
from ml_platform.data.calendar import Calendar
from ml_platform.data.quality.expectations import PACKAGE, Expectation, read_suite
from ml_platform.data.quality.frozen_schema import FILE, read_schema, to_pandera
from ml_platform.data.sources.loaded import Reader, Target, raw_types
from ml_platform.features.plan import FeaturePlan
from ml_platform.features.types import POLARS_TYPES, field_type
from ml_platform.features.window_plan import HISTORY
from ml_platform.orchestration.gate_checks import gate_faults
from ml_platform.orchestration.late_columns import late_faults
from ml_platform.orchestration.model_checks import model_faults, monotone_faults
from ml_platform.orchestration.name_checks import collision_faults
from ml_platform.orchestration.pure_features import purity_faults
from ml_platform.orchestration.running_checks import running_faults
from ml_platform.orchestration.search_checks import search_faults
from ml_platform.orchestration.source_readers import reader_of, source_faults
from ml_platform.orchestration.spec_checks import (
    Types,
    column_faults,
    ensemble_faults,
    feature_faults,
    join_faults,
    name_faults,
    quality_faults,
    task_faults,
    window_faults,
)
from ml_platform.orchestration.spec_faults import Fault, Location, fault_of, refusal
from ml_platform.orchestration.window_checks import expression_place, windowed_faults


@dataclass(frozen=True)
class Pipeline:
    """A spec with the author's Python at hand.

    Parameters
    ----------
    spec : PipelineSpec
        As written.
    source : Reader
        Gives the rows of partitions.
    lookups : mapping of str to function
        The source of each lookup; takes a window if the lookup has `known_at`.
    schema : pandera schema
        What a raw row must be.
    plan : FeaturePlan
        What features are made of.
    types : mapping of str to polars type
        Of each feature.
    suite : tuple of Expectation
        What Great Expectations expects of each partition.
    metrics : mapping of str to function
        The author's metrics, from labels and predictions to a number.
    """

    spec: PipelineSpec
    source: Reader
    lookups: Mapping[str, Callable[..., Any]]
    schema: pa.DataFrameSchema
    plan: FeaturePlan
    types: Mapping[str, pl.DataType]
    suite: tuple[Expectation, ...] = ()
    metrics: Mapping[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])

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
    schema, types = found["schema",] if spec.schema_ else _frozen(path.parent)
    if faults := [*column_faults(spec, types), *late_faults(spec, types), *quality_faults(spec, types)] or [
        *collision_faults(spec, types),
        *join_faults(spec),
        *name_faults(spec),
        *window_faults(spec),
        *gate_faults(spec),
        *task_faults(spec),
        *model_faults(spec),
        *running_faults(spec),
        *search_faults(spec),
        *ensemble_faults(spec),
    ]:
        raise refusal(path, faults)
    try:
        plan = FeaturePlan.from_spec(spec, found.get(("features", "python")))
        faults = list(windowed_faults(spec, types))
        made: dict[str, pl.DataType] = {}
        if not faults:
            given = _input_types(spec, types, plan)
            made = plan.output_types(*given)
            faults = list(purity_faults(plan, plan.join_empty(*given)))
    except PlatformError as error:
        raise refusal(path, _plan_faults(spec, error)) from error
    if faults := faults or [*feature_faults(spec, made), *monotone_faults(spec, made)]:
        raise refusal(path, faults)
    target = Target(schema, Calendar(spec.partitions), spec.event_time)
    if faults := list(source_faults(spec, target)):
        raise refusal(path, faults)
    lookups = {name: found["features", "lookups", name, "load"] for name in spec.features.lookups}
    reader = reader_of(spec, target, path.parent, found.get(("source", "load")))
    own = {name: found["metrics", name, "function"] for name in spec.metrics}
    return Pipeline(spec, reader, lookups, schema, plan, made, _suite(spec, path), own)


def _find_python(spec: PipelineSpec, package: str) -> tuple[dict[Location, Any], list[Fault]]:
    """Give what each path of the spec stands for: a function, the schema with its types, the features' source text."""
    paths: dict[Location, str] = {}
    if isinstance(spec.source, PythonSource):
        paths["source", "load"] = spec.source.load
    if spec.schema_:
        paths["schema",] = spec.schema_
    paths |= {("features", "lookups", name, "load"): each.load for name, each in spec.features.lookups.items()}
    if spec.features.python:
        paths["features", "python"] = spec.features.python
    paths |= {("metrics", name, "function"): each.function for name, each in spec.metrics.items()}
    found: dict[Location, Any] = {}
    faults: list[Fault] = []
    for location, path in paths.items():
        expected, hint = "an importable module and a name in it", f"a path with a leading dot is looked up in {package}"
        try:
            module, named = _import(path, package)
            (read, expected), hint = _READERS[location[-1]], f"mend {path}, or name another"
            found[location] = read(module, named)
        except Exception as error:  # the author's module runs here, and may raise anything
            faults.append(Fault(location, path, f"{expected} ({type(error).__name__}: {error})", hint))
    return found, faults


def _import(path: str, package: str) -> tuple[ModuleType, Any]:
    name, _, attribute = path.rpartition(".")
    module = import_module(name, package)
    return module, getattr(module, attribute)


def _function(module: ModuleType, named: Any) -> Callable[..., Any]:
    del module
    if not callable(named):
        raise TypeError(f"{type(named).__name__} is not callable")
    return named


def _source_text(module: ModuleType, named: Any) -> str:
    _function(module, named)
    return getsource(module)


def _schema(module: ModuleType, named: Any) -> tuple[pa.DataFrameSchema, dict[str, pl.DataType]]:
    del module
    schema = named.to_schema() if hasattr(named, "to_schema") else named
    return schema, raw_types(schema)


def _suite(spec: PipelineSpec, path: Path) -> tuple[Expectation, ...]:
    """Read the suite of expectations, without the library that is to run it."""
    name = spec.quality.expectations
    if name is None:
        return ()
    if find_spec(PACKAGE) is None:
        missing = f"{name}, but no package {PACKAGE}"
        fault = Fault(("quality", "expectations"), missing, "it installed", "pip install 'ml-platform[gx]'")
        raise refusal(path, [fault])
    return read_suite(path.parent / name)


def _frozen(folder: Path) -> tuple[pa.DataFrameSchema, dict[str, pl.DataType]]:
    """Give the schema that is frozen beside the YAML."""
    schema = to_pandera(read_schema(folder / FILE))
    return schema, raw_types(schema)


_READERS: dict[str | int, tuple[Callable[[ModuleType, Any], Any], str]] = {
    "load": (_function, "a function"),
    "function": (_function, "a function of labels and predictions"),
    "schema": (_schema, "a pandera schema or model, with a type for each column"),
    "python": (_source_text, "a function of a module with source text"),
}


def _input_types(
    spec: PipelineSpec, types: Types, plan: FeaturePlan
) -> tuple[dict[str, pl.DataType], dict[str, dict[str, pl.DataType]]]:
    lookups: dict[str, dict[str, pl.DataType]] = {}
    for name, lookup in spec.features.lookups.items():
        lookups[name] = {column: types[column] for column in lookup.by}
        lookups[name] |= {column: POLARS_TYPES[kind] for column, kind in lookup.columns.items()}
        if lookup.known_at:
            lookups[name][lookup.known_at] = POLARS_TYPES["timestamp"]
    if plan.history is not None:
        lookups[HISTORY] = {name: types[name] for name in plan.history.columns}
    return {name: types[name] for name in plan.raw_columns}, lookups


def _plan_faults(spec: PipelineSpec, error: PlatformError) -> list[Fault]:
    """Give a fault for each feature that nothing makes, or one for whatever else is wrong with the features."""
    what, _, said = str(error).partition(": got ")
    got, _, rest = said.partition(", expected ")
    expected, _, hint = rest.partition(". Hint: ")
    if (place := expression_place(spec, error)) is not None:
        return [Fault(place, got, expected, hint)]
    columns = spec.features.columns
    missing = [name for name in got.removeprefix("no column ").split(", ") if name in columns]
    location = ("features", "python") if what.startswith(("feature function", "feature module")) else ("features",)
    return [
        Fault(("features", "columns", columns.index(name)), f"no column {name}", expected, hint) for name in missing
    ] or [Fault(location, got if what == "features" else f"{what}: {got}", expected, hint)]
