"""What the text of a spec must have in common with the schema and with what its features turn out to be.

Pure: from a spec and types to faults. What the text alone can tell is checked in `ml_platform.contracts.spec`; finding
and trying the author's Python is the business of `ml_platform.orchestration.resolution`.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta

import polars as pl

from ml_platform.contracts.lightgbm_params import BINARY_ONLY
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import PipelineSpec, member_stage
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.splits.parts import DAY, KNOWN_AT, LABEL, PART
from ml_platform.features.plan import PLAN
from ml_platform.features.types import INSTANT, POLARS_TYPES, widen_type
from ml_platform.orchestration.spec_faults import Fault, Location, nearest

Types = Mapping[str, pl.DataType]
STACK_FOLDS = 2  # one stretch of time alone says little of how members compare
OWN_COLUMNS = (PARTITION, DAY, LABEL, KNOWN_AT, PART, PLAN)
LABEL_TYPES: dict[Task, tuple[tuple[pl.DataType, ...], str]] = {
    "binary": ((pl.Boolean(), pl.Int64(), pl.Float64()), "a bool, or a number that is 0 or 1"),
    "multiclass": ((pl.String(), pl.Int64()), "a string or a whole number, as label.task is multiclass"),
    "regression": ((pl.Int64(), pl.Float64()), "a number, as label.task is regression"),
}
MODEL_TYPES = (pl.Int64(), pl.Float64(), pl.Boolean(), pl.String(), pl.Null())


def column_faults(spec: PipelineSpec, types: Types) -> Iterator[Fault]:
    """Hold the columns that a spec names against those of the schema."""
    entering = _entering(spec)
    label: dict[Location, str] = {("label", "column"): spec.label.column}
    if spec.label.known_at is not None:
        label["label", "known_at"] = spec.label.known_at
    for location, name in (entering | label).items():
        if name not in types:
            yield Fault(location, name, "a column of the schema", nearest(name, list(types)))
        else:
            yield from _type_faults(spec, location, name, types[name])
    for location, name in entering.items():
        if name in label.values():
            yield Fault(location, name, "a column known at the event time", "it is the label: take it out")
    yield from _split_column_faults(spec, types)


def quality_faults(spec: PipelineSpec, types: Types) -> Iterator[Fault]:
    """Hold the columns that the checks of partitions name against those of the schema."""
    parts = ("null_share_at_most", "new_categories_at_most", "ranges")
    named = [(part, name) for part in parts for name in getattr(spec.quality, part)]
    for part, name in named:
        location = ("quality", part, name)
        if name not in types:
            yield Fault(location, name, "a column of the schema", nearest(name, list(types)))
        elif part == "ranges" and not types[name].is_numeric():
            yield Fault(location, f"{name} ({types[name]})", "a column of numbers", "take it out")


def join_faults(spec: PipelineSpec) -> Iterator[Fault]:
    """See that each lookup is joined on columns that are known when a prediction is asked for."""
    entering = list(_entering(spec).values())
    for name, lookup in spec.features.lookups.items():
        for place, column in enumerate(lookup.by):
            if column not in entering:
                location = ("features", "lookups", name, "by", place)
                yield Fault(location, column, "the key, the event time or an input", nearest(column, entering))


def window_faults(spec: PipelineSpec) -> Iterator[Fault]:
    """See that the split fits into the partitions."""
    days, span = spec.partitions.days, spec.split.span.days
    if span > days:
        hint = f"partitions has {days} days; shorten train, validation, holdout or embargo"
        yield Fault(("split",), f"{span} days from the first training row to the as-of", f"at most {days} days", hint)
    yield from _late_label_faults(spec)


def task_faults(spec: PipelineSpec) -> Iterator[Fault]:
    """See that parameters fit the task."""
    task = spec.label.task
    for model, name in ((model, name) for model, each in spec.models.items() for name in each.params):
        if task != "binary" and name in BINARY_ONLY:
            location = ("models", model, "params", name)
            yield Fault(location, name, "no such parameter", f"label.task is {task}, which has no classes: take it out")


def name_faults(spec: PipelineSpec) -> Iterator[Fault]:
    """See that the columns of the features table have names of their own."""
    features: dict[Location, str] = {
        ("features", "columns", place): name for place, name in enumerate(spec.features.columns)
    }
    for location, name in features.items():
        if name in (*spec.key, spec.event_time):
            hint = "a model learns nothing from a key, and derives hour or weekday from an event time: take it out"
            yield Fault(location, name, "neither key nor event time", hint)
    for location, name in (_entering(spec) | features).items():
        if location[:2] != ("features", "inputs") and name in OWN_COLUMNS:
            yield Fault(location, name, f"a name other than {', '.join(OWN_COLUMNS)}", "rename the column")


def ensemble_faults(spec: PipelineSpec) -> Iterator[Fault]:
    """See that all models answer as one: each is a member, and a stack has folds to be fitted on."""
    if faults := list(_member_faults(spec)):
        yield from faults
        return
    for name in spec.members:
        if (stage := member_stage(name)) in spec.features.lookups:
            location = ("features", "lookups", stage)
            yield Fault(location, stage, f"another name, as {stage} fits the model {name}", "rename the lookup")
    yield from _stack_faults(spec)


def feature_faults(spec: PipelineSpec, types: Types) -> Iterator[Fault]:
    """See that a model can take each feature."""
    for place, name in enumerate(spec.features.columns):
        if widen_type(types[name]) not in MODEL_TYPES:
            hint = "derive one in features.python"
            yield Fault(("features", "columns", place), f"{name} ({types[name]})", "a number, bool or string", hint)


def _member_faults(spec: PipelineSpec) -> Iterator[Fault]:
    if spec.ensemble is None:
        if len(spec.models) > 1:
            named = ", ".join(spec.models)
            hint = f"add ensemble: {{kind: weighted, of: [{named}]}}"
            yield Fault(("models",), named, "one model, or an ensemble that joins them", hint)
        return
    for place, name in enumerate(spec.members):
        if name not in spec.models:
            yield Fault(("ensemble", "of", place), name, "one of models", nearest(name, list(spec.models)))
    for name in spec.models:
        if name not in spec.members:
            hint = f"add {name} to ensemble.of, or take it out"
            yield Fault(
                ("models", name), f"{name}, which ensemble.of does not name", "only members of the ensemble", hint
            )


def _stack_faults(spec: PipelineSpec) -> Iterator[Fault]:
    split = spec.split
    if spec.ensemble is None or spec.ensemble.kind != "stacked":
        return
    if spec.quantile is not None:
        yield Fault(("ensemble", "kind"), "stacked", "another kind, as a stack predicts a mean", "take weighted")
    if split.kind != "time":
        return
    if split.folds < STACK_FOLDS:
        hint = f"add folds: {STACK_FOLDS} to split, or take weighted"
        expected = f"at least {STACK_FOLDS} with ensemble.kind: stacked, which is fitted on what folds predict"
        yield Fault(("split",), f"{split.folds} folds", expected, hint)
    elif (left := split.oldest_fold - split.validation - split.embargo) < split.train_at_least:
        expected = f"at least train_at_least, {split.train_at_least.days}d, before the stretch that a fold stops on"
        yield Fault(
            ("split", "folds"), f"{left.days}d", expected, "fewer folds, a shorter validation or a longer train"
        )


def _split_column_faults(spec: PipelineSpec, types: Types) -> Iterator[Fault]:
    by, known = spec.split.by, [*spec.features.columns, *types]
    if by is not None and (by not in known or by in spec.label.columns):
        expected = "a feature, or a column of the schema that is not the label's"
        yield Fault(("split", "by"), by, expected, nearest(by, [name for name in known if name != by]))
    for place, name in enumerate(spec.split.may_tell_label):
        if name not in spec.features.columns:
            location = ("split", "may_tell_label", place)
            yield Fault(location, name, "one of features.columns", nearest(name, spec.features.columns))


def _late_label_faults(spec: PipelineSpec) -> Iterator[Fault]:
    """See that labels known a fixed time after the event are known for each partition that must have some."""
    after, split = spec.label.known_after, spec.split
    if after is None or split.kind != "time":
        return
    shortest = {"day": 1, "week": 7, "month": 28}[spec.partitions.every]
    for name, delay in (("label_delay", split.label_delay), ("embargo", split.embargo)):
        least = after - timedelta(days=shortest)
        if delay <= least:
            days = least // timedelta(days=1) + 1
            expected = f"at least {days}d, as labels are known {after.total_seconds() / 86400:g} days after the event"
            hint = "else the last partition before it has no row whose label is known in time"
            yield Fault(("split", name), f"{delay.days}d", expected, hint)


def _entering(spec: PipelineSpec) -> dict[Location, str]:
    """Give the columns that are known when a prediction is asked for, by where they are named."""
    columns: dict[Location, str] = {("event_time",): spec.event_time}
    columns |= {("key", place): name for place, name in enumerate(spec.key)}
    return columns | {("features", "inputs", place): name for place, name in enumerate(spec.features.inputs)}


def _type_faults(spec: PipelineSpec, location: Location, name: str, dtype: pl.DataType) -> Iterator[Fault]:
    allowed, expected = {
        ("event_time",): ((INSTANT,), "a timestamp with time zone"),
        ("label", "known_at"): ((INSTANT,), "a timestamp with time zone"),
        ("label", "column"): LABEL_TYPES[spec.label.task],
    }.get(location, (tuple(POLARS_TYPES.values()), f"one of {', '.join(POLARS_TYPES)}"))
    if widen_type(dtype) not in allowed:
        yield Fault(location, f"{name} ({dtype})", expected, "declare it so in the schema")
