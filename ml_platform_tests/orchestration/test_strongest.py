"""The feature that alone orders a holdout best, beside the model, for each task."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.orchestration.outcomes import Outcomes
from ml_platform.orchestration.strongest import strongest_alone
from ml_platform.validation.plausible import Alone
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import tiny

pytestmark = DAGSTER

COUNT = 6000
RNG = np.random.default_rng(11)
HIDDEN = RNG.normal(size=COUNT)
LABELS: dict[Task, np.ndarray] = {
    "binary": (HIDDEN > 0.8).astype(np.float64),
    "multiclass": np.digitize(HIDDEN, [-0.5, 0.8]).astype(np.float64),
    "regression": HIDDEN,
}
IS_HOLDOUT = np.arange(COUNT) % 3 == 0


def _spec(*allowed: str) -> PipelineSpec:
    spec = tiny().spec
    split = spec.split.model_copy(update={"may_tell_label": list(allowed)})
    return spec.model_copy(
        update={"features": spec.features.model_copy(update={"columns": ["noise", "leak"]}), "split": split}
    )


def _asked(task: Task, model_noise: float, *allowed: str) -> Alone | None:
    """Ask about a leak of the label, and a model that sees it with so much noise."""
    part = np.where(IS_HOLDOUT, "holdout", np.where(np.arange(COUNT) % 3 == 1, "train", "validation"))
    label: Any = pl.Series(LABELS[task]).cast(
        {"binary": pl.Boolean, "multiclass": pl.Int64, "regression": pl.Float64}[task]
    )
    leak = HIDDEN + 0.3 * RNG.normal(size=COUNT)
    rows = pl.DataFrame({"part": part, "label": label, "noise": RNG.normal(size=COUNT), "leak": leak})
    seen = (leak + model_noise * RNG.normal(size=COUNT))[IS_HOLDOUT]
    said = np.stack([-seen, -np.abs(seen), seen], axis=1) if task == "multiclass" else seen
    return strongest_alone(_spec(*allowed), rows, said, Outcomes(LABELS[task][IS_HOLDOUT], task, ()))


@pytest.mark.parametrize("task", LABELS)
def test_a_leak_orders_the_holdout_as_the_model_does(task: Task) -> None:
    """By name, between nothing and all, and it is suspicious."""
    alone = _asked(task, 0.1)
    assert alone is not None
    assert alone.feature == "leak"
    assert 0.85 < alone.feature_order < 1
    assert alone.feature_order == pytest.approx(alone.model_order, abs=0.05)
    assert alone.is_suspicious


@pytest.mark.parametrize("task", LABELS)
def test_a_feature_that_may_tell_the_label_is_left_out(task: Task) -> None:
    """The next one is asked about, and it tells nothing."""
    alone = _asked(task, 0.1, "leak")
    assert alone is not None
    assert alone.feature == "noise"
    assert abs(alone.feature_order) < 0.15
    assert not alone.is_suspicious


@pytest.mark.parametrize("task", LABELS)
def test_a_model_that_orders_little_is_not_asked_about(task: Task) -> None:
    """It makes no use of a leak, if there is one."""
    assert _asked(task, 5.0) is None


def test_labels_of_one_class_order_nothing() -> None:
    """Nothing can be said of the model."""
    rows = pl.DataFrame({"part": ["train", "holdout"], "label": [True, False], "noise": [0.0, 1.0], "leak": [0.0, 1.0]})
    assert strongest_alone(_spec(), rows, np.array([0.2]), Outcomes(np.zeros(1), "binary", ())) is None
