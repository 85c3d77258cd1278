"""What a prediction looks like to a caller: a number, or the likeliest of several classes with all probabilities.

Beside a probability stands the decision, where the pipeline's spec decides; of several classes the likeliest is it.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_platform.features.encoding import Encoded
from ml_platform.serving.predictor import Predictor
from ml_platform.serving.requests import rejected
from ml_platform.serving.tensors import OUTPUT, InferRequest, OutputTensor, TensorMetadata

PROBABILITY, DECISION = "probability", "decision"


def describe_outputs(predictor: Predictor) -> list[TensorMetadata]:
    """Describe the tensors of an answer."""
    if not predictor.classes:
        decision = [] if predictor.threshold is None else [TensorMetadata(DECISION, "BOOL")]
        return [TensorMetadata(OUTPUT, "FP64"), *decision]
    return [
        TensorMetadata(OUTPUT, _datatype(predictor)),
        TensorMetadata(PROBABILITY, "FP64", (-1, len(predictor.classes))),
    ]


def describe_task(predictor: Predictor) -> dict[str, str]:
    """Name the task, the classes as a JSON list in the order of their probabilities, and the threshold of decisions."""
    classes = {"classes": json.dumps(predictor.classes)} if predictor.classes else {}
    threshold = {} if predictor.threshold is None else {"threshold": json.dumps(predictor.threshold)}
    return {"task": predictor.task, **classes, **threshold}


def describe_counts(encoded: Encoded) -> dict[str, int]:
    """Return the counts as parameters of an answer: `unseen.<column>` and `imputed.<column>`."""
    counts = {"unseen": encoded.unseen, "imputed": encoded.imputed}
    return {f"{kind}.{name}": count for kind, columns in counts.items() for name, count in columns.items()}


def output_tensors(predictor: Predictor, predictions: NDArray[np.float64], asked: InferRequest) -> list[OutputTensor]:
    """Give the tensors of an answer, all of them or those asked for."""
    found = _classes(predictor, predictions) if predictor.classes else _numbers(predictor, predictions)
    wanted = {output.name for output in asked.outputs or []}
    return [tensor for tensor in found if not wanted or tensor.name in wanted]


def _classes(predictor: Predictor, predictions: NDArray[np.float64]) -> list[OutputTensor]:
    return [
        OutputTensor(predictor.classes_of(predictions), [len(predictions)], OUTPUT, _datatype(predictor)),
        OutputTensor(predictions.ravel().tolist(), list(predictions.shape), PROBABILITY),
    ]


def _numbers(predictor: Predictor, predictions: NDArray[np.float64]) -> list[OutputTensor]:
    numbers, shape = OutputTensor(predictions.tolist(), [len(predictions)]), [len(predictions)]
    if predictor.threshold is None:
        return [numbers]
    return [numbers, OutputTensor(predictor.decisions_of(predictions), shape, DECISION, "BOOL")]


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
        numbers: dict[str, Any] = {"predictions": predictions.tolist()}
        if predictor.threshold is None:
            return numbers
        return numbers | {"decisions": predictor.decisions_of(predictions), "threshold": predictor.threshold}
    likeliest: Sequence[object] = predictor.classes_of(predictions)
    return {"predictions": likeliest, "classes": list(predictor.classes), "probabilities": predictions.tolist()}


def _datatype(predictor: Predictor) -> str:
    return "BYTES" if isinstance(predictor.classes[0], str) else "INT64"
