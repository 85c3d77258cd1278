"""Which partitions of a pipeline are stale, and the refusal to train on them.

What each stage reads for a partition stands here; the comparison itself is `ml_platform.data.lake.freshness`.
"""

from collections.abc import Iterator, Sequence

from ml_platform.contracts.errors import StaleInputs
from ml_platform.data.lake.freshness import NEVER_MADE, Freshness, Inputs, StalePartition, listed
from ml_platform.data.lake.recorded import RecordedLake
from ml_platform.data.lake.tables import STATIC, Lake
from ml_platform.data.quality.verdicts import VERDICTS, unbound_verdicts
from ml_platform.features.plan import PLAN
from ml_platform.orchestration.partitions import whole_days
from ml_platform.orchestration.resolution import Pipeline

OTHER_PLAN = "made by another feature plan"


def partitions_read(pipeline: Pipeline, keys: Sequence[str]) -> list[str]:
    """Return the partitions of `validated` that the features of a contiguous run of partitions are made from."""
    past = pipeline.plan.history
    before = [] if past is None else pipeline.calendar.keys_before(keys[0], whole_days(past.reach))
    return [*before, *keys]


def feature_inputs(pipeline: Pipeline, key: str) -> Inputs:
    """Return what the features of a partition are made from."""
    inputs = {pipeline.table("validated"): partitions_read(pipeline, [key])}
    for name, lookup in pipeline.spec.features.lookups.items():
        span = lookup.tolerance
        before = [] if span is None else pipeline.calendar.keys_before(key, whole_days(span))
        inputs[pipeline.table(name)] = [STATIC] if span is None else [*before, key]
    return inputs


def stale_validated(pipeline: Pipeline, freshness: Freshness, keys: Sequence[str]) -> Iterator[StalePartition]:
    """Find partitions whose raw rows were never judged, or changed since their verdict.

    The verdict counts, not the table: of a partition that was refused nothing is written, and nothing is to be done
    until its raw rows change.
    """
    for key in keys:
        inputs = {pipeline.table("raw"): [key], pipeline.table("rejected"): [key]}
        if reasons := freshness.changed_inputs(pipeline.table(VERDICTS), key, inputs):
            yield StalePartition("validated", key, reasons)


def stale_lookups(pipeline: Pipeline, freshness: Freshness, keys: Sequence[str]) -> Iterator[StalePartition]:
    """Find lookup partitions that were never loaded although there are rows to join them."""
    used = [key for key in keys if freshness.has_rows(pipeline.table("validated"), key)]
    for name, lookup in pipeline.spec.features.lookups.items():
        for key in used if lookup.known_at is not None else [STATIC] * bool(used):
            if freshness.now(pipeline.table(name), key) is None:
                yield StalePartition(name, key, (NEVER_MADE,))


def stale_features(pipeline: Pipeline, freshness: Freshness, keys: Sequence[str]) -> Iterator[StalePartition]:
    """Find feature partitions that do not follow from the rows, lookups and feature plan of now."""
    table, rows = pipeline.table("features"), pipeline.table("validated")
    for key in keys:
        if not (freshness.has_rows(table, key) or freshness.has_rows(rows, key)):
            continue
        written, reasons = (
            freshness.now(table, key),
            freshness.changed_inputs(table, key, feature_inputs(pipeline, key)),
        )
        if written is not None and written.lineage.get(PLAN) != pipeline.plan.digest:
            reasons = (OTHER_PLAN,)  # which read other inputs, so that these cannot be compared
        if reasons:
            yield StalePartition("features", key, reasons)


def stale_training_sets(pipeline: Pipeline, freshness: Freshness, keys: Sequence[str]) -> Iterator[StalePartition]:
    """Find training sets, of these as-of partitions, that were cut from other features or rows than those of now."""
    table = pipeline.table("training_set")
    for key in keys:
        span = pipeline.calendar.keys_before(key, pipeline.spec.split.span)
        inputs = {pipeline.table(stage): span for stage in ("features", "validated")}
        if freshness.now(table, key) is not None and (reasons := freshness.changed_inputs(table, key, inputs)):
            yield StalePartition("training_set", key, reasons)


