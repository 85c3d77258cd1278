"""The registry on a real MLflow with SQLite, and what its fake promises too; a version is a plain MLflow model."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pandas as pd
import psutil
import pytest

from ml_platform import deployment
from ml_platform.contracts.errors import BundleDamaged, VersionNotFound
from ml_platform.contracts.evaluations import Evaluation, Verdict
from ml_platform.contracts.ports import ModelStore
from ml_platform.contracts.records import ModelVersion
from ml_platform.registry.bundle import EXAMPLE, Bundle, open_bundle
from ml_platform.registry.store import MlflowStore
from ml_platform.serving.predictor import Predictor
from ml_platform_tests.fakes.bundles import PIPELINE, PLAN, make_bundle, make_rows, to_json_rows
from ml_platform_tests.fakes.model_store import InMemoryModelStore
from ml_platform_tests.pipelines.marks import QUIET

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = [pytest.mark.slow, *QUIET]

AS_OF = {"first": "2013-07-01", "second": "2013-07-01", "older": "2013-06-01"}
LOADER = Path(deployment.__path__[0]) / "mlflow_model.py"


@dataclass(frozen=True)
class Shelf:
    """A store with three versions, numbered in the order of `AS_OF`, and the bundles that were registered."""

    store: ModelStore
    bundles: dict[str, Bundle]
    versions: dict[str, ModelVersion]


@dataclass(frozen=True)
class Tracking:
    """An MLflow on SQLite with one finished run."""

    url: str
    artifacts: Path
    client: "MlflowClient"
    run_id: str


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """Give three bundles with example rows, none of them in a folder called bundle."""
    root = tmp_path_factory.mktemp("built")
    predictor, rows = Predictor.load(make_bundle(root / "draft")), make_rows(5, 9)
    predictions = predictor.predict(PLAN.transform(rows, predictor.lookups)).tolist()
    example = json.dumps({"rows": to_json_rows(rows), "predictions": predictions}).encode()
    decision = {"older": {"decision__json": json.dumps({"threshold": float(np.median(predictions))}).encode()}}
    return {
        name: make_bundle(
            root / name, 0, example__json=example, serving__json=b'{"batch_at_most": %d}' % at, **decision.get(name, {})
        )
        for at, name in enumerate(AS_OF, start=1)
    }


@pytest.fixture(scope="module")
def shelves(bundles: dict[str, Bundle], tmp_path_factory: pytest.TempPathFactory) -> tuple[Tracking, dict[str, Shelf]]:
    """Register the bundles in both stores, in the same order."""
    import mlflow

    root = tmp_path_factory.mktemp("stores")
    url, artifacts = f"sqlite:///{root}/mlflow.db", root / "artifacts"
    stores: dict[str, ModelStore] = {
        "mlflow": MlflowStore(url, root / "cache", LOADER),
        "memory": InMemoryModelStore(root / "memory"),
    }
    client = mlflow.MlflowClient(url)
    experiment = client.create_experiment("e", artifact_location=artifacts.as_uri())
    with _mlflow_at(url), mlflow.start_run(experiment_id=experiment) as run:
        found = {name: _shelf(store, bundles, run.info.run_id) for name, store in stores.items()}
    return Tracking(url, artifacts, client, run.info.run_id), found


@pytest.fixture
def tracking(shelves: tuple[Tracking, dict[str, Shelf]]) -> Iterator[Tracking]:
    """Give the MLflow, with MLflow's own default pointed elsewhere: the store must not lean on it."""
    with _mlflow_at(shelves[0].url.replace("mlflow.db", "other.db")):
        yield shelves[0]


@pytest.fixture
def shelf(shelves: tuple[Tracking, dict[str, Shelf]], tracking: Tracking) -> Shelf:
    """Give the real store."""
    del tracking
    return shelves[1]["mlflow"]


@pytest.fixture(params=["mlflow", "memory"])
def each(shelves: tuple[Tracking, dict[str, Shelf]], tracking: Tracking, request: pytest.FixtureRequest) -> Shelf:
    """Give each of the two stores."""
    del tracking
    return shelves[1][request.param]


@contextmanager
def _mlflow_at(url: str) -> Iterator[None]:
    """Point MLflow's default somewhere for a while: it is kept in the process and in its environment."""
    import mlflow

    before: Any = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(url)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def _shelf(store: ModelStore, bundles: dict[str, Bundle], run_id: str) -> Shelf:
    versions = {name: _register(store, bundle, name, run_id) for name, bundle in bundles.items()}
    return Shelf(store, bundles, versions)


def _register(store: ModelStore, bundle: Bundle, name: str, run_id: str) -> ModelVersion:
    return store.register(PIPELINE, bundle.root, as_of=AS_OF[name], digest=bundle.digest, run_id=run_id)


def _example(bundle: Bundle) -> tuple[list[dict[str, Any]], list[float]]:
    """Give the bundle's example; MLflow takes times without a zone, and they are UTC."""
    example = bundle.read_json(EXAMPLE)
    return [row | {"asked_at": row["asked_at"].removesuffix("+00:00")} for row in example["rows"]], example[
        "predictions"
    ]


