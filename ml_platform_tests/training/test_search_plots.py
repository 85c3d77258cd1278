"""What a search shows: why trials failed, where the best was found, and which parameters were searched by logarithm."""

from dataclasses import replace

import pytest

from ml_platform.training.search import Outcome
from ml_platform.training.search_plots import best_table, failure_table, history_plot, page
from ml_platform.training.trials import Asked, Trial
from ml_platform_tests.training.searches import bowl, model_of

MODEL = model_of()


@pytest.fixture
def outcome() -> Outcome:
    """Give three trials, one of each end."""
    asked = [Asked(slot, {"learning_rate": rate, "num_leaves": 20}) for slot, rate in enumerate((0.2, 0.1, 0.4))]
    complete, best, late = map(bowl, asked)
    crashed = replace(late, state="failed", losses=(), reason="ValueError: no leaf is left")
    return Outcome(best, (complete, best, crashed), 0, None)


def _failed(trial: Trial, reason: str) -> Trial:
    return replace(trial, state="failed", reason=reason)


def test_reasons_of_failed_trials_stand_once_the_most_frequent_first(outcome: Outcome) -> None:
    first = outcome.trials[0]
    told = failure_table((_failed(first, "a"), _failed(first, "b"), _failed(first, "b"), first))
    assert told.rows() == [(2, "b"), (1, "a")]
    assert failure_table((first,)).is_empty()


def test_the_best_parameters_stand_beside_where_they_were_looked_for(outcome: Outcome) -> None:
    told = best_table(
        MODEL, {**outcome.best.params, "min_data_in_leaf": 5}, {"learning_rate": 0.75, "num_leaves": 0.25}
    )
    assert told.rows() == [
        ("learning_rate", "0.1", "0.01 to 0.5, by logarithm", "75%"),
        ("num_leaves", "20", "4 to 64", "25%"),
    ]
    assert best_table(MODEL, outcome.best.params, {}).columns == ["parameter", "value", "space"]


@pytest.mark.parametrize("importance", [{}, {"learning_rate": 0.75, "num_leaves": 0.25}])
def test_the_page_has_a_picture_for_each_parameter_and_needs_nothing_from_elsewhere(
    outcome: Outcome, importance: dict[str, float]
) -> None:
    told = page("made_up: search of gbm", MODEL, outcome, importance)
    assert "made_up: search of gbm" in told
    assert told.count('"type":"log"') == 1  # of the learning rate alone
    assert ("what the loss hung on" in told) == bool(importance)
    assert '<script src="http' not in told


def test_a_history_of_failed_trials_beside_good_ones_is_a_picture(outcome: Outcome) -> None:
    assert history_plot(outcome).startswith(b"\x89PNG")
