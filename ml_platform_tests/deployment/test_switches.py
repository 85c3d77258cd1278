"""What `up` says of what runs by itself, on answers of Dagster's interface."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_platform.deployment.switches import describe_switches

STATES = st.sampled_from(["RUNNING", "STOPPED"])


@contextmanager
def _dagster(body: bytes, status: int = 200) -> Iterator[str]:
    """Answer every question with the same body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _workspace(*locations: dict[str, Any]) -> bytes:
    return json.dumps({"data": {"workspaceOrError": {"locationEntries": list(locations)}}}).encode()


def _location(**kinds: dict[str, str]) -> dict[str, Any]:
    repository = {
        kind: [{"name": name, "state": {"status": status}} for name, status in kinds.get(kind, {}).items()]
        for kind in ("schedules", "sensors")
    }
    return {"name": "here", "locationOrLoadError": {"repositories": [repository]}}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from("abcdef"), STATES), st.dictionaries(st.sampled_from("uvwxyz"), STATES))
def test_exactly_what_is_off_is_named(schedules: dict[str, str], sensors: dict[str, str]) -> None:
    with _dagster(_workspace(_location(schedules=schedules, sensors=sensors))) as url:
        lines = describe_switches(url)
    off = {
        kind: ", ".join(sorted(name for name, status in states.items() if status == "STOPPED"))
        for kind, states in (("schedules", schedules), ("sensors", sensors))
    }
    expected = [f"off: {kind} {names}" for kind, names in off.items() if names]
    guide = f"nothing of that runs by itself until it is switched on at {url}/automation; see docs/automation.md"
    assert lines == ([*expected, guide] if expected else ["all schedules and sensors are on"])


def test_pipelines_that_did_not_load_are_named() -> None:
    fault = {"name": "ml_platform", "locationOrLoadError": {"message": "SpecError: no column x\nStack"}}
    with _dagster(_workspace(_location(), fault)) as url:
        assert describe_switches(url) == ["code location ml_platform did not load: SpecError: no column x"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"no JSON", 200), (b"{}", 200), (b'{"data": null}', 200), (b"", 500), (b"[]", 200)]
)
def test_an_answer_that_is_none_is_described(body: bytes, status: int) -> None:
    with _dagster(body, status) as url:
        [line] = describe_switches(url)
    assert line.startswith(f"what is switched on is not known: {url}/graphql gave ")


def test_a_dagster_that_is_not_there_is_described() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        [line] = describe_switches(f"http://127.0.0.1:{probe.getsockname()[1]}")
    assert "ConnectError" in line
