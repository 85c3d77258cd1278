"""What follows from the decisions: champion, promotions, evaluations, requests."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.records import Decision, DecisionKind
from ml_platform.ledger import (
    approval_of,
    champion,
    champion_before,
    evaluated_at,
    evaluation_of,
    next_seq,
    promotions,
    retrain_requests,
)
from ml_platform.ledger.folds import evaluations_before, is_settled
from ml_platform_tests.fakes.ledger import InMemoryLedger


@pytest.fixture
def ledger() -> InMemoryLedger:
    """Give an empty ledger."""
    return InMemoryLedger()


def _append(ledger: InMemoryLedger, kind: DecisionKind, version: int | None = None, payload: Any = None) -> None:
    seq = next_seq(ledger.read("flights"))
    ledger.append("flights", kind, expected_seq=seq, actor="test", because="asked", version=version, payload=payload)


def _promote(ledger: InMemoryLedger, version: int) -> None:
    payload = {"digest": f"digest{version}", "as_of": f"2013-0{version}-01", "previous": None}
    _append(ledger, "promoted", version, payload)


def _evaluation(version: int, digest: str, rows: int) -> Evaluation:
    return Evaluation(
        pipeline="flights",
        version=version,
        digest=digest,
        as_of="2013-03-01",
        champion=None,
        rows=rows,
        metrics={"candidate": {"log_loss": 0.5}},
        verdicts=(),
    )


def test_nothing_follows_from_nothing() -> None:
    """A pipeline that never decided has neither champion nor history."""
    assert champion([]) is None
    assert promotions([]) == []
    assert evaluation_of([], 1, "digest1") is None
    assert evaluated_at([], 1, "digest1") is None
    assert approval_of([], 1, "digest1") is None
    assert retrain_requests([]) == []
    assert next_seq([]) == 1


def test_the_last_promoted_is_champion(ledger: InMemoryLedger) -> None:
    """A refusal after it changes nothing."""
    _promote(ledger, 1)
    _promote(ledger, 2)
    _append(ledger, "promotion_refused", 3, {"digest": "digest3", "reasons": ["worse"]})
    present = champion(ledger.read("flights"))
    assert present is not None
    assert (present.version, present.digest, present.as_of, present.seq) == (2, "digest2", "2013-02-01", 2)
    assert present.promoted_at == ledger.read("flights")[1].at


def test_promotions_come_newest_first(ledger: InMemoryLedger) -> None:
    """A version that came back stands there twice."""
    for version in (1, 2, 1):
        _promote(ledger, version)
    assert [one.version for one in promotions(ledger.read("flights"))] == [1, 2, 1]


def test_folding_only_what_is_new_gives_the_same_champion(ledger: InMemoryLedger) -> None:
    """A server that polls follows the ledger so."""
    _promote(ledger, 1)
    seen = ledger.read("flights")
    _append(ledger, "retrain_requested")
    assert (champion(ledger.read("flights", after=1)) or champion(seen)) == champion(ledger.read("flights"))
    _promote(ledger, 2)
    assert (champion(ledger.read("flights", after=2)) or champion(seen)) == champion(ledger.read("flights"))


def test_the_newest_evaluation_of_exactly_this_version_and_digest_counts(ledger: InMemoryLedger) -> None:
    """The same version with another digest is another model."""
    for one in (_evaluation(1, "a", 10), _evaluation(1, "a", 20), _evaluation(1, "b", 30), _evaluation(2, "a", 40)):
        _append(ledger, "evaluated", one.version, one.model_dump(mode="json"))
    decisions = ledger.read("flights")
    assert evaluation_of(decisions, 1, "a") == _evaluation(1, "a", 20)
    assert evaluation_of(decisions, 2, "b") is None


def test_retrain_requests_come_newest_first(ledger: InMemoryLedger) -> None:
    """A declined request is none."""
    for kind in ("retrain_requested", "retrain_declined", "retrain_requested"):
        _append(ledger, kind)
    assert [decision.seq for decision in retrain_requests(ledger.read("flights"))] == [3, 1]


def test_the_next_number_follows_the_last_one_read(ledger: InMemoryLedger) -> None:
    """Also when only the newest decisions were read."""
    _append(ledger, "retrain_requested")
    _append(ledger, "retrain_requested")
    assert next_seq(ledger.read("flights", after=1)) == 3


def _evaluate(ledger: InMemoryLedger, version: int, digest: str, rows: int = 10) -> None:
    _append(ledger, "evaluated", version, _evaluation(version, digest, rows).model_dump(mode="json"))


def _say(ledger: InMemoryLedger, kind: DecisionKind, digest: str, by: str) -> None:
    expires_at = "2013-07-01T00:00:00+00:00" if kind == "approved" else None
    _append(ledger, kind, 1, {"digest": digest, "by": by, "expires_at": expires_at})


def _said(ledger: InMemoryLedger, digest: str = "a") -> tuple[str, bool] | None:
    answer = approval_of(ledger.read("flights"), 1, digest)
    return answer and (answer.by, answer.is_approved)


def test_an_approval_is_of_exactly_this_version_and_digest(ledger: InMemoryLedger) -> None:
    """The same number with another digest is another model."""
    _evaluate(ledger, 1, "a")
    _say(ledger, "approved", "a", "ann")
    assert _said(ledger) == ("ann", True)
    assert _said(ledger, "b") is None
    assert approval_of(ledger.read("flights"), 2, "a") is None


def test_an_approval_counts_until_another_evaluation_says_something_else(ledger: InMemoryLedger) -> None:
    """The same numbers again change nothing; those of another digest do not matter."""
    _evaluate(ledger, 1, "a")
    _say(ledger, "approved", "a", "ann")
    _evaluate(ledger, 1, "a")
    _evaluate(ledger, 1, "b", rows=11)
    assert _said(ledger) == ("ann", True)
    _evaluate(ledger, 1, "a", rows=11)
    assert _said(ledger) is None
    _say(ledger, "approved", "a", "bob")
    assert _said(ledger) == ("bob", True)


def test_a_rejection_is_final(ledger: InMemoryLedger) -> None:
    """It takes an approval back, and neither another evaluation nor a later approval undoes it."""
    _evaluate(ledger, 1, "a")
    _say(ledger, "approved", "a", "ann")
    _say(ledger, "rejected", "a", "bob")
    _evaluate(ledger, 1, "a", rows=11)
    _say(ledger, "approved", "a", "ann")
    assert _said(ledger) == ("bob", False)


def test_the_last_evaluation_tells_when_it_was(ledger: InMemoryLedger) -> None:
    """Of exactly this digest."""
    _evaluate(ledger, 1, "a")
    _evaluate(ledger, 1, "a")
    _evaluate(ledger, 1, "b")
    decisions = ledger.read("flights")
    assert evaluated_at(decisions, 1, "a") == decisions[1].at


def test_the_versions_before_are_told_newest_first_as_they_were_judged_last(ledger: InMemoryLedger) -> None:
    """By their numbers, whenever they were judged; neither the version itself nor a younger one is among them."""
    for version, rows in ((2, 10), (1, 20), (4, 30), (2, 40), (3, 50), (5, 60)):
        _append(ledger, "evaluated", version, _evaluation(version, f"digest{version}", rows).model_dump(mode="json"))
    _promote(ledger, 1)
    found = evaluations_before(ledger.read("flights"), 4)
    assert [(each.version, each.rows) for each in found] == [(3, 50), (2, 40), (1, 20)]
    assert evaluations_before(ledger.read("flights"), 1) == []


def _promotions(ledger: InMemoryLedger, as_ofs: list[int]) -> list[Decision]:
    for version, day in enumerate(as_ofs, 1):
        _append(ledger, "promoted", version, {"digest": f"digest{version}", "as_of": f"2013-07-{day:02}"})
    return list(ledger.read("flights"))


@given(st.lists(st.integers(1, 28)), st.integers(1, 29))
def test_the_champion_of_a_time_is_the_newest_as_of_before_it_that_was_not_withdrawn(
    as_ofs: list[int], day: int
) -> None:
    """Whatever was promoted in whatever order; of the future it is the present champion."""
    decisions = _promotions(InMemoryLedger(), as_ofs)
    found, future = champion_before(decisions, f"2013-07-{day:02}"), champion_before(decisions, "2014-01-01")
    assert future == champion(decisions)
    standing = [
        (as_of, version)
        for version, as_of in enumerate(as_ofs, 1)
        if all(later > as_of for later in as_ofs[version:]) and as_of < day
    ]
    assert (found and found.version) == (max(standing)[1] if standing else None)


def test_going_back_withdraws_what_was_promoted_since(ledger: InMemoryLedger) -> None:
    """A rollback from the 20th to the 10th: the 10th is the champion of all the time after it."""
    decisions = _promotions(ledger, [10, 20, 10])
    found = {day: champion_before(decisions, f"2013-07-{day}") for day in (10, 11, 25)}
    assert {day: each and each.version for day, each in found.items()} == {10: None, 11: 3, 25: 3}


OUTCOMES = st.lists(st.sampled_from(["pass", "fail", "inconclusive"]), max_size=3)
LATER = st.tuples(st.sampled_from(["evaluated", "promoted", "promotion_refused"]), st.integers(1, 2), OUTCOMES)


@given(st.lists(LATER, max_size=6))
def test_a_request_is_settled_by_a_refusal_or_a_promotion_as_of_its_day(later: list[Any]) -> None:
    ledger = InMemoryLedger()
    _append(ledger, "promoted", 1, {"digest": "a", "as_of": "2013-07-01"})  # before the request: settles nothing
    _append(ledger, "retrain_requested", 1, {"as_of": "2013-07-01", "group": "b"})
    request = ledger.read("flights")[-1]
    for kind, day, outcomes in later:
        verdicts = {"verdicts": [{"outcome": outcome} for outcome in outcomes]}
        _append(ledger, kind, 1, {"digest": "a", "as_of": f"2013-07-0{day}"} | verdicts)
    of_its_day = [(kind, outcomes) for kind, day, outcomes in later if day == 1]
    judged = [outcomes for kind, outcomes in of_its_day if kind == "evaluated"]
    is_refused = bool(judged) and set(judged[-1]) != {"pass"}
    assert is_settled(ledger.read("flights"), request) == (
        is_refused or any(kind != "evaluated" for kind, _ in of_its_day)
    )
