"""The commands that look at data: where a partition came from, what there is, and what may go."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from ml_platform.cli import app
from ml_platform.contracts.errors import PartitionMissing, RegistryError, SpecError
from ml_platform.contracts.home import Home
from ml_platform.data.lake.tables import PARTITION, local_lake

RUNNER = CliRunner()


def _home(folder: Path) -> list[str]:
    rows = pl.DataFrame({"x": [1, 2], PARTITION: ["2020-01-01", "2020-01-02"]})
    keys = ["2020-01-01", "2020-01-02"]
    local_lake(Home(folder).lake).write("tiny/raw", rows, keys, lineage={"run": "r1", "origins": {"a.csv": 2}})
    return ["--home", str(folder)]


def test_a_partition_of_the_source_is_shown(tmp_path: Path) -> None:
    """In lines for people, or as JSON."""
    home = _home(tmp_path)
    said = RUNNER.invoke(app, ["data", "show", "tiny", "2020-01-01", *home]).stdout.splitlines()
    assert said[0] == "tiny 2020-01-01: no verdict"
    assert said[1].startswith("tiny/raw v1  2020-01-01  1 rows  sha256 ")
    assert said[1].endswith("run r1")
    assert said[2] == "  from a.csv (2 rows)"
    shown = json.loads(RUNNER.invoke(app, ["data", "show", "tiny", "2020-01-01", "--json", *home]).stdout)
    assert shown["origins"][0]["sources"] == {"a.csv": 2}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["tyni", "2020-01-01"], "pipeline: got tyni, expected tiny. Hint"),
        (["tiny", "2021-01-01"], "tiny/raw: got no partition 2021-01-01, expected one of 2020-01-02, 2020-01-01"),
    ],
)
def test_what_is_not_there_is_refused_by_name(tmp_path: Path, asked: list[str], message: str) -> None:
    """With what there is."""
    result = RUNNER.invoke(app, ["data", "show", *asked, *_home(tmp_path)])
    assert isinstance(result.exception, PartitionMissing)
    assert message in str(result.exception)


def test_the_tables_are_listed(tmp_path: Path) -> None:
    """With their newest version, and what they hold."""
    said = RUNNER.invoke(app, ["lake", "ls", *_home(tmp_path)]).stdout
    assert said.split()[:6] == ["tiny/raw", "v1", "2", "partitions", "2", "rows"]


def test_vacuum_refuses_to_run_where_no_registry_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty answer would let everything go: a missing database or a server that is down is none."""
    home = _home(tmp_path)
    for url in ("", "http://127.0.0.1:9"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        result = RUNNER.invoke(app, ["lake", "vacuum", "--keep", "0", *home])
        assert isinstance(result.exception, RegistryError)
        assert "MLflow: got" in str(result.exception)


@pytest.mark.parametrize("keep", ["soon", "30", "-1d", "999999d"])
def test_a_span_that_is_none_is_refused(tmp_path: Path, keep: str) -> None:
    """Before anything else is looked at."""
    result = RUNNER.invoke(app, ["lake", "vacuum", f"--keep={keep}", *_home(tmp_path)])
    assert isinstance(result.exception, SpecError)
    assert f"--keep: got {keep}" in str(result.exception)
