"""What a pipeline's decisions cost, through Dagster runs: the threshold of the bundle, and the gates that ask at it.

Everything is reckoned here by hand, from the rows and the predictions of the version.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from ml_platform.contracts.evaluations import Evaluation, Verdict
from ml_platform.contracts.spec import Costs, Decide, Gate
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.registry.bundle import open_bundle
from ml_platform.serving.predictor import Predictor
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import AS_OF, LATER, InProcessTarget, World, definitions, error_of, tiny

pytestmark = [pytest.mark.slow, *DAGSTER]

Array = NDArray[np.float64]
COSTS = Costs(false_positive=1, false_negative=3)
COST = Gate(metric="cost", at_most=10)
F1 = Gate(metric="f1", at_least=0.05)
NOT_DEARER = Gate(metric="cost", versus="champion", worse_by_at_most=0.2)


def _deciding(*gates: Gate) -> Pipeline:
    spec = tiny().spec
    return replace(tiny(), spec=spec.model_copy(update={"decide": Decide(costs=COSTS), "gates": [*spec.gates, *gates]}))


def _changed(world: World, pipeline: Pipeline) -> World:
    return replace(world, definitions=definitions(pipeline, target=InProcessTarget(world.home)))


def _threshold(world: World, number: int) -> float:
    version = world.models.version("tiny", number)
    threshold = Predictor.load(open_bundle(world.models.bundle(version), version.digest)).threshold
    assert threshold is not None
    return threshold


def _asked(world: World, number: int, part: str, as_of: str) -> tuple[Array, Array]:
    """Give labels and a version's predictions on a part of a training set."""
    rows = world.lake.read("tiny/training_set", [as_of]).filter(pl.col("part") == part)
    version = world.models.version("tiny", number)
    predictor = Predictor.load(open_bundle(world.models.bundle(version), version.digest))
    return rows["label"].cast(pl.Float64).to_numpy(), predictor.predict(rows)


def _cost(labels: Array, predictions: Array, threshold: float) -> float:
    yes = predictions >= threshold
    return float(np.mean(np.where(yes, (1 - labels) * COSTS.false_positive, labels * COSTS.false_negative)))


def _judged(world: World) -> tuple[Evaluation, dict[str, Verdict]]:
    evaluation = Evaluation.model_validate(world.decisions("evaluated")[-1].payload)
    return evaluation, {verdict.gate: verdict for verdict in evaluation.verdicts}


@pytest.fixture
def decided(loaded: World) -> World:
    """Give a world whose first version decides by what wrong decisions cost, and serves."""
    world = _changed(loaded, _deciding(COST, F1, NOT_DEARER))
    done = world.run("retrain", AS_OF)
    assert done.success, error_of(done)
    assert world.promoted() == [1]
    return world


def test_the_threshold_is_the_cheapest_on_validation_and_gates_ask_at_it(decided: World) -> None:
    """No other threshold is cheaper; cost and F1 in the verdicts are those of the decisions on the holdout."""
    threshold = _threshold(decided, 1)
    labels, predictions = _asked(decided, 1, "validation", AS_OF)
    cheapest = min(_cost(labels, predictions, each) for each in [*np.unique(predictions), 1.1])
    assert _cost(labels, predictions, threshold) == pytest.approx(cheapest, abs=1e-9)
    assert cheapest < _cost(labels, predictions, 0.5)

    labels, predictions = _asked(decided, 1, "holdout", AS_OF)
    evaluation, verdicts = _judged(decided)
    assert evaluation.threshold == threshold
    assert verdicts[COST.name].value == pytest.approx(_cost(labels, predictions, threshold), abs=1e-9)
    yes = predictions >= threshold
    f1 = 2 * float(labels[yes].sum()) / float(yes.sum() + labels.sum())
    assert verdicts[F1.name].value == pytest.approx(f1, abs=1e-9)


def test_decisions_that_cost_more_than_allowed_do_not_serve(decided: World) -> None:
    """At its limit a bound passes, just inside it stops."""
    assert decided.materialize("training_set", "candidate", key=LATER).success
    value = _cost(*_asked(decided, 2, "holdout", LATER), _threshold(decided, 2))
    for allowed, outcome in ((value + 1e-9, "pass"), (value - 1e-6, "fail")):
        bound = Gate(metric="cost", at_most=allowed)
        asked = _changed(decided, _deciding(bound))
        asked.materialize("evaluation", key=LATER)
        assert _judged(asked)[1][bound.name].outcome == outcome
    assert not asked.materialize("endpoint").success
    assert f"Gate {bound.name} says fail" in asked.decisions("promotion_refused")[-1].because
    assert asked.promoted() == [1]


def test_a_champion_is_held_to_its_own_threshold(decided: World) -> None:
    """Both models decide as they would: what is compared is the cost of the decisions, not of one threshold."""
    assert decided.materialize("training_set", "candidate", key=LATER).success
    decided.materialize("evaluation", key=LATER)
    own, other = _threshold(decided, 2), _threshold(decided, 1)
    verdict = _judged(decided)[1][f"cost_{NOT_DEARER.name}"]  # the tiny pipeline has another gate of the short name
    assert verdict.value == pytest.approx(_cost(*_asked(decided, 2, "holdout", LATER), own), abs=1e-9)
    assert verdict.reference == pytest.approx(_cost(*_asked(decided, 1, "holdout", LATER), other), abs=1e-9)
    assert verdict.reference != pytest.approx(_cost(*_asked(decided, 1, "holdout", LATER), own), abs=1e-9)
