"""The stage `validated`: rows that keep every rule; what does not is quarantined, with the reason."""

from collections.abc import Iterator

import dagster as dg

from ml_platform.data.lake.tables import Lake, rows_by_partition
from ml_platform.data.quality.judging import Judged, judge_partitions
from ml_platform.data.quality.verdicts import store_verdicts
from ml_platform.orchestration.catalogue import descriptions
from ml_platform.orchestration.checks import quality_check_specs, report_findings
from ml_platform.orchestration.partition_events import StageContext
from ml_platform.orchestration.partitions import partitions_def, stage_asset
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.written import written

Shown = dg.MaterializeResult | dg.AssetObservation


def validated_asset(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Make the stage of a pipeline."""

    @stage_asset(
        pipeline,
        "validated",
        kinds={"polars", "pandera", "deltalake"},
        description="Rows that keep every rule of the schema; the others are in the quarantine, with the reason.",
        partitions_def=partitions_def(pipeline),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[[pipeline.name, "raw"]],
        check_specs=quality_check_specs(pipeline),
    )
    def validated(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> Iterator[Shown]:
        judged = judge(pipeline, lake, list(context.partition_keys))
        result = write_judged(context, lake, pipeline, judged)
        checks = report_findings(context, judged.findings, run_fails=judged.refusal is not None)
        if judged.refusal is not None:
            yield from _show_refused(context, judged)
            raise judged.refusal
        yield result._replace(check_results=checks)

    return validated


def judge(pipeline: Pipeline, lake: Lake, keys: list[str]) -> Judged:
    """Judge partitions of a pipeline's raw rows."""
    return judge_partitions(lake, pipeline.spec, pipeline.schema, pipeline.calendar, keys, pipeline.suite)


def write_judged(context: StageContext, lake: Lake, pipeline: Pipeline, judged: Judged) -> dg.MaterializeResult:
    """Write what is accepted, the verdicts last: rows whose verdict a crash kept away are not trusted."""
    keys, result = judged.accepted, dg.MaterializeResult()
    if keys:
        lake.write(pipeline.table("quarantine"), judged.quarantine, keys)
        bad = rows_by_partition(judged.quarantine, keys)
        extra = {key: {"rows_quarantined": count} for key, count in bad.items()}
        fails, table, said = judged.refusal is not None, pipeline.table("validated"), descriptions(pipeline)
        result = written(context, lake, table, judged.kept, keys, extra, run_fails=fails, descriptions=said)
    store_verdicts(lake, pipeline.name, judged.verdicts)
    return result


def _show_refused(context: dg.AssetExecutionContext, judged: Judged) -> Iterator[Shown]:
    """Show which partitions were refused, and why."""
    for verdict in judged.verdicts:
        if verdict.partition in judged.refused:
            refused = {"refused": verdict.sentence}
            yield dg.AssetObservation(context.asset_key, partition=verdict.partition, metadata=refused)
