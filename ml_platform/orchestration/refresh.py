"""Making stale partitions again, exactly these: the job of a pipeline, and what `training_set` does of it itself.

Every stage is made by the function that its asset calls, and logged under the asset's key, so that tables, lineage and
Dagster's data versions are those of a materialization.
"""

from collections.abc import Sequence

import dagster as dg

from ml_platform.contracts.errors import QuarantineExceeded
from ml_platform.data.lake.freshness import StalePartition
from ml_platform.data.lake.tables import STATIC, Lake
from ml_platform.features.online import OnlineStore
from ml_platform.orchestration.checks import report_findings
from ml_platform.orchestration.code_versions import stage_version
from ml_platform.orchestration.feature_assets import write_features, write_lookup
from ml_platform.orchestration.freshness import contiguous_runs, stale_partitions
from ml_platform.orchestration.partition_events import PartitionLog, log_of_stage
from ml_platform.orchestration.partitions import recording_lake
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.validated_asset import judge, write_judged

Context = dg.OpExecutionContext | dg.AssetExecutionContext


def refresh_job(pipeline: Pipeline) -> dg.JobDefinition:
    """Make everything stale from `validated` to `features` again, in one run; nothing is chosen at launch."""

    @dg.op(
        name=f"{pipeline.name}__refresh",
        description="Finds the stale partitions of validated, lookups and features, and makes them.",
    )
    def refresh(
        context: dg.OpExecutionContext, lake: dg.ResourceParam[Lake], online: dg.ResourceParam[OnlineStore]
    ) -> None:
        refreshed, refusals = refresh_stale(context, pipeline, lake, online)
        context.add_output_metadata({"refreshed": len(refreshed), "partitions": stale_table(refreshed)})
        if refusals:
            raise refusals[0]

    @dg.job(
        name=f"{pipeline.name}_refresh",
        description="Make exactly the stale partitions of validated, lookups and features again, in one run.",
    )
    def job() -> None:
        refresh()

    return job


def refresh_stale(
    context: Context, pipeline: Pipeline, lake: Lake, online: OnlineStore
) -> tuple[list[StalePartition], list[QuarantineExceeded]]:
    """Make stale partitions again, stage by stage.

    Returns
    -------
    tuple of list and list
        What was stale and is made again, and the refusals of partitions of which too many rows are bad.
    """
    stale = stale_partitions(pipeline, lake)
    refusals = _judge_again(context, pipeline, lake, _keys(stale, "validated"))
    lookups = [each for each in stale_partitions(pipeline, lake) if each.stage in pipeline.spec.features.lookups]
    for name in pipeline.spec.features.lookups:
        _load_again(context, pipeline, name, lake, online, _keys(lookups, name))
    features = [each for each in stale_partitions(pipeline, lake) if each.stage == "features"]
    rebuild_features(context, pipeline, lake, online, _keys(features, "features"))
    return [*(each for each in stale if each.stage == "validated"), *lookups, *features], refusals


def rebuild_features(
    context: Context, pipeline: Pipeline, lake: Lake, online: OnlineStore, keys: Sequence[str]
) -> None:
    """Make the features of some partitions again, oldest first, as the asset `features` makes them."""
    log = _log(context, pipeline, "features", ["validated", *pipeline.spec.features.lookups])
    for run in contiguous_runs(pipeline, keys):
        write_features(log, pipeline, recording_lake(pipeline, lake, context.run.run_id), online, run)
    log.step.wipe_input_asset_version_info(log.asset_key)  # read at the step's start, when they were still stale


def stale_table(stale: Sequence[StalePartition]) -> dg.MarkdownMetadataValue:
    """Show stale partitions with every reason."""
    lines = [f"| {each.stage} | {each.partition} | {', '.join(each.reasons)} |" for each in stale]
    return dg.MetadataValue.md("\n".join(["| stage | partition | why it was stale |", "| --- | --- | --- |", *lines]))


def _judge_again(context: Context, pipeline: Pipeline, lake: Lake, keys: Sequence[str]) -> list[QuarantineExceeded]:
    refusals: list[QuarantineExceeded] = []
    for run in contiguous_runs(pipeline, keys):
        log = _log(context, pipeline, "validated", ["raw"])
        own = recording_lake(pipeline, lake, context.run.run_id)
        judged = judge(pipeline, own, run)
        write_judged(log, own, pipeline, judged)
        report_findings(log, judged.findings, run_fails=True)
        refusals += [judged.refusal] if judged.refusal else []
    return refusals


def _load_again(
    context: Context, pipeline: Pipeline, name: str, lake: Lake, online: OnlineStore, keys: Sequence[str]
) -> None:
    for run in [[STATIC]] if STATIC in keys else contiguous_runs(pipeline, keys):
        log, own = _log(context, pipeline, name, []), recording_lake(pipeline, lake, context.run.run_id)
        write_lookup(log, pipeline, name, own, online, run)


def _log(context: Context, pipeline: Pipeline, stage: str, upstream: Sequence[str]) -> PartitionLog:
    key = dg.AssetKey([pipeline.name, stage])
    return log_of_stage(context, key, stage_version(pipeline, stage), upstream)


def _keys(stale: Sequence[StalePartition], stage: str) -> list[str]:
    return [each.partition for each in stale if each.stage == stage]
