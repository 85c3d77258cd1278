"""The stage `training_set`: feature rows with the labels known before the as-of instant, cut into parts."""

from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from ml_platform.data.lake.manifest import manifest_lineage, training_manifest
from ml_platform.data.lake.tables import Lake
from ml_platform.data.splits.cut import parted
from ml_platform.data.splits.leakage import certify
from ml_platform.data.splits.parts import empty_partitions
from ml_platform.features.online import OnlineStore
from ml_platform.orchestration.as_ofs import for_each_as_of
from ml_platform.orchestration.catalogue import descriptions
from ml_platform.orchestration.certifying import fold_numbers, leakage_check, leakage_check_spec
from ml_platform.orchestration.metadata import manifest_metadata, table_metadata
from ml_platform.orchestration.partitions import lookback, partitions_def, stage_asset
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.training_inputs import fresh_check, fresh_check_spec, require_fresh_inputs
from ml_platform.orchestration.training_rows import make_training_set


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
        check_specs=[leakage_check_spec(pipeline), fresh_check_spec(pipeline)],
    )
    def training_set(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], online: dg.ResourceParam[OnlineStore]
    ) -> dg.MaterializeResult:
        return for_each_as_of(context, partial(_made, context, pipeline, lake, online), pipeline=pipeline)

    return training_set


def _made(
    context: dg.AssetExecutionContext, pipeline: Pipeline, lake: Lake, online: OnlineStore, as_of: str
) -> dg.MaterializeResult:
    inputs = require_fresh_inputs(context, pipeline, lake, online, as_of)
    rows = make_training_set(pipeline, lake, as_of, inputs.versions)
    certificate = certify(parted(rows), pipeline.spec, as_of)
    table, marked = pipeline.table("training_set"), rows.with_columns(partition=pl.lit(as_of))
    manifest = training_manifest(lake, pipeline.name, as_of)
    commit = lake.write(table, marked, [as_of], lineage=manifest_lineage(manifest), evolve=True)
    shown = _numbers(pipeline, rows, as_of) | fold_numbers(certificate) | manifest_metadata(manifest)
    return dg.MaterializeResult(
        metadata=table_metadata(commit, rows, descriptions(pipeline)) | shown,
        data_version=dg.DataVersion(commit.partitions[as_of].hash),
        check_results=[leakage_check(certificate), fresh_check(inputs)],
    )


def _numbers(pipeline: Pipeline, rows: pl.DataFrame, as_of: str) -> dict[str, Any]:
    """Count the rows of each part, with the mean or the number of its labels; name the partitions that have none."""
    said = {
        "binary": ("positive_share", pl.col("label").mean()),
        "multiclass": ("classes", pl.col("label").n_unique()),
        "regression": ("label_mean", pl.col("label").mean()),
    }
    name, number = said[pipeline.spec.label.task]
    found: dict[str, Any] = {"dagster/partition_row_count": len(rows)}
    for part, count, value in rows.group_by("part").agg(rows=pl.len(), said=number).iter_rows():
        found |= {f"{part}/rows": count, f"{part}/{name}": value}
    empty = empty_partitions(parted(rows), pipeline.spec.split, pipeline.calendar, as_of)
    named = dict.fromkeys(key for keys in empty.values() for key in keys)
    return found | {"partitions_without_rows": ", ".join(named) or "none"}
