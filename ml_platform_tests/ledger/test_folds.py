"""What follows from the decisions: champion, promotions, evaluations, requests."""

from typing import Any

import pytest

from ml_platform.contracts.records import DecisionKind, Evaluation
from ml_platform.ledger import champion, evaluation_of, next_seq, promotions, retrain_requests
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
