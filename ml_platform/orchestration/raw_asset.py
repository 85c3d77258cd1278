"""The stage `raw`: rows as the source gave them."""

import dagster as dg

from ml_platform.data.lake import Lake
from ml_platform.data.sources import load_rows
from ml_platform.orchestration.partitions import partitions_def, stage_asset
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.written import written


def raw_asset(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Make the stage of a pipeline."""

    @stage_asset(
        pipeline,
        "raw",
        kinds={"python", "pandas", "deltalake"},
        description="Rows as the source gave them, with the columns and types of the schema.",
        partitions_def=partitions_def(pipeline),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def raw(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult:
        keys = list(context.partition_keys)
        rows = load_rows(pipeline.load, pipeline.schema, pipeline.calendar, pipeline.spec.event_time, keys)
        return written(context, lake, pipeline.table("raw"), rows, keys)

    return raw