def test_a_version_is_the_record_of_what_was_registered(each: Shelf, tracking: Tracking) -> None:
    """Numbered from one, and found again by its number."""
    assert [each.versions[name].version for name in AS_OF] == [1, 2, 3]
    for name, version in each.versions.items():
        assert version.model_dump(exclude={"version"}) == {
            "pipeline": PIPELINE,
            "digest": each.bundles[name].digest,
            "as_of": AS_OF[name],
            "run_id": tracking.run_id,
        }
        assert each.store.version(PIPELINE, version.version) == version


def test_the_same_digest_is_the_same_version(each: Shelf) -> None:
    """Registered again after a crash, whatever run does it, it makes no second one."""
    again = _register(each.store, each.bundles["first"], "first", "another run")
    assert again == each.versions["first"]
    with pytest.raises(VersionNotFound):
        each.store.version(PIPELINE, 4)


def test_the_newest_is_by_as_of_then_by_number(each: Shelf) -> None:
    """A backfill of an older as-of is not the newest; a retrained one is."""
    store, versions = each.store, each.versions
    assert store.newest(PIPELINE) == store.newest(PIPELINE, "2013-07-01") == versions["second"]
    assert store.newest(PIPELINE, "2013-06-01") == versions["older"]
    assert (store.newest(PIPELINE, "2013-05-01"), store.newest("nobody")) == (None, None)


@pytest.mark.parametrize(("pipeline", "number"), [(PIPELINE, 9), (PIPELINE, 0), ("nobody", 1)])
def test_a_version_that_is_not_there_is_named(each: Shelf, pipeline: str, number: int) -> None:
    """By pipeline and number."""
    with pytest.raises(VersionNotFound, match=f"{pipeline}.*: got {number}, expected"):
        each.store.version(pipeline, number)


def test_an_alias_points_at_one_version_and_moves(each: Shelf) -> None:
    """Another alias stays where it is; a pipeline without versions has none."""
    store, versions = each.store, each.versions
    store.set_alias(versions["first"], "champion")
    store.set_alias(versions["second"], "challenger")
    store.set_alias(versions["second"], "champion")
    assert dict(store.aliases(PIPELINE)) == {"champion": 2, "challenger": 2}
    assert dict(store.aliases("nobody")) == {}
    store.drop_alias(versions["first"], "challenger")
    assert dict(store.aliases(PIPELINE)) == {"champion": 2, "challenger": 2}
    store.drop_alias(versions["second"], "challenger")
    assert dict(store.aliases(PIPELINE)) == {"champion": 2}


def test_a_bundle_comes_back_whole(each: Shelf) -> None:
    """As often as it is asked for, under the digest it was registered with."""
    for name, version in each.versions.items():
        for _ in range(2):
            assert open_bundle(each.store.bundle(version), version.digest).manifest == each.bundles[name].manifest


def test_a_note_is_for_people(shelf: Shelf, tracking: Tracking) -> None:
    """Outcome and verdicts stand beside the version, which is otherwise the same."""
    verdict = Verdict(
        gate="g", outcome="fail", sentence="log_loss 0.7 is worse", value=0.7, bound=0.6, reference=None, rows=900
    )
    version = shelf.versions["first"]
    evaluation = Evaluation(
        **version.model_dump(exclude={"run_id"}), champion=None, rows=900, metrics={}, verdicts=(verdict,)
    )
    shelf.store.note(version, evaluation)
    noted = tracking.client.get_model_version(PIPELINE, str(version.version))
    assert (noted.tags["gates"], noted.description) == ("fail", "- **fail** log_loss 0.7 is worse")
    assert shelf.store.version(PIPELINE, version.version) == version


def test_a_version_is_registered_inside_its_run(shelf: Shelf, tmp_path: Path) -> None:
    """Otherwise nobody could say which fit it came from."""
    fresh = make_bundle(tmp_path / "fresh", 1)
    with pytest.raises(VersionNotFound, match=r"MLflow run: got None, expected r\. Hint: register inside"):
        _register(shelf.store, fresh, "first", "r")
    assert shelf.store.newest(PIPELINE) == shelf.versions["second"]


def test_a_damaged_bundle_is_not_registered(shelf: Shelf, tmp_path: Path) -> None:
    """Nothing of it comes into the registry."""
    fresh = make_bundle(tmp_path / "fresh", 1)
    (fresh.root / "model.txt").write_bytes(b"tree")
    with pytest.raises(BundleDamaged, match=r"model\.txt in bundle"):
        _register(shelf.store, fresh, "first", "r")
    assert shelf.store.newest(PIPELINE) == shelf.versions["second"]


