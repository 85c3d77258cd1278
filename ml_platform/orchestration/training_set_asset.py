"""The stage `training_set`: feature rows with the labels known before the as-of instant, cut into parts."""

from typing import Any

import dagster as dg
import polars as pl

from ml_platform.data.lake.manifest import manifest_lineage, training_manifest
from ml_platform.data.lake.tables import Lake
from ml_platform.data.quality.verdicts import require_trusted
from ml_platform.data.splits.cut import split_rows
from ml_platform.data.splits.labels import known_labels
from ml_platform.data.splits.leakage import certify
from ml_platform.data.splits.parts import empty_partitions
from ml_platform.features.plan import require_one_plan
from ml_platform.orchestration.certifying import fold_numbers, leakage_check, leakage_check_spec
from ml_platform.orchestration.metadata import manifest_metadata, table_metadata
from ml_platform.orchestration.partitions import lookback, partitions_def, stage_asset
from ml_platform.orchestration.resolution import Pipeline


def training_set_asset(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Make the stage of a pipeline."""
    span = lookback(pipeline, pipeline.spec.split.span)

    @stage_asset(
        pipeline,
        "training_set",
        kinds={"polars", "deltalake"},
        description="Feature rows with the labels known before the as-of: train, validation, holdout.",
        partitions_def=partitions_def(pipeline),
        deps=[dg.AssetDep([pipeline.name, stage], partition_mapping=span) for stage in ("features", "validated")],
        check_specs=[leakage_check_spec(pipeline)],
    )
    def training_set(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult:
        as_of = context.partition_key
        rows = _cut(pipeline, lake, as_of)
        certificate = certify(rows, pipeline.spec, as_of)
        table, marked = pipeline.table("training_set"), rows.with_columns(partition=pl.lit(as_of))
        manifest = training_manifest(lake, pipeline.name, as_of)
        commit = lake.write(table, marked, [as_of], lineage=manifest_lineage(manifest), evolve=True)
        shown = _numbers(pipeline, rows, as_of) | fold_numbers(certificate) | manifest_metadata(manifest)
        return dg.MaterializeResult(
            metadata=table_metadata(commit, rows) | shown,
            data_version=dg.DataVersion(commit.partitions[as_of].hash),
            check_results=[leakage_check(certificate)],
        )

    return training_set


def _cut(pipeline: Pipeline, lake: Lake, as_of: str) -> pl.DataFrame:
    spec = pipeline.spec
    return split_rows(
        *_known_rows(pipeline, lake, as_of),
        key=spec.key, event_time=spec.event_time, split=spec.split, calendar=pipeline.calendar, as_of=as_of,
    )  # fmt: skip


def _numbers(pipeline: Pipeline, rows: pl.DataFrame, as_of: str) -> dict[str, Any]:
    """Count the rows of each part, with the mean of its labels, and name the partitions that have none."""
    parts = rows.group_by("part").agg(rows=pl.len(), mean=pl.col("label").mean())
    mean = "positive_share" if pipeline.spec.label.task == "binary" else "label_mean"
    found: dict[str, Any] = {"dagster/partition_row_count": len(rows)}
    for part, count, value in parts.iter_rows():
        found |= {f"{part}/rows": count, f"{part}/{mean}": value}
    empty = empty_partitions(rows, pipeline.spec.split, pipeline.calendar, as_of)
    named = dict.fromkeys(key for keys in empty.values() for key in keys)
    return found | {"partitions_without_rows": ", ".join(named) or "none"}


def _known_rows(pipeline: Pipeline, lake: Lake, as_of: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read feature rows and labels of the split's span, marked with the table versions they were read at."""
    spec, keys = pipeline.spec, pipeline.calendar.keys_before(as_of, pipeline.spec.split.span)
    require_trusted(lake, spec.name, keys)
    versions = {stage: lake.version(pipeline.table(stage)) for stage in ("features", "validated")}
    features = lake.read(pipeline.table("features"), keys, version=versions["features"])
    features = require_one_plan(features, pipeline.plan.digest)
    by = [spec.split.by] if spec.split.by is not None and spec.split.by not in features.columns else []
    wanted = list(dict.fromkeys([*spec.key, spec.event_time, *spec.label.columns, *by]))
    labels = lake.read(pipeline.table("validated"), keys, columns=wanted, version=versions["validated"])
    return (
        features.with_columns(pl.lit(at).alias(f"{stage}_version") for stage, at in versions.items()),
        known_labels(labels, spec.label, spec.key, spec.event_time, also=by),
    )
