"""Reading a request's body, and answering a fault: the same for both protocols.

A fault of the caller is told in full. A fault of ours is told to the log, by type and place only: an exception's
message may hold a row, and rows are not for logs.
"""

import logging
import re
import traceback
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.openapi.spec import OpenAPIMediaType, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from ml_platform.contracts.errors import RequestRejected
from ml_platform.serving.models import ModelTable
from ml_platform.serving.requests import NAME_AT_MOST, read_json, rejected

_log = logging.getLogger(__name__)
_PLACE = re.compile(r"(?:field `(?P<field>\w+)`)?(?: - at `\$\.?(?P<path>[^`]*)`)?$")
T = TypeVar("T")

AnyRequest = Request[Any, Any, Any]
Table = NamedDependency[ModelTable]


async def read_body(request: AnyRequest) -> bytes:
    """Read the body of a JSON request.

    Raises
    ------
    RequestRejected
        415, if it is of another content type.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        hint = "set the header content-type"
        raise rejected("content-type", got=kind[:64] or "none", expected="application/json", hint=hint, status=415)
    return await request.body()


def read_as(content: bytes, shape: type[T]) -> T:
    """Decode a body and check its outer shape.

    Raises
    ------
    RequestRejected
        400, naming the place in the body.
    """
    try:
        return msgspec.convert(read_json(content), shape)
    except msgspec.ValidationError as error:
        found = _PLACE.search(str(error))
        parts = ".".join(part for part in ((found["path"], found["field"]) if found else ()) if part)
        place, fault = parts[:NAME_AT_MOST] or "body", str(error).partition(" - at")[0][: 2 * NAME_AT_MOST]
        message = f"{place}: {fault}. Hint: see /schema for the shape of a request"
        raise RequestRejected(message, status=400, field=place) from error


def describe_body(**required: Schema) -> RequestBody:
    """Describe a body for the OpenAPI page: the handlers read it themselves, so as to name every fault."""
    schema = Schema(type=OpenAPIType.OBJECT, properties=dict(required), required=list(required))
    return RequestBody(required=True, content={"application/json": OpenAPIMediaType(schema=schema)})


def answer_fault(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    """Turn an exception into the answer that the caller sees."""
    if isinstance(error, RequestRejected):
        return _answer(request, error.status, str(error), error.field)
    if isinstance(error, HTTPException):
        return _answer(request, error.status_code, error.detail, None)
    place = "".join(traceback.format_tb(error.__traceback__))
    _log.error("%s while answering %s\n%s", type(error).__name__, request.scope.get("path_template"), place)
    return _answer(request, 500, "The server failed. Hint: its log says where", None)


def _answer(request: AnyRequest, status: int, text: str, field: str | None) -> Response[dict[str, Any]]:
    if request.scope["path"].startswith("/v2"):
        return Response({"error": text}, status_code=status)
    message, _, hint = text.partition(" Hint: ")
    body = {"message": message, "field": field} | ({"hint": hint} if hint else {})
    return Response({"error": body}, status_code=status)
