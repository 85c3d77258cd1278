"""Real flights in a home of their own, from winter to July, and three versions judged on them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg

from ml_platform.contracts.home import Home
from ml_platform.contracts.spec import AnyGate, Gate, LightGBMModel, PlausibleGate, ServedGate, Split
from ml_platform.orchestration.resolution import Pipeline
from ml_platform_tests.pipelines.shipped import shipped
from ml_platform_tests.pipelines.world import InProcessTarget, World, definitions, error_of

NAME = "flight_delays"
DAYS, RECENT = ("2013-01-15", "2013-07-02"), ("2013-05-08", "2013-07-02")  # all, and those behind the candidate
BEFORE, AS_OF = ("2013-06-12", "2013-06-19", "2013-06-26"), "2013-07-03"  # the first of them is the champion's
STAGES = ("training_set", "candidate", "evaluation")

BOUND = Gate(metric="log_loss", at_most=0.9)
BASELINE = Gate(metric="roc_auc", versus="baseline", better_by=0.02)
CHAMPION = Gate(metric="log_loss", versus="champion", worse_by_at_most=0.03)
NEWEST = Gate(metric="log_loss", versus="champion", worse_by_at_most=0.03, newest=timedelta(days=3))
CARRIERS = Gate(metric="log_loss", versus="champion", worse_by_at_most=0.05, per=["carrier"])
PLAUSIBLE = PlausibleGate(kind="plausible", metric="roc_auc")
SERVED = ServedGate(kind="served", p95_ms=200, memory_mb=1000, cold_start_s=60)
GATES: tuple[AnyGate, ...] = (BOUND, BASELINE, CHAMPION, NEWEST, CARRIERS, PLAUSIBLE, SERVED)


def flights(gates: Sequence[AnyGate] = GATES, **changed: Any) -> Pipeline:
    """Give the shipped pipeline with four weeks of training and a fast model, judged by these gates."""
    pipeline = shipped(NAME)
    split = Split.model_validate({"train": "28d", "train_at_least": "21d", "validation": "7d", "holdout": "7d"})
    params = {"learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 100, "cat_smooth": 50, "num_threads": 1}
    models = {"gbm": LightGBMModel.model_validate({"kind": "lightgbm", "params": params, "rounds": 200})}
    update: dict[str, Any] = {"split": split, "models": models, "gates": list(gates)}
    return replace(pipeline, spec=pipeline.spec.model_copy(update=update | changed))


def changed(world: World, pipeline: Pipeline) -> World:
    """Give the world in which the pipeline is another."""
    return replace(world, definitions=definitions(pipeline, target=InProcessTarget(world.home)))


def load(home: Home, instance: dg.DagsterInstance) -> World:
    """Load the flights, make the first version champion, and judge two more: the honest history."""
    world = World(home, instance, definitions(flights(GATES[:3]), target=InProcessTarget(home)), NAME)
    done = [world.run("data", *DAYS), world.run("retrain", BEFORE[0])]
    done += [world.materialize(*STAGES, key=key) for key in BEFORE[1:]]
    for each in done:
        assert each.success, error_of(each)
    assert world.promoted() == [1]
    return world
