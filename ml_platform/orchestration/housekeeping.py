"""What keeps the books in order whatever happens to a run: no MLflow run outlives its Dagster run."""

import dagster as dg

from ml_platform.orchestration.mlflow_run import end_abandoned
from ml_platform.orchestration.resources import home, mlflow_url


def housekeeping_sensors() -> list[dg.SensorDefinition]:
    """Make the sensors; they are on by default and cost nothing while no run fails."""
    return [_end_mlflow_runs(status) for status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)]


def _end_mlflow_runs(status: dg.DagsterRunStatus) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        name=f"mlflow_runs_after_{status.value.lower()}",
        run_status=status,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Ends MLflow runs whose Dagster run was killed before it could end them itself.",
    )
    def watch(context: dg.RunStatusSensorContext) -> None:
        if home().root.exists():
            from mlflow import MlflowClient

            end_abandoned(MlflowClient(tracking_uri=mlflow_url()), context.instance)

    return watch
