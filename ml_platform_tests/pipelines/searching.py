"""The tiny pipeline with a search; run as a module it retrains in a home and kills itself when a trial is told.

`python -m ml_platform_tests.pipelines.searching HOME AS_OF NUMBER OPTIONS` dies just before that trial, from 0, is
told; OPTIONS are those of `searching` as JSON.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from ml_platform.contracts.home import Home
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.training.studies import Study
from ml_platform.training.trials import Trial
from ml_platform_tests.pipelines.fixtures import environment
from ml_platform_tests.pipelines.world import InProcessTarget, World, definitions, tiny

TRIALS = 4
SPACE = {"learning_rate": {"low": 0.05, "high": 0.3, "log": True}, "num_leaves": {"low": 3, "high": 15}}


def searching(training: dict[str, Any] | None = None, **search: Any) -> Pipeline:
    """Give the tiny pipeline with two folds, and a search with these options."""
    spec = tiny().spec.model_dump(mode="json", by_alias=True)
    spec["split"]["folds"] = 2
    spec["models"]["gbm"] |= {"rounds": 20, "params": {"min_data_in_leaf": 20, "num_threads": 1}}
    spec["models"]["gbm"]["search"] = {"trials": TRIALS, "space": SPACE} | search
    return replace(tiny(), spec=PipelineSpec.model_validate(spec | {"training": training or {}}))


def search_world(home: Home, instance: dg.DagsterInstance, **options: Any) -> World:
    """Give a world of that pipeline; the caller sets the environment."""
    return World(home, instance, definitions(searching(**options), target=InProcessTarget(home)))


def main(root: str, as_of: str, number: str, options: str = "{}") -> None:
    """Retrain, and die."""
    home, real = Home(Path(root)), Study.tell
    os.environ.update(environment(home))

    def tell(self: Study, asked: Any, trial: Trial) -> None:
        if trial.slot == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        real(self, asked, trial)

    Study.tell = tell
    with dg.DagsterInstance.get() as instance:
        search_world(home, instance, **json.loads(options)).run("retrain", as_of)


if __name__ == "__main__":
    main(*sys.argv[1:])
