"""The supervisor: all services or none, one line for each that answers, and nothing survives it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ml_platform.contracts.errors import PlatformError
from ml_platform.deployment.supervisor import Service, supervise

# A parent like `dagster dev`: it has a child that does not listen to signals, and it ends at SIGINT.
PARENT = """
import http.server, subprocess, sys
stubborn = "import signal, time; signal.signal(2, signal.SIG_IGN); signal.signal(15, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", stubborn])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
SUPERVISOR = """
import json, sys
from pathlib import Path
from ml_platform.deployment.supervisor import Service, supervise
services = [Service(**fields) for fields in json.loads(sys.argv[1])]
raise SystemExit(supervise(services, Path(sys.argv[2]), lambda line: print(line, flush=True)))
"""

pytestmark = pytest.mark.slow


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _service(name: str, code: str | None = None) -> Service:
    port = _free_port()
    command = ["-c", code, str(port)] if code else ["-m", "http.server", str(port), "--bind", "127.0.0.1"]
    return Service(
        name=name,
        argv=[sys.executable, *command],
        port=port,
        option=f"--{name}-port",
        ready_url=f"http://127.0.0.1:{port}/",
        note="a note",
    )


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def _start(services: Sequence[Service], logs: Path) -> subprocess.Popen[str]:
    fields = json.dumps([{k: v for k, v in vars(service).items() if k != "report"} for service in services])
    return subprocess.Popen([sys.executable, "-c", SUPERVISOR, fields, str(logs)], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_even_children_that_ignore_it(tmp_path: Path, sent: signal.Signals) -> None:
    """Each service says its line when it answers; after the signal not one process is left, and the exit code is 0."""
    services = [_service("web"), _service("family", PARENT)]
    with _start(services, tmp_path / "logs") as supervisor:
        assert supervisor.stdout is not None
        lines = {supervisor.stdout.readline().rstrip() for _ in services}
        family = psutil.Process(supervisor.pid).children(recursive=True)
        supervisor.send_signal(sent)
        assert supervisor.wait(60) == 0
    assert lines == {f"{service.name}  http://127.0.0.1:{service.port}  a note" for service in services}
    assert len(family) == 3
    assert [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    assert (tmp_path / "logs" / "web.log").exists()


def test_a_taken_port_is_named_with_its_option_and_nothing_starts(tmp_path: Path) -> None:
    """The free one before it is not started either."""
    taken = _service("taken")
    with socket.create_server(("127.0.0.1", taken.port)):
        expected = rf"port {taken.port} for taken: .*choose another port with --taken-port"
        with pytest.raises(PlatformError, match=expected):
            supervise([_service("free"), taken], tmp_path / "logs", print)
    assert not (tmp_path / "logs").exists()


def test_a_service_that_ends_takes_the_others_with_it(tmp_path: Path) -> None:
    """The last words of its log are said, and the exit code is not zero."""
    said: list[str] = []
    before = _children()
    dying = _service("dying", "print('the cause'); raise SystemExit(3)")
    assert supervise([_service("web"), dying], tmp_path, said.append) == 1
    assert re.search(r"dying ended with exit code 3.*the cause", said[-1], re.DOTALL)
    assert _children() <= before


def test_a_service_that_never_answers_is_an_error(tmp_path: Path) -> None:
    """With the end of its log; it is stopped too."""
    before = _children()
    silent = replace(_service("silent"), argv=["/bin/sh", "-c", "echo still loading; exec sleep 600"])
    with pytest.raises(PlatformError, match=r"(?s)silent: got no answer at .*still loading"):
        supervise([silent], tmp_path, print, ready_within_s=1.5)
    assert _children() <= before


def test_a_command_that_does_not_exist_stops_what_has_started(tmp_path: Path) -> None:
    """The first service was running already."""
    before = _children()
    missing = Service("missing", ["/no/such/program"], _free_port(), "--missing-port", "http://127.0.0.1:1/")
    with pytest.raises(FileNotFoundError, match="no/such/program"):
        supervise([_service("web"), missing], tmp_path, print)
    assert _children() <= before


def test_our_own_signal_actions_come_back(tmp_path: Path) -> None:
    """Whoever called us gets Ctrl-C again."""
    before = [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    supervise([_service("dying", "pass")], tmp_path, lambda _line: None)
    assert [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_service_gets_its_environment_over_ours(tmp_path: Path) -> None:
    """What it does not set, it inherits."""
    service = replace(_service("env", "import os; print(os.environ['OURS'], os.environ['PATH'])"), env={"OURS": "set"})
    supervise([service], tmp_path, lambda _line: None)
    assert (tmp_path / "env.log").read_text().split() == ["set", os.environ["PATH"]]
