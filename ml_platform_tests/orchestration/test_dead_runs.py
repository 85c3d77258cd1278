"""Runs whose process died with the platform do not stand in the way of the next one."""

import os
import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from ml_platform.orchestration.dead_runs import end_dead_runs
from ml_platform_tests.pipelines.marks import DAGSTER

pytestmark = DAGSTER


def _started(instance: dg.DagsterInstance, run_id: str, pid: int | None) -> dg.DagsterRun:
    run = instance.add_run(dg.DagsterRun("retrain", run_id=run_id, status=dg.DagsterRunStatus.STARTED))
    if pid is not None:
        data = EngineEventData(metadata={"pid": dg.MetadataValue.text(str(pid))})
        instance.report_engine_event(f"Started process for run (pid: {pid}).", run, data)
    return run


def _dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_whose_process_is_gone_is_marked_as_failed() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = _started(instance, "dead", _dead_pid())

        assert end_dead_runs(instance) == [run.run_id]

        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status == dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize("is_known", [True, False])
def test_a_run_that_lives_or_whose_process_is_not_known_is_left(is_known: bool) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = _started(instance, "alive", os.getpid() if is_known else None)

        assert end_dead_runs(instance) == []

        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status == dg.DagsterRunStatus.STARTED
