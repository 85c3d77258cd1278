"""The tiny stack's retrain with a process for each step, as Dagster's multiprocess executor runs it.

Every process imports this module and makes the job anew. That of a step looks for the MLflow run slowly, so that those
that start together would all find none; and it kills itself where `$TINY_DIES` names the model that it registers.
"""

import multiprocessing
import os
import signal
import time
from typing import Any

import dagster as dg

from ml_platform.orchestration.graph import pipeline_definitions
from ml_platform.orchestration.resources import platform_resources
from ml_platform.registry.store import MlflowStore
from ml_platform_tests.pipelines.ensembles import tiny_ensemble

DIES = "TINY_DIES"
SLOW_S = 3.0


def stacked_retrain() -> dg.JobDefinition:
    """Give the job."""
    if multiprocessing.parent_process() is not None:
        _disturb()
    platform = dg.Definitions(resources=platform_resources(), executor=dg.multiprocess_executor)
    whole = dg.Definitions.merge(pipeline_definitions(tiny_ensemble("stacked")), platform)
    return whole.resolve_job_def("tiny_retrain")


def _disturb() -> None:
    from dagster_mlflow.resources import MlFlow

    look, register = MlFlow._get_current_run_id, MlflowStore.register

    def look_slowly(self: MlFlow, *args: Any, **options: Any) -> str | None:
        found = look(self, *args, **options)
        if found is None:
            time.sleep(SLOW_S)
        return found

    def register_or_die(self: MlflowStore, pipeline: str, *args: Any, **options: Any) -> Any:
        if pipeline == os.environ.get(DIES):
            os.kill(os.getpid(), signal.SIGKILL)
        return register(self, pipeline, *args, **options)

    MlFlow._get_current_run_id, MlflowStore.register = look_slowly, register_or_die
