"""Decisions beside probabilities, over both protocols: at the threshold of the bundle, and only where it has one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml_platform.contracts.errors import BundleDamaged
from ml_platform.contracts.home import Home
from ml_platform.ledger.store import SqlLedger
from ml_platform.serving.app import create_app
from ml_platform.serving.models import ModelTable
from ml_platform.serving.predictor import Predictor
from ml_platform_tests.fakes.bundles import (
    PIPELINE,
    PLAN,
    deploy,
    make_bundle,
    make_lookups,
    make_rows,
    promote,
    to_json_rows,
)

Client = TestClient[Litestar]
ROWS = make_rows(20, 5)
ASKED = to_json_rows(ROWS)
PREDICT, MODEL = f"/predict/{PIPELINE}", f"/v2/models/{PIPELINE}"
DATATYPES = {"parcel_id": "INT64", "asked_at": "BYTES", "carrier": "BYTES", "distance": "FP64", "weight": "FP64"}
INPUTS = [
    {"name": name, "shape": [len(ASKED)], "datatype": datatype, "data": [row[name] for row in ASKED]}
    for name, datatype in DATATYPES.items()
]


def _deciding(threshold: object) -> bytes:
    return json.dumps({"threshold": threshold}).encode()


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Give what the model says of the rows offline."""
    predictor = Predictor.load(make_bundle(tmp_path_factory.mktemp("offline") / "b"))
    return predictor.predict(PLAN.transform(ROWS, make_lookups()))


@pytest.fixture(scope="module")
def threshold(offline: np.ndarray) -> float:
    """Give a probability that one of the rows has exactly."""
    return float(np.sort(offline)[12])


@pytest.fixture(scope="module")
def client(threshold: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Give a client of a server whose version 1 decides nothing, and whose default, version 2, does."""
    home = Home(tmp_path_factory.mktemp("home"))
    ledger = SqlLedger(home.ledger_url)
    promote(ledger, 1, deploy(home))
    digest = make_bundle(home.root / "built-2", decision__json=_deciding(threshold)).digest
    promote(ledger, 2, make_bundle(home.bundles / PIPELINE / digest, decision__json=_deciding(threshold)))
    with TestClient(create_app(ModelTable(home, ledger)), raise_server_exceptions=False) as client:
        yield client


def test_a_row_that_reaches_the_threshold_is_a_yes(client: Client, offline: np.ndarray, threshold: float) -> None:
    """The row that stands on it too; the probability is told as ever."""
    answer = client.post(PREDICT, json={"rows": ASKED}).json()
    assert (answer["version"], answer["threshold"]) == (2, threshold)
    assert answer["decisions"] == (offline >= threshold).tolist()
    assert answer["decisions"].count(True) == 8
    assert answer["decisions"][int(np.argsort(offline)[12])] is True
    np.testing.assert_allclose(answer["predictions"], offline, rtol=0, atol=1e-12)


def test_infer_gives_a_tensor_of_decisions(client: Client, offline: np.ndarray, threshold: float) -> None:
    prediction, decision = client.post(f"{MODEL}/infer", json={"inputs": INPUTS}).json()["outputs"]
    assert (prediction["name"], prediction["datatype"]) == ("prediction", "FP64")
    expected = (offline >= threshold).tolist()
    assert decision == {"name": "decision", "datatype": "BOOL", "shape": [20], "data": expected}


def test_a_caller_may_ask_for_the_decision_alone(client: Client) -> None:
    for name in ("prediction", "decision"):
        answer = client.post(f"{MODEL}/infer", json={"inputs": INPUTS, "outputs": [{"name": name}]}).json()
        assert [each["name"] for each in answer["outputs"]] == [name]


def test_metadata_name_the_decision_and_its_threshold(client: Client, threshold: float) -> None:
    metadata = client.get(MODEL).json()
    assert [(each["name"], each["datatype"]) for each in metadata["outputs"]] == [
        ("prediction", "FP64"),
        ("decision", "BOOL"),
    ]
    assert metadata["parameters"] == {"task": "binary", "threshold": json.dumps(threshold)}
    assert float(metadata["parameters"]["threshold"]) == threshold


def test_a_version_without_threshold_decides_nothing(client: Client) -> None:
    """Neither in an answer nor in its metadata; asked for a decision it refuses."""
    answer = client.post(PREDICT, json={"rows": ASKED}, params={"version": 1}).json()
    assert not {"decisions", "threshold"} & answer.keys()
    [prediction] = client.post(f"{MODEL}/versions/1/infer", json={"inputs": INPUTS}).json()["outputs"]
    assert prediction["name"] == "prediction"
    metadata = client.get(f"{MODEL}/versions/1").json()
    assert metadata["parameters"] == {"task": "binary"}
    assert [each["name"] for each in metadata["outputs"]] == ["prediction"]
    asked = {"inputs": INPUTS, "outputs": [{"name": "decision"}]}
    refused = client.post(f"{MODEL}/versions/1/infer", json=asked)
    assert refused.status_code == 422
    assert refused.json()["error"].startswith("outputs: got 'decision', expected prediction")


def test_the_schema_describes_decisions(client: Client) -> None:
    schemas = client.get("/schema/openapi.json").json()["components"]["schemas"]
    [answer] = [each for name, each in schemas.items() if name.endswith("PredictAnswer")]
    decisions, threshold = answer["properties"]["decisions"], answer["properties"]["threshold"]
    assert decisions["oneOf"] == [{"items": {"type": "boolean"}, "type": "array"}]
    assert threshold["oneOf"] == [{"type": "number"}]
    assert decisions["description"].endswith("absent where nothing decides.")
    assert "decision is true" in threshold["description"]
    assert not {"decisions", "threshold"} & set(answer["required"])


def test_a_threshold_above_all_probabilities_says_no_to_all(tmp_path: Path) -> None:
    """As it is chosen where no is always the best answer."""
    above = float(np.nextafter(1.0, 2.0))
    predictor = Predictor.load(make_bundle(tmp_path / "b", decision__json=_deciding(above)))
    assert predictor.decisions_of(np.array([0.0, 0.5, 1.0])) == [False, False, False]


@pytest.mark.parametrize("threshold", ["high", None, float("nan"), float("inf")])
def test_a_threshold_that_is_none_is_damage(tmp_path: Path, threshold: Any) -> None:
    with pytest.raises(BundleDamaged, match="written wrong"):
        Predictor.load(make_bundle(tmp_path / "b", decision__json=_deciding(threshold)))


def test_only_a_binary_model_has_a_threshold(tmp_path: Path) -> None:
    model = json.dumps({"kind": "lightgbm", "task": "regression", "file": "model.txt"}).encode()
    with pytest.raises(BundleDamaged, match=r"threshold 0\.5 of a regression model"):
        Predictor.load(make_bundle(tmp_path / "b", model__json=model, decision__json=_deciding(0.5)))
