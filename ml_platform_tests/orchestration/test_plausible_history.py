"""Which versions a candidate is held against when it looks too good: the last few, each as it was judged last."""

import math
from dataclasses import replace

import pytest

from ml_platform.contracts.evaluations import Evaluation, Verdict
from ml_platform.contracts.spec import PlausibleGate
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import InProcessTarget, World, definitions, tiny

pytestmark = [pytest.mark.slow, *DAGSTER]

GATE = PlausibleGate(kind="plausible", metric="log_loss", versions=3)
AS_OFS = ["2020-01-24", "2020-01-25", "2020-01-26", "2020-01-27"]  # of the versions 2 to 5; version 1 is champion


def _judged(world: World, as_of: str) -> Verdict:
    world.materialize("evaluation", key=as_of)
    evaluation = Evaluation.model_validate(world.decisions("evaluated")[-1].payload)
    assert evaluation.as_of == as_of
    return next(verdict for verdict in evaluation.verdicts if verdict.gate == GATE.name)


def _best(world: World, *versions: int) -> tuple[int, float]:
    """Give the version with the least loss as a share of the prior's, and that loss."""
    kept = [Evaluation.model_validate(each.payload) for each in world.decisions("evaluated")]
    newest = {each.version: each.metrics for each in kept}
    best = min(
        versions,
        key=lambda number: math.log(newest[number]["candidate"]["log_loss"] / newest[number]["prior"]["log_loss"]),
    )
    return best, newest[best]["candidate"]["log_loss"]


def test_a_candidate_is_held_against_the_last_versions_before_it(world: World) -> None:
    """Not against older ones, nor against younger ones when it is judged again."""
    pipeline = replace(tiny(), spec=tiny().spec.model_copy(update={"gates": [*tiny().spec.gates, GATE]}))
    asked = replace(world, definitions=definitions(pipeline, target=InProcessTarget(world.home)))
    verdicts: list[Verdict] = []
    for as_of in AS_OFS:
        assert asked.materialize("training_set", "candidate", key=as_of).success
        verdicts.append(_judged(asked, as_of))
    assert [each.outcome for each in verdicts] == ["pass"] * len(AS_OFS)
    assert "1 earlier versions are too few" in verdicts[0].sentence
    assert "2 earlier versions are too few" in verdicts[1].sentence
    for verdict, before in ((verdicts[2], (1, 2, 3)), (verdicts[3], (2, 3, 4)), (_judged(asked, AS_OFS[2]), (1, 2, 3))):
        best, loss = _best(asked, *before)
        assert f"the best of 3 earlier versions, v{best} (" in verdict.sentence
        assert verdict.reference == pytest.approx(loss)
