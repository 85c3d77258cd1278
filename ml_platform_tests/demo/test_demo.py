"""The demo: it tells a true story, and fails where the story is not true."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ml_platform.contracts.errors import PlatformError
from ml_platform.contracts.home import Home
from ml_platform.demo import story
from ml_platform.demo.platform import MARKER, fresh_home
from ml_platform.ledger.store import SqlLedger
from ml_platform_tests.pipelines.marks import QUIET

pytestmark = QUIET

PIPELINE = "flight_delays"


def test_an_earlier_demo_is_removed(tmp_path: Path) -> None:
    home = Home(tmp_path / "demo")
    fresh_home(home)
    (home.root / "ledger.db").touch()

    fresh_home(home)

    assert [path.name for path in home.root.iterdir()] == [MARKER]


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not lose")

    with pytest.raises(PlatformError, match="an empty one, or an earlier demo's"):
        fresh_home(Home(tmp_path))

    assert (tmp_path / "thesis.txt").read_text() == "do not lose"


def test_a_step_that_did_not_happen_ends_the_story() -> None:
    with pytest.raises(story.DemoFailed, match="the data job"):
        story._require(False, "the data job", "a successful run")


def test_stores_that_the_environment_names_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be production's; they are forgotten before anything else is done."""
    for name in story.ELSEWHERE:
        monkeypatch.setenv(name, "production")
    (tmp_path / "thesis.txt").touch()

    with pytest.raises(PlatformError, match="an earlier demo's"):
        story.run_demo(Home(tmp_path), tmp_path)

    assert not {name for name in os.environ if os.environ[name] == "production"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_main_job_on_real_flights(tmp_path: Path) -> None:
    """The whole loop in real processes: data, model, endpoint, drift, the daemon's retrain, the endpoint after it."""
    home = Home(tmp_path / "demo")
    command = [sys.executable, "-m", "ml_platform.cli", "demo", "--home", str(home.root)]
    elsewhere = {"ML_PLATFORM_LAKE": f"{tmp_path}/lake", "ML_PLATFORM_LEDGER": f"sqlite:///{tmp_path}/ledger.db"}
    env = {**os.environ, **elsewhere, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "COLUMNS": "200"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert _auc_of(done.stdout, "v1", "2013-03") >= 0.68
    assert _auc_of(done.stdout, "v2", "2013-05") > _auc_of(done.stdout, "v1", "2013-05")
    decisions = [each for each in SqlLedger(home.ledger_url).read(PIPELINE) if each.kind != "registered"]
    assert [each.kind for each in decisions] == ["evaluated", "promoted", "retrain_requested", "evaluated", "promoted"]
    assert [each.payload["as_of"] for each in decisions if each.kind == "promoted"] == ["2013-03-01", "2013-05-01"]
    assert decisions[2].actor == f"sensor {PIPELINE}_drift"
    assert _mlflow_statuses(home) == {"FINISHED"}
    assert _processes_of(home) == []
    assert list(tmp_path.iterdir()) == [home.root]


def _auc_of(output: str, model: str, month: str) -> float:
    table = output.split(f"Flights of {month}, scored over HTTP")[1]
    found = re.search(rf"│ {model} \S+ +│ +([\d,]+) │ +[\d.]+ │ +([\d.]+) │", table)
    assert found, table
    assert int(found[1].replace(",", "")) > 25_000  # a month of flights
    return float(found[2])


def _mlflow_statuses(home: Home) -> set[str]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=home.mlflow_url)
    return {run.info.status for run in client.search_runs([each.experiment_id for each in client.search_experiments()])}


def _processes_of(home: Home) -> list[list[str]]:
    found: list[list[str]] = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if any(str(home.root) in part for part in command):
            found.append(command)
    return found
