"""A folder of CSV files with faults becomes a served model: `ml-platform new`, materializing, and no Python written."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest
import yaml

from ml_platform.authoring.levels import LEVELS, parts_of
from ml_platform.contracts.home import Home
from ml_platform.deployment.ephemeral import ephemeral_server, server_argv
from ml_platform.ledger import champion
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines.csv_world import BAD_NUMBER, BAD_TIME, Written, write_rides
from ml_platform_tests.pipelines.fixtures import enter
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.project import SHELL
from ml_platform_tests.pipelines.world import World, definitions, error_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280), *DAGSTER]

FIRST, LAST, AS_OF = "2024-01-01", "2024-05-31", "2024-06-01"
BUILT = [level for level in LEVELS if all(part.exists for part in parts_of(level))]
RIDE = {
    "ride_id": "r1", "picked_up_at": "2024-06-03T09:00:00Z", "payment": "card", "passengers": 2, "distance_km": 2.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def written(folder: Path) -> Written:
    return write_rides(folder / "data")


def _new(folder: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ml_platform.cli", "new", name, "--from", "data/*.csv", "--time", "picked_up_at"]
    command += ["--target-sql", "tip / fare >= 0.25", "--known-after", "1h", "--defs", "pipelines/defs", *options]
    return subprocess.run(command, cwd=folder, env=SHELL, capture_output=True, text=True, check=False)


def _pipeline(folder: Path, name: str) -> Pipeline:
    path = folder / "pipelines" / "defs" / name / "defs.yaml"
    return resolve(yaml.safe_load(path.read_text())["attributes"], path, name)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[World, str]]:
    """Give a world whose endpoint is a real model server, and the address of that."""
    home = Home(tmp_path / "home")
    enter(home, monkeypatch)
    with dg.DagsterInstance.ephemeral() as instance, ephemeral_server(server_argv(home)) as url:
        monkeypatch.setenv("ML_PLATFORM_SERVER", url)
        yield World(home, instance, dg.Definitions()), url


@pytest.mark.parametrize("level", BUILT)
def test_a_folder_of_files_becomes_a_served_model(
    level: int, folder: Path, written: Written, world: tuple[World, str]
) -> None:
    """Each level that exists builds, loads, trains, passes its gates and answers; every row of the files is told of."""
    name, (place, url) = f"tips_{level}", world
    told = _new(folder, name, "--level", str(level))
    assert told.returncode == 0, told.stderr
    pipeline = _pipeline(folder, name)
    made = World(place.home, place.instance, definitions(pipeline))
    for job, *partitions in (("data", FIRST, LAST), ("retrain", AS_OF)):
        result = made.execute(made.definitions.resolve_job_def(f"{name}_{job}"), *partitions)
        assert result.success, error_of(result)
    _every_row_is_told_of(made, name, written)
    present = champion(made.ledger.read(name))
    assert present is not None
    assert (present.version, present.as_of) == (1, AS_OF)
    rows = [RIDE | {"ride_id": zone, "zone": zone} for zone in ("airport", "north")]
    answer = httpx.post(f"{url}/predict/{name}", json={"rows": rows}, timeout=30)
    assert answer.status_code == 200, answer.text
    airport, north = answer.json()["predictions"]
    assert 0 < north < airport < 1


def _every_row_is_told_of(made: World, name: str, written: Written) -> None:
    keys = [key for key in made.lake.written(f"{name}/raw") if FIRST <= key <= LAST]
    raw, rejected = made.lake.read(f"{name}/raw", keys), made.lake.read(f"{name}/rejected", keys)
    assert len(raw) + len(rejected) == written.rows
    assert len(rejected) == written.unreadable
    assert rejected["content"].str.contains(f"{BAD_TIME}|{BAD_NUMBER}").all()
    validated, quarantine = made.lake.read(f"{name}/validated", keys), made.lake.read(f"{name}/quarantine", keys)
    assert len(validated) == written.rows - written.unreadable - written.twice
    assert len(quarantine) == written.unreadable + written.twice


@pytest.mark.parametrize("level", [level for level in LEVELS if level not in BUILT])
def test_a_level_that_does_not_exist_is_refused_by_name(level: int, folder: Path, written: Written) -> None:
    """In one message, and nothing is written."""
    assert written.rows
    told = _new(folder, "higher", "--level", str(level))
    missing = ", ".join(part.name for part in parts_of(level) if not part.exists)
    assert told.returncode == 1
    assert (
        f"--level {level}: got {missing}, which does not exist yet, expected a level from 1 to {max(BUILT)}"
        in told.stderr
    )
    assert "Traceback" not in told.stderr
    assert not os.path.lexists(folder / "pipelines" / "defs" / "higher")
