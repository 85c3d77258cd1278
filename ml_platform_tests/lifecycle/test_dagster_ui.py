"""What a newcomer does in the Dagster UI, done by GraphQL on the real processes: one partition, and a week."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from ml_platform.contracts.home import Home
from ml_platform.data.lake.tables import local_lake

pytestmark = [pytest.mark.slow, pytest.mark.dagster]

ROOT = Path(__file__).parents[2]
DAILY = ["raw", "validated", "weather", "features"]
DAY, WEEK = "2013-01-01", [f"2013-01-{day:02d}" for day in range(2, 9)]
CHECK = "rows_at_least"
ALWAYS = [CHECK, "few_rows_quarantined", "key_is_unique"]  # the UI asks for all checks of what it materializes
WITHIN_S = 90.0

LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}"""
RUN = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
BACKFILL = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}"""
PROGRESS = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status runs { status } } }
}"""
CHECKS = """
query ($key: AssetKeyInput!, $name: String!) {
  assetCheckExecutions(assetKey: $key, checkName: $name, limit: 100) { status partition }
}"""
SENSORS = """
query ($selector: RepositorySelector!) {
  sensorsOrError(repositorySelector: $selector) { ... on Sensors { results { name sensorState { status } } } }
}"""
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
FINAL = {"COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "ml_platform"}


class Dagster:
    """A client of the UI's own interface."""

    def __init__(self, url: str, home: Home) -> None:
        self.url = url
        self.home = home

    def ask(self, query: str, **variables: Any) -> Any:
        """Give the answer to one question."""
        answer = httpx.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60)
        answer.raise_for_status()
        content = answer.json()
        assert "errors" not in content, content["errors"]
        [found] = content["data"].values()
        return found

    def wait_for(self, is_done: Callable[[], Any]) -> Any:
        """Ask until there is an answer."""
        until = time.monotonic() + WITHIN_S
        while not (found := is_done()):
            assert time.monotonic() < until
            time.sleep(0.5)
        return found

    def answers(self) -> bool:
        """Say whether the UI is there."""
        try:
            return httpx.get(f"{self.url}/server_info").is_success
        except httpx.TransportError:
            return False

    def checks(self) -> dict[str | None, str]:
        """Give the newest status of the quality check for each partition."""
        found = self.ask(CHECKS, key=_key("validated"), name=CHECK)
        return {each["partition"]: each["status"] for each in reversed(found)}


def _key(stage: str) -> dict[str, list[str]]:
    return {"path": ["flight_delays", stage]}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dagster]:
    """Run `dagster dev` on an empty home; nothing of it is left afterwards."""
    home, port = Home(tmp_path_factory.mktemp("home")), _free_port()
    home.dagster.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home.dagster)
    variables = {"ML_PLATFORM_HOME": str(home.root), "DAGSTER_HOME": str(home.dagster)}
    command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
    with (
        (home.root / "dagster.log").open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, env=os.environ | variables, stdout=log, stderr=log) as process,
    ):
        dagster = Dagster(f"http://127.0.0.1:{port}", home)
        try:
            dagster.wait_for(dagster.answers)
            yield dagster
        finally:
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            process.send_signal(signal.SIGINT)
            _, alive = psutil.wait_procs(family, timeout=30)
            for each in alive:
                each.kill()
            assert not alive


def _launch_day(dagster: Dagster) -> str:
    selector = REPOSITORY | {
        "jobName": "__ASSET_JOB",
        "assetSelection": [_key(stage) for stage in [*DAILY, "planes"]],
        "assetCheckSelection": [{"assetKey": _key("validated"), "name": name} for name in ALWAYS],
    }
    tags = {"tags": [{"key": "dagster/partition", "value": DAY}]}
    launched = dagster.ask(LAUNCH, params={"selector": selector, "mode": "default", "executionMetadata": tags})
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return launched["run"]["runId"]


def _launch_week(dagster: Dagster) -> str:
    params = {"assetSelection": [_key(stage) for stage in DAILY], "partitionNames": WEEK}
    launched = dagster.ask(BACKFILL, params=params)
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return launched["backfillId"]


def test_one_partition_and_a_backfill_of_a_week(dagster: Dagster) -> None:
    """Each day has its features, and a green check of its own; the week takes two runs, not one for each day."""
    day, week = _launch_day(dagster), _launch_week(dagster)
    status = dagster.wait_for(lambda: ENDED & {dagster.ask(RUN, id=day)["status"]})
    assert status == {"SUCCESS"}

    def ended() -> list[str] | None:
        """Features look a day back for the weather, so Dagster runs them after it; it looks every 30 s."""
        found = dagster.ask(PROGRESS, id=week)
        runs = [run["status"] for run in found["runs"]]
        return runs if (len(runs) > 1 and ENDED.issuperset(runs)) or found["status"] in FINAL else None

    assert dagster.wait_for(ended) == ["SUCCESS", "SUCCESS"]
    assert {key: dagster.checks()[key] for key in [DAY, *WEEK]} == dict.fromkeys([DAY, *WEEK], "SUCCEEDED")
    rows = local_lake(dagster.home.lake).read("flight_delays/features")
    assert sorted(rows["partition"].unique()) == [DAY, *WEEK]
    assert rows["weather_temperature_f"].null_count() < 0.05 * len(rows)


def test_the_ui_shows_what_acts_by_itself(dagster: Dagster) -> None:
    """The housekeeping is on, the drift sensor waits for somebody to switch it on."""
    found = {
        each["name"]: each["sensorState"]["status"] for each in dagster.ask(SENSORS, selector=REPOSITORY)["results"]
    }
    assert found["flight_delays_drift"] == "STOPPED"
    assert found["mlflow_runs_after_failure"] == found["mlflow_runs_after_canceled"] == "RUNNING"
