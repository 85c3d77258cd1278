"""Spoiled models by task against the gates that `new` drafts: none passes, and an honest retrain does."""

from collections.abc import Callable
from functools import cache
from typing import get_args

import pytest

from ml_platform.authoring.gates import TABLE, Predicted
from ml_platform.contracts.metrics import METRICS_OF
from ml_platform.contracts.spec import Gate
from ml_platform_tests.authoring.drafted import Drafted, Fitted, FloatArray, drafted, honest, spoiled

PREDICTED: tuple[Predicted, ...] = get_args(Predicted)
DAYS, LATER, A_DAY, STEP, SEEDS = 100, 63, 150, 7, (1, 2)
HONEST_AT_LEAST = 0.8
# What is worse than a constant must not pass where there is no champion either.
WORSE_THAN_A_CONSTANT = {
    "fitted on shuffled labels",
    "shuffled predictions",
    "turned round",
    "classes mixed up",
    "a constant worse than the prior",
    "ranked well, hopelessly sure",
}
BASELINE, CHAMPION = {"versus": "baseline"}, {"versus": "champion"}
OLD: dict[Predicted, list[dict[str, object]]] = {
    "binary": [
        {"metric": "roc_auc", **BASELINE, "better_by": 0.02},
        {"metric": "log_loss", **CHAMPION, "worse_by_at_most": 0.005},
    ],
    "multiclass": [
        {"metric": "log_loss", **BASELINE, "better_by": 0.02},
        {"metric": "log_loss", **CHAMPION, "worse_by_at_most": 0.005},
    ],
    "regression": [{"metric": name, **BASELINE, "better_by": 0.0} for name in ("rmse", "mae")],
    "quantile": [{"metric": name, **BASELINE, "better_by": 0.0} for name in ("rmse", "mae")],
}

Spoiled = list[tuple[str, FloatArray, Fitted]]
Worlds = Callable[[Predicted, int], tuple[Drafted, Spoiled]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """Give the worlds that are drafted here, each once."""

    @cache
    def made(predicted: Predicted, seed: int) -> tuple[Drafted, Spoiled]:
        folder = tmp_path_factory.mktemp(f"{predicted}_{seed}")
        found = drafted(predicted, folder, days=DAYS, a_day=A_DAY, seed=seed, later=LATER)
        return found, list(spoiled(found, found.last))

    return made


def _passing(world: Drafted, models: Spoiled, *, is_first: bool, gates: list[Gate] | None = None) -> set[str]:
    """Return the spoiled models that become champion: as the first version, or against the honest one of the day."""
    judged = {
        name: world.judge(fitted, predictions, None if is_first else fitted.predictions, gates)
        for name, predictions, fitted in models
    }
    return {name for name, evaluation in judged.items() if evaluation.outcome == "pass"}


def test_the_table_has_a_line_for_whatever_is_predicted() -> None:
    """With metrics of its task; every metric that ranks is watched where there is one."""
    assert set(TABLE) == set(PREDICTED)
    for predicted, line in TABLE.items():
        known = METRICS_OF["regression" if predicted == "quantile" else predicted]
        assert line.loss in known
        assert line.watched is None or line.watched in known
        assert ("roc_auc" in known) == (line.watched == "roc_auc")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("predicted", PREDICTED)
def test_no_spoiled_model_passes_the_drafted_gates(world: Worlds, predicted: Predicted, seed: int) -> None:
    """Against an honest champion none; without one, none that is worse than a constant."""
    made, models = world(predicted, seed)
    assert _passing(made, models, is_first=False) == set()
    assert _passing(made, models, is_first=True) & WORSE_THAN_A_CONSTANT == set()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("predicted", ["binary", "regression", "quantile"])
def test_the_gates_of_before_let_spoiled_models_pass(world: Worlds, predicted: Predicted) -> None:
    """Models that rank well and lose to a constant, and a regression that loses to its champion."""
    made, models = world(predicted, SEEDS[0])
    gates = [Gate.model_validate(gate) for gate in OLD[predicted]]
    is_first = predicted == "binary"
    passing = _passing(made, models, is_first=is_first, gates=gates)
    assert passing & WORSE_THAN_A_CONSTANT if is_first else passing


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("predicted", PREDICTED)
def test_an_honest_retrain_passes_in_most_partitions(world: Worlds, predicted: Predicted) -> None:
    """Gates that never pass are no gates: a retrain each week of a quiet world, against that of the week before."""
    outcomes = [
        made.judge(fitted, fitted.predictions, before).outcome
        for made, _ in (world(predicted, seed) for seed in SEEDS)
        for fitted, before in honest(made, STEP)
    ]
    assert len(outcomes) >= 18
    assert outcomes.count("pass") >= HONEST_AT_LEAST * len(outcomes), outcomes
