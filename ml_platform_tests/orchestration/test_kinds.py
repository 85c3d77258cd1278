"""From raw rows to an endpoint with each kind of model and each task: fitted, judged, promoted, served as offline."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
import yaml

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.home import Home
from ml_platform.orchestration.resolution import resolve
from ml_platform.registry.bundle import open_bundle
from ml_platform.serving.models import ModelTable
from ml_platform.serving.plain import score_rows
from ml_platform_tests.pipelines import several, tiny
from ml_platform_tests.pipelines.fixtures import enter
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import (
    AS_OF,
    FIRST,
    FOLDER,
    LATER,
    InProcessTarget,
    World,
    copy_home,
    definitions,
    error_of,
)

pytestmark = [pytest.mark.slow, *DAGSTER]

PARAMS = {"num_leaves": 7, "min_data_in_leaf": 20, "num_threads": 1}
GBM: dict[str, Any] = {"kind": "lightgbm", "rounds": 60, "patience": 10, "params": PARAMS}
XGB: dict[str, Any] = {"kind": "xgboost", "rounds": 60, "patience": 10, "params": {"max_depth": 3, "nthread": 1}}
CLASSES = ["long", "none", "short"]


def _world(home: Home, instance: dg.DagsterInstance, task: str, model: dict[str, Any]) -> World:
    path = FOLDER / "defs.yaml"
    attributes = yaml.safe_load(path.read_text())["attributes"] | several.changed(task, {"model": model})
    pipeline = resolve(attributes, path, tiny.__name__)
    return World(home, instance, definitions(pipeline, target=InProcessTarget(home)))


@pytest.fixture(scope="module")
def loaded_rides(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a home with features of the days that one as-of needs. Do not change it."""
    home = Home(tmp_path_factory.mktemp("several"))
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        enter(home, patched)
        result = _world(home, instance, "multiclass", GBM).run("data", FIRST, LATER)
        assert result.success, error_of(result)
    return home


@pytest.fixture
def instance(loaded_rides: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Give an instance beside a home of the test's own, which is `tmp_path / "home"`."""
    enter(copy_home(loaded_rides, tmp_path / "home"), monkeypatch)
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def _retrained(world: World, as_of: str = AS_OF) -> dg.ExecuteInProcessResult:
    result = world.run("retrain", as_of)
    assert result.success, error_of(result)
    return result


def _served(world: World, rows: int = 5) -> Any:
    """Ask the server's own code for the champion's answer to the newest raw rows."""
    table = ModelTable(world.home, world.ledger)
    table.refresh()
    fields = [field.name for field in table.find("tiny").predictor.signature]
    asked = world.lake.read("tiny/validated", [AS_OF]).tail(rows).select(fields).to_dicts()
    body = json.dumps({"rows": asked}, default=lambda at: at.isoformat())
    return score_rows(table, "tiny", None, body.encode())


def _described(world: World) -> dict[str, Any]:
    version = world.models.newest("tiny")
    assert version is not None
    return open_bundle(world.models.bundle(version)).read_json("model.json")


@pytest.mark.parametrize("model", [GBM, {"kind": "linear"}, XGB], ids=lambda model: model["kind"])
def test_several_classes_reach_the_endpoint(
    model: dict[str, Any], instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """The likeliest class is served with each one's probability; drift and the check of what is served do not mind."""
    if model["kind"] == "xgboost":
        pytest.importorskip("xgboost")
    world = _world(Home(tmp_path / "home"), instance, "multiclass", model | {"class_weights": {"none": 0.8}})
    checks = {each.check_name: each.passed for each in _retrained(world).get_asset_check_evaluations()}
    assert checks["serves_offline_predictions"]
    assert all(checks.values())
    assert world.promoted() == [1]
    answer = _served(world)
    assert answer.classes == CLASSES
    assert np.shape(answer.probabilities) == (5, 3)
    assert answer.predictions == [CLASSES[place] for place in np.argmax(answer.probabilities, axis=1)]
    [evaluated] = world.decisions("evaluated")
    metrics = Evaluation.model_validate(evaluated.payload).metrics
    assert metrics["candidate"]["log_loss"] < metrics["prior"]["log_loss"] - 0.05
    assert world.materialize("drift", key=AS_OF).success


def test_mlflow_gives_the_classes_too(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """By the model's own signature: a word, and a probability for each class."""
    import mlflow.pyfunc

    world = _world(Home(tmp_path / "home"), instance, "multiclass", {"kind": "linear"})
    _retrained(world)
    mlflow.set_tracking_uri(world.home.mlflow_url)
    loaded = mlflow.pyfunc.load_model("models:/tiny/1")
    signature = loaded.metadata.signature
    assert signature.outputs.input_names() == ["prediction", *(f"probability_{label}" for label in CLASSES)]
    example = world.lake.read("tiny/validated", [AS_OF]).tail(3)
    fields = signature.inputs.input_names()
    asked = example.select(fields).with_columns(pl.col(pl.Datetime).dt.replace_time_zone(None)).to_pandas()
    found = loaded.predict(asked)
    assert set(found["prediction"]) <= set(CLASSES)
    np.testing.assert_allclose(found.drop(columns="prediction").sum(axis=1), 1)


@pytest.mark.parametrize(
    "model",
    [
        {"kind": "linear", "calibration": "platt", "recency_half_life": "7d"},
        XGB | {"calibration": "isotonic", "class_weights": "balanced", "monotone": {"passengers": "increasing"}},
    ],
    ids=lambda model: model["kind"],
)
def test_each_kind_reaches_the_endpoint(model: dict[str, Any], instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """With its options in the bundle, and shown in MLflow and in the UI."""
    if model["kind"] == "xgboost":
        pytest.importorskip("xgboost")
    world = _world(Home(tmp_path / "home"), instance, "binary", model)
    result = _retrained(world)
    assert world.promoted() == [1]
    description = _described(world)
    assert (description["kind"], description["calibration"]["kind"]) == (model["kind"], model["calibration"])
    assert all(0 < each < 1 for each in _served(world).predictions)
    [candidate] = result.asset_materializations_for_node("tiny__candidate")
    assert "also chose when to stop" in str(candidate.metadata["notes"].value)
    [run] = world.mlflow_runs()
    assert run.data.params["model.kind"] == model["kind"]
    assert run.data.params["model.calibration"] == model["calibration"]


def test_a_quantile_reaches_the_endpoint(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """Its loss is the pinball loss, and the baselines say that quantile too."""
    world = _world(Home(tmp_path / "home"), instance, "regression", GBM | {"quantile": 0.9})
    _retrained(world)
    assert world.promoted() == [1]
    [run] = world.mlflow_runs()
    assert "validation_pinball" in run.data.metrics
    holdout = world.lake.read("tiny/training_set", [AS_OF]).filter(pl.col("part") == "holdout")["label"].to_numpy()
    served = np.array(_served(world, rows=100).predictions)
    assert np.median(served) > np.quantile(holdout, 0.7)
