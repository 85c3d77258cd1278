"""Runs a job of the tiny pipeline in processes that kill themselves: `python -m ...killed JOB KEY HOME=PLACE ...`.

PLACE is `after:STEP`, between the end of a step and whatever follows, or `call:MODULE:NAME` and `return:MODULE:NAME`,
just before and just after one call within a step; a NAME may have a dot. `$TINY_ENSEMBLE` names the kind of ensemble
that the pipeline is. The libraries are imported once and each
process is a fork, made while no library has started a thread.
"""

import os
import signal
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg

from ml_platform.contracts.home import Home
from ml_platform_tests.pipelines.ensembles import tiny_ensemble
from ml_platform_tests.pipelines.fixtures import environment, make_world
from ml_platform_tests.pipelines.world import definitions

ENSEMBLE = "TINY_ENSEMBLE"
LIBRARIES = [
    "lightgbm",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "dagster_mlflow",
    "matplotlib.pyplot",
    "sklearn.linear_model",
]
ENDS_WITHIN_S = 60


def main(job: str, key: str, *asked: str) -> None:
    """Run the job in each home, up to its place; fails unless each process was killed there."""
    for name in LIBRARIES:
        import_module(name)
    if started := _pools():
        sys.exit(f"{', '.join(started)} started on import: whoever forks from here hangs")
    for each in asked:
        root, _, place = each.partition("=")
        pid = os.fork()
        if pid == 0:
            _run(job, key, Home(Path(root)), place)
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            sys.exit(f"{place} was not reached: status {status}")


def _pools() -> list[str]:
    """Name the pools of threads that do work by now; a fork has none of them, and waits for them for ever."""
    tasks = Path("/proc/self/task").glob("*/comm")
    return sorted(name for task in tasks if (name := task.read_text().strip()).startswith(("polars-0", "tokio")))


def _run(job: str, key: str, home: Home, place: str) -> NoReturn:
    signal.alarm(ENDS_WITHIN_S)
    os.environ.update(environment(home))
    when, _, where = place.partition(":")
    if when == "after":
        _die_after_step(where)
    else:
        _die_in_call(*where.split(":"), is_done_first=when == "return")
    with dg.DagsterInstance.get() as instance:
        world = make_world(home, instance)
        if kind := os.environ.get(ENSEMBLE):
            world = replace(world, definitions=definitions(tiny_ensemble(kind)))
        world.run(job, key)
    os._exit(0)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _die_after_step(step: str) -> None:
    real = dg.DagsterInstance.handle_new_event

    def handle(self: dg.DagsterInstance, event: dg.EventLogEntry, *args: Any, **options: Any) -> Any:
        real(self, event, *args, **options)
        if event.dagster_event and event.dagster_event.is_step_success and event.step_key == step:
            _die()

    dg.DagsterInstance.handle_new_event = handle


def _die_in_call(module: str, name: str, *, is_done_first: bool) -> None:
    owner: Any = import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    real = getattr(owner, last)

    def call(*args: Any, **options: Any) -> NoReturn:
        if is_done_first:
            real(*args, **options)
        _die()

    setattr(owner, last, call)


if __name__ == "__main__":
    main(*sys.argv[1:])
