"""Running the application in a process: bind, announce once it answers, stop cleanly."""

import signal
import socket
import sys
from collections.abc import Sequence

import uvicorn

from ml_platform.contracts.home import Home
from ml_platform.ledger.store import SqlLedger
from ml_platform.serving.app import create_app
from ml_platform.serving.models import ModelTable

STOP_WITHIN_S = 10


class _Server(uvicorn.Server):
    """Announces its address when it answers."""

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        await super().startup(list(sockets or []))
        if sockets and not self.should_exit:
            host, port = sockets[0].getsockname()[:2]
            sys.stdout.write(f"serving on http://{host}:{port}\n")
            sys.stdout.flush()


def serve(home: Home, host: str = "127.0.0.1", port: int = 0, ledger_url: str | None = None) -> None:
    """Serve until SIGINT or SIGTERM; call it in the main thread.

    Parameters
    ----------
    home : Home
        Where bundles and the online store lie.
    host : str
        Address to bind.
    port : int
        0 takes a free one; the line on standard output names it.
    ledger_url : str, optional
        SQLAlchemy URL of the ledger, the home's own if left out.
    """
    table = ModelTable(home, SqlLedger(ledger_url or home.ledger_url))
    config = uvicorn.Config(
        create_app(table),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )
    # uvicorn raises the signal again when it has stopped; a stop that was asked for is not a failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    with socket.create_server((host, port), family=_family(host)) as bound:
        _Server(config).run(sockets=[bound])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
