"""Runs the platform's own processes for `ml-platform up`: each in its own process group, all or none.

Standard library alone, and it knows nothing of what it runs.
"""

import http.client
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ml_platform.contracts.errors import PlatformError
from ml_platform.deployment.processes import start_process, stop_processes, tail

HOST = "127.0.0.1"
POLL_S = 0.2


@dataclass(frozen=True)
class Service:
    """One process to run.

    Parameters
    ----------
    name : str
        Names its line on the screen and its log file.
    argv : sequence of str
        The command.
    port : int
        The port on 127.0.0.1 at which it will listen.
    option : str
        The option of our command line that changes the port.
    ready_url : str
        Answers 2xx or 3xx when the service is ready.
    env : mapping of str to str
        Set over the environment it inherits.
    note : str
        What a person finds there.
    report : callable
        Called once it is ready; returns lines for a person.
    """

    name: str
    argv: Sequence[str]
    port: int
    option: str
    ready_url: str
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    note: str = ""
    report: Callable[[], Sequence[str]] = tuple

    @property
    def url(self) -> str:
        """Where a person opens it."""
        return f"http://{HOST}:{self.port}"


@dataclass(frozen=True)
class _Running:
    service: Service
    process: subprocess.Popen[bytes]
    log: Path


def supervise(
    services: Sequence[Service], logs: Path, say: Callable[[str], None], *, ready_within_s: float = 120.0
) -> int:
    """Run the services until a signal comes or one of them ends, then stop all of them.

    Parameters
    ----------
    services : sequence of Service
        All are started at once.
    logs : Path
        Folder that gets one `<name>.log` for each.
    say : callable
        Gets one line when a service answers, those of its report, and what there is to say at the end.
    ready_within_s : float
        How long a service may take to answer, in seconds.

    Returns
    -------
    int
        Exit code: 0 after SIGINT, SIGTERM or SIGHUP, 1 when a service ended by itself.

    Raises
    ------
    PlatformError
        If a port is taken, or a service does not answer in time.
    """
    for service in services:
        _check_port(service)
    logs.mkdir(parents=True, exist_ok=True)
    running: list[_Running] = []
    with _stop_signal() as stop:
        try:
            for service in services:
                running.append(_start(service, logs))  # noqa: PERF401 - what has started must be known if the next fails
            return _watch(running, stop, say, ready_within_s)
        finally:
            stop_processes([one.process for one in running])


def _check_port(service: Service) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, service.port))
        except OSError as fault:
            raise PlatformError.because(
                f"port {service.port} for {service.name}",
                got=fault.strerror,
                expected="a free port",
                hint=f"stop what listens there, or choose another port with {service.option}.",
            ) from fault


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """Turn the signals that end us into an event. Children then start with the default behaviour for each."""
    stop = threading.Event()
    names = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = {name: signal.signal(name, lambda *_: stop.set()) for name in names}
    try:
        yield stop
    finally:
        for name, action in before.items():
            signal.signal(name, action)


def _start(service: Service, logs: Path) -> _Running:
    log = logs / f"{service.name}.log"
    return _Running(service, start_process(service.argv, log, service.env), log)


def _watch(
    running: Sequence[_Running], stop: threading.Event, say: Callable[[str], None], ready_within_s: float
) -> int:
    deadline = time.monotonic() + ready_within_s
    waiting = list(running)
    while not stop.wait(POLL_S):
        for one in running:
            if (code := one.process.poll()) is not None:
                say(f"{one.service.name} ended with exit code {code}; the others are stopped. {tail(one.log)}")
                return 1
        for one in [one for one in waiting if _is_ready(one.service)]:
            waiting.remove(one)
            for line in (f"{one.service.name}  {one.service.url}  {one.service.note}".rstrip(), *one.service.report()):
                say(line)
        if waiting and time.monotonic() > deadline:
            raise PlatformError.because(
                waiting[0].service.name,
                got=f"no answer at {waiting[0].service.ready_url}. {tail(waiting[0].log)}",
                expected=f"one within {ready_within_s:g} s",
                hint="see the log above for the cause.",
            )
    return 0


def _is_ready(service: Service) -> bool:
    parts = urlsplit(service.ready_url)
    connection = http.client.HTTPConnection(parts.hostname or HOST, parts.port, timeout=2.0)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status < http.HTTPStatus.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