def stale_partitions(pipeline: Pipeline, lake: Lake) -> list[StalePartition]:
    """Return every stale partition of a pipeline, in the order in which they are made again."""
    freshness, name = Freshness(lake), pipeline.table
    raw, rows, features = (freshness.partitions(name(stage)) for stage in ("raw", "validated", "features"))
    unbound = [
        StalePartition("validated", key, (reason,))
        for key, reason in unbound_verdicts(lake, pipeline.name, rows).items()
    ]
    judged = {each.partition: each for each in [*unbound, *stale_validated(pipeline, freshness, raw)]}
    return [
        *(judged[key] for key in sorted(judged)),
        *stale_lookups(pipeline, freshness, rows),
        *stale_features(pipeline, freshness, sorted({*rows, *features})),
        *stale_training_sets(pipeline, freshness, freshness.partitions(name("training_set"))),
    ]


def training_span(pipeline: Pipeline, as_of: str) -> list[str]:
    """Return the partitions whose features and labels a training set may hold."""
    return pipeline.calendar.keys_before(as_of, pipeline.spec.split.span)


def rows_behind(pipeline: Pipeline, as_of: str) -> list[str]:
    """Return the partitions of `validated` that a training set depends on: its own, and those its windows look at."""
    span = training_span(pipeline, as_of)
    return partitions_read(pipeline, span) if span else []


def training_inputs(pipeline: Pipeline, as_of: str) -> Inputs:
    """Return the partitions of every table that a training set is made from, directly or through its features."""
    span = training_span(pipeline, as_of)
    inputs = {pipeline.table("features"): set(span)}
    for key in span:
        for table, keys in feature_inputs(pipeline, key).items():
            inputs.setdefault(table, set()).update(keys)
    return {table: sorted(keys) for table, keys in inputs.items()}


def refuse_stale(pipeline: Pipeline, as_of: str, stale: Sequence[StalePartition]) -> None:
    """Refuse to train on stale partitions.

    Raises
    ------
    StaleInputs
        Names them, at most five, each with what changed.
    """
    if stale:
        rebuild = ", or set training.stale to rebuild" if {each.stage for each in stale} == {"features"} else ""
        raise StaleInputs.because(
            f"{pipeline.name}: training set as of {as_of}", got=listed(stale),
            expected="partitions made from what the lake holds now",
            hint=f"run the job {pipeline.name}_refresh, which makes exactly the stale partitions again, then train"
            + rebuild,
        )  # fmt: skip


def require_current_training_set(pipeline: Pipeline, lake: Lake, as_of: str) -> None:
    """Refuse a training set that an earlier run made from rows or features that changed since.

    One made by the run that trains is taken as it is: it was compared when it was cut.

    Raises
    ------
    StaleInputs
        Names what changed.
    """
    freshness = Freshness(Lake(lake.root, lake.storage_options))
    written = freshness.now(pipeline.table("training_set"), as_of)
    run = lake.said.get("run") if isinstance(lake, RecordedLake) else None
    if written is None or (run is not None and written.lineage.get("run") == run):
        return
    stale = [
        *stale_validated(pipeline, freshness, rows_behind(pipeline, as_of)),
        *stale_features(pipeline, freshness, training_span(pipeline, as_of)),
    ]
    refuse_stale(pipeline, as_of, stale)
    if stale := list(stale_training_sets(pipeline, freshness, [as_of])):
        raise StaleInputs.because(
            f"{pipeline.name}: training set as of {as_of}", got=listed(stale),
            expected="one cut from the features and labels of now",
            hint="materialize training_set together with candidate, as the job "
            f"{pipeline.name}_retrain does",
        )  # fmt: skip


def contiguous_runs(pipeline: Pipeline, keys: Sequence[str]) -> list[list[str]]:
    """Cut partitions into runs without a gap, oldest first."""
    places = {key: place for place, key in enumerate(pipeline.calendar.keys())}
    runs: list[list[str]] = []
    for key in sorted(keys):
        if runs and places[key] == places[runs[-1][-1]] + 1:
            runs[-1].append(key)
        else:
            runs.append([key])
    return runs
