"""The demo waits while its run lives, whatever the machine's speed, and prints the log of what failed."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from ml_platform import cli
from ml_platform.contracts.errors import PlatformError
from ml_platform.demo.waiting import Patience, Waiting
from ml_platform_tests.pipelines.marks import DAGSTER

pytestmark = DAGSTER

SENSOR = "tiny_drift"
SLEEP, END = [sys.executable, "-c", "import time; time.sleep(60)"], [sys.executable, "-c", "raise SystemExit(3)"]
QUICK = Patience(request_s=0.5, run_s=20.0, say_every_s=0.1, poll_s=0.05)


@contextmanager
def _process(command: list[str]) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def daemon() -> "Iterator[subprocess.Popen[bytes]]":
    """Give a process that lives, in the daemon's place."""
    with _process(SLEEP) as process:
        yield process


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Give an instance without runs."""
    with dg.instance_for_test() as instance:
        yield instance


def _started(instance: dg.DagsterInstance, pid: int) -> dg.DagsterRun:
    status, tags = dg.DagsterRunStatus.STARTED, {"dagster/sensor_name": SENSOR}
    run = instance.add_run(dg.DagsterRun("tiny_retrain", run_id=str(uuid4()), status=status, tags=tags))
    instance.report_engine_event("Started process", run, EngineEventData(metadata={"pid": dg.MetadataValue.int(pid)}))
    return run


def _later(seconds: float, happens: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, happens)
    timer.start()
    return timer


def _ended(instance: dg.DagsterInstance, run: dg.DagsterRun, event: dg.DagsterEventType) -> Callable[[], object]:
    return lambda: instance.report_dagster_event(
        dg.DagsterEvent(event_type_value=event.value, job_name=run.job_name), run.run_id
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_lives_is_waited_for(
    instance: dg.DagsterInstance, daemon: "subprocess.Popen[bytes]", seed: int
) -> None:
    """Several times as long as a run may take to be requested, which was once the limit of all; progress is shown."""
    seconds = random.Random(seed).uniform(2, 4) * QUICK.request_s  # noqa: S311 - a slow machine
    said: list[str] = []
    run = _started(instance, daemon.pid)
    began = time.monotonic()
    timer = _later(seconds, _ended(instance, run, dg.DagsterEventType.RUN_SUCCESS))
    assert Waiting(instance, daemon, said.append, QUICK).for_sensor_run(SENSOR).run_id == run.run_id
    timer.join()
    assert time.monotonic() - began >= seconds > QUICK.request_s
    assert len(said) > 3
    assert f"run {run.run_id[:8]} is STARTED" in said[0]


def test_a_run_that_fails_is_told_with_its_log(instance: dg.DagsterInstance, daemon: "subprocess.Popen[bytes]") -> None:
    """At once, not at the end of the bound."""

    @dg.op
    def candidate() -> None:
        raise ValueError("no such carrier")

    @dg.job(tags={"dagster/sensor_name": SENSOR})
    def retrain() -> None:
        candidate()

    result = retrain.execute_in_process(instance=instance, raise_on_error=False)
    with pytest.raises(PlatformError, match=f"run {result.run_id}: got FAILURE, expected SUCCESS") as failed:
        Waiting(instance, daemon, print, QUICK).for_sensor_run(SENSOR)
    [log] = failed.value.__notes__
    assert log.startswith(f"Last events of run {result.run_id}:")
    assert "ValueError: no such carrier" in log


def test_a_run_whose_process_dies_is_not_waited_for(
    instance: dg.DagsterInstance, daemon: "subprocess.Popen[bytes]"
) -> None:
    """Dagster would believe it started for ever."""
    with _process(SLEEP) as process:
        run = _started(instance, process.pid)
        timer = _later(0.3, lambda: (process.kill(), process.wait()))
        with pytest.raises(PlatformError, match=f"run {run.run_id}: got a process that ended without a word") as died:
            Waiting(instance, daemon, print, QUICK).for_sensor_run(SENSOR)
        timer.join()
    assert "Started process" in died.value.__notes__[0]


def test_a_daemon_that_ends_is_not_waited_for(instance: dg.DagsterInstance) -> None:
    """Whether for its first tick or for its run."""
    with _process(END) as process:
        process.wait()
        waiting = Waiting(instance, process, print, QUICK)
        for wait in (waiting.for_first_tick, waiting.for_sensor_run):
            with pytest.raises(PlatformError, match="got a daemon that ended with exit code 3"):
                wait(SENSOR)


def test_the_bounds_are_kept(instance: dg.DagsterInstance, daemon: "subprocess.Popen[bytes]") -> None:
    """One for a run to be requested, one for a run to end; both name how to wait longer."""
    waiting = Waiting(instance, daemon, print, Patience(request_s=0.2, run_s=0.4, say_every_s=9, poll_s=0.05))
    with pytest.raises(
        PlatformError, match=rf"got sensor {SENSOR} has requested no run yet after 0\.2 s.*--wait-at-most"
    ):
        waiting.for_sensor_run(SENSOR)
    run = _started(instance, daemon.pid)
    with pytest.raises(PlatformError, match=rf"got run {run.run_id[:8]} is STARTED after 0\.4 s.*--wait-at-most"):
        waiting.for_sensor_run(SENSOR)


def test_the_command_prints_the_log_below_the_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which says that it is printed there."""

    def fail() -> None:
        error = PlatformError.because("run 1", got="FAILURE", expected="SUCCESS", hint="its log is printed below")
        error.add_note("Last events of run 1:\nno such carrier")
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr().err
    assert said.index("its log is printed below") < said.index("no such carrier")
