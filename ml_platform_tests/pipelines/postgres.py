"""A PostgreSQL server of the suite's own, from the local binaries: a free port, loopback, a folder that goes away.

Where there are no binaries, the tests that need it are skipped, with that as the reason.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Postgres", "postgres"]

PASSWORD = "correct horse"  # noqa: S105 - of a server that lives as long as the test
USER = "suite"
UNPRIVILEGED = "nobody"  # the server refuses to run as root
SECONDS = 60


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Parameters
    ----------
    port : int
        Where it listens on 127.0.0.1.
    """

    port: int

    def url(self, password: str = PASSWORD) -> str:
        """Give the URL of its database."""
        return f"postgresql://{USER}:{password.replace(' ', '%20')}@127.0.0.1:{self.port}/postgres"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Start a server; it is stopped at the end."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server binaries: neither on PATH nor in /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path may have 107 bytes
    port = _free_port()
    try:
        _make(binaries, folder)
        _control(binaries, folder, "start", "-o", f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -F")
        try:
            yield Postgres(port)
        finally:
            _control(binaries, folder, "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    found = [Path(each) for each in [shutil.which("pg_ctl")] if each]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), reverse=True)
    return next((each.parent for each in found if (each.parent / "initdb").exists()), None)


def _make(binaries: Path, folder: Path) -> None:
    password = folder / "password"
    password.write_text(PASSWORD)
    if os.geteuid() == 0:
        shutil.chown(folder, UNPRIVILEGED)
        shutil.chown(password, UNPRIVILEGED)
    _run(
        binaries / "initdb", "-D", folder / "data", "-U", USER, "--auth=scram-sha-256", f"--pwfile={password}",
        "--encoding=UTF8", "--locale=C", "--no-sync",
    )  # fmt: skip


def _control(binaries: Path, folder: Path, *arguments: str) -> None:
    _run(binaries / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-w", "-t", str(SECONDS), *arguments)


def _run(*command: str | Path) -> None:
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    subprocess.run(
        command, check=True, user=user, cwd="/", timeout=2 * SECONDS, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