@pytest.mark.parametrize("name", ["model.txt", "manifest.json"])
def test_a_damaged_cache_is_downloaded_again(shelf: Shelf, tracking: Tracking, tmp_path: Path, name: str) -> None:
    """It is verified every time, not only when it was downloaded."""
    store, version = MlflowStore(tracking.url, tmp_path / "cache", LOADER), shelf.versions["first"]
    (store.bundle(version) / name).write_bytes(b"tree")
    assert open_bundle(store.bundle(version), version.digest).manifest == shelf.bundles["first"].manifest
    assert list((tmp_path / "cache").iterdir()) == [store.bundle(version)]


def test_a_damaged_registry_is_refused(shelf: Shelf, tracking: Tracking, tmp_path: Path) -> None:
    """What was changed on its shelf never reaches the cache."""
    store, version = MlflowStore(tracking.url, tmp_path / "cache", LOADER), shelf.versions["older"]
    (kept,) = (
        path.parent / "model.txt"
        for path in tracking.artifacts.rglob("manifest.json")
        if open_bundle(path.parent).digest == version.digest
    )
    content = kept.read_bytes()
    kept.write_bytes(content + b"\n")
    try:
        with pytest.raises(BundleDamaged, match=r"model\.txt in bundle .* got SHA-256"):
            store.bundle(version)
    finally:
        kept.write_bytes(content)
    assert list((tmp_path / "cache").iterdir()) == []
    assert open_bundle(store.bundle(version), version.digest).root.parent == tmp_path / "cache"


def test_nothing_is_pickled(shelf: Shelf, tracking: Tracking) -> None:
    """Every artifact is text or Arrow; the loader is the text of the platform's own script."""
    kept = [path for path in tracking.artifacts.rglob("*") if path.is_file()]
    assert len([path for path in kept if path.name == "MLmodel"]) == len(shelf.versions)
    assert {path.suffix for path in kept} <= {"", ".txt", ".json", ".yaml", ".py", ".arrow"}
    for path in kept:
        assert path.read_bytes()[:1] != b"\x80", path  # what every pickle since protocol 2 begins with
    loaders = [path.read_text() for path in kept if path.name == LOADER.name]
    assert loaders == [LOADER.read_text()] * len(shelf.versions)


def test_mlflow_itself_gives_the_same_predictions(shelf: Shelf, tracking: Tracking) -> None:
    """`mlflow.pyfunc.load_model` on the example rows, to the last bit."""
    import mlflow

    rows, expected = _example(shelf.bundles["first"])
    with _mlflow_at(tracking.url):
        model = mlflow.pyfunc.load_model(f"models:/{PIPELINE}/1")
    frame = pd.DataFrame(rows).astype({"asked_at": "datetime64[ns]"})
    assert model.predict(frame)["prediction"].tolist() == expected
    assert len({round(value, 3) for value in expected}) > 1
    assert model.predict(model.input_example)["prediction"].tolist() == expected


def test_mlflow_itself_decides_where_the_bundle_does(shelf: Shelf, tracking: Tracking) -> None:
    """The signature says so beforehand; where nothing decides there is no such column."""
    import mlflow

    with _mlflow_at(tracking.url):
        first, deciding = (
            mlflow.pyfunc.load_model(f"models:/{PIPELINE}/{shelf.versions[name].version}")
            for name in ("first", "older")
        )
    said = deciding.predict(deciding.input_example)
    assert said["decision"].tolist() == (said["prediction"] >= said["prediction"].median()).tolist()
    assert len(set(said["decision"])) == 2
    assert [(each.name, each.type.name) for each in deciding.metadata.signature.outputs] == [
        ("prediction", "double"),
        ("decision", "boolean"),
    ]
    assert first.predict(first.input_example).columns.tolist() == ["prediction"]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def _mlflow_serving(uri: str, tracking_url: str, log: Path) -> Iterator[httpx.Client]:
    """Run `mlflow models serve`, wait until it answers, and end it by its pid with what it started."""
    port, binaries = _free_port(), str(Path(sys.executable).parent)
    env = os.environ | {"MLFLOW_TRACKING_URI": tracking_url, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    where = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", uri, *where]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            _wait_for(client, process, log)
            yield client
    finally:
        started = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _, alive = psutil.wait_procs(started, timeout=10)
        for child in alive:
            child.kill()


def _wait_for(client: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 120
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        try:
            if client.get("/ping").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)


def test_mlflow_serves_the_champion(shelf: Shelf, tracking: Tracking, tmp_path: Path) -> None:
    """The plain command of MLflow, on our version: the same predictions, and a bad row is refused by its field."""
    shelf.store.set_alias(shelf.versions["second"], "champion")
    rows, expected = _example(shelf.bundles["second"])
    with _mlflow_serving(f"models:/{PIPELINE}@champion", tracking.url, tmp_path / "log") as client:
        answer = client.post("/invocations", json={"dataframe_records": rows})
        assert answer.status_code == 200, answer.text
        assert [row["prediction"] for row in answer.json()["predictions"]] == expected
        refused = client.post("/invocations", json={"dataframe_records": [rows[0] | {"distance": "far"}]})
        assert (refused.status_code, "distance" in refused.text) == (400, True)
