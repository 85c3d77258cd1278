"""One MLflow run for each Dagster run, through dagster-mlflow, and none of them left RUNNING, whatever launched it.

It lies in the experiment of the pipeline and is named by pipeline and as-of; over several as-ofs each has a nested run
of its own. A run whose gates said no has FINISHED, and the tag `gates` says what they said; FAILED is one that crashed.

dagster-mlflow ends a run only by a hook, and a hook hangs on a job; a run from the UI has none. So the run is ended
when the resource is torn down, and one whose process was killed is ended by whoever comes next, or by a sensor. Where
each step has a process of its own, they share the run: one after another they open the store, whose tables MLflow makes
when it is new, and look for the run; the last one ends it.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_platform.contracts.records import ModelVersion
from ml_platform.orchestration.experiments import require_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "ml_platform"  # of runs of several pipelines, and of homes from before each pipeline had its own
KIND, TRAINING = "mlflow.experimentKind", "custom_model_development"  # decides which of MLflow's views opens
OWN = "ml_platform"  # tag of our experiments on a server that has others too
AS_OF = "ml_platform.as_of"  # tag of a nested run
PARTITION, FIRST, LAST = "dagster/partition", "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
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
        name = experiment_name(pipeline_of(context.run))
        config = {
            "experiment_name": name,
            "mlflow_tracking_uri": uri,
            "env": {},
            "extra_tags": owner_tags(context.instance),
        }
        make: Callable[..., Iterator[Any]] = mlflow_tracking.resource_fn
        made = make(context.replace_config(config))  # a generator of one
        with _alone(artifacts.with_suffix(".lock")):
            client = open_experiment(uri, artifacts, name)
            require_experiment(client, name, uri)
            if context.instance is not None:
                end_abandoned(client, context.instance, but=context.run.run_id if context.run else None)
            resource = next(made)
            _name(resource, context.run)
        try:
            yield resource
        finally:
            resource.end_run(_status(context))

    return mlflow


def pipeline_of(run: dg.DagsterRun | None) -> str | None:
    """Return the pipeline that a Dagster run belongs to; None if it is none or several."""
    if run is None:
        return None
    names = {key.path[0] for key in run.asset_selection or ()} or {run.tags.get(PIPELINE_TAG)}
    return names.pop() if len(names) == 1 else None


def experiment_name(pipeline: str | None) -> str:
    """Return the name of a pipeline's experiment."""
    return EXPERIMENT if pipeline is None else f"{EXPERIMENT}/{pipeline}"


def open_experiment(uri: str, artifacts: Path, name: str = EXPERIMENT) -> "MlflowClient":
    """Return a client of the store; the store and the experiment are made if need be."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            client.create_experiment(name, artifact_location=artifacts.as_uri(), tags={KIND: TRAINING, OWN: "yes"})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    elif KIND not in experiment.tags and experiment.lifecycle_stage == "active":
        client.set_experiment_tag(experiment.experiment_id, KIND, TRAINING)
    return client


def experiment_of(mlflow: Any, version: ModelVersion) -> str:
    """Return the experiment that a version's run lies in; the present one if that run is gone."""
    from mlflow.exceptions import MlflowException

    try:
        return mlflow.tracking_client.get_run(version.run_id).info.experiment_id
    except MlflowException:
        return mlflow.active_run().info.experiment_id


@contextmanager
def as_of_run(mlflow: Any, pipeline: str, as_of: str, *, is_nested: bool) -> Iterator[None]:
    """Log to the run of an as-of: nested in that of the Dagster run, or that run itself.

    Every stage of the Dagster run finds the nested run again.
    """
    if not is_nested:
        yield
        return
    client, parent = mlflow.tracking_client, mlflow.active_run()
    tags = client.get_run(parent.info.run_id).data.tags
    wanted = f"tags.`{PARENT}` = '{tags['dagster_run_id']}' and tags.`{AS_OF}` = '{as_of}'"
    found = client.search_runs([parent.info.experiment_id], wanted, max_results=1)
    run = found[0] if found else _nested(client, parent, tags, pipeline, as_of)
    with mlflow.start_run(run_id=run.info.run_id, nested=True):
        yield


def _nested(client: "MlflowClient", parent: Any, tags: Mapping[str, str], pipeline: str, as_of: str) -> Any:
    owner = {name: tags[name] for name in ("dagster_instance",) if name in tags}
    belongs = {"mlflow.parentRunId": parent.info.run_id, PARENT: tags["dagster_run_id"], AS_OF: as_of, **owner}
    return client.create_run(parent.info.experiment_id, tags=belongs, run_name=f"{pipeline} as of {as_of}")


def _name(resource: Any, run: dg.DagsterRun | None) -> None:
    """Name the run by pipeline and as-of; one of no single pipeline keeps the name of its job."""
    pipeline = pipeline_of(run)
    if run is None or pipeline is None:
        return
    first, last = (run.tags.get(name) for name in (FIRST, LAST))
    as_of = run.tags.get(PARTITION) or (first if first == last else f"{first} to {last}")
    name = f"{pipeline} as of {as_of}" if as_of else f"{pipeline} {run.job_name}"
    active = resource.active_run().info
    if active.run_name != name:
        resource.tracking_client.update_run(active.run_id, name=name)


def end_abandoned(client: "MlflowClient", instance: dg.DagsterInstance, but: str | None = None) -> list[str]:
    """End every MLflow run that says RUNNING though its Dagster run has ended; gives their ids."""
    ours = [f"tags.{name} = '{value}'" for name, value in owner_tags(instance).items()]
    wanted = " and ".join(["attributes.status = 'RUNNING'", *ours])
    experiments = our_experiments(client)
    running = client.search_runs(experiments, wanted) if experiments else []
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


def our_experiments(client: "MlflowClient") -> list[str]:
    """Return the ids of the experiments that the platform made, also the one of before."""
    own = client.search_experiments(filter_string=f"tags.`{OWN}` = 'yes'")
    before = client.search_experiments(filter_string=f"name = '{EXPERIMENT}'")
    return list(dict.fromkeys(each.experiment_id for each in (*own, *before)))


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
    """Return how the run stands as seen from here: RUNNING while a step is at work in another process.

    An evaluation whose gates said no has done its work: its run has not failed.
    """
    if context.instance is None or context.run is None:
        return "FINISHED"
    ended_badly = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.PIPELINE_CANCELING}
    begun, done = dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS
    steps: dict[dg.DagsterEventType, set[str | None]] = {begun: set(), done: set()}
    for entry in context.instance.all_logs(context.run.run_id, of_type={*ended_badly, begun, done}):
        event = entry.get_dagster_event()
        if _is_refusal(event):
            steps[done].add(event.step_key)
        elif event.event_type in ended_badly:
            return "FAILED"
        else:
            steps[event.event_type].add(event.step_key)
    return "RUNNING" if steps[begun] - steps[done] else "FINISHED"


def _is_refusal(event: dg.DagsterEvent) -> bool:
    if event.event_type != dg.DagsterEventType.STEP_FAILURE or not (event.step_key or "").endswith("__evaluation"):
        return False
    error = event.step_failure_data.error
    return error is not None and error.cls_name == "DagsterAssetCheckFailedError"
