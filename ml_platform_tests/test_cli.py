"""The command line: what it prints, and how it refuses."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml_platform.cli import app
from ml_platform.contracts.errors import LedgerError
from ml_platform.contracts.home import Home
from ml_platform.ledger.store import SqlLedger

RUNNER = CliRunner()


def _ledger_with_two(home: Path) -> None:
    ledger = SqlLedger(Home(home).ledger_url)
    ledger.append("flights", "retrain_declined", expected_seq=1, actor="sensor", because="nothing drifted")
    ledger.append("flights", "promoted", expected_seq=2, actor="ann", because="every gate passed", version=3)


def test_ledger_prints_every_decision_oldest_first(tmp_path: Path) -> None:
    _ledger_with_two(tmp_path)

    result = RUNNER.invoke(app, ["ledger", "--home", str(tmp_path)])

    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert "flights #1" in first
    assert "nothing drifted  [sensor]" in first
    assert "promoted" in second
    assert "v3" in second


def test_ledger_as_json_has_payload_and_hashes(tmp_path: Path) -> None:
    _ledger_with_two(tmp_path)

    lines = RUNNER.invoke(app, ["ledger", "flights", "--home", str(tmp_path), "--json"]).stdout.splitlines()

    first, second = map(json.loads, lines)
    assert second["previous_hash"] == first["hash"]


def test_an_unknown_pipeline_is_refused_by_name(tmp_path: Path) -> None:
    _ledger_with_two(tmp_path)

    result = RUNNER.invoke(app, ["ledger", "flihgts", "--home", str(tmp_path)])

    assert isinstance(result.exception, LedgerError)
    assert "got flihgts, expected flights" in str(result.exception)


def test_an_empty_ledger_prints_nothing(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["ledger", "--home", str(tmp_path)])

    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.slow
def test_a_taken_port_is_named_with_its_option_and_without_traceback(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "ml_platform.cli", "up", "--home", str(tmp_path), "--serving-port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "--serving-port" in done.stderr
    assert "Traceback" not in done.stderr
