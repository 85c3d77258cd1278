"""Versions whose example has gaps register in a real MLflow, and its pyfunc takes gaps as every other door does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from ml_platform import deployment
from ml_platform.contracts.records import ModelVersion
from ml_platform.registry.store import MlflowStore
from ml_platform.serving.predictor import Predictor
from ml_platform_tests.fakes.gaps import INPUTS, PANDAS, PIPELINE, PLAN, make_bundle, make_rides
from ml_platform_tests.pipelines.marks import QUIET

pytestmark = [pytest.mark.slow, *QUIET]

LOADER = Path(deployment.__path__[0]) / "mlflow_model.py"
# What is missing in the five rows of the example: nothing, something, everything.
EXAMPLES = {
    "no gaps": {},
    "some gaps": dict.fromkeys(INPUTS, 0.4),
    "integers with gaps": {"passengers": 0.5},
    "nothing but gaps": dict.fromkeys(INPUTS, 1.0),
}


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[ModelVersion, Any, Predictor]]]:
    """Register a version for each example; gives its model as MLflow loads it, and as the platform does."""
    import mlflow

    root = tmp_path_factory.mktemp("gaps")
    url = f"sqlite:///{root}/mlflow.db"
    store = MlflowStore(url, root / "cache", LOADER)
    mlflow.set_tracking_uri(url)
    experiment = mlflow.MlflowClient(url).create_experiment("e", artifact_location=(root / "artifacts").as_uri())
    found: dict[str, tuple[ModelVersion, Any, Predictor]] = {}
    with mlflow.start_run(experiment_id=experiment) as run:
        for at, (name, gaps) in enumerate(EXAMPLES.items()):
            bundle = make_bundle(root / f"b{at}", make_rides(5, at + 3, gaps), at)
            version = store.register(
                PIPELINE, bundle.root, as_of=bundle.manifest.as_of, digest=bundle.digest, run_id=run.info.run_id
            )
            loaded = mlflow.pyfunc.load_model(f"models:/{PIPELINE}/{version.version}")
            found[name] = version, loaded, Predictor.load(bundle)
    yield found
    mlflow.set_tracking_uri("")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_scores_as_it_did(registered: dict[str, tuple[ModelVersion, Any, Predictor]], name: str) -> None:
    """As it was logged, whatever is missing in it."""
    _, loaded, predictor = registered[name]
    rows = make_rides(5, list(EXAMPLES).index(name) + 3, EXAMPLES[name])
    expected = predictor.predict(PLAN.transform(rows, {})).tolist()
    assert loaded.predict(loaded.input_example)["prediction"].tolist() == expected


@pytest.mark.parametrize("written", PANDAS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_pyfunc_is_offline(registered: dict[str, tuple[ModelVersion, Any, Predictor]], name: str, written: str) -> None:
    """However pandas writes a gap, and whether or not the example had one."""
    _, loaded, predictor = registered[name]
    for seed, share in enumerate((0.0, 0.3, 1.0, 0.6)):
        rows = make_rides(1 + 3 * seed, seed, dict.fromkeys(INPUTS, share))
        expected = predictor.predict(PLAN.transform(rows, {})).tolist()
        assert loaded.predict(PANDAS[written](rows))["prediction"].tolist() == expected


def test_pyfunc_refuses_by_name(registered: dict[str, tuple[ModelVersion, Any, Predictor]]) -> None:
    """What the signature leaves open, the loader checks."""
    frame = PANDAS["None"](make_rides(3, 1, {}))
    with pytest.raises(Exception, match=r"passengers in row 0: got 2\.5, expected an integer"):
        registered["no gaps"][1].predict(frame.assign(passengers=pd.Series([2.5, 1, None], dtype=object)))
    with pytest.raises(Exception, match="ride_id"):
        registered["no gaps"][1].predict(frame.drop(columns="ride_id"))


def test_a_field_that_may_be_null_is_optional(registered: dict[str, tuple[ModelVersion, Any, Predictor]]) -> None:
    """The others keep MLflow's own types."""
    inputs = registered["no gaps"][1].metadata.signature.inputs
    assert {each.name for each in inputs if not each.required} == set(INPUTS)
    assert [each.type.name for each in inputs if each.required] == ["long", "datetime"]
    assert pl.DataFrame(make_rides(1, 1, {})).columns == inputs.input_names()
