"""From files to a served model where columns have strange names, or stand empty for all of the training window."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml

from ml_platform.contracts.home import Home
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform.registry.bundle import open_bundle
from ml_platform.serving.predictor import Predictor
from ml_platform_tests.pipelines.fixtures import enter
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.rides import new_rides, rides
from ml_platform_tests.pipelines.world import InProcessTarget, World, definitions, error_of

pytestmark = [pytest.mark.slow, *DAGSTER]

FIRST, LAST, AS_OF = "2024-01-01", "2024-03-20", "2024-03-21"
STRANGE = {
    "zone": 'zone [of "pick-up"]',
    "payment": "payment: {cash, card}",
    "passengers": "passengers, <n> = $",
    "distance_km": "distance\\km/100% `x` 'y' #|",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Home, dg.DagsterInstance]]:
    """Give an empty home."""
    made = Home(tmp_path / "home")
    enter(made, monkeypatch)
    with dg.DagsterInstance.ephemeral() as instance:
        yield made, instance


def _resolved(folder: Path) -> Pipeline:
    path = folder / "defs" / "tips" / "defs.yaml"
    return resolve(yaml.safe_load(path.read_text())["attributes"], path, "tips")


def _world(home: tuple[Home, dg.DagsterInstance], pipeline: Pipeline) -> World:
    return World(*home, definitions(pipeline, target=InProcessTarget(home[0])), pipeline.name)


def test_strange_names_are_served_under_their_own_names(home: tuple[Home, dg.DagsterInstance], tmp_path: Path) -> None:
    """From `new` to the server's predictor; importance and report have the users' names, LightGBM its own."""
    new_rides(tmp_path, rides().rename(STRANGE), level=2)
    world = _world(home, _resolved(tmp_path))
    for job, *partitions in (("data", FIRST, LAST), ("retrain", AS_OF)):
        result = world.run(job, *partitions)
        assert result.success, error_of(result)
    assert world.promoted() == [1]
    version = world.models.version("tips", 1)
    bundle = open_bundle(world.models.bundle(version), version.digest)
    predictor = Predictor.load(bundle)
    assert {*STRANGE.values()} <= {*predictor.encoder.columns}
    assert "feature_names=f0 f1" in bundle.read_bytes("model.txt").decode()
    row = {"ride_id": "r1", "picked_up_at": "2024-03-22T09:00:00Z", "passengers": 2, "distance_km": 2.5}
    rows = [row | {"zone": zone, "payment": "card"} for zone in ("airport", "north")]
    asked = pl.DataFrame(rows).with_columns(pl.col("picked_up_at").str.to_datetime(time_zone="UTC")).rename(STRANGE)
    airport, north = predictor.predict(predictor.plan.transform(asked, {}))
    assert 0 < north < airport < 1
    [run] = [each for each in world.mlflow_runs() if each.info.run_id == version.run_id]
    assert run.info.status == "FINISHED"


def test_a_feature_that_is_empty_in_the_window_trains_with_a_warning(
    home: tuple[Home, dg.DagsterInstance], tmp_path: Path
) -> None:
    """What stands in it later changes no answer, and that nothing was learned from it is said."""
    new_rides(tmp_path, rides())
    pipeline = _resolved(tmp_path)
    world = _world(home, pipeline)
    assert world.run("data", FIRST, LAST).success
    assert world.materialize("training_set", key=AS_OF).success
    rows = world.lake.read(f"{pipeline.name}/training_set", [AS_OF])
    world.rewrite("training_set", rows.with_columns(distance_km=pl.lit(None, pl.Float64)), AS_OF)
    result = world.materialize("candidate", key=AS_OF)
    assert result.success, error_of(result)
    [event] = result.asset_materializations_for_node("tips__candidate")
    assert "No training row has a value of distance_km" in str(event.metadata["warnings"].value)
    judged = world.materialize("evaluation", key=AS_OF)
    [event] = judged.asset_materializations_for_node("tips__evaluation")
    assert "- No training row has a value of distance_km" in str(event.metadata["model_card"].value)
    version = world.models.version("tips", 1)
    predictor = Predictor.load(open_bundle(world.models.bundle(version), version.digest))
    some = rows.head(50)
    known, unknown = (predictor.predict(some.with_columns(distance_km=value)) for value in (pl.lit(9.5), pl.lit(None)))
    assert known.tolist() == unknown.tolist()


def test_a_leak_by_arithmetic_stops_the_fit(home: tuple[Home, dg.DagsterInstance], tmp_path: Path) -> None:
    """Whoever puts the total back is refused by its equation, by asset and fit, unless the spec allows it."""
    leaking = rides().with_columns(total=(pl.col("fare") + pl.col("tip")).round(2))
    made = new_rides(tmp_path, leaking)
    assert "total" not in made.features.kept
    pipeline = _resolved(tmp_path)
    spec = made.attributes
    for part in ("inputs", "columns"):
        spec["features"][part].append("total")
    path = tmp_path / "defs" / "tips" / "defs.yaml"
    world = _world(home, resolve(spec, path, "tips"))
    assert world.run("data", FIRST, LAST).success
    result = world.materialize("training_set", key=AS_OF)
    [check] = [each for each in result.get_asset_check_evaluations() if each.check_name == "no_leakage"]
    assert check.metadata["violated"].value == "no_equation_tells_the_label"
    alone = world.materialize("candidate", key=AS_OF)
    assert not alone.success
    assert "tip = total - fare (by total)" in error_of(alone)
    split = pipeline.spec.split.model_copy(update={"may_tell_label": ["total"]})
    allowing = resolve(spec, path, "tips")
    allowing = replace(allowing, spec=allowing.spec.model_copy(update={"split": split}))
    allowed = _world(home, allowing)
    assert allowed.materialize("candidate", key=AS_OF).success
    judged = allowed.materialize("evaluation", key=AS_OF)
    [event] = judged.asset_materializations_for_node("tips__evaluation")
    card = str(event.metadata["model_card"].value)
    assert "1 warned (no_equation_tells_the_label)" in card
    assert "Nothing tells it the label" not in card
