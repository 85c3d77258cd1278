"""Bad input on the way to a champion: refused or inconclusive with the reason; never promoted or half registered."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml_platform.contracts.evaluations import Evaluation, Verdict
from ml_platform.contracts.spec import Gate, OwnMetric, ServedGate
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.registry.store import MlflowStore
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import LATER, InProcessTarget, World, definitions, error_of, tiny

pytestmark = [pytest.mark.slow, *DAGSTER]

TRAINING_SET = "tiny/training_set"
IS_HOLDOUT = pl.col("part") == "holdout"
CHAMPION = "not_worse_than_champion"


def _changed(world: World, pipeline: Pipeline, **resources: Any) -> World:
    return replace(world, definitions=definitions(pipeline, target=InProcessTarget(world.home), **resources))


def _gated(*gates: Any, **changed: Any) -> Pipeline:
    return replace(tiny(), spec=tiny().spec.model_copy(update={"gates": [*tiny().spec.gates, *gates], **changed}))


def _with_training_set(world: World, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Write a training set of other rows than the lake gave, as if they had come from the same inputs."""
    assert world.materialize("training_set", key=LATER).success
    rows = world.lake.read(TRAINING_SET, [LATER])
    world.rewrite("training_set", change(rows).select(rows.columns), LATER)


def _verdicts(world: World) -> dict[str, Verdict]:
    """Judge the candidate of LATER, and see that nothing but its verdicts came of it."""
    assert world.materialize("evaluation", key=LATER).success  # without the endpoint a gate that says no only warns
    evaluation = Evaluation.model_validate(world.decisions("evaluated")[-1].payload)
    assert evaluation.as_of == LATER
    assert not world.materialize("endpoint").success
    assert world.promoted() == [1]
    assert world.models.aliases("tiny") == {"champion": 1}
    return {verdict.gate: verdict for verdict in evaluation.verdicts}


def _is_refused(world: World, said: str) -> None:
    """See that no version came of a candidate, and that the run says why."""
    result = world.materialize("candidate", key=LATER)
    assert not result.success
    assert said in error_of(result)
    newest = world.models.newest("tiny")
    assert newest is not None
    assert newest.version == 1
    assert {run.info.status for run in world.mlflow_runs()} == {"FINISHED", "FAILED"}
    assert world.promoted() == [1]


def test_a_holdout_of_one_class_is_inconclusive(world: World) -> None:
    """No area under the curve is defined on it."""
    label = pl.when(IS_HOLDOUT).then(statement=pl.lit(value=False)).otherwise(pl.col("label"))
    _with_training_set(world, lambda rows: rows.with_columns(label=label.cast(rows.schema["label"])))
    assert world.materialize("candidate", key=LATER).success
    verdict = _verdicts(world)["beats_baselines"]
    assert verdict.outcome == "inconclusive"
    assert "not defined" in verdict.sentence
    assert "says inconclusive" in world.decisions("promotion_refused")[-1].because


def test_a_constant_target_is_not_trained_on(world: World) -> None:
    """There is nothing to learn."""
    _with_training_set(world, lambda rows: rows.with_columns(label=pl.lit(value=True).cast(rows.schema["label"])))
    _is_refused(world, "rows with 1 class, expected rows of both classes")


def test_a_feature_without_any_value_is_trained_on_with_a_warning(world: World) -> None:
    """By its name; values in the holdout alone are none to learn from."""
    bare = pl.when(IS_HOLDOUT).then("road_ice")
    _with_training_set(world, lambda rows: rows.with_columns(road_ice=bare))
    result = world.materialize("candidate", key=LATER)
    assert result.success
    [event] = result.asset_materializations_for_node("tiny__candidate")
    assert "No training row has a value of road_ice" in str(event.metadata["warnings"].value)


def test_fewer_rows_than_a_gate_asks_for_are_inconclusive(world: World) -> None:
    """On the whole holdout, and as rows to be served."""
    many = Gate(metric="log_loss", at_most=0.67, rows_at_least=100_000)
    served = ServedGate(kind="served", p95_ms=1000, rows=10_000)
    asking = _changed(world, _gated(many, served))
    assert asking.materialize("training_set", "candidate", key=LATER).success
    found = _verdicts(asking)
    assert {found[gate.name].outcome for gate in (many, served)} == {"inconclusive"}
    assert "needed: 100,000" in found[many.name].sentence
    assert "needed: 10000 rows" in found[served.name].sentence


