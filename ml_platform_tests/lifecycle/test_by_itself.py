"""The loop runs by itself: somebody flips two switches, days pass, and the world changes. Nobody calls a job.

The daemon is Dagster's own, in a process of its own, with its scheduler, sensors and queue; only its clock is moved.
The home has a month of data and a champion before the test begins.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from ml_platform.contracts.home import Home
from ml_platform.deployment.processes import background, tail
from ml_platform.deployment.services import dagster_env, prepare_dagster_home
from ml_platform_tests.pipelines import moved_clock
from ml_platform_tests.pipelines.fixtures import enter, environment
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.own_tiny import LOCATION, WORKSPACE
from ml_platform_tests.pipelines.project import ROOT
from ml_platform_tests.pipelines.tiny.source import BERLIN, FAULTS
from ml_platform_tests.pipelines.world import NAME, World, copy_home, definitions, faults

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200), *DAGSTER]

NOON = datetime(2020, 2, 1, 12, 0, 59, tzinfo=BERLIN)  # the scheduler looks at the next minute, a second later
MIDNIGHTS = [datetime(2020, 2, day, 0, 0, 59, tzinfo=BERLIN) for day in (2, 3, 4)]
PARTITIONS = ["2020-02-01", "2020-02-02", "2020-02-03"]
BUSIER = [f"2020-02-{day:02d}" for day in range(1, 16)]
SWITCHES = (("schedule", f"{NAME}_daily"), ("sensor", f"{NAME}_drift"))
WITHIN_S = 240.0


@dataclass
class Days:
    """The daemon's clock: while nothing runs it goes a minute on with each look at what became of the waiting."""

    file: Path
    log: Path
    instance: dg.DagsterInstance
    now: datetime = field(default=NOON)

    def move(self, to: datetime) -> None:
        """Set the clock."""
        self.now = to
        moved_clock.set_clock(self.file, to)

    def wait_for(self, look: Callable[[], object], what: str) -> None:
        """Let minutes pass until it has happened.

        During a run the clock stands still: the daemon gives a run minutes to start, and these minutes are short.
        """
        until = time.monotonic() + WITHIN_S
        while not look():
            assert time.monotonic() < until, f"{what}\n{tail(self.log)}"
            time.sleep(1)
            if all(run.is_finished for run in self.instance.get_runs()):
                self.move(self.now + timedelta(minutes=1))


def _command(clock: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", moved_clock.MODULE, str(clock), *arguments]


def _flip(clock: Path, workspace: Path, env: Mapping[str, str]) -> None:
    """Switch the schedule and the sensor on, by the commands that the guide names."""
    for kind, name in SWITCHES:
        command = _command(clock, "dagster", kind, "start", name, "-w", str(workspace), "-l", LOCATION)
        subprocess.run(command, check=True, capture_output=True, env=dict(env))


@contextmanager
def _daemon(clock: Path, workspace: Path, log: Path, env: Mapping[str, str]) -> Iterator[None]:
    with background(_command(clock, "dagster-daemon", "run", "-w", str(workspace)), log, env):
        yield


@pytest.fixture
def alone(trained_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[World, Days]]:
    """Give the world after three midnights of which nobody took any notice."""
    home = copy_home(trained_home, tmp_path / "home")
    prepare_dagster_home(home, ROOT)
    enter(home, monkeypatch)
    monkeypatch.setenv(FAULTS, faults(busier=BUSIER))
    monkeypatch.setenv("ML_PLATFORM_SERVER", "http://127.0.0.1:9")  # none runs: one is started for the check
    for name, value in {**environment(home), **dagster_env(home)}.items():
        monkeypatch.setenv(name, value)
    env, workspace = {**os.environ, "PYTHONPATH": str(ROOT)}, tmp_path / "workspace.yaml"
    workspace.write_text(WORKSPACE)
    with dg.DagsterInstance.get() as instance:
        days = Days(tmp_path / "clock", tmp_path / "daemon.log", instance)
        days.move(NOON)
        _flip(days.file, workspace, env)
        with _daemon(days.file, workspace, days.log, env):
            yield _let_days_pass(World(home, instance, definitions()), days), days


def _let_days_pass(world: World, days: Days) -> World:
    days.wait_for(lambda: _cursor(world), "the sensor's first tick")
    for midnight, partition in zip(MIDNIGHTS, PARTITIONS, strict=True):
        days.move(midnight)
        days.wait_for(lambda key=partition: _reported(world, key), f"drift as of {partition}")
        days.wait_for(lambda: _is_quiet(world), "every run to end")
    return world


def _cursor(world: World) -> str | None:
    states = [each for each in world.instance.all_instigator_state() if each.instigator_name == f"{NAME}_drift"]
    return next((getattr(each.instigator_data, "cursor", None) for each in states), None)


def _reported(world: World, partition: str) -> bool:
    return partition in world.instance.get_materialized_partitions(dg.AssetKey([NAME, "drift"]))


def _is_quiet(world: World) -> bool:
    """Check whether nothing runs, and the sensor has decided on every report."""
    reports = len(world.instance.get_materialized_partitions(dg.AssetKey([NAME, "drift"])))
    decided = world.decisions("retrain_requested", "retrain_declined")
    runs = world.instance.get_runs()
    launched = sum(run.job_name == f"{NAME}_retrain" for run in runs)
    requested = len(world.decisions("retrain_requested"))
    return len(decided) == reports and launched == requested and all(run.is_finished for run in runs)


def test_days_pass_and_a_drifted_model_is_replaced(alone: tuple[World, Days]) -> None:
    """Three partitions are loaded, each has its drift report; the drift brings a retrain, and that a new champion."""
    world, days = alone
    runs = list(reversed(world.instance.get_runs()))
    ended = [(run.job_name, run.tags["dagster/partition"], run.status.value) for run in runs]
    requested = world.decisions("retrain_requested")
    assert len(requested) == 1, json.dumps(ended)
    as_of = requested[0].payload["as_of"]
    assert [each for each in ended if each[0] == f"{NAME}_data"] == [
        (f"{NAME}_data", partition, "SUCCESS") for partition in PARTITIONS
    ]
    assert [each for each in ended if each[0] != f"{NAME}_data"] == [(f"{NAME}_retrain", as_of, "SUCCESS")], tail(
        days.log
    )
    assert all({"dagster/schedule_name", "dagster/sensor_name"} & run.tags.keys() for run in runs)
    assert as_of in PARTITIONS[1:]
    assert world.promoted() == [1, 2]
    promoted = world.decisions("promoted")[-1]
    assert promoted.payload["as_of"] == as_of
    [retrain] = [run for run in runs if run.job_name == f"{NAME}_retrain"]
    assert promoted.actor == f"dagster run {retrain.run_id}"
