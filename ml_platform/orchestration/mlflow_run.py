"""One MLflow run for each Dagster run, through dagster-mlflow, and none of them left RUNNING, whatever launched it.

dagster-mlflow ends a run only by a hook, and a hook hangs on a job; a run from the UI has none. So the run is ended
when the resource is torn down, and one whose process was killed is ended by whoever comes next, or by a sensor. Where
each step has a process of its own, they share the run: one after another they open the store, whose tables MLflow makes
when it is new, and look for the run; the last one ends it.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "ml_platform"
PIPELINE_TAG = "ml_platform/pipeline"  # of a Dagster run: its pipeline
PARENT = "dagster_parent_run_id"  # of a nested run: dagster-mlflow takes one with `dagster_run_id` for that of a step
MLFLOW_STATUS = {dg.DagsterRunStatus.SUCCESS: "FINISHED", dg.DagsterRunStatus.CANCELED: "KILLED"}


def mlflow_run(where: Callable[[], tuple[str, Path]]) -> dg.ResourceDefinition:
    """Make the resource `mlflow`.

    Parameters
    ----------
    where : function
        Gives MLflow's tracking URI and the folder for artifacts; called when the resource is set up.
    """

    @dg.resource(description="The MLflow run of this Dagster run.")
    def mlflow(context: dg.InitResourceContext) -> Iterator[Any]:
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        from dagster_mlflow import mlflow_tracking

        uri, artifacts = where()
        config = {
            "experiment_name": EXPERIMENT,
            "mlflow_tracking_uri": uri,
            "env": {},
            "extra_tags": owner_tags(context.instance),
        }
        make: Callable[..., Iterator[Any]] = mlflow_tracking.resource_fn
        made = make(context.replace_config(config))  # a generator of one
        with _alone(artifacts.with_suffix(".lock")):
            client = open_experiment(uri, artifacts)
            if context.instance is not None:
                end_abandoned(client, context.instance, but=context.run.run_id if context.run else None)
            resource = next(made)
        try:
            yield resource
        finally:
            resource.end_run(_status(context))

    return mlflow


def open_experiment(uri: str, artifacts: Path) -> "MlflowClient":
    """Give a client of the store, the store and the experiment made if need be."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=uri)
    if client.get_experiment_by_name(EXPERIMENT) is None:
        try:
            client.create_experiment(EXPERIMENT, artifact_location=artifacts.as_uri())
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    return client


def end_abandoned(client: "MlflowClient", instance: dg.DagsterInstance, but: str | None = None) -> list[str]:
    """End every MLflow run that says RUNNING though its Dagster run has ended; gives their ids."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    ours = [f"tags.{name} = '{value}'" for name, value in owner_tags(instance).items()]
    wanted = " and ".join(["attributes.status = 'RUNNING'", *ours])
    running = [] if experiment is None else client.search_runs([experiment.experiment_id], wanted)
    ended: list[str] = []
    for run in running:
        run_id = run.data.tags.get("dagster_run_id") or run.data.tags.get(PARENT)
        dagster_run = instance.get_run_by_id(run_id) if run_id else None
        if run_id is None or run_id == but or (dagster_run and not dagster_run.is_finished):
            continue
        status = MLFLOW_STATUS.get(dagster_run.status, "FAILED") if dagster_run else "FAILED"
        client.set_terminated(run.info.run_id, status)
        ended.append(run.info.run_id)
    return ended


def owner_tags(instance: dg.DagsterInstance | None) -> dict[str, str]:
    """Tag the Dagster instance that a run belongs to: on a shared MLflow server each ends only its own."""
    get_id = getattr(instance and instance.run_storage, "get_run_storage_id", None)  # every SQL storage has one
    return {"dagster_instance": get_id()} if get_id else {}


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process in at a time: of two that look for their run at once, each would find none and make its own."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # given back by the system if the process dies
        yield


def _status(context: dg.InitResourceContext) -> str:
    """Say how the run stands as seen from here: RUNNING while a step is at work in another process."""
    if context.instance is None or context.run is None:
        return "FINISHED"
    ended_badly = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.PIPELINE_CANCELING}
    begun, done = dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS
    steps: dict[dg.DagsterEventType, set[str | None]] = {begun: set(), done: set()}
    for entry in context.instance.all_logs(context.run.run_id, of_type={*ended_badly, begun, done}):
        event = entry.get_dagster_event()
        if event.event_type in ended_badly:
            return "FAILED"
        steps[event.event_type].add(event.step_key)
    return "RUNNING" if steps[begun] - steps[done] else "FINISHED"