@pytest.mark.parametrize("named", ["no_number", "no_end"])
def test_a_metric_that_is_no_finite_number_is_inconclusive(world: World, named: str) -> None:
    """Whichever bound it would keep."""
    own = OwnMetric(function=f"{__name__}.{named}", better="lower")
    pipeline = replace(_gated(Gate(metric=named, at_most=1e9), metrics={named: own}), **_functions(named))
    strange = _changed(world, pipeline)
    assert strange.materialize("training_set", "candidate", key=LATER).success
    assert _verdicts(strange)[f"{named}_at_most_1000000000_0"].outcome == "inconclusive"


def no_number(_labels: Any, _predictions: Any) -> float:
    """Give NaN."""
    return float("nan")


def no_end(_labels: Any, _predictions: Any) -> float:
    """Give infinity."""
    return float("inf")


def _functions(named: str) -> dict[str, Any]:
    return {"metrics": {named: globals()[named]}}


def test_a_champion_whose_features_are_gone_cannot_be_compared_with(world: World) -> None:
    """It was trained on a lookup that the pipeline no longer has."""
    columns = [name for name in tiny().spec.features.columns if name != "road_ice"]
    features = tiny().spec.features.model_copy(update={"columns": columns})
    pipeline = replace(_gated(features=features), plan=replace(tiny().plan, columns=tuple(columns)))
    poorer = _changed(world, pipeline)
    assert poorer.materialize("features", key="2020-01-06", last="2020-01-31").success
    assert poorer.materialize("training_set", "candidate", key=LATER).success
    verdict = _verdicts(poorer)[CHAMPION]
    assert verdict.outcome == "inconclusive"
    assert "road_ice" in verdict.sentence


def _files_of(world: World, version: int) -> list[Path]:
    """Give each copy of a version's bundle: MLflow's own, the one that was downloaded, and the deployed one."""
    digest = world.models.version("tiny", version).digest
    kept = [path.parent for path in world.home.mlflow_artifacts.rglob("manifest.json")]
    copies = [world.home.root / "cache" / digest, world.home.bundles / "tiny" / digest]
    found = [path for path in [*kept, *copies] if (path / "manifest.json").exists()]
    assert found
    return found


@pytest.mark.parametrize("fate", ["damaged", "gone"])
def test_a_champion_whose_bundle_is_no_more_cannot_be_compared_with(world: World, fate: str) -> None:
    """What can still be judged is."""
    for place in _files_of(world, 1):
        if fate == "gone":
            shutil.rmtree(place)
        else:
            (place / "model.txt").write_text("no model")
    assert world.materialize("training_set", "candidate", key=LATER).success
    found = _verdicts(world)
    assert found[CHAMPION].outcome == "inconclusive"
    assert "champion v1" in found[CHAMPION].sentence
    assert found["log_loss_at_most_0_68"].outcome == "pass"


def test_a_candidate_whose_bundle_is_damaged_is_not_judged(world: World) -> None:
    """Nor does it serve."""
    assert world.materialize("training_set", "candidate", key=LATER).success
    for place in _files_of(world, 2):
        (place / "model.txt").write_text("no model")
    before = len(world.decisions())
    result = world.materialize("evaluation", key=LATER)
    assert not result.success
    assert "version 2 is gone from the registry, or its bundle is damaged" in error_of(result)
    assert len(world.decisions()) == before
    world.materialize("endpoint")  # stays with what serves
    assert world.promoted() == [1]


@pytest.fixture
def cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a world in which MLflow answers while a run begins, and its registry no more."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    store = MlflowStore("http://127.0.0.1:9", world.home.root / "cache", Path("never loaded here"))
    return _changed(world, tiny(), models=store)


def test_mlflow_out_of_reach_leaves_no_half_of_a_version(world: World, cut_off: World) -> None:
    """The run fails; the same again, with MLflow back, gives the one version."""
    assert world.materialize("training_set", key=LATER).success
    result = cut_off.materialize("candidate", key=LATER)
    assert not result.success
    assert "127.0.0.1" in error_of(result)
    newest = world.models.newest("tiny")
    assert newest is not None
    assert newest.version == 1
    assert world.run("retrain", LATER).success
    assert world.promoted() == [1, 2]


def test_mlflow_out_of_reach_promotes_nothing(world: World, cut_off: World) -> None:
    """Neither while a candidate is judged, nor when it is to serve."""
    assert world.materialize("training_set", "candidate", key=LATER).success
    before = len(world.decisions())
    assert not cut_off.materialize("evaluation", key=LATER).success
    assert not cut_off.materialize("endpoint").success
    assert (world.promoted(), len(world.decisions())) == ([1], before)
    assert world.materialize("evaluation", key=LATER).success
    assert world.materialize("endpoint").success
    assert world.promoted() == [1, 2]
