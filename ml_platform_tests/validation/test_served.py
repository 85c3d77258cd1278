"""The gate on what is served: each number at its limit, just inside and just outside, and what cannot be measured."""

import math
from dataclasses import replace
from typing import Any

import pytest

from ml_platform.contracts.evaluations import Verdict
from ml_platform.contracts.spec import ServedGate
from ml_platform.validation.served import DIFFERENCE_AT_MOST, NotServed, Served, judge_served

GATE = ServedGate(kind="served", p95_ms=20, memory_mb=500, cold_start_s=10, rows=200)
GOOD = Served(
    rows=200, largest_difference=0.0, cold_start_s=2.5, p95_ms=3.2, requests=600, memory_mb=300, bad_requests=30
)


def _judged(gate: ServedGate = GATE, **changed: Any) -> Verdict:
    return judge_served(gate, replace(GOOD, **changed))


def test_a_version_within_every_budget_passes_and_all_numbers_are_told() -> None:
    """In one sentence."""
    assert _judged() == Verdict(
        gate="served_as_offline",
        condition="served_as_offline_within_20_ms_500_mb_10_s",
        outcome="pass",
        sentence="200 rows differ from offline by at most 0; p95 of 600 requests 3.2 ms, allowed: 20; "
        "first prediction after 2.5 s, allowed: 10; memory 300 MB, allowed: 500; 30 of 30 bad requests refused",
        value=3.2,
        bound=20,
        reference=None,
        rows=200,
    )


@pytest.mark.parametrize(
    ("number", "limit"),
    [("largest_difference", DIFFERENCE_AT_MOST), ("p95_ms", 20.0), ("cold_start_s", 10.0), ("memory_mb", 500.0)],
)
def test_a_number_passes_up_to_its_limit(number: str, limit: float) -> None:
    """At it, just inside it, just outside it."""
    changed: list[dict[str, Any]] = [
        {number: value} for value in (math.nextafter(limit, 0), limit, math.nextafter(limit, math.inf))
    ]
    assert [_judged(**each).outcome for each in changed] == ["pass", "pass", "fail"]


@pytest.mark.parametrize("difference", [math.nan, math.inf])
def test_values_that_cannot_be_compared_fail(difference: float) -> None:
    """NaN is within no limit."""
    assert _judged(largest_difference=difference).outcome == "fail"


@pytest.mark.parametrize(("rows", "outcome"), [(199, "inconclusive"), (200, "pass"), (201, "pass")])
def test_fewer_rows_than_asked_for_tell_nothing(rows: int, outcome: str) -> None:
    """However equal their values are; if they differ, that is enough."""
    assert _judged(rows=rows).outcome == outcome
    assert _judged(rows=rows, largest_difference=0.1).outcome == "fail"


@pytest.mark.parametrize(("other", "outcome"), [(0, "pass"), (1, "fail"), (200, "fail")])
def test_a_decision_that_is_not_the_offline_one_fails(other: int, outcome: str) -> None:
    """One is enough, though every value is as offline; a model that decides nothing is not asked."""
    verdict = _judged(other_decisions=other)
    assert verdict.outcome == outcome
    assert f"{200 - other} of 200 decisions are those of offline" in verdict.sentence
    assert "decisions" not in _judged().sentence


def test_a_bad_request_that_is_not_refused_fails() -> None:
    """By name, five at most."""
    verdict = _judged(not_refused=("malformed JSON (status 500)",))
    assert verdict.outcome == "fail"
    assert "29 of 30 bad requests refused, not: malformed JSON (status 500)" in verdict.sentence
    assert "and 2 more" in _judged(not_refused=tuple("abcdefg")).sentence
    assert _judged(bad_requests=0).outcome == "inconclusive"


def test_what_has_no_budget_is_told_and_stops_nobody() -> None:
    """Only the latency always has one."""
    lax = ServedGate(kind="served", p95_ms=20)
    verdict = _judged(lax, memory_mb=1e6, cold_start_s=1e6)
    assert (verdict.condition, verdict.outcome) == ("served_as_offline_within_20_ms", "pass")
    assert "memory 1e+06 MB;" in verdict.sentence
    assert _judged(lax, memory_mb=None).outcome == "pass"


@pytest.mark.parametrize("changed", [{"memory_mb": None}, {"p95_ms": math.nan}, {"cold_start_s": math.nan}])
def test_a_budget_on_what_nobody_could_measure_is_inconclusive(changed: dict[str, Any]) -> None:
    """It does not pass by default."""
    verdict = _judged(**changed)
    assert verdict.outcome == "inconclusive"
    assert "could not be measured" in verdict.sentence


def test_a_version_that_is_not_served_fails_by_its_own_fault_alone() -> None:
    """A port or a machine that is missing says nothing of it."""
    ours, its = (judge_served(GATE, NotServed("no port", is_fault_of_version=fault)) for fault in (False, True))
    assert (ours.outcome, its.outcome) == ("inconclusive", "fail")
    assert (ours.sentence, ours.value, ours.rows) == ("no port", None, 0)


def test_every_budget_stands_in_the_condition() -> None:
    """A verdict that was given on a lax budget is not that of a strict one."""
    changed = [GATE.model_copy(update={name: None}) for name in ("memory_mb", "cold_start_s")]
    assert {GATE.condition, *(gate.condition for gate in changed)} == {
        "served_as_offline_within_20_ms_500_mb_10_s",
        "served_as_offline_within_20_ms_10_s",
        "served_as_offline_within_20_ms_500_mb",
    }
    assert GATE.model_copy(update={"p95_ms": 2.5}).condition.startswith("served_as_offline_within_2_5_ms")
