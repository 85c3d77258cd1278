"""The stage `validated`: rows that keep every rule; what does not is quarantined, with the reason."""

import dagster as dg

from ml_platform.data.lake import Lake, rows_by_partition
from ml_platform.data.quality import enforce, validate
from ml_platform.orchestration.checks import report_per_partition
from ml_platform.orchestration.partitions import partitions_def, stage_asset
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.written import written


def validated_asset(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Make the stage of a pipeline."""
    quality, name = pipeline.spec.quality, f"rows_at_least_{pipeline.spec.quality.rows_at_least}"

    @stage_asset(
        pipeline,
        "validated",
        kinds={"pandas", "pandera", "deltalake"},
        description="Rows that keep every rule of the schema; the others are in the quarantine, with the reason.",
        partitions_def=partitions_def(pipeline),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[[pipeline.name, "raw"]],
        check_specs=[
            dg.AssetCheckSpec(
                name,
                asset=[pipeline.name, "validated"],
                partitions_def=partitions_def(pipeline),
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
        result = written(context, lake, pipeline.table("validated"), judged.kept, keys, extra)
        kept = rows_by_partition(judged.kept, keys)
        passed = {key: (kept[key] >= quality.rows_at_least, {"rows": kept[key]}) for key in keys}
        return result._replace(check_results=[report_per_partition(context, name, passed)])

    return validated
