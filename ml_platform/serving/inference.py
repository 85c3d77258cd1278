"""The routes of the Open Inference Protocol v2 over REST: health, metadata, infer.

Server readiness says that this process can answer; a model's readiness says that it is loaded. A server on an empty
home is ready and has no models.
"""

from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import Any

import anyio.to_thread
import msgspec
from litestar import Router, get, post
from litestar.openapi.spec import Operation, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath

from ml_platform.serving.bodies import AnyRequest, Table, describe_body, read_as, read_body
from ml_platform.serving.models import LoadedModel, ModelTable
from ml_platform.serving.outputs import check_outputs, describe_counts, describe_outputs, describe_task, output_tensors
from ml_platform.serving.plain import read_version
from ml_platform.serving.tensors import InferAnswer, InferRequest, TensorMetadata, describe_field, tensors_to_frame


class ModelMetadata(msgspec.Struct):
    """What a caller must know of a model.

    `parameters` name its task, the classes of several, and the threshold from which on a `decision` is true.
    """

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: dict[str, str]


@get("/")
async def server_metadata() -> dict[str, Any]:
    """Name the server."""
    return {"name": "ml_platform", "version": installed_version("ml-platform"), "extensions": []}


@get("/health/live")
async def live() -> dict[str, bool]:
    """Say that the process lives."""
    return {"live": True}


@get("/health/ready")
async def ready() -> dict[str, bool]:
    """Say that the process can answer."""
    return {"ready": True}


@get(["/models/{name:str}", "/models/{name:str}/versions/{version:str}"])
async def model_metadata(table: Table, name: FromPath[str], version: FromPath[str | None] = None) -> ModelMetadata:
    """Describe a loaded model."""
    model = _find(table, name, version)
    return ModelMetadata(
        name=name,
        versions=[str(loaded.version) for loaded in table.versions(name)],
        platform=model.predictor.manifest.kind,
        inputs=[describe_field(field) for field in model.predictor.signature],
        outputs=describe_outputs(model.predictor),
        parameters=describe_task(model.predictor),
    )


@get(["/models/{name:str}/ready", "/models/{name:str}/versions/{version:str}/ready"])
async def model_ready(table: Table, name: FromPath[str], version: FromPath[str | None] = None) -> dict[str, Any]:
    """Say that a model is loaded."""
    return {"name": name, "version": str(_find(table, name, version).version), "ready": True}


@post("/repository/models/{name:str}/load", status_code=200)
async def load_model(table: Table, name: FromPath[str]) -> dict[str, Any]:
    """Take up what was promoted, without waiting for the next refresh; gives the versions that are loaded then.

    Source: the model repository extension of the protocol, whose `load` this is.
    """
    await anyio.to_thread.run_sync(table.try_refresh)
    return {"name": name, "versions": [str(loaded.version) for loaded in table.versions(name)]}


_TENSOR = Schema(
    type=OpenAPIType.OBJECT,
    description="One field: name and datatype as listed by GET /v2/models/{name}, shape [n] or [n, 1], data.",
    required=["name", "shape", "datatype", "data"],
)


@dataclass
class _InferOperation(Operation):
    def __post_init__(self) -> None:
        self.request_body = describe_body(inputs=Schema(type=OpenAPIType.ARRAY, items=_TENSOR))


@post(
    ["/models/{name:str}/infer", "/models/{name:str}/versions/{version:str}/infer"],
    status_code=200,
    operation_class=_InferOperation,
)
async def infer(
    request: AnyRequest, table: Table, name: FromPath[str], version: FromPath[str | None] = None
) -> InferAnswer:
    """Score the rows that the input tensors hold."""
    _find(table, name, version)
    content = await read_body(request)
    return await anyio.to_thread.run_sync(score_tensors, table, name, version, content)


def score_tensors(table: ModelTable, name: str, version: str | None, content: bytes) -> InferAnswer:
    """Answer the bytes of an infer request.

    Raises
    ------
    RequestRejected
        If they cannot be answered, through the caller's fault.
    """
    model = _find(table, name, version)
    asked = read_as(content, InferRequest)
    check_outputs(asked, model.predictor)
    rows = tensors_to_frame(asked, model.predictor.signature, model.predictor.batch_at_most)
    predictions, encoded = model.score(rows)
    table.metrics.count_rows(name, encoded)
    return InferAnswer(
        model_name=name,
        model_version=str(model.version),
        outputs=output_tensors(model.predictor, predictions, asked),
        id=msgspec.UNSET if asked.id is None else asked.id,
        parameters=describe_counts(encoded) or msgspec.UNSET,
    )


def _find(table: ModelTable, name: str, version: str | None) -> LoadedModel:
    return table.find(name, None if version is None else read_version(version))


inference_routes = Router(
    "/v2",
    route_handlers=[server_metadata, live, ready, model_metadata, model_ready, load_model, infer],
    tags=["Open Inference v2"],
)
