"""Waiting for Dagster's daemon and for the run it requests: as long as they live, and within a generous bound.

A slow machine is no reason to give up. Whoever waits is told every few seconds what is waited for; what fails is
raised with the end of its own log as a note.
"""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import dagster as dg

from ml_platform.contracts.errors import PlatformError
from ml_platform.orchestration.dead_runs import has_died

T = TypeVar("T")
LOG_LINES = 20


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds.

    Parameters
    ----------
    request_s : float
        For the daemon's first tick, and for the run that its sensor requests.
    run_s : float
        For a run that lives to end.
    say_every_s, poll_s : float
        How often progress is reported, and looked for.
    """

    request_s: float = 900.0
    run_s: float = 7200.0
    say_every_s: float = 15.0
    poll_s: float = 0.5


@dataclass(frozen=True)
class Waiting:
    """Waits for things that the daemon does.

    Parameters
    ----------
    process : Popen
        The daemon's.
    say : function
        Takes a line of progress.
    """

    instance: dg.DagsterInstance
    process: "subprocess.Popen[bytes]"
    say: Callable[[str], None]
    patience: Patience = Patience()

    def for_first_tick(self, sensor: str) -> None:
        """Wait until a sensor has ticked, which sets its cursor.

        Raises
        ------
        PlatformError
            If the daemon ends, or nothing happens for too long.
        """

        def cursor() -> str | None:
            states = [state for state in self.instance.all_instigator_state() if state.instigator_name == sensor]
            return next((getattr(state.instigator_data, "cursor", None) for state in states), None)

        self._until(cursor, f"first tick of sensor {sensor}", self.patience.request_s, lambda: "the daemon is starting")

    def for_sensor_run(self, sensor: str) -> dg.DagsterRun:
        """Wait until the run that a sensor requests has succeeded, however long it takes while it lives.

        Raises
        ------
        PlatformError
            If the daemon ends, no run comes, or the run fails, dies or outlives the bound; with the run's log.
        """

        def newest() -> dg.DagsterRun | None:
            requested = dg.RunsFilter(tags={"dagster/sensor_name": sensor})
            return next(iter(self.instance.get_runs(requested, limit=1)), None)

        what = f"retrain requested by sensor {sensor}"
        run = self._until(newest, what, self.patience.request_s, lambda: f"sensor {sensor} has requested no run yet")
        try:
            return self._for_success(run.run_id)
        except PlatformError as error:
            error.add_note(run_log(self.instance, run.run_id))
            raise

    def _for_success(self, run_id: str) -> dg.DagsterRun:
        def ended() -> dg.DagsterRun | None:
            run = self._run(run_id)
            if run.is_finished:
                return run
            if has_died(self.instance, run):
                raise _failed(run_id, "a process that ended without a word")
            return None

        run = self._until(ended, f"run {run_id}", self.patience.run_s, lambda: self._progress(run_id))
        if run.status != dg.DagsterRunStatus.SUCCESS:
            raise _failed(run_id, run.status.value)
        return run

    def _until(self, look: Callable[[], T | None], what: str, bound_s: float, progress: Callable[[], str]) -> T:
        began = said_at = time.monotonic()
        while (found := look()) is None:
            now = time.monotonic()
            if self.process.poll() is not None:
                raise PlatformError.because(
                    what, got=f"a daemon that ended with exit code {self.process.returncode}",
                    expected="one that runs", hint="its log is printed below",
                )  # fmt: skip
            if now - began > bound_s:
                raise PlatformError.because(
                    what, got=f"{progress()} after {bound_s:g} s", expected="it to happen within that time",
                    hint="the log is printed below; on a slow machine wait longer: --wait-at-most MINUTES",
                )  # fmt: skip
            if now - said_at >= self.patience.say_every_s:
                self.say(f"waiting for {now - began:.0f} s: {progress()}")
                said_at = now
            time.sleep(self.patience.poll_s)
        return found

    def _run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        if run is None:
            raise _failed(run_id, "nothing: somebody deleted it")
        return run

    def _progress(self, run_id: str) -> str:
        steps = self.instance.get_run_step_stats(run_id)
        running = [step.step_key for step in steps if step.end_time is None]
        return f"run {run_id[:8]} is {self._run(run_id).status.value}" + (f", in {running[-1]}" if running else "")


def run_log(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return the last events of a run, each error in full, with the run's id."""
    lines: list[str] = []
    for entry in instance.all_logs(run_id)[-LOG_LINES:]:
        event = entry.dagster_event
        lines.append(f"{entry.step_key or 'run'}: {(event and event.message) or entry.user_message}")
        error = getattr(event and event.event_specific_data, "error", None)
        if error is not None:
            lines.append(error.to_string())
    return "\n".join([f"Last events of run {run_id}:", *lines])


def _failed(run_id: str, got: str) -> PlatformError:
    return PlatformError.because(
        f"run {run_id}", got=got, expected="SUCCESS",
        hint="its log is printed below; see also the Dagster UI: ml-platform up --home HOME",
    )  # fmt: skip
