"""One trial: folds in turn, as long as it is worth it and there is time."""

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.spec import LightGBMModel
from ml_platform.training import trials
from ml_platform.training.executor import Failure
from ml_platform.training.trials import TIME_IS_UP, Asked, Question, Trial, lost, try_parameters

MODEL = LightGBMModel.model_validate(
    {
        "kind": "lightgbm",
        "params": {"min_data_in_leaf": 5, "num_threads": 1},
        "rounds": 5,
        "search": {"trials": 1, "space": {"num_leaves": {"low": 2, "high": 9}}},
    }
)


def _fold(seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=300)
    part = np.repeat(["train", "validation"], [200, 100])
    return pl.DataFrame({"x": x, "label": x + rng.normal(size=300) > 0, "part": part, "day": "2020-01-01"})


QUESTION = Question((_fold(0), _fold(1)), ["x"], MODEL, "binary")


def test_a_trial_has_the_loss_of_each_fold_with_its_parameters() -> None:
    """Its mean is what counts; another number of leaves gives others."""
    trial = try_parameters(QUESTION, Asked(3, {"num_leaves": 3}))
    assert (trial.slot, trial.params, trial.state, trial.reason) == (3, {"num_leaves": 3}, "complete", "")
    assert trial.loss == pytest.approx(sum(trial.losses) / 2)
    assert trial.losses != try_parameters(QUESTION, Asked(3, {"num_leaves": 9})).losses
    alone = try_parameters(Question((_fold(1),), ["x"], MODEL, "binary"), Asked(0, {"num_leaves": 3}))
    assert alone.losses == trial.losses[1:]


def test_question_and_trial_travel_to_a_worker() -> None:
    asked = pickle.loads(pickle.dumps(Asked(0, {"num_leaves": 3})))  # noqa: S301 - made in the line itself
    question = pickle.loads(pickle.dumps(QUESTION))  # noqa: S301
    assert try_parameters(question, asked).losses == try_parameters(QUESTION, asked).losses


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[float]], None]:
    """Make the fits give these losses in turn."""

    def give(values: list[float]) -> None:
        left = iter(values)

        class Given:
            def __init__(self, *_: Any, **__: Any) -> None:
                self.loss = next(left)

        monkeypatch.setattr(trials, "fit_model", Given)

    return give


def _tried(*bars: float) -> Trial:
    return try_parameters(Question((_fold(0),) * 3, ["x"], MODEL, "binary"), Asked(0, {}, bars))


@pytest.mark.parametrize(
    ("first", "second", "judged"), [(0.5, 0.5, 3), (math.nextafter(0.5, 1), 0.0, 1), (0.4, 0.6, 3), (0.4, 0.61, 2)]
)
def test_a_trial_is_pruned_only_beyond_the_bar(
    first: float, second: float, judged: int, losses: Callable[[list[float]], None]
) -> None:
    """The mean so far may be as large as the bar, and no larger."""
    losses([first, second, 9.0])
    trial = _tried(0.5, 0.5)
    assert len(trial.losses) == judged
    assert trial.state == ("complete" if judged == 3 else "pruned")
    assert trial.reason == ("" if judged == 3 else f"fold {judged}: worse than the median of the trials before")


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_fails_the_trial(loss: float, losses: Callable[[list[float]], None]) -> None:
    losses([0.5, loss, 0.5])
    trial = _tried()
    assert (trial.state, trial.losses, trial.reason) == ("failed", (0.5,), f"fold 2: the loss is {loss}")


def test_a_trial_ends_between_two_rounds_when_the_time_is_up() -> None:
    """Before the first fold was judged; a trial without a limit goes to its end."""
    trial = try_parameters(QUESTION, Asked(0, {"num_leaves": 3}, seconds=0.0))
    assert (trial.state, trial.losses, trial.reason) == ("failed", (), f"fold 1: {TIME_IS_UP}")
    assert math.isnan(trial.loss)
    assert try_parameters(QUESTION, Asked(0, {"num_leaves": 3}, seconds=600.0)).state == "complete"


def test_the_clock_is_looked_at_after_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(1000))
    monkeypatch.setattr(trials.time, "monotonic", lambda: next(ticks))
    trial = try_parameters(QUESTION, Asked(0, {"num_leaves": 3}, seconds=4.0))
    assert (trial.state, trial.losses, trial.reason) == ("failed", (), f"fold 1: {TIME_IS_UP}")


def test_a_crash_gives_a_failed_trial() -> None:
    trial = lost(Asked(2, {"num_leaves": 3}), Failure(MemoryError("no room")))
    assert (trial.slot, trial.state, trial.reason) == (2, "failed", "MemoryError: no room")
