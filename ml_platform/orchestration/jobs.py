"""The jobs of a pipeline, named by what they do, and the schedule of its data."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_platform.contracts.spec import member_stage
from ml_platform.orchestration.resolution import Pipeline

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob


def data_job(pipeline: Pipeline) -> "AssetJob":
    """From the source to features."""
    return _job(
        pipeline,
        "data",
        ["raw", "validated", *pipeline.spec.features.lookups, "features"],
        "Load, validate and make features.",
    )


def retrain_job(pipeline: Pipeline) -> "AssetJob":
    """From features to the endpoint, if every gate passes."""
    members = [member_stage(name) for name in pipeline.spec.members]
    stages = ["training_set", *members, "candidate", "evaluation", "endpoint"]
    return _job(
        pipeline,
        "retrain",
        stages,
        "Train as of a partition, evaluate, and let the endpoint follow if every gate passes.",
    )


def monitor_job(pipeline: Pipeline) -> "AssetJob":
    """Look for drift."""
    return _job(pipeline, "monitor", ["drift"], "Compare the last days with what the champion was trained on.")


def data_schedule(pipeline: Pipeline, job: "AssetJob") -> Any:
    """Load each day, week or month when it is over; off until somebody switches it on."""
    return dg.build_schedule_from_partitioned_job(
        job,
        name=f"{pipeline.name}_{_RHYTHM[pipeline.spec.partitions.every]}",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )


_RHYTHM = {"day": "daily", "week": "weekly", "month": "monthly"}


def _job(pipeline: Pipeline, verb: str, stages: list[str], description: str) -> "AssetJob":
    selection = dg.AssetSelection.assets(*[[pipeline.name, stage] for stage in stages])
    return dg.define_asset_job(f"{pipeline.name}_{verb}", selection=selection, description=description)
