"""A retrain is killed between or inside its stages and launched again: the end is that of an undisturbed one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from ml_platform.contracts.home import Home
from ml_platform.features.online import OnlineStore
from ml_platform.ledger import champion, evaluation_of
from ml_platform.orchestration.mlflow_run import end_abandoned, open_experiment
from ml_platform_tests.pipelines.fixtures import enter, make_world
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import LATER, World, copy_home

pytestmark = [pytest.mark.slow, *DAGSTER]

ROOT = Path(__file__).parents[2]
PLACES = [
    "return:ml_platform.data.lake.tables:Lake.write",  # the training set is written, Dagster does not know
    "after:tiny__training_set",
    "call:ml_platform.registry.store:MlflowStore.register",  # the model is fitted and logged, not registered
    "after:tiny__candidate",
    "call:ml_platform.registry.store:MlflowStore.note",  # the verdicts are in the ledger, not shown in the registry
    "after:tiny__evaluation",
    "return:ml_platform.deployment.controller:_written",  # deployed and promoted, the alias still the old one
]


NEW_DAY = "2020-02-02"  # not loaded yet
DATA_PLACES = [
    "after:tiny__raw",
    "after:tiny__road",
    "after:tiny__validated",
    "return:ml_platform.data.lake.tables:Lake.write",
]
TABLES = ("raw", "validated", "quarantine", "road", "features")


@pytest.fixture(scope="module")
def killed(trained_home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Home]:
    """Give, for each place, the home of a retrain that was killed there."""
    return kill(trained_home, tmp_path_factory.mktemp("killed"), "retrain", LATER, PLACES)


@pytest.fixture(scope="module")
def killed_data(trained_home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Home]:
    """Give, for each place, the home in which the load of a new day was killed there."""
    return kill(trained_home, tmp_path_factory.mktemp("killed_data"), "data", NEW_DAY, DATA_PLACES)


def kill(source: Home, folder: Path, job: str, key: str, places: list[str]) -> dict[str, Home]:
    """Give, for each place, a copy of a home in which a job was killed there."""
    begun = copy_home(source, folder / "begun")
    begun.dagster.mkdir()
    shutil.copy(ROOT / "dagster.yaml", begun.dagster)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DAGSTER_HOME", str(begun.dagster))
        with dg.DagsterInstance.get() as instance:
            assert instance.get_runs() == []
    homes = {place: copy_home(begun, folder / str(number)) for number, place in enumerate(places)}
    asked = [f"{home.root}={place}" for place, home in homes.items()]
    command = [sys.executable, "-W", "ignore", "-m", "ml_platform_tests.pipelines.killed", job, key, *asked]
    variables = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # a library with threads cannot be forked
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return homes


@pytest.fixture(scope="module")
def undisturbed(trained_home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give the end of a retrain that nobody killed."""
    home = copy_home(trained_home, tmp_path_factory.mktemp("undisturbed") / "home")
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        enter(home, patched)
        world = make_world(home, instance)
        assert world.run("retrain", LATER).success
        return _end(world)


def _end(world: World) -> dict[str, Any]:
    """Give all that matters of a home: champion, verdicts, promotions, aliases, what is deployed and trained on."""
    decisions = world.decisions()
    present = champion(decisions)
    assert present is not None
    evaluation = evaluation_of(decisions, present.version, present.digest)
    assert evaluation is not None
    return {
        "champion": (present.version, present.digest, present.as_of),
        "verdicts": [(verdict.gate, verdict.outcome, verdict.value) for verdict in evaluation.verdicts],
        "promotions": [(each.version, each.payload["digest"]) for each in world.decisions("promoted")],
        "aliases": dict(world.models.aliases("tiny")),
        "deployed": sorted(path.name for path in (world.home.bundles / "tiny").iterdir()),
        "rows": world.lake.read("tiny/training_set", [LATER]).sort("ride_id").to_dicts(),
    }


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_retrain_launched_again_ends_as_if_nothing_had_been(
    place: str, killed: dict[str, Home], undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the MLflow run of the killed one is ended as soon as Dagster knows that it is dead."""
    home = killed[place]
    enter(home, monkeypatch)
    with dg.DagsterInstance.get() as instance:
        world = make_world(home, instance)
        [dead] = instance.get_runs()
        assert dead.status == dg.DagsterRunStatus.STARTED
        client = open_experiment(home.mlflow_url, home.mlflow_artifacts)
        [left] = [run for run in world.mlflow_runs() if run.info.status == "RUNNING"]
        assert end_abandoned(client, instance) == []
        instance.report_run_failed(dead)  # as Dagster's daemon does
        assert end_abandoned(client, instance) == [left.info.run_id]
        assert world.run("retrain", LATER).success
        assert {run.info.status for run in world.mlflow_runs()} == {"FINISHED", "FAILED"}
        assert client.get_run(left.info.run_id).info.status == "FAILED"
    assert _end(world) == undisturbed


@pytest.mark.parametrize("place", DATA_PLACES)
def test_a_killed_load_launched_again_ends_as_if_nothing_had_been(
    place: str, killed_data: dict[str, Home], trained_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every table of the day, and what the server looks up, is that of an undisturbed load."""
    ends = []
    for home in (killed_data[place], copy_home(trained_home, tmp_path / "home")):
        enter(home, monkeypatch)
        with dg.DagsterInstance.ephemeral() as instance:
            world = make_world(home, instance)
            assert world.run("data", NEW_DAY).success
            ends.append(
                {table: world.lake.read(f"tiny/{table}", [NEW_DAY]).sort(pl.all()).to_dicts() for table in TABLES}
            )
            looked_up = OnlineStore(home.online).read("tiny", "road")
            assert looked_up is not None
            ends[-1]["online"] = looked_up.sort(pl.all()).to_dicts()
    assert ends[0]["features"]
    assert ends[0] == ends[1]
