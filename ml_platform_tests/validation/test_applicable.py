"""Which gates have nothing to compare, on generated holdouts."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.contracts.evaluations import Verdict
from ml_platform.contracts.records import Outcome
from ml_platform.contracts.spec import Gate
from ml_platform.validation.applicable import mark_not_applicable

WHOLE = Gate(metric="log_loss", versus="champion", worse_by_at_most=0.01)
FEW = Gate(metric="brier", versus="champion", worse_by_at_most=0.01, rows_at_least=20)
NEWEST = Gate(metric="log_loss", versus="champion", worse_by_at_most=0.02, newest=timedelta(days=2))
SLICES = Gate(metric="log_loss", versus="champion", worse_by_at_most=0.03, per=["line"])
BASELINE = Gate(metric="log_loss", versus="baseline", better_by=0.01)
BOUND = Gate(metric="log_loss", at_most=0.5)
GATES = [WHOLE, FEW, NEWEST, SLICES, BASELINE, BOUND]
NEEDED = {WHOLE.name: 500, FEW.name: 20, NEWEST.name: 500, SLICES.name: 200}


def _verdict(gate: Gate, outcome: Outcome = "inconclusive") -> Verdict:
    return Verdict(gate=gate.name, outcome=outcome, sentence="s", value=None, bound=0.0, reference=None, rows=0)


def _at(days: int, rows_a_day: int) -> np.ndarray:
    start = np.datetime64("2020-01-01T00:00", "us")
    return np.repeat(start + np.arange(days) * np.timedelta64(1, "D"), rows_a_day)


def _marked(gates: list[Gate], is_unseen: np.ndarray | None, at: np.ndarray) -> set[str]:
    marked = mark_not_applicable(gates, [_verdict(gate) for gate in gates], is_unseen, at)
    return {each.gate for each in marked if not each.is_applicable}


@given(st.integers(1, 10), st.integers(1, 200), st.integers(0, 11))
def test_a_gate_is_not_applicable_where_the_champion_took_the_rows_it_needs(
    days: int, rows_a_day: int, learnt_days: int
) -> None:
    """It has learnt from the first days: only gates against it are marked, and not where rows were short anyway."""
    at = _at(days, rows_a_day)
    is_unseen = np.arange(len(at)) >= learnt_days * rows_a_day
    expected = set[str]()
    for name, needed in NEEDED.items():
        looked_at = min(days, 2) if name == NEWEST.name else days
        rows, new = looked_at * rows_a_day, min(looked_at, max(days - learnt_days, 0)) * rows_a_day
        if new < rows and (new == 0 or new < needed <= rows):
            expected.add(name)
    assert _marked(GATES, is_unseen, at) == expected


@pytest.mark.parametrize("outcome", ["pass", "fail"])
def test_a_verdict_that_says_something_is_left_as_it_is(outcome: Outcome) -> None:
    at = _at(5, 100)
    verdicts = [_verdict(gate, outcome) for gate in GATES]
    assert mark_not_applicable(GATES, verdicts, np.zeros(len(at), dtype=bool), at) == verdicts


def test_without_a_champion_every_gate_applies() -> None:
    assert _marked(GATES, None, _at(5, 100)) == set()


def test_one_new_row_too_few_and_just_enough() -> None:
    at = _at(10, 100)
    for new, expected in ((499, {WHOLE.name}), (500, set[str]())):
        assert _marked([WHOLE], np.arange(len(at)) >= len(at) - new, at) == expected
