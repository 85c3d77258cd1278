"""A model of several classes over both protocols: the likeliest class, and the probability of each."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml_platform.contracts.home import Home
from ml_platform.ledger.store import SqlLedger
from ml_platform.registry.bundle import open_bundle
from ml_platform.serving.app import create_app
from ml_platform.serving.models import ModelTable
from ml_platform.serving.predictor import Predictor
from ml_platform_tests.fakes.bundles import PIPELINE, PLAN, make_bundle, make_lookups, make_rows, promote, to_json_rows

Client = TestClient[Litestar]
ROWS = make_rows(20, 5)
ASKED = to_json_rows(ROWS)
INFER = f"/v2/models/{PIPELINE}/infer"
DATATYPES = {"parcel_id": "INT64", "asked_at": "BYTES", "carrier": "BYTES", "distance": "FP64", "weight": "FP64"}
INPUTS = [
    {"name": name, "shape": [len(ASKED)], "datatype": datatype, "data": [row[name] for row in ASKED]}
    for name, datatype in DATATYPES.items()
]


def _model(classes: list[Any]) -> bytes:
    """Describe a linear model by hand: the distance tells the first class, the carrier the second."""
    number = {"mean": 250.0, "scale": 100.0, "coefficients": [0.0, 0.0, 0.0], "missing": [0.0, 0.0, 0.0]}
    columns: list[dict[str, Any]] = [
        {"categories": [[0.0, 4.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 0.5], [0.2, 0.0, 0.0]]},
        number | {"coefficients": [2.0, 0.0, -1.0]},
        *[number] * (len(PLAN.columns) - 2),
    ]
    described = {"kind": "linear", "task": "multiclass", "link": "softmax", "intercepts": [0.1, 0.0, 0.0]}
    return json.dumps(described | {"classes": classes, "columns": columns}).encode()


def _client(home: Home, classes: list[Any]) -> Client:
    digest = make_bundle(home.root / "built", model__json=_model(classes)).digest
    ledger = SqlLedger(home.ledger_url)
    promote(ledger, 1, make_bundle(home.bundles / PIPELINE / digest, model__json=_model(classes)))
    return TestClient(create_app(ModelTable(home, ledger)), raise_server_exceptions=False)


@pytest.fixture(scope="module", params=[["early", "late", "on time"], [1, 2, 30]], ids=["words", "numbers"])
def classes(request: pytest.FixtureRequest) -> list[Any]:
    """Give the classes of the model."""
    return request.param


@pytest.fixture(scope="module")
def client(classes: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Give a client of a server with the model as version 1."""
    with _client(Home(tmp_path_factory.mktemp("home")), classes) as client:
        yield client


@pytest.fixture(scope="module")
def offline(classes: list[Any], tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Give the probabilities that the same bundle gives offline."""
    bundle = make_bundle(tmp_path_factory.mktemp("offline") / "b", model__json=_model(classes))
    found = Predictor.load(open_bundle(bundle.root)).predict(PLAN.transform(ROWS, make_lookups()))
    assert found.shape == (len(ROWS), 3)
    assert len(set(found.argmax(axis=1))) == 3
    return found


def test_the_plain_answer_names_class_and_probabilities(
    client: Client, classes: list[Any], offline: np.ndarray
) -> None:
    answer = client.post(f"/predict/{PIPELINE}", json={"rows": ASKED}).json()
    assert answer["classes"] == classes
    np.testing.assert_allclose(answer["probabilities"], offline, rtol=0, atol=1e-12)
    assert answer["predictions"] == [classes[place] for place in offline.argmax(axis=1)]
    single = client.post(f"/predict/{PIPELINE}", json={"rows": ASKED[:1]}).json()
    np.testing.assert_allclose(single["probabilities"], offline[:1], rtol=0, atol=1e-12)


def test_infer_gives_two_tensors(client: Client, classes: list[Any], offline: np.ndarray) -> None:
    """The probabilities row after row, as their shape says."""
    datatype = "BYTES" if isinstance(classes[0], str) else "INT64"
    prediction, probability = client.post(INFER, json={"inputs": INPUTS}).json()["outputs"]
    assert (prediction["name"], prediction["datatype"], prediction["shape"]) == ("prediction", datatype, [20])
    assert prediction["data"] == [classes[place] for place in offline.argmax(axis=1)]
    assert (probability["name"], probability["datatype"], probability["shape"]) == ("probability", "FP64", [20, 3])
    np.testing.assert_allclose(np.reshape(probability["data"], (20, 3)), offline, rtol=0, atol=1e-12)


def test_a_caller_may_ask_for_one_of_them(client: Client) -> None:
    for name in ("prediction", "probability"):
        answer = client.post(INFER, json={"inputs": INPUTS, "outputs": [{"name": name}]}).json()
        assert [each["name"] for each in answer["outputs"]] == [name]
    refused = client.post(INFER, json={"inputs": INPUTS, "outputs": [{"name": "logits"}]})
    assert refused.status_code == 422
    assert refused.json()["error"].startswith("outputs: got 'logits', expected prediction or probability")


def test_metadata_name_the_task_and_the_classes(client: Client, classes: list[Any]) -> None:
    metadata = client.get(f"/v2/models/{PIPELINE}").json()
    assert [(each["name"], each["shape"]) for each in metadata["outputs"]] == [
        ("prediction", [-1]),
        ("probability", [-1, 3]),
    ]
    assert metadata["parameters"] == {"task": "multiclass", "classes": json.dumps(classes)}
