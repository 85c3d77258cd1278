"""Runs whose process died with the platform: Dagster believes them started for a day, and no retrain starts beside."""

import os
from contextlib import suppress

import dagster as dg


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark every started run as failed whose process on this machine is gone; gives their ids.

    Call it before the daemon starts. A run whose process is not known, or whose number another process has, is left.
    """
    started = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    dead = [run for run in started if has_died(instance, run)]
    for run in dead:
        instance.report_run_failed(run, "its process ended without a word, most likely when the platform was stopped")
    return [run.run_id for run in dead]


def has_died(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Check whether the processes of a run on this machine are gone although the run has not ended.

    The state is read again after that: a run writes how it ended before its process ends.
    """
    processes = _processes(instance, run)
    if not processes or any(map(is_alive, processes)):
        return False
    present = instance.get_run_by_id(run.run_id)
    return present is not None and not present.is_finished


def _processes(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[int]:
    found: set[int] = set()
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event else None
        with suppress(TypeError, ValueError):
            found.add(int(str(pid.value if pid else None)))
    return found


def is_alive(pid: int) -> bool:
    """Tell whether this machine has a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it is there
        return True
    return True
