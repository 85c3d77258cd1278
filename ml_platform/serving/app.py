"""The application: routes, faults and metrics put together around one table of models."""

import time

from litestar import Litestar, Response, get
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import ASGIMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.response import Redirect
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from ml_platform.contracts.errors import RequestRejected
from ml_platform.serving.bodies import Table, answer_fault
from ml_platform.serving.inference import inference_routes
from ml_platform.serving.models import ModelTable
from ml_platform.serving.plain import predict

BODY_AT_MOST = 32 * 2**20


class CountRequests(ASGIMiddleware):
    """Counts each answer by pipeline, route and status.

    Parameters
    ----------
    table : ModelTable
        Only the pipelines it has loaded become labels.
    """

    def __init__(self, table: ModelTable) -> None:
        self._table = table

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on and note the status and the time of its answer."""
        started_at = time.perf_counter()

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, message["status"], time.perf_counter() - started_at)
            await send(message)

        await next_app(scope, receive, note)

    def _count(self, scope: Scope, status: int, latency_s: float) -> None:
        asked = scope["path_params"]
        name = asked.get("pipeline", asked.get("name", ""))
        pipeline = name if name in self._table.pipelines() else ""
        self._table.metrics.count_request(pipeline, scope["path_template"], status, latency_s)


@get("/", include_in_schema=False)
async def home() -> Redirect:
    """Lead a person to the page of the API."""
    return Redirect("/schema")


@get("/metrics", include_in_schema=False)
async def metrics(table: Table) -> Response[bytes]:
    """Give the metrics as Prometheus text."""
    return Response(table.metrics.to_text(), media_type=table.metrics.content_type)


def create_app(table: ModelTable, body_at_most: int = BODY_AT_MOST) -> Litestar:
    """Make the ASGI application.

    Parameters
    ----------
    table : ModelTable
        Started and stopped with the application.
    body_at_most : int
        Bytes that a request's body may have.
    """
    return Litestar(
        route_handlers=[home, inference_routes, predict, metrics],
        dependencies={"table": Provide(lambda: table, sync_to_thread=False)},
        middleware=[CountRequests(table)],
        exception_handlers={RequestRejected: answer_fault, HTTPException: answer_fault, Exception: answer_fault},
        on_startup=[table.start],
        on_shutdown=[table.stop],
        request_max_body_size=body_at_most,
        openapi_config=OpenAPIConfig(title="ml_platform model server", version="2"),
        logging_config=None,
    )
