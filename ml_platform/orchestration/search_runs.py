"""The trials of a search in MLflow: one run each, nested under the run of the Dagster run, made when the trial ended.

They are made through a client, beside MLflow's globals, and carry the owner's tags, so that one cut off between its
making and its end is ended like any other abandoned run.
"""

import math
from typing import TYPE_CHECKING, Any

from ml_platform.orchestration.mlflow_run import PARENT
from ml_platform.training.trials import Trial

if TYPE_CHECKING:
    from mlflow import MlflowClient

STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}
SHOWN_AT_MOST = 500


class TrialRuns:
    """Makes the MLflow runs of the trials of one study.

    Parameters
    ----------
    client : MlflowClient
        Of the tracking server.
    parent : mlflow.entities.Run
        The run of the Dagster run.
    tags : dict of str to str
        Pipeline, model, as-of and study.
    """

    def __init__(self, client: "MlflowClient", parent: Any, tags: dict[str, str]) -> None:
        self._client, self._parent = client, parent
        owner = parent.data.tags
        self._tags = tags | {
            "mlflow.parentRunId": parent.info.run_id,
            "mlflow.runType": "trial",
            PARENT: owner.get("dagster_run_id") or owner.get(PARENT, ""),
            **({"dagster_instance": owner["dagster_instance"]} if "dagster_instance" in owner else {}),
        }

    def log(self, trial: Trial) -> None:
        """Make the run of a trial, with its parameters, its losses and what became of it."""
        from mlflow.entities import Metric, Param, RunTag

        ended = int(trial.ended_at.timestamp() * 1000)
        run = self._client.create_run(
            self._parent.info.experiment_id,
            start_time=ended - int(trial.seconds * 1000),
            tags=self._tags | {"trial": str(trial.slot + 1)},
            run_name=f"trial {trial.slot + 1}",
        )
        losses = [Metric("fold_loss", loss, ended, fold + 1) for fold, loss in enumerate(trial.losses)]
        mean = [] if math.isnan(trial.loss) else [Metric("loss", trial.loss, ended, 0)]
        told = [
            RunTag("state", trial.state),
            *([RunTag("reason", trial.reason[:SHOWN_AT_MOST])] if trial.reason else []),
        ]
        params = [Param(f"model.{name}", str(value)) for name, value in trial.params.items()]
        self._client.log_batch(run.info.run_id, metrics=[*mean, *losses], params=params, tags=told)
        self._client.set_terminated(run.info.run_id, STATUS[trial.state], ended)

    def logged(self) -> set[int]:
        """Give the slots of the study's trials that have a run which was ended, whichever run they were made in."""
        wanted = f"tags.study = '{self._tags['study']}' and attributes.status != 'RUNNING'"
        found = self._client.search_runs([self._parent.info.experiment_id], wanted, max_results=50_000)
        return {int(run.data.tags["trial"]) - 1 for run in found if "state" in run.data.tags}
