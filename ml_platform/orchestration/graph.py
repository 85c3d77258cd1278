"""The definitions of one pipeline: its assets, checks, jobs, schedule and sensor."""

import dagster as dg

from ml_platform.orchestration.approval import approval_sensors
from ml_platform.orchestration.endpoint_check import serves_offline_predictions
from ml_platform.orchestration.feature_assets import features_asset, lookup_asset
from ml_platform.orchestration.jobs import data_job, data_schedule, monitor_job, retrain_job, walk_forward_job
from ml_platform.orchestration.member_assets import member_assets
from ml_platform.orchestration.model_assets import model_assets
from ml_platform.orchestration.monitoring_assets import drift_asset
from ml_platform.orchestration.raw_asset import raw_asset
from ml_platform.orchestration.refresh import refresh_job
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.retrain_sensor import drift_sensor
from ml_platform.orchestration.training_set_asset import training_set_asset
from ml_platform.orchestration.validated_asset import validated_asset


def pipeline_definitions(pipeline: Pipeline) -> dg.Definitions:
    """Make the definitions of a pipeline."""
    retrain = retrain_job(pipeline)
    data = data_job(pipeline)
    return dg.Definitions(
        assets=[
            raw_asset(pipeline),
            validated_asset(pipeline),
            *(lookup_asset(pipeline, name) for name in pipeline.spec.features.lookups),
            features_asset(pipeline),
            training_set_asset(pipeline),
            *member_assets(pipeline),
            *model_assets(pipeline),
            drift_asset(pipeline),
        ],
        asset_checks=[serves_offline_predictions(pipeline)],
        jobs=[data, refresh_job(pipeline), retrain, walk_forward_job(pipeline), monitor_job(pipeline)],
        schedules=[data_schedule(pipeline, data)],
        sensors=[drift_sensor(pipeline, retrain), *approval_sensors(pipeline)],
    )
