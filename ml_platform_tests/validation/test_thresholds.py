"""The threshold is the best one on the rows it is chosen on, and no row stands on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.contracts.errors import ContractError
from ml_platform.contracts.spec import Costs, Decide
from ml_platform.validation.measure import Measure
from ml_platform.validation.metrics import score
from ml_platform.validation.thresholds import choose_threshold

COSTS = Costs(false_positive=1, false_negative=4, true_positive=-0.5)
ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 10)), min_size=1, max_size=30)


def _arrays(rows: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([float(label) for label, _ in rows]), np.array([value / 10 for _, value in rows])


@given(ROWS)
def test_no_threshold_costs_less(rows: list[tuple[bool, int]]) -> None:
    """Neither one of the predictions nor one between or beyond them."""
    labels, predictions = _arrays(rows)
    chosen = choose_threshold(labels, predictions, Decide(costs=COSTS))

    def cost(threshold: float) -> float:
        return score(labels, predictions, Measure("binary", threshold, COSTS))["cost"]

    assert chosen == 0 or chosen not in predictions
    assert all(cost(chosen) <= cost(other) + 1e-9 for other in np.linspace(-0.05, 1.05, 23))


@given(ROWS)
def test_no_threshold_has_a_larger_f1(rows: list[tuple[bool, int]]) -> None:
    """Costs beside `best: f1` are measured, and choose nothing."""
    labels, predictions = _arrays(rows)
    chosen = choose_threshold(labels, predictions, Decide(best="f1", costs=COSTS))

    def f1(threshold: float) -> float:
        return score(labels, predictions, Measure("binary", threshold)).get("f1", 0.0)

    assert all(f1(chosen) >= f1(other) - 1e-9 for other in np.linspace(-0.05, 1.05, 23))


@pytest.mark.parametrize(
    ("decide", "threshold"),
    [(Decide(), 0.5), (Decide(threshold=0.2), 0.2), (Decide(threshold=0.2, costs=COSTS), 0.2)],
)
def test_a_fixed_threshold_stays_and_none_is_one_half(decide: Decide, threshold: float) -> None:
    """Whatever the rows say."""
    assert choose_threshold(np.array([0.0, 1.0]), np.array([0.9, 0.1]), decide) == threshold


def test_dear_false_alarms_say_no_to_all_even_to_what_is_certain() -> None:
    """The threshold is then above 1."""
    dear = Decide(costs=Costs(false_positive=1, false_negative=0))
    assert choose_threshold(np.array([0.0, 0.0]), np.array([0.5, 1.0]), dear) > 1


def test_predictions_that_are_not_finite_choose_nothing() -> None:
    """A fit that went wrong is told where it is seen first."""
    with pytest.raises(ContractError, match="predictions of the validation part"):
        choose_threshold(np.array([0.0, 1.0]), np.array([0.5, np.nan]), Decide(best="f1"))
