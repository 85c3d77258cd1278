"""A server for one call: gives its URL when it answers, is gone afterwards, and says why when it does not come up."""

import re
import sys

import httpx
import psutil
import pytest

from ml_platform.contracts.errors import ServerUnreachable
from ml_platform.deployment.ephemeral import ephemeral_server

SERVER = """
import http.server
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print("warming up")
print(f"serving on http://127.0.0.1:{server.server_port}")
server.serve_forever()
"""


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_a_server_answers_inside_and_is_gone_after() -> None:
    """Even when the work inside fails."""
    before = _children()

    def work() -> None:
        with ephemeral_server([sys.executable, "-u", "-c", SERVER]) as url:
            assert httpx.get(url).is_success
            raise LookupError("the work")

    with pytest.raises(LookupError, match="the work"):
        work()
    assert _children() <= before


def test_a_server_that_does_not_come_up_says_why() -> None:
    """With its own output."""
    argv = [sys.executable, "-c", "raise SystemExit('no such home')"]
    with pytest.raises(ServerUnreachable, match=re.escape("got exit code 1, output: no such home")):
        ephemeral_server(argv).__enter__()
