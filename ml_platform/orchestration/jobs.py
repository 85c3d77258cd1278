"""The jobs of a pipeline, named by what they do, and the schedule of its data."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_platform.contracts.spec import member_stage
from ml_platform.orchestration.mlflow_run import PIPELINE_TAG
from ml_platform.orchestration.resolution import Pipeline

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob


def data_job(pipeline: Pipeline) -> "AssetJob":
    """From the source to features, and on to the drift of what came before the partition."""
    return _job(
        pipeline,
        "data",
        ["raw", "validated", *pipeline.spec.features.lookups, "features", "drift"],
        "Load, validate and make features; then compare the window before with what the champion was trained on.",
    )


def retrain_job(pipeline: Pipeline) -> "AssetJob":
    """From features to the endpoint, if every gate passes."""
    return _job(
        pipeline,
        "retrain",
        [*_model_stages(pipeline), "endpoint"],
        "Train as of a partition, evaluate, and let the endpoint follow if every gate passes.",
    )


def monitor_job(pipeline: Pipeline) -> "AssetJob":
    """Look for drift alone; the data job does so for each partition that it loads."""
    return _job(pipeline, "monitor", ["drift"], "Compare the last days with what the champion was trained on.")


def walk_forward_job(pipeline: Pipeline) -> "AssetJob":
    """Train and evaluate as of partitions, and leave the endpoint alone."""
    return _job(
        pipeline,
        "walk_forward",
        _model_stages(pipeline),
        "Train and evaluate as of a partition, or as of each of a range; what serves stays as it is.",
    )


def data_schedule(pipeline: Pipeline, job: "AssetJob") -> Any:
    """Load each day, week or month when it is over; off until somebody switches it on."""
    return dg.build_schedule_from_partitioned_job(
        job,
        name=f"{pipeline.name}_{_RHYTHM[pipeline.spec.partitions.every]}",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )


_RHYTHM = {"day": "daily", "week": "weekly", "month": "monthly"}


def _model_stages(pipeline: Pipeline) -> list[str]:
    return ["training_set", *map(member_stage, pipeline.spec.members), "candidate", "evaluation"]


def _job(pipeline: Pipeline, verb: str, stages: list[str], description: str) -> "AssetJob":
    selection = dg.AssetSelection.assets(*[[pipeline.name, stage] for stage in stages])
    tags = {PIPELINE_TAG: pipeline.name}
    return dg.define_asset_job(f"{pipeline.name}_{verb}", selection=selection, description=description, tags=tags)
