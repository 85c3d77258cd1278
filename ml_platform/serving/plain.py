"""The plain protocol: `POST /predict/{pipeline}` with rows as JSON objects, the way a caller has them."""

from dataclasses import dataclass
from typing import Annotated, Any

import anyio.to_thread
import msgspec
from litestar import post
from litestar.openapi.spec import Operation, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, FromQuery

from ml_platform.serving.bodies import AnyRequest, Table, describe_body, read_as, read_body
from ml_platform.serving.models import ModelTable
from ml_platform.serving.outputs import plain_output
from ml_platform.serving.requests import rejected, rows_to_frame

_DECISIONS = msgspec.Meta(
    description="Whether each prediction has reached the threshold; absent where nothing decides."
)
_THRESHOLD = msgspec.Meta(description="The probability from which on a decision is true.")


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Rows to score, each with every field of the pipeline's signature."""

    rows: list[dict[str, Any]]


class PredictAnswer(msgspec.Struct):
    """One prediction for each row, and who gave it; `unseen` counts words that training had not seen, by column.

    `imputed` counts missing values of columns that were never missing in training, by column: the median or the most
    frequent value of training stood in for each.

    A prediction is the probability of the positive class, the value of a regression, or the likeliest of several
    classes; only then there are `classes`, and for each row their `probabilities` in that order. Where the pipeline
    decides on probabilities, `decisions` say for each row whether its own has reached the `threshold`.
    """

    pipeline: str
    version: int
    digest: str
    as_of: str
    predictions: list[float | int | str]
    unseen: dict[str, int]
    imputed: dict[str, int]
    classes: list[int | str] | msgspec.UnsetType = msgspec.UNSET
    probabilities: list[list[float]] | msgspec.UnsetType = msgspec.UNSET
    decisions: Annotated[list[bool], _DECISIONS] | msgspec.UnsetType = msgspec.UNSET
    threshold: Annotated[float, _THRESHOLD] | msgspec.UnsetType = msgspec.UNSET


_ROW = Schema(type=OpenAPIType.OBJECT, description="Fields as listed by GET /v2/models/{pipeline}.")


@dataclass
class _PredictOperation(Operation):
    def __post_init__(self) -> None:
        self.request_body = describe_body(rows=Schema(type=OpenAPIType.ARRAY, items=_ROW))


@post("/predict/{pipeline:str}", status_code=200, operation_class=_PredictOperation, summary="Score rows")
async def predict(
    request: AnyRequest, table: Table, pipeline: FromPath[str], version: FromQuery[str | None] = None
) -> PredictAnswer:
    """Score rows with the default version, or with another loaded one."""
    number = None if version is None else read_version(version)
    table.find(pipeline, number)
    content = await read_body(request)
    return await anyio.to_thread.run_sync(score_rows, table, pipeline, number, content)


def score_rows(table: ModelTable, pipeline: str, version: int | None, content: bytes) -> PredictAnswer:
    """Answer the bytes of a request.

    Raises
    ------
    RequestRejected
        If they cannot be answered, through the caller's fault.
    """
    model = table.find(pipeline, version)
    asked = read_as(content, PredictRequest)
    rows = rows_to_frame(asked.rows, model.predictor.signature, model.predictor.batch_at_most)
    predictions, encoded = model.score(rows)
    table.metrics.count_rows(pipeline, encoded)
    counts = {"unseen": encoded.unseen, "imputed": encoded.imputed}
    given = plain_output(model.predictor, predictions)
    return PredictAnswer(pipeline, model.version, model.digest, model.as_of, **counts, **given)


def read_version(text: str) -> int:
    """Read a version number; raises RequestRejected (400) if it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        hint = "leave it out for the default version"
        raise rejected("version", got=ascii(text[:20]), expected="a number", hint=hint, status=400)
    return int(text)
