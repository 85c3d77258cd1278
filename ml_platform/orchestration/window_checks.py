"""What windows and derived columns of a spec must have in common with the schema.

Pure, like `ml_platform.orchestration.spec_checks`: from a spec and types to faults.
"""

from collections.abc import Iterator

import polars as pl

from ml_platform.contracts.errors import PlatformError
from ml_platform.contracts.spec import PipelineSpec, WindowFeature
from ml_platform.features.expressions import columns_of, evaluate, localize
from ml_platform.features.types import widen_type
from ml_platform.orchestration.spec_checks import OWN_COLUMNS, Types
from ml_platform.orchestration.spec_faults import Fault, Location, nearest

_NUMERIC = ("sum", "mean", "std")


def windowed_faults(spec: PipelineSpec, types: Types) -> Iterator[Fault]:
    """Hold what windows and derive name against the schema, and their own names against each other's."""
    yield from _taken_names(spec)
    yield from _described(spec)
    known = [*spec.key, spec.event_time, *spec.features.inputs]
    for place, window in enumerate(spec.features.windows):
        at: Location = ("features", "windows", place)
        for each, column in enumerate(window.by):
            if column not in known:
                yield Fault((*at, "by", each), column, "the key, the event time or an input", nearest(column, known))
        yield from _value_faults(window, at, types)
        yield from _where_faults(window, at, types, spec.partitions.timezone)


def _taken_names(spec: PipelineSpec) -> Iterator[Fault]:
    features = spec.features
    joined = [f"{name}_{column}" for name, lookup in features.lookups.items() for column in lookup.columns]
    taken = {*spec.key, spec.event_time, *features.inputs, *joined, *OWN_COLUMNS}
    names: dict[Location, str] = {
        ("features", "windows", place, "name"): window.name for place, window in enumerate(features.windows)
    }
    names |= {("features", "derive", name): name for name in features.derive}
    for location, name in names.items():
        if name in taken:
            yield Fault(
                location, name, "a name that no input, lookup column or column of the platform has", "rename it"
            )


def _described(spec: PipelineSpec) -> Iterator[Fault]:
    features = spec.features
    known = list(dict.fromkeys([*features.columns, *(each.name for each in features.windows), *features.derive]))
    for name in features.descriptions:
        if name not in known:
            yield Fault(
                ("features", "descriptions", name),
                name,
                "a feature, a window or a name of derive",
                nearest(name, known),
            )


def _value_faults(window: WindowFeature, at: Location, types: Types) -> Iterator[Fault]:
    if window.of is None:
        return
    if window.of not in types:
        yield Fault((*at, "of"), window.of, "a column of the schema", nearest(window.of, list(types)))
        return
    dtype = widen_type(types[window.of])
    if window.how in _NUMERIC and not (dtype.is_numeric() or dtype == pl.Boolean):
        yield Fault((*at, "of"), f"{window.of} ({dtype})", f"a number or bool with how: {window.how}", "take another")
    if window.how == "share" and dtype != pl.Boolean:
        hint = "how: mean gives the mean of a number; a where and how: count counts rows"
        yield Fault((*at, "of"), f"{window.of} ({dtype})", "a bool with how: share", hint)


def _where_faults(window: WindowFeature, at: Location, types: Types, timezone: str) -> Iterator[Fault]:
    if window.where is None:
        return
    what = f"features.windows.{window.name}.where"
    strange = [column for column in columns_of(what, window.where) if column not in types]
    if strange:
        yield Fault((*at, "where"), f"column {strange[0]}", "columns of the schema", nearest(strange[0], list(types)))
        return
    empty = pl.DataFrame(schema={name: widen_type(dtype) for name, dtype in types.items()})
    made = evaluate(what, window.where, localize(empty, timezone))
    if made.dtype != pl.Boolean:
        yield Fault((*at, "where"), f"{window.where} ({made.dtype})", "a condition, true or false", "compare it")


def expression_place(spec: PipelineSpec, error: PlatformError) -> Location | None:
    """Give where the SQL expression stands that an error names, as `features.derive.<name>: got ...`."""
    place = str(error).partition(": got ")[0].split(".")
    match place:
        case ["features", "derive", name]:
            return ("features", "derive", name)
        case ["features", "windows", name, "where"]:
            names = [window.name for window in spec.features.windows]
            return ("features", "windows", names.index(name), "where")
        case _:
            return None
