"""`ml-platform up` with the real Dagster, MLflow and model server."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

READY_S = 150
READY_PATHS = {"dagster": "/server_info", "mlflow": "/health", "serving": "/v2/health/ready"}


def test_up_prints_what_answers_and_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    ports = _free_ports(3)
    options = [f"--{name}-port={port}" for name, port in zip(("dagster", "mlflow", "serving"), ports, strict=True)]
    output = tmp_path / "up.log"
    with output.open("wb") as sink:
        command = [sys.executable, "-u", "-m", "ml_platform.cli", "up", "--home", str(tmp_path / "home"), *options]
        up = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
    try:
        urls = _announced(output, up)
        family = [up, *psutil.Process(up.pid).children(recursive=True)]
        for name, url in urls.items():
            assert httpx.get(url + READY_PATHS[name], timeout=10).status_code == 200, name
        off = _said_off(output, up)
        assert "flight_delays_daily" in off["schedules"]
        assert off["sensors"] == ["flight_arrival_delay_drift", "flight_cancellations_drift", "flight_delays_drift"]
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0, output.read_text()
    finally:
        if up.poll() is None:
            up.kill()
    assert [each for each in family[1:] if isinstance(each, psutil.Process) and _is_running(each)] == []


def _announced(output: Path, up: subprocess.Popen[bytes]) -> dict[str, str]:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and up.poll() is None:
        found = dict(re.findall(r"^(\w+)  (http://\S+)", output.read_text(), re.MULTILINE))
        if len(found) == len(READY_PATHS):
            return found
        time.sleep(0.2)
    raise AssertionError(output.read_text())


def _said_off(output: Path, up: subprocess.Popen[bytes]) -> dict[str, list[str]]:
    """Give the schedules and sensors that it calls off, and see that it says how to switch them on."""
    deadline = time.monotonic() + READY_S
    while "see docs/automation.md" not in output.read_text():
        assert time.monotonic() < deadline, output.read_text()
        assert up.poll() is None, output.read_text()
        time.sleep(0.2)
    found = re.findall(r"^off: (schedules|sensors) (.*)$", output.read_text(), re.MULTILINE)
    return {kind: names.split(", ") for kind, names in found}


def _is_running(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()
