"""A version measured on the real server: what it serves, and each way in which it may fail to."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from ml_platform.deployment.bad_requests import bad_requests
from ml_platform.deployment.infra import Asked, measure_served, measure_server
from ml_platform.deployment.json_rows import plain_rows
from ml_platform.registry.bundle import Bundle
from ml_platform.serving.predictor import Predictor
from ml_platform.validation.served import NotServed, Served
from ml_platform_tests.fakes import bundles

pytestmark = pytest.mark.slow

NAMES = [field.name for field in bundles.SIGNATURE]
ROWS = 250  # more than one request may have
# Answers everything with the same prediction; a body that is no good JSON as it is told to.
SERVER = """
import http.server, json, os, sys

class Same(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self):
        length = int(self.headers["content-length"])
        body = self.rfile.read(length) if length < 10**9 else b""
        try:
            rows = json.loads(body)["rows"]
        except Exception:
            {bad}
            rows = []
        self.answer(200, {{"predictions": [0.5 for _ in rows], **{more}}})

    do_GET = do_POST

    def answer(self, status, content):
        said = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Same)
print(f"serving on http://127.0.0.1:{{server.server_port}}", flush=True)
server.serve_forever()
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Give a sound bundle."""
    return bundles.make_bundle(tmp_path / "bundle")


def _asked(bundle: Bundle, ice: float = 0.0) -> Asked:
    rows, known = bundles.make_rows(ROWS, 3), bundles.make_lookups()
    offline = Predictor.load(bundle).predict(bundles.PLAN.transform(rows, known))
    return Asked(rows.select(NAMES), offline, bundles.make_lookups(ice))


def _measured(bundle: Bundle, asked: Asked) -> Served | NotServed:
    return measure_served(bundle, 7, Predictor.load(bundle), asked)


def test_an_honest_version_is_served_as_offline(bundle: Bundle) -> None:
    """By a process of its own, that is not ours; every bad request is refused, and it goes on."""
    found = _measured(bundle, _asked(bundle))
    assert isinstance(found, Served)
    assert (found.rows, found.largest_difference, found.not_refused) == (ROWS, 0.0, ())
    assert found.other_decisions is None
    assert (found.requests, found.bad_requests) == (600, 37)
    assert found.cold_start_s > 0.1
    assert found.p95_ms > 0
    assert found.memory_mb is not None
    assert found.memory_mb > 50


def test_values_that_are_not_the_offline_ones_are_seen(bundle: Bundle) -> None:
    """Here the lookups that are served are not those behind the features."""
    found = _measured(bundle, _asked(bundle, ice=5.0))
    assert isinstance(found, Served)
    assert found.largest_difference > 1e-3


def test_a_version_that_decides_is_served_with_the_decisions_of_offline(tmp_path: Path, bundle: Bundle) -> None:
    """At the median of its predictions, so that many rows fall on each side; with other lookups some fall elsewhere."""
    threshold = float(np.median(_asked(bundle).offline))
    deciding = bundles.make_bundle(tmp_path / "d", decision__json=json.dumps({"threshold": threshold}).encode())
    found, moved = (_measured(deciding, _asked(deciding, ice)) for ice in (0.0, 5.0))
    assert isinstance(found, Served)
    assert isinstance(moved, Served)
    assert (found.largest_difference, found.other_decisions) == (0.0, 0)
    assert moved.other_decisions is not None
    assert 0 < moved.other_decisions < ROWS


def test_a_server_that_decides_otherwise_is_found_out(tmp_path: Path) -> None:
    """Or decides nothing, though its values are all right."""
    bundle = bundles.make_bundle(tmp_path / "d", decision__json=b'{"threshold": 0.4}')
    for more in ('{"decisions": [False for _ in rows], "threshold": 0.4}', "{}"):
        found = _fake(bundle, "return self.answer(400, {'error': 'x'})", more)
        assert isinstance(found, Served)
        assert (found.largest_difference, found.other_decisions) == (0, ROWS)


def test_features_that_take_their_time_are_seen(tmp_path: Path, bundle: Bundle) -> None:
    """Fewer requests are then enough."""
    slow = bundles.CODE.replace("    return", "    import time\n\n    time.sleep(0.1)\n    return")
    sleepy = bundles.make_bundle(tmp_path / "sleepy", features__py=slow.encode())
    found = _measured(sleepy, _asked(bundle))
    assert isinstance(found, Served)
    assert found.p95_ms >= 100
    assert found.requests < 600


def test_a_bundle_that_the_server_cannot_load_is_the_versions_fault(tmp_path: Path, bundle: Bundle) -> None:
    """Its hashes are right; its model is none. What the server says of it is told."""
    broken = bundles.make_bundle(tmp_path / "broken", model__txt=b"no model")
    found = measure_served(broken, 7, Predictor.load(bundle), _asked(bundle))
    assert isinstance(found, NotServed)
    assert found.is_fault_of_version
    assert "status 404" in found.reason
    assert "BundleDamaged" in found.reason


def test_a_server_that_does_not_start_is_not_the_versions_fault(bundle: Bundle) -> None:
    """Nor is a command that cannot be run."""
    for argv in ([sys.executable, "-c", "raise SystemExit('no port')"], ["/no/such/program"]):
        found = measure_server(argv, Predictor.load(bundle), _asked(bundle))
        assert isinstance(found, NotServed)
        assert not found.is_fault_of_version
        assert found.reason.startswith("the server did not start. ")


def _fake(bundle: Bundle, bad: str, more: str = "{}") -> Served | NotServed:
    asked = _asked(bundle)._replace(offline=np.full(ROWS, 0.5))
    return measure_server([sys.executable, "-c", SERVER.format(bad=bad, more=more)], Predictor.load(bundle), asked)


def test_a_server_that_answers_anything_is_found_out(bundle: Bundle) -> None:
    """Or that fails, or says no reason."""
    for bad, said in (
        ("pass", "malformed JSON (status 200, no error in JSON)"),
        ('return self.answer(500, {"error": "x"})', "malformed JSON (status 500)"),
        ("return self.answer(400, [])", "malformed JSON (status 400, no error in JSON)"),
    ):
        found = _fake(bundle, bad)
        assert isinstance(found, Served)
        assert found.largest_difference == 0
        assert said in found.not_refused


def test_a_server_that_dies_of_a_bad_request_is_found_out(bundle: Bundle) -> None:
    """The good request after it has no answer."""
    found = _fake(bundle, "os._exit(3)")
    assert isinstance(found, NotServed)
    assert found.is_fault_of_version
    assert found.reason.startswith("the server stopped answering.")


def test_bad_requests_are_distinct_and_cover_each_field() -> None:
    """Of each field the wrong type; NaN of numbers, null where there is none."""
    [row] = plain_rows(bundles.make_rows(1).select(NAMES).to_dicts())
    sent = list(bad_requests(bundles.PIPELINE, row, bundles.SIGNATURE, 200))
    assert len({each.name for each in sent}) == len(sent)
    names = {each.name for each in sent}
    assert {f"{name} of the wrong type" for name in NAMES} <= names
    assert {"weight that is NaN", "distance that is infinite", "carrier that is null"} <= names
    assert "weight that is null" not in names
