"""What a prediction looks like to a caller: a number, or the likeliest of several classes with all probabilities."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_platform.serving.predictor import Predictor
from ml_platform.serving.requests import rejected
from ml_platform.serving.tensors import OUTPUT, InferRequest, OutputTensor, TensorMetadata

PROBABILITY = "probability"


def describe_outputs(predictor: Predictor) -> list[TensorMetadata]:
    """Describe the tensors of an answer."""
    if not predictor.classes:
        return [TensorMetadata(OUTPUT, "FP64")]
    return [
        TensorMetadata(OUTPUT, _datatype(predictor)),
        TensorMetadata(PROBABILITY, "FP64", (-1, len(predictor.classes))),
    ]


def describe_task(predictor: Predictor) -> dict[str, str]:
    """Name the task, and the classes as a JSON list in the order of their probabilities."""
    classes = {"classes": json.dumps(predictor.classes)} if predictor.classes else {}
    return {"task": predictor.task, **classes}


def output_tensors(predictor: Predictor, predictions: NDArray[np.float64], asked: InferRequest) -> list[OutputTensor]:
    """Give the tensors of an answer, all of them or those asked for."""
    rows = len(predictions)
    if not predictor.classes:
        return [OutputTensor(predictions.tolist(), [rows])]
    found = [
        OutputTensor(predictor.classes_of(predictions), [rows], OUTPUT, _datatype(predictor)),
        OutputTensor(predictions.ravel().tolist(), list(predictions.shape), PROBABILITY),
    ]
    wanted = {output.name for output in asked.outputs or []}
    return [tensor for tensor in found if not wanted or tensor.name in wanted]


def check_outputs(asked: InferRequest, predictor: Predictor) -> None:
    """Refuse outputs that the model does not give.

    Raises
    ------
    RequestRejected
        Naming the output.
    """
    known = [tensor.name for tensor in describe_outputs(predictor)]
    for output in asked.outputs or []:
        if output.name not in known:
            hint = "leave outputs out"
            raise rejected("outputs", got=ascii(output.name[:64]), expected=" or ".join(known), hint=hint)


def plain_output(predictor: Predictor, predictions: NDArray[np.float64]) -> dict[str, Any]:
    """Give the fields of a plain answer that hold predictions."""
    if not predictor.classes:
        return {"predictions": predictions.tolist()}
    likeliest: Sequence[object] = predictor.classes_of(predictions)
    return {"predictions": likeliest, "classes": list(predictor.classes), "probabilities": predictions.tolist()}


def _datatype(predictor: Predictor) -> str:
    return "BYTES" if isinstance(predictor.classes[0], str) else "INT64"
