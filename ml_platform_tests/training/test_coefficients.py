"""Coefficients of members: what they sum to, what they are best at, and what is known of simple cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml_platform.contracts.metrics import Task
from ml_platform.scoring.ensemble import join
from ml_platform.training.coefficients import FloatArray, convex_weights, stack_coefficients
from ml_platform.training.losses import loss_of

RNG = np.random.default_rng(5)
CHANCE = RNG.uniform(0.05, 0.95, 4000)
BINARY = (RNG.random(4000) < CHANCE).astype(float)
NOISE = RNG.uniform(0.05, 0.95, 4000)


def _one_hot(classes: NDArray[np.int64]) -> FloatArray:
    return np.eye(3)[classes]


def test_a_member_that_knows_gets_all_the_weight() -> None:
    """And one that only guesses gets none at all, so that no server asks it."""
    assert convex_weights(BINARY, {"guess": NOISE, "knows": CHANCE}, "binary")["guess"] == pytest.approx(0, abs=0.05)
    sure = {"guess": np.full(4000, 0.5), "knows": np.where(BINARY > 0, 0.99, 0.01)}
    assert convex_weights(BINARY, sure, "binary") == {"guess": 0.0, "knows": 1.0}


def test_weights_of_values_are_those_that_algebra_gives() -> None:
    """Of two independent errors each counts by the other's variance."""
    truth = RNG.normal(size=4000)
    said = {"fine": truth + RNG.normal(scale=1, size=4000), "rough": truth + RNG.normal(scale=2, size=4000)}
    errors = np.stack([each - truth for each in said.values()])
    between = np.cov(errors, bias=True) + np.outer(errors.mean(1), errors.mean(1))
    best = (between[1, 1] - between[0, 1]) / (between[0, 0] + between[1, 1] - 2 * between[0, 1])
    weights = convex_weights(truth, said, "regression")
    assert weights["fine"] == pytest.approx(best, abs=1e-3)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 5), quantile=st.sampled_from([None, 0.1, 0.8]))
def test_no_member_and_no_average_has_a_smaller_loss_than_the_weighted(
    seed: int, count: int, quantile: float | None
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.normal(size=300)
    said = {f"m{place}": labels * rng.uniform() + rng.normal(size=300) for place in range(count)}
    weights = convex_weights(labels, said, "regression", quantile)
    assert min(weights.values()) >= 0
    assert sum(weights.values()) == pytest.approx(1)
    rivals = [*said.values(), np.mean(list(said.values()), axis=0)]
    mixed = join(said, {"how": "weighted", "task": "regression", "coefficients": weights})
    losses = [loss_of(labels, each, "regression", quantile) for each in (mixed, *rivals)]
    assert losses[0] <= min(losses[1:]) + 1e-9


def test_a_stack_sharpens_what_is_too_timid_and_shifts_what_is_off() -> None:
    """Log odds halved and moved by one: the coefficients undo both, up to the noise of the sample and the ridge."""
    odds = np.log(CHANCE / (1 - CHANCE))
    timid = 1 / (1 + np.exp(-(odds / 2 - 1)))
    coefficients, intercept = stack_coefficients(BINARY, {"timid": timid, "noise": NOISE}, "binary")
    assert coefficients["timid"] == pytest.approx(2, abs=0.15)
    assert coefficients["noise"] == pytest.approx(0, abs=0.1)
    assert intercept == pytest.approx(2, abs=0.15)


def test_a_stack_of_values_is_least_squares() -> None:
    """Far from zero, in a large unit: as numpy solves it, where no coefficient would be negative."""
    truth = 5000 + 700 * RNG.normal(size=2000)
    said = {"half": truth / 2 + RNG.normal(scale=90, size=2000), "whole": truth + RNG.normal(scale=400, size=2000)}
    design = np.column_stack([*said.values(), np.ones(2000)])
    expected = np.linalg.lstsq(design, truth, rcond=None)[0]
    coefficients, intercept = stack_coefficients(truth, said, "regression")
    assert [*coefficients.values()] == pytest.approx(expected[:2].tolist(), rel=0.01)
    assert intercept == pytest.approx(expected[2], rel=0.02)


def test_no_coefficient_is_negative() -> None:
    """A member that says the opposite is left out, not turned round."""
    coefficients, _ = stack_coefficients(BINARY, {"knows": CHANCE, "opposite": 1 - CHANCE}, "binary")
    assert coefficients["opposite"] == 0


def test_twins_share_alike() -> None:
    """The ridge makes the answer one of many."""
    coefficients, _ = stack_coefficients(BINARY, {"one": CHANCE, "two": CHANCE}, "binary")
    assert coefficients["one"] == pytest.approx(coefficients["two"], abs=1e-6)


def test_several_classes_are_stacked_and_weighted() -> None:
    """With one coefficient for each member, and an intercept for each class that mends shares that are off."""
    true = RNG.dirichlet(np.ones(3), 4000)
    classes = (RNG.random((4000, 1)) > true.cumsum(axis=1)).sum(axis=1)
    labels = classes.astype(np.float64)
    off = true * np.array([4.0, 1.0, 1.0])
    said = {"off": off / off.sum(axis=1, keepdims=True), "noise": RNG.dirichlet(np.ones(3), 4000)}
    coefficients, intercept = stack_coefficients(labels, said, "multiclass")
    assert isinstance(intercept, list)
    joined = join(said, {"how": "stacked", "task": "multiclass", "coefficients": coefficients, "intercept": intercept})
    assert joined.sum(axis=1) == pytest.approx(1)
    assert loss_of(labels, joined, "multiclass") == pytest.approx(loss_of(labels, true, "multiclass"), abs=0.01)
    assert loss_of(labels, joined, "multiclass") < loss_of(labels, said["off"], "multiclass") - 0.05
    assert convex_weights(labels, said, "multiclass")["off"] > 0.8


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_member_that_is_wholly_sure_and_wrong_breaks_nothing(task: Task) -> None:
    """Shares of 0 and 1 have no logarithm of their own."""
    if task == "binary":
        labels, said = BINARY, {"knows": CHANCE, "sure": (NOISE > 0.5).astype(float)}
    else:
        labels = RNG.integers(0, 3, 500).astype(np.float64)
        said = {"knows": np.full((500, 3), 1 / 3), "sure": _one_hot(RNG.integers(0, 3, 500))}
    coefficients, intercept = stack_coefficients(labels, said, task)
    assert np.isfinite([*coefficients.values(), *np.atleast_1d(intercept)]).all()
    assert coefficients["sure"] < 0.2
