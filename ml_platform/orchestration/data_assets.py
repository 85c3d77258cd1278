"""The data stages as assets: raw, validated, the lookups and features."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from ml_platform.data.lake import STATIC, Lake
from ml_platform.data.quality import enforce, validate
from ml_platform.data.sources import load_rows
from ml_platform.features.online import OnlineStore
from ml_platform.orchestration.checks import report_per_partition
from ml_platform.orchestration.lookups import load_lookup, read_lookups
from ml_platform.orchestration.metadata import preview, rows_by_partition, table_metadata
from ml_platform.orchestration.partitions import days, lookback, stage_asset, whole_days
from ml_platform.orchestration.resolution import Pipeline


def data_assets(pipeline: Pipeline) -> list[dg.AssetsDefinition]:
    """Make the data stages of a pipeline."""
    lookups = [_lookup(pipeline, name) for name in pipeline.spec.features.lookups]
    return [_raw(pipeline), _validated(pipeline), *lookups, _features(pipeline)]


def _raw(pipeline: Pipeline) -> dg.AssetsDefinition:
    @stage_asset(
        pipeline,
        "raw",
        kinds={"python", "pandas", "deltalake"},
        description="Rows as the source gave them, with the columns and types of the schema.",
        partitions_def=days(pipeline),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def raw(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult:
        keys = list(context.partition_keys)
        rows = load_rows(pipeline.load, pipeline.schema, pipeline.calendar, pipeline.spec.event_time, keys)
        return _written(context, lake, pipeline.table("raw"), rows, keys)

    return raw


def _validated(pipeline: Pipeline) -> dg.AssetsDefinition:
    quality, name = pipeline.spec.quality, f"rows_at_least_{pipeline.spec.quality.rows_at_least}"

    @stage_asset(
        pipeline,
        "validated",
        kinds={"pandas", "pandera", "deltalake"},
        description="Rows that keep every rule of the schema; the others are in the quarantine, with the reason.",
        partitions_def=days(pipeline),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[[pipeline.name, "raw"]],
        check_specs=[
            dg.AssetCheckSpec(
                name,
                asset=[pipeline.name, "validated"],
                partitions_def=days(pipeline),
                description="Enough rows to go on with.",
            )
        ],
    )
    def validated(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult:
        keys = list(context.partition_keys)
        judged = validate(lake.read(pipeline.table("raw"), keys), pipeline.schema, pipeline.spec.key)
        enforce(judged, quality)
        lake.write(pipeline.table("quarantine"), judged.quarantined, keys)
        bad = rows_by_partition(judged.quarantined, keys)
        extra = {key: {"rows_quarantined": count} for key, count in bad.items()}
        result = _written(context, lake, pipeline.table("validated"), judged.kept, keys, extra)
        kept = rows_by_partition(judged.kept, keys)
        passed = {key: (kept[key] >= quality.rows_at_least, {"rows": kept[key]}) for key in keys}
        return result._replace(check_results=[report_per_partition(context, name, passed)])

    return validated


def _lookup(pipeline: Pipeline, name: str) -> dg.AssetsDefinition:
    is_timed = pipeline.spec.features.lookups[name].known_at is not None

    @stage_asset(
        pipeline,
        name,
        kinds={"python", "deltalake"},
        description="A lookup that features join" + (", as it was known at the event time." if is_timed else "."),
        partitions_def=days(pipeline) if is_timed else None,
        backfill_policy=dg.BackfillPolicy.single_run() if is_timed else None,
    )
    def lookup(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], online: dg.ResourceParam[OnlineStore]
    ) -> dg.MaterializeResult:
        keys = list(context.partition_keys) if is_timed else [STATIC]
        rows = load_lookup(pipeline, name, keys)
        result = _written(context, lake, pipeline.table(name), rows, keys)
        _publish(pipeline, name, lake, online)
        return result

    return lookup


def _publish(pipeline: Pipeline, name: str, lake: Lake, online: OnlineStore) -> None:
    """Publish the newest version of a lookup, again if another run wrote one meanwhile: the last word is the newest."""
    table, published = pipeline.table(name), None
    while published != (version := lake.version(table)):
        online.publish(pipeline.name, name, lake.read(table, version=version).drop("partition"))
        published = version


def _features(pipeline: Pipeline) -> dg.AssetsDefinition:
    timed = [name for name, lookup in pipeline.spec.features.lookups.items() if lookup.tolerance]
    static = [name for name in pipeline.spec.features.lookups if name not in timed]
    back = {name: pipeline.spec.features.lookups[name].tolerance for name in timed}

    @stage_asset(
        pipeline,
        "features",
        kinds={"polars", "deltalake"},
        description="What a model sees of each row, made only of what was known at its event time.",
        partitions_def=days(pipeline),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[
            [pipeline.name, "validated"],
            *[
                dg.AssetDep([pipeline.name, name], partition_mapping=lookback(whole_days(span), 0))
                for name, span in back.items()
                if span
            ],
            *[[pipeline.name, name] for name in static],
        ],
    )
    def features(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult:
        keys = list(context.partition_keys)
        rows = lake.read(pipeline.table("validated"), keys)
        made = pipeline.plan.transform(rows, read_lookups(pipeline, lake, keys)).with_columns(rows["partition"])
        return _written(context, lake, pipeline.table("features"), made, keys)

    return features


def _written(
    context: dg.AssetExecutionContext,
    lake: Lake,
    table: str,
    rows: pl.DataFrame,
    keys: list[str],
    extra: Mapping[str, Mapping[str, Any]] | None = None,
) -> dg.MaterializeResult:
    """Write a stage's rows and describe them: each partition's own numbers, and what holds for all of them."""
    version = lake.write(table, rows, keys)
    counts = rows_by_partition(rows, keys)
    if keys == [STATIC]:
        return dg.MaterializeResult(metadata=table_metadata(version, rows) | {"dagster/row_count": len(rows)})
    for key in keys:
        context.add_asset_metadata(
            {"dagster/partition_row_count": counts[key], **(extra or {}).get(key, {})}, partition_key=key
        )
    empty = [key for key in keys if not counts[key]]
    if empty:
        context.log.warning(f"{table}: no rows in {', '.join(empty)}")
    described = table_metadata(version, rows)
    if len(keys) > 1:  # what is large stands once, with the newest partition
        described.pop("preview")
        newest = rows.filter(pl.col("partition") == keys[-1])
        context.add_asset_metadata({"preview": dg.MetadataValue.md(preview(newest))}, partition_key=keys[-1])
    return dg.MaterializeResult(metadata=described)
