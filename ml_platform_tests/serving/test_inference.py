"""The Open Inference Protocol v2: health, metadata, and infer with one tensor for each field."""

from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml_platform.contracts.home import Home
from ml_platform.ledger.store import SqlLedger
from ml_platform.serving import models
from ml_platform.serving.app import create_app
from ml_platform.serving.models import ModelTable
from ml_platform_tests.fakes.bundles import deploy, make_rows, promote, to_json_rows

Client = TestClient[Litestar]
ROWS = to_json_rows(make_rows(3, 5))
DATATYPES = {"parcel_id": "INT64", "asked_at": "BYTES", "carrier": "BYTES", "distance": "FP64", "weight": "FP64"}
INFER = "/v2/models/parcels/infer"


def _tensors(**changed: dict[str, Any]) -> list[dict[str, Any]]:
    tensors = {
        name: {"name": name, "shape": [3], "datatype": datatype, "data": [row[name] for row in ROWS]}
        for name, datatype in DATATYPES.items()
    }
    return [tensors[name] | changed.get(name, {}) for name in DATATYPES]


def test_infer_is_predict(client: Client) -> None:
    """Both protocols give the same numbers; the id comes back."""
    answer = client.post(INFER, json={"id": "42", "inputs": _tensors(), "outputs": [{"name": "prediction"}]})
    expected = client.post("/predict/parcels", json={"rows": ROWS}).json()["predictions"]
    output = {"name": "prediction", "datatype": "FP64", "shape": [3], "data": expected}
    assert answer.json() == {"model_name": "parcels", "model_version": "1", "id": "42", "outputs": [output]}
    assert "id" not in client.post(INFER, json={"inputs": _tensors()}).json()
    assert client.post("/v2/models/parcels/versions/1/infer", json={"inputs": _tensors()}).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [3, 1]},
        {"shape": [3, 1], "data": [[1.0], [2.0], [3.0]]},
        {"datatype": "FP32"},
        {"datatype": "INT32", "data": [1, 2, 3]},
    ],
)
def test_other_right_tensors_are_served(client: Client, change: dict[str, Any]) -> None:
    """A column vector, flat or nested, and narrower numbers."""
    assert client.post(INFER, json={"inputs": _tensors(distance=change)}).status_code == 200


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("distance", {"shape": [2]}),
        ("distance", {"shape": [3, 2]}),
        ("distance", {"shape": []}),
        ("distance", {"shape": [-3]}),
        ("distance", {"data": [1.0, 2.0]}),
        ("distance", {"data": [[1.0], [2.0], [3.0]]}),
        ("distance", {"data": [1.0, 2.0, None]}),
        ("distance", {"data": [1.0, 2.0, "3"]}),
        ("distance", {"datatype": "FP128"}),
        ("distance", {"datatype": "BYTES"}),
        ("carrier", {"datatype": "FP64"}),
        ("carrier", {"data": ["ant", "bee", 3]}),
        ("parcel_id", {"datatype": "FP64", "data": [1.0, 2.0, 2.5]}),
        ("parcel_id", {"data": [1, 2, 3.5]}),
        ("parcel_id", {"data": [1, 2, True]}),
        ("asked_at", {"data": ["2013-01-01T00:00:00"] * 3}),
        ("flavour", {"name": "flavour"}),
    ],
)
def test_wrong_tensor_is_refused(client: Client, field: str, change: dict[str, Any]) -> None:
    """The field is named, with what was got and expected."""
    place = "distance" if field == "flavour" else field
    answer = client.post(INFER, json={"inputs": _tensors(**{place: change})})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"{field}")
    assert "expected" in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, "inputs: "),
        ({"inputs": []}, 422, "parcel_id, asked_at, carrier, distance, weight: got no such input"),
        ({"inputs": [{"name": "carrier"}]}, 400, "inputs[0].shape: "),
        (
            {"inputs": [{"name": "carrier", "shape": ["a"], "datatype": "BYTES", "data": []}]},
            400,
            "inputs[0].shape[0]: ",
        ),
        ({"inputs": [{"name": "carrier", "shape": [1], "datatype": "BYTES", "data": "ant"}]}, 400, "inputs[0].data: "),
        ({"inputs": _tensors()[:-1]}, 422, "weight: got no such input"),
        ({"inputs": [*_tensors(), _tensors()[0]]}, 422, "parcel_id: got the same input twice"),
        ({"inputs": _tensors(), "outputs": [{"name": "logits"}]}, 422, "outputs: got 'logits', expected prediction"),
        ({"inputs": _tensors(), "id": 7}, 400, "id: "),
        ({"inputs": [t | {"shape": [0], "data": []} for t in _tensors()]}, 422, "parcel_id: got an empty batch"),
        (
            {"inputs": [t | {"shape": [201], "data": t["data"] * 67} for t in _tensors()]},
            413,
            "parcel_id: got 201 rows",
        ),
    ],
)
def test_wrong_request_is_refused(client: Client, body: dict[str, Any], status: int, text: str) -> None:
    """The place in the body is named."""
    answer = client.post(INFER, json=body)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(text)


def test_faults_have_the_protocols_form(client: Client) -> None:
    """Also for JSON that is none, another content type, an unknown model or path."""
    headers = {"content-type": "application/json"}
    assert client.post(INFER, content=b"{", headers=headers).status_code == 400
    assert client.post(INFER, content=b"{}", headers={"content-type": "application/octet-stream"}).status_code == 415
    for path in ("/v2/models/letters", "/v2/models/letters/ready", "/v2/models/parcels/versions/2", "/v2/nowhere"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert isinstance(answer.json()["error"], str)
    assert client.get("/v2/models/parcels/versions/first").status_code == 400


def test_health_and_metadata(client: Client) -> None:
    """A caller learns the fields, their datatypes and the versions."""
    assert client.get("/v2").json()["name"] == "ml_platform"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/parcels/ready").json() == {"name": "parcels", "version": "1", "ready": True}
    assert client.get("/v2/models/parcels/versions/1/ready").status_code == 200
    metadata = client.get("/v2/models/parcels").json()
    assert {field["name"]: field["datatype"] for field in metadata["inputs"]} == DATATYPES
    assert metadata["outputs"] == [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
    assert (metadata["versions"], metadata["platform"]) == (["1"], "lightgbm")
    assert client.get("/v2/models/parcels/versions/1").json() == metadata


def test_metadata_tell_a_probability_from_a_value(client: Client) -> None:
    assert client.get("/v2/models/parcels").json()["parameters"] == {"task": "binary"}


def test_a_plain_answer_of_one_number_speaks_of_no_classes(client: Client) -> None:
    answer = client.post("/predict/parcels", json={"rows": ROWS}).json()
    assert not {"classes", "probabilities"} & answer.keys()


def test_a_promotion_is_taken_up_when_the_server_is_asked_to(
    home: Home, ledger: SqlLedger, table: ModelTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not at its next refresh; what was not promoted is not loaded by asking."""
    monkeypatch.setattr(models, "REFRESH_EVERY_S", 3600.0)
    with TestClient(create_app(table)) as client:
        promote(ledger, 2, deploy(home, 1))
        assert client.get("/v2/models/parcels").json()["versions"] == ["1"]
        answer = client.post("/v2/repository/models/parcels/load")
        assert (answer.status_code, answer.json()) == (200, {"name": "parcels", "versions": ["2", "1"]})
        assert client.get("/v2/models/parcels").json()["versions"] == ["2", "1"]
        assert client.post("/v2/repository/models/flights/load").status_code == 404
