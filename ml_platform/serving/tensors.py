"""Tensors of the Open Inference Protocol v2 (JSON): how they carry a signature, one tensor for each field.

Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md, "Inference".
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl

from ml_platform.contracts.errors import RequestRejected, examples
from ml_platform.contracts.records import FieldType, SignatureField
from ml_platform.serving.requests import check_batch, columns_to_frame, rejected

_INTEGERS = ("INT64", "INT32", "INT16", "INT8", "UINT8", "UINT16", "UINT32", "UINT64")
_FLOATS = ("FP64", "FP32", "FP16")
# The first datatype is the one the server names in a model's metadata.
_DATATYPES: dict[FieldType, tuple[str, ...]] = {
    "string": ("BYTES",),
    "timestamp": ("BYTES",),
    "int64": (*_INTEGERS, *_FLOATS),  # whole numbers of a column with gaps are floats in pandas
    "float64": (*_FLOATS, *_INTEGERS),
    "bool": ("BOOL",),
}
OUTPUT = "prediction"


class InputTensor(msgspec.Struct):
    """One field's values; `shape` is `[n]` or `[n, 1]`, `data` flat or nested accordingly."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class OutputRequest(msgspec.Struct):
    """An output the caller asks for."""

    name: str


class InferRequest(msgspec.Struct):
    """The body of an infer request."""

    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[OutputRequest] | None = None


class OutputTensor(msgspec.Struct):
    """The predictions, the decisions on them, or the probabilities of several classes row after row."""

    data: list[Any]
    shape: list[int]
    name: str = OUTPUT
    datatype: str = "FP64"


class InferAnswer(msgspec.Struct, omit_defaults=False):
    """The body of an infer answer; `parameters` count unseen words and imputed values by column, if there are any."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


class TensorMetadata(msgspec.Struct):
    """How a field is described to a caller; -1 stands for any number of rows."""

    name: str
    datatype: str
    shape: tuple[int, ...] = (-1,)


def describe_field(field: SignatureField) -> TensorMetadata:
    """Describe a field as a tensor."""
    return TensorMetadata(field.name, _DATATYPES[field.type][0])


def tensors_to_frame(asked: InferRequest, signature: Sequence[SignatureField], batch_at_most: int) -> pl.DataFrame:
    """Check tensors against a signature and each other.

    Raises
    ------
    RequestRejected
        Naming the tensor at fault: missing, unknown, doubled, of a wrong datatype, shape or value.
    """
    tensors = _by_name(asked.inputs, [field.name for field in signature])
    rows = asked.inputs[0].shape[0] if asked.inputs[0].shape else 0
    check_batch(asked.inputs[0].name, rows, batch_at_most)
    return columns_to_frame({field.name: _values(tensors[field.name], field, rows) for field in signature}, signature)


def _by_name(inputs: Sequence[InputTensor], expected: Sequence[str]) -> dict[str, InputTensor]:
    hint = "send each field of GET /v2/models/<pipeline> once"
    tensors: dict[str, InputTensor] = {}
    for tensor in inputs:
        if tensor.name not in expected or tensor.name in tensors:
            got = "the same input twice" if tensor.name in tensors else "an input that the model does not take"
            raise rejected(tensor.name[:64], got=got, expected=f"each of {', '.join(expected)}", hint=hint)
        tensors[tensor.name] = tensor
    if missing := [name for name in expected if name not in tensors]:
        message = f"{examples(missing)}: got no such input, expected each of {', '.join(expected)}. Hint: {hint}"
        raise RequestRejected(message, status=422, field=missing[0])
    return tensors


def _values(tensor: InputTensor, field: SignatureField, rows: int) -> list[Any]:
    accepted = _DATATYPES[field.type]
    if tensor.datatype not in accepted:
        hint = "send the datatype that GET /v2/models/<pipeline> names"
        got = f"datatype {tensor.datatype[:20]!a}"
        raise rejected(field.name, got=got, expected=f"one of {', '.join(accepted)}", hint=hint)
    if tensor.shape not in ([rows], [rows, 1]):
        hint = "all inputs have the same number of rows, and one column"
        raise rejected(field.name, got=f"shape {tensor.shape[:5]}", expected=f"[{rows}] or [{rows}, 1]", hint=hint)
    is_nested = len(tensor.shape) == 2 and all(isinstance(row, list) and len(row) == 1 for row in tensor.data)
    values = [row[0] for row in tensor.data] if is_nested else tensor.data
    if len(values) != rows:
        hint = "data holds as many values as shape says"
        raise rejected(field.name, got=f"{len(values)} values", expected=f"{rows} by shape", hint=hint)
    return values
