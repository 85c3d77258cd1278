"""Starting and stopping processes of our own: each leads its own group, so that nothing it started outlives it."""

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

STOP_S = 10.0
TAIL_LINES = 20


def start_process(argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a process that writes to a log file; `env` is set over the environment it inherits."""
    with log.open("wb") as sink:
        return subprocess.Popen(  # noqa: S603 - the caller's own commands
            argv,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop_processes(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask each parent to end its own children, as Ctrl-C would; then kill what is left of its group."""
    for process in processes:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + STOP_S
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def background(
    argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process for the length of a `with` block."""
    process = start_process(argv, log, env)
    try:
        yield process
    finally:
        stop_processes([process])


def tail(log: Path) -> str:
    """Give the last lines of a log, with its name."""
    with log.open(errors="replace") as lines:
        last = "".join(deque(lines, maxlen=TAIL_LINES)).rstrip()
    return f"Last lines of {log}:\n{last}"
