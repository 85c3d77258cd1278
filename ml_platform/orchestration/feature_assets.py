"""The lookups that features join, and the stage `features`: what a model sees of each row."""

from typing import Any

import dagster as dg

from ml_platform.data.lake.tables import STATIC, Lake
from ml_platform.features.online import OnlineStore
from ml_platform.features.plan import PLAN
from ml_platform.orchestration.catalogue import catalogue_table, descriptions, feature_catalogue
from ml_platform.orchestration.column_lineage import column_lineage
from ml_platform.orchestration.feature_rows import make_features, publish_history
from ml_platform.orchestration.lookups import load_lookup
from ml_platform.orchestration.partition_events import StageContext
from ml_platform.orchestration.partitions import lookback, partitions_def, stage_asset, whole_days
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.written import written


def lookup_asset(pipeline: Pipeline, name: str) -> dg.AssetsDefinition:
    """Make one lookup of a pipeline."""
    is_timed = pipeline.spec.features.lookups[name].known_at is not None

    @stage_asset(
        pipeline,
        name,
        kinds={"python", "deltalake"},
        description="A lookup that features join" + (", as it was known at the event time." if is_timed else "."),
        partitions_def=partitions_def(pipeline) if is_timed else None,
        backfill_policy=dg.BackfillPolicy.single_run() if is_timed else None,
    )
    def lookup(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], online: dg.ResourceParam[OnlineStore]
    ) -> dg.MaterializeResult:
        keys = list(context.partition_keys) if is_timed else [STATIC]
        return write_lookup(context, pipeline, name, lake, online, keys)

    return lookup


def write_lookup(
    context: StageContext, pipeline: Pipeline, name: str, lake: Lake, online: OnlineStore, keys: list[str]
) -> dg.MaterializeResult:
    """Load partitions of a lookup, write them, and publish the lookup for the server."""
    rows = load_lookup(pipeline, name, keys)
    result = written(context, lake, pipeline.table(name), rows, keys)
    _publish(pipeline, name, lake, online)
    return result


def features_asset(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Make the stage of a pipeline."""
    timed = [name for name, lookup in pipeline.spec.features.lookups.items() if lookup.tolerance]
    static = [name for name in pipeline.spec.features.lookups if name not in timed]
    back = {name: pipeline.spec.features.lookups[name].tolerance for name in timed}
    catalogue = catalogue_table(feature_catalogue(pipeline))

    @stage_asset(
        pipeline,
        "features",
        kinds={"polars", "deltalake"},
        description="What a model sees of each row, made only of what was known at its event time.",
        partitions_def=partitions_def(pipeline),
        backfill_policy=dg.BackfillPolicy.single_run(),
        metadata={"catalogue": dg.MetadataValue.md(catalogue)},
        deps=[
            _validated(pipeline),
            *[
                dg.AssetDep([pipeline.name, name], partition_mapping=lookback(pipeline, whole_days(span), and_own=True))
                for name, span in back.items()
                if span
            ],
            *[[pipeline.name, name] for name in static],
        ],
    )
    def features(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], online: dg.ResourceParam[OnlineStore]
    ) -> dg.MaterializeResult:
        return write_features(context, pipeline, lake, online, list(context.partition_keys))

    return features


def write_features(
    context: StageContext, pipeline: Pipeline, lake: Lake, online: OnlineStore, keys: list[str]
) -> dg.MaterializeResult:
    """Make the features of a contiguous run of partitions, write them, and publish the past for the server."""
    made = make_features(pipeline, lake, keys)
    described: dict[str, Any] = {"lineage": {PLAN: pipeline.plan.digest}, "evolve": True}
    described["descriptions"] = descriptions(pipeline)
    once = {"dagster/column_lineage": column_lineage(pipeline)}
    result = written(context, lake, pipeline.table("features"), made, keys, once=once, **described)
    publish_history(pipeline, lake, online, keys)
    return result


def _validated(pipeline: Pipeline) -> dg.AssetDep:
    """Depend on validated rows of the partition itself, and on those before it that its windows look at."""
    past = pipeline.plan.history
    own = [pipeline.name, "validated"]
    if past is None:
        return dg.AssetDep(own)
    return dg.AssetDep(own, partition_mapping=lookback(pipeline, whole_days(past.reach), and_own=True))


def _publish(pipeline: Pipeline, name: str, lake: Lake, online: OnlineStore) -> None:
    """Publish the newest version of a lookup, again if another run wrote one meanwhile: the last word is the newest."""
    table, published = pipeline.table(name), None
    while published != (version := lake.version(table)):
        online.publish(pipeline.name, name, lake.read(table, version=version).drop("partition"))
        published = version
