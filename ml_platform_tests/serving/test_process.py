"""The server as a real process: it answers, takes up a promotion, outlives its ledger and stops cleanly."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from ml_platform.contracts.home import Home
from ml_platform.ledger.store import SqlLedger
from ml_platform.serving.predictor import Predictor
from ml_platform_tests.fakes.bundles import PLAN, deploy, make_bundle, make_lookups, make_rows, promote, to_json_rows

pytestmark = pytest.mark.slow


@contextmanager
def _serving(home: Home) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    command = [sys.executable, "-m", "ml_platform.serving", "--home", str(home.root), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            assert line.startswith("serving on http://127.0.0.1:"), process.stderr and process.stderr.read()
            yield line.removeprefix("serving on "), process
        finally:
            process.kill()


def _wait_for(condition: Callable[[], bool], within_s: float = 10) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_life_of_a_server(home: Home, ledger: SqlLedger, tmp_path: Path) -> None:
    """Empty home, first model, second version, ledger gone, stop: one process, no restart."""
    rows = make_rows(30, 3)
    features = PLAN.transform(rows, make_lookups())
    offline = [Predictor.load(make_bundle(tmp_path / f"offline-{s}", s)).predict(features) for s in (0, 1)]
    with _serving(home) as (url, process), httpx.Client(base_url=url) as client:

        def predict() -> httpx.Response:
            return client.post("/predict/parcels", json={"rows": to_json_rows(rows)})

        assert client.get("/v2/health/ready").status_code == 200
        assert predict().status_code == 404
        for version, expected in enumerate(offline, start=1):
            promote(ledger, version, deploy(home, version - 1))
            _wait_for(lambda version=version: predict().json().get("version") == version)
            np.testing.assert_allclose(predict().json()["predictions"], expected, rtol=0, atol=1e-12)
        assert np.abs(offline[0] - offline[1]).max() > 0.01
        for path in home.root.glob("ledger.db*"):
            path.unlink()
        time.sleep(1.5)
        assert predict().json()["version"] == 2
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


def test_interrupt_stops_cleanly(home: Home) -> None:
    """Ctrl-C is no failure."""
    with _serving(home) as (_, process):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
