"""The real model server, started in a fresh process for the length of one `with` block.

For scoring on a machine where no server runs: the same code answers as in production, on a port the system chooses.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ml_platform.contracts.errors import ServerUnreachable
from ml_platform.contracts.home import Home

START_S = 60.0
STOP_S = 10.0
_ANNOUNCED = re.compile(r"^serving on (http://\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class RunningServer:
    """A server that answers: where, since when its process runs (by `time.monotonic`), and what it says."""

    url: str
    started_at: float
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Give the end of its output, without the line that announced it."""
        return _end_of(self.log).replace(f"serving on {self.url}", "").strip()


def server_argv(home: Home) -> list[str]:
    """Give the command of the model server over a home folder, on a free port, its output not held back.

    It inherits `$ML_PLATFORM_LEDGER`, and so reads the ledger that its caller writes.
    """
    return [sys.executable, "-u", "-m", "ml_platform.serving", "--home", str(home.root), "--port", "0"]


@contextmanager
def ephemeral_server(argv: Sequence[str]) -> Iterator[str]:
    """Run a model server; gives its URL once it answers. As `running_server`, for who asks no more of it."""
    with running_server(argv) as server:
        yield server.url


@contextmanager
def running_server(argv: Sequence[str]) -> Iterator[RunningServer]:
    """Run a model server for the length of a `with` block, which begins once it answers.

    Parameters
    ----------
    argv : sequence of str
        The command; it prints `serving on URL` when it is ready to answer.

    Raises
    ------
    ServerUnreachable
        With the end of its output, if it does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="ml_platform_server_") as folder:
        output = Path(folder) / "output.log"
        started_at = time.monotonic()
        with output.open("wb") as sink:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)  # noqa: S603 - our own server
        try:
            yield RunningServer(_announced(process, output), started_at, process, output)
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _announced(process: subprocess.Popen[bytes], output: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        is_over = process.poll() is not None
        if found := _ANNOUNCED.search(output.read_text(errors="replace")):
            return found[1]
        if is_over:
            break
        time.sleep(0.05)
    raise ServerUnreachable.because(
        "model server started for this call",
        got=f"exit code {process.poll()}, output: {_end_of(output)}",
        expected=f"'serving on URL' within {START_S:g} s",
        hint="run the same by hand: python -m ml_platform.serving --home HOME --port 0",
    )


def _end_of(output: Path) -> str:
    return output.read_text(errors="replace")[-2000:]
