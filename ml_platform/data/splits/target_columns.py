"""The raw columns that a target is made of or that become known with it, and under which names a training set has them.

A model never sees them. They are there for the leakage certificate alone, which looks for equations between them and
the features, in the asset and again in the fit.
"""

from collections.abc import Mapping

import polars as pl

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.data.sources.expressions import parse

PREFIX = "certificate_"


def source_columns(spec: PipelineSpec) -> tuple[str, ...]:
    """Return the columns that `source.derive` makes the target of, over all its steps.

    Key, event time and inputs are not among them: these are known when a prediction is asked for.
    """
    read = {name: _roots(name, sql) for name, sql in spec.source.derive.items()}
    columns: dict[str, None] = {}
    waiting = [spec.label.column]
    while waiting:
        for name in read.pop(waiting.pop(), ()):
            columns[name] = None
            waiting.append(name)
    return tuple(name for name in columns if name not in _known_columns(spec) | {spec.label.column})


def late_columns(spec: PipelineSpec) -> tuple[str, ...]:
    """Return the columns of `label.known_with`, which become known no earlier than the label."""
    return tuple(name for name in spec.label.known_with if name not in _known_columns(spec))


def carried_columns(spec: PipelineSpec, types: Mapping[str, pl.DataType]) -> dict[str, str]:
    """Return the numeric columns of the schema that a training set carries for its certificate, with their names there.

    Beside those of the target these are the inputs that are no features themselves: a request carries them too.
    """
    inputs = [name for name in spec.features.inputs if name not in (*spec.features.columns, *spec.key, spec.event_time)]
    columns = dict.fromkeys([*source_columns(spec), *late_columns(spec), *inputs])
    return {name: f"{PREFIX}{name}" for name in columns if name in types and _is_number(types[name])}


def _known_columns(spec: PipelineSpec) -> set[str]:
    return {*spec.key, spec.event_time, *spec.features.inputs}


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype == pl.Boolean()


def _roots(name: str, sql: str) -> list[str]:
    try:
        return parse(sql, f"source.derive.{name}").meta.root_names()
    except SpecError:  # reported with all that is wrong with the source
        return []
