"""A client of one server over one kept connection: so thin that the time of a call is the server's."""

import http.client
import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from ml_platform.contracts.errors import ServerUnreachable
from ml_platform.deployment.bad_requests import JSON, BadRequest

TIMEOUT_S = 30.0
REFUSED_WITHIN_S = 5.0


class Answer(NamedTuple):
    """Status and body; `content` is None where the body is no JSON."""

    status: int
    content: Any


class Caller:
    """Asks one server; a context manager, since it keeps a connection."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def predict(self, path: str, body: bytes) -> Answer:
        """Ask for predictions.

        Raises
        ------
        ServerUnreachable
            If no answer comes.
        """
        return self._answered("POST", path, body, {"content-type": JSON})

    def send(self, bad: BadRequest) -> Answer:
        """Send a bad request on a connection of its own, as its answer may close it; raises like `predict`."""
        headers = {"content-type": bad.content_type, "content-length": str(bad.length or len(bad.body))}
        with Caller(self._url, REFUSED_WITHIN_S) as own:
            return own._answered(bad.method, bad.path, bad.body, headers)

    def _answered(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as fault:
            raise ServerUnreachable.because(
                f"model server at {self._url}",
                got=f"{type(fault).__name__}: {fault}",
                expected=f"an answer within {self._timeout_s:g} s",
                hint="see the server's log",
            ) from fault
        return Answer(response.status, _json(content))


def rows_body(rows: Sequence[dict[str, Any]]) -> bytes:
    """Write the body of a request for predictions."""
    return json.dumps({"rows": rows}).encode()


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
