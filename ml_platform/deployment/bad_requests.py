"""Requests that a server must refuse as their sender's fault, each a good one with one thing wrong."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ml_platform.contracts.records import FieldType, SignatureField

JSON = "application/json"
HUGE = 2**40  # bytes that a request only says it has: no server may wait for them
DEEP = 100_000
_WRONG: dict[FieldType, object] = {
    "string": 5,
    "int64": "many",
    "float64": [1.5],
    "bool": 0,
    "timestamp": "2013-07-01T12:00:00",  # of no zone
}


class BadRequest(NamedTuple):
    """One request; `length` is what it says of its body, if not the truth."""

    name: str
    path: str
    body: bytes
    method: str = "POST"
    content_type: str = JSON
    length: int | None = None


def bad_requests(
    pipeline: str, row: Mapping[str, Any], signature: Sequence[SignatureField], batch_at_most: int
) -> Iterator[BadRequest]:
    """Give the requests.

    Parameters
    ----------
    row : mapping
        A good row as JSON holds it.
    signature : sequence of SignatureField
        The fields that a row must have.
    batch_at_most : int
        How many rows a request may have.
    """
    path = f"/predict/{pipeline}"
    yield from _envelopes(path, _body([row]))
    for name, body in {**_no_rows(), **_bad_rows(row, signature, batch_at_most)}.items():
        yield BadRequest(name, path, body)
    tensors = json.dumps({"inputs": [{"name": "no such", "shape": [1], "datatype": "FP64", "data": [1.0]}]}).encode()
    yield BadRequest("a tensor of no field", f"/v2/models/{pipeline}/infer", tensors)
    yield BadRequest("rows in the place of tensors", f"/v2/models/{pipeline}/infer", _body([row]))


def _envelopes(path: str, good: bytes) -> Iterator[BadRequest]:
    """Give requests whose body is good, and nothing else."""
    yield BadRequest("an unknown pipeline", "/predict/no_such_pipeline", good)
    yield BadRequest("an unknown version", f"{path}?version=999999999", good)
    yield BadRequest("a version that is no number", f"{path}?version=latest", good)
    yield BadRequest("an unknown path", f"{path}/no/such/path", good)
    yield BadRequest("the wrong method", path, b"", method="GET")
    yield BadRequest("the wrong content type", path, good, content_type="text/plain")
    yield BadRequest("a huge body", path, good, length=HUGE)


def _no_rows() -> dict[str, bytes]:
    return {
        "no body": b"",
        "malformed JSON": b'{"rows": [{',
        "text that is not UTF-8": b'{"rows": [{"\xff": 1}]}',
        "deep nesting": b'{"rows": ' + b"[" * DEEP,
        "no object": b"[1, 2]",
        "rows that are no list": b'{"rows": {"a": 1}}',
        "rows that are no objects": b'{"rows": [1, null, "a"]}',
        "an empty batch": _body([]),
    }


def _bad_rows(row: Mapping[str, Any], signature: Sequence[SignatureField], batch_at_most: int) -> dict[str, bytes]:
    first = signature[0]
    bodies = {
        "a missing column": _body([{name: value for name, value in row.items() if name != first.name}]),
        "a column too many": _body([{**row, "no_such_column": 1}]),
        "one bad row among good ones": _body([row, {}]) if batch_at_most > 1 else _body([{}]),
        "too many rows": _body([row] * (batch_at_most + 1)),
        "a number beyond 64 bits": _body([{**row, first.name: 10**30}]),
    }
    for field in signature:
        bodies[f"{field.name} of the wrong type"] = _body([{**row, field.name: _WRONG[field.type]}])
        if field.type in ("float64", "int64"):
            bodies[f"{field.name} that is NaN"] = _body([{**row, field.name: float("nan")}])
            bodies[f"{field.name} that is infinite"] = _body([{**row, field.name: float("inf")}])
        if not field.nullable:
            bodies[f"{field.name} that is null"] = _body([{**row, field.name: None}])
    return bodies


def _body(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps({"rows": rows}).encode()
