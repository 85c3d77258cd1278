"""Bad candidates on real flights: each is stopped by the gate that is meant for it, and an honest one passes.

Without that gate in the spec the very same candidate becomes champion: so it is the gate that stops it.
"""

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.home import Home
from ml_platform.contracts.spec import AnyGate
from ml_platform.data.splits.cut import parted
from ml_platform.data.splits.leakage import certify
from ml_platform.orchestration.resolution import Pipeline
from ml_platform_tests.lifecycle.flights import (
    AS_OF,
    BASELINE,
    CARRIERS,
    CHAMPION,
    GATES,
    NAME,
    NEWEST,
    PLAUSIBLE,
    RECENT,
    SERVED,
    changed,
    flights,
    load,
)
from ml_platform_tests.pipelines.fixtures import enter
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import InProcessTarget, World, copy_home, definitions, error_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), *DAGSTER]

TRAINING_SET = f"{NAME}/training_set"
CARRIER, LATE_SHARE = "US", 0.6
TURNED, NEW_DAYS = "JFK", 3
DELAY = "departure_delay_minutes"


@pytest.fixture(scope="module")
def loaded_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a home with flights, a champion and two versions more. Do not change it."""
    home = Home(tmp_path_factory.mktemp("flights"))
    with _entered(home) as instance:
        load(home, instance)
    return home


@pytest.fixture
def world(loaded_home: Home, tmp_path: Path) -> Iterator[World]:
    """Give a world of its own, judged by every gate."""
    home = copy_home(loaded_home, tmp_path / "home")
    with _entered(home) as instance:
        yield World(home, instance, definitions(flights(), target=InProcessTarget(home)), NAME)


@pytest.fixture
def unjudged(loaded_home: Home, tmp_path: Path) -> Iterator[World]:
    """Give a world with the same flights, in which no version has been trained yet."""
    home = Home(tmp_path / "home")
    shutil.copytree(loaded_home.lake, home.lake)
    with _entered(home) as instance:
        yield World(home, instance, definitions(flights(), target=InProcessTarget(home)), NAME)


@contextmanager
def _entered(home: Home) -> Iterator[dg.DagsterInstance]:
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        enter(home, patched)
        yield instance


def _stages(world: World, *stages: str) -> None:
    for stage in stages:
        done = world.materialize(stage, key=AS_OF)
        assert done.success, error_of(done)


def _judged(world: World) -> Evaluation:
    """Judge the candidate; that a gate stops it is no fault of this test."""
    before = len(world.decisions("evaluated"))
    world.materialize("evaluation", key=AS_OF)
    decided = world.decisions("evaluated")
    assert len(decided) == before + 1
    return Evaluation.model_validate(decided[-1].payload)


def _stopping(evaluation: Evaluation) -> set[str]:
    return {verdict.gate for verdict in evaluation.verdicts if verdict.outcome != "pass"}


def _is_stopped_by(
    world: World, meant: Collection[AnyGate], also: Collection[AnyGate] = (), pipeline: Pipeline | None = None
) -> None:
    """See the gates that are meant for it stop a candidate, and the ledger say why; and it pass without them.

    Of the others only those of `also` may stop it too.
    """
    names = {gate.name for gate in meant}
    evaluation = _judged(world)
    stopping = _stopping(evaluation)
    assert names <= stopping <= names | {gate.name for gate in also}, [each.sentence for each in evaluation.verdicts]
    assert not world.materialize("endpoint").success
    assert world.promoted() == [1]
    assert world.models.aliases(NAME) == {"champion": 1, "challenger": 3}
    refused = world.decisions("promotion_refused")[-1]
    assert refused.version == evaluation.version
    assert all(f"Gate {name} says fail: " in refused.because for name in names)

    left = [gate for gate in GATES if gate.name not in stopping]
    spec = (pipeline or flights()).spec.model_copy(update={"gates": left})
    blind = changed(world, replace(pipeline or flights(), spec=spec))
    assert not _stopping(_judged(blind))
    assert blind.materialize("endpoint").success
    assert blind.promoted() == [1, evaluation.version]


def _tamper(world: World, label: pl.Expr) -> None:
    """Write other labels over those that a candidate is fitted on; the holdout keeps its own."""
    rows = world.lake.read(TRAINING_SET, [AS_OF])
    other = rows.with_columns(label=pl.when(pl.col("part") == "holdout").then(pl.col("label")).otherwise(label))
    assert not other["label"].equals(rows["label"])
    world.rewrite("training_set", other, AS_OF)


def test_an_honest_candidate_passes_and_serves(world: World) -> None:
    """Every gate, in the order of the spec, and then it is champion."""
    _stages(world, "training_set", "candidate", "evaluation")
    evaluation = Evaluation.model_validate(world.decisions("evaluated")[-1].payload)
    assert [(each.gate, each.outcome) for each in evaluation.verdicts] == [(gate.name, "pass") for gate in GATES]
    assert world.materialize("endpoint").success
    assert world.promoted() == [1, evaluation.version]


def test_shuffled_labels_are_stopped_by_baseline_and_champion(world: World) -> None:
    """It has learned nothing: no better than the share of late flights, and worse than the model before."""
    _stages(world, "training_set")
    _tamper(world, pl.col("label").shuffle(seed=0))
    _stages(world, "candidate")
    _is_stopped_by(world, [BASELINE, CHAMPION, NEWEST], also=[CARRIERS])


def test_stale_data_are_stopped_by_the_champion(world: World) -> None:
    """Trained on winter alone it beats every baseline, and still is worse on the flights of July than what serves."""
    split = flights().spec.split
    old = type(split).model_validate(split.model_dump(mode="json") | {"embargo": "60d"})
    pipeline = flights(split=old)
    stale = changed(world, pipeline)
    _stages(stale, "training_set")
    rows = world.lake.read(TRAINING_SET, [AS_OF])
    assert str(rows.filter(pl.col("part") == "train")["day"].max()) < "2013-03-01"
    _stages(stale, "candidate")
    _is_stopped_by(stale, [CHAMPION], also=[NEWEST, CARRIERS], pipeline=pipeline)


def test_a_mixture_of_worlds_is_stopped_by_the_newest_part_alone(world: World) -> None:
    """The world turns within the holdout: what a stale model gains on its old days hides what it loses on the new ones.

    In the old world the flights of one airport were late where now they are not, and the candidate knows that world
    only; the champion knows the new one. Over the whole holdout the candidate even is the better model.
    """
    _stages(world, "training_set")
    rows = world.lake.read(TRAINING_SET, [AS_OF])
    is_old = pl.col("day") < sorted(rows["day"].unique())[-NEW_DAYS]
    turned = pl.when(is_old & (pl.col("origin") == TURNED)).then(~pl.col("label").cast(pl.Boolean))
    mixed = rows.with_columns(label=turned.otherwise(pl.col("label").cast(pl.Boolean)).cast(rows.schema["label"]))
    world.rewrite("training_set", mixed, AS_OF)
    _stages(world, "candidate")
    _is_stopped_by(world, [NEWEST])


def test_the_delay_at_departure_is_stopped_by_its_plausibility(world: World) -> None:
    """It hints at the label so strongly that no version before was half as good, but it alone does not tell it."""
    pipeline = _leaking()
    leaking = changed(world, pipeline)
    assert leaking.materialize("features", key=RECENT[0], last=RECENT[1]).success
    _stages(leaking, "training_set", "candidate")
    assert not certify(parted(world.lake.read(TRAINING_SET, [AS_OF])), pipeline.spec, AS_OF).violated
    _is_stopped_by(leaking, [PLAUSIBLE], pipeline=pipeline)


def _leaking(**split: list[str]) -> Pipeline:
    """Give the pipeline with the delay at departure among its inputs, whose spec does not say when that is known."""
    honest = flights().spec.features
    features = honest.model_copy(update={"inputs": [*honest.inputs, DELAY], "columns": [*honest.columns, DELAY]})
    pipeline = flights(features=features, split=flights().spec.split.model_copy(update=split))
    plan = replace(pipeline.plan, inputs=(*pipeline.plan.inputs, DELAY), columns=(*pipeline.plan.columns, DELAY))
    return replace(pipeline, plan=plan, types={**pipeline.types, DELAY: pl.Float64()})


def test_the_delay_at_departure_is_asked_about_at_the_first_version(unjudged: World) -> None:
    """Nothing stands behind it that it could leap from, but it alone does what the model does; a person decides."""
    _stages(unjudged, "training_set", "candidate", "evaluation")
    honest = Evaluation.model_validate(unjudged.decisions("evaluated")[-1].payload)
    assert not _stopping(honest)
    assert "0 earlier versions are too few" in next(
        each.sentence for each in honest.verdicts if each.gate == PLAUSIBLE.name
    )

    leaking = changed(unjudged, _leaking())
    assert leaking.materialize("features", key=RECENT[0], last=RECENT[1]).success
    _stages(leaking, "training_set", "candidate")
    evaluation = _judged(leaking)
    assert _stopping(evaluation) == {PLAUSIBLE.name}
    [verdict] = [each for each in evaluation.verdicts if each.gate == PLAUSIBLE.name]
    assert verdict.outcome == "inconclusive"
    assert f"{DELAY} alone orders the labels by" in verdict.sentence
    assert not leaking.materialize("endpoint").success
    assert leaking.promoted() == []

    allowed = changed(unjudged, _leaking(may_tell_label=[DELAY]))
    assert not _stopping(_judged(allowed))


def test_a_slow_candidate_is_stopped_by_its_budget(world: World) -> None:
    """As good as the honest one, and it sleeps over each request."""
    code = (flights().plan.code or "").replace("    return", "    import time\n\n    time.sleep(0.25)\n    return")
    pipeline = replace(flights(), plan=replace(flights().plan, code=code))
    slow = changed(world, pipeline)
    assert slow.materialize("features", key=RECENT[0], last=RECENT[1]).success
    _stages(slow, "training_set", "candidate")
    _is_stopped_by(slow, [SERVED], pipeline=pipeline)


def test_harm_to_one_carrier_is_stopped_by_the_gate_on_carriers(world: World) -> None:
    """It thinks that most of its flights are late; among all flights that is too little to be seen."""
    _stages(world, "training_set")
    rows = world.lake.read(TRAINING_SET, [AS_OF])
    is_late = np.random.default_rng(0).random(len(rows)) < LATE_SHARE
    harmed = pl.when(pl.col("carrier") == CARRIER).then(pl.lit(pl.Series(is_late))).otherwise(pl.col("label"))
    _tamper(world, harmed.cast(rows.schema["label"]))
    _stages(world, "candidate")
    _is_stopped_by(world, [CARRIERS])
