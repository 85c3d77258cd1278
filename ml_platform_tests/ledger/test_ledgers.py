"""What every ledger promises: the one in a database and the fake are held to the same."""

from pathlib import Path

import pytest

from ml_platform.contracts.errors import ContractError, LedgerConflict
from ml_platform.ledger import SqlLedger
from ml_platform.ledger.chain import GENESIS
from ml_platform_tests.fakes.ledger import InMemoryLedger

AnyLedger = SqlLedger | InMemoryLedger


@pytest.fixture(params=["sql", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AnyLedger:
    """Each kind of ledger, empty."""
    return SqlLedger(f"sqlite:///{tmp_path / 'deep' / 'ledger.db'}") if request.param == "sql" else InMemoryLedger()


def _append(ledger: AnyLedger, seq: int, pipeline: str = "flights", **payload: object) -> None:
    ledger.append(pipeline, "evaluated", expected_seq=seq, actor="test", because="asked", version=seq, payload=payload)


def test_a_ledger_that_was_never_written_is_empty(ledger: AnyLedger) -> None:
    """Asking is no error."""
    assert ledger.read("flights") == []
    assert ledger.pipelines() == []
    assert ledger.verify("flights") == 0


def test_what_is_appended_is_read_back_unchanged(ledger: AnyLedger) -> None:
    """Floats to the last bit; tuples come back as the lists that JSON knows."""
    payload = {"share": 0.1 + 0.2, "names": ("å", "b"), "none": None, "deep": {"b": [1, 2.5], "a": True}}
    written = ledger.append(
        "flights", "promoted", expected_seq=1, actor="ann", because="all passed", version=3, payload=payload
    )
    assert ledger.read("flights") == [written]
    assert written.payload == {**payload, "names": ["å", "b"]}
    assert (written.seq, written.previous_hash) == (1, GENESIS)


def test_each_decision_holds_the_hash_before_it(ledger: AnyLedger) -> None:
    """So that none can be altered alone."""
    for seq in (1, 2, 3):
        _append(ledger, seq)
    first, second, third = ledger.read("flights")
    assert (second.previous_hash, third.previous_hash) == (first.hash, second.hash)
    assert ledger.verify("flights") == 3


def test_pipelines_have_chains_of_their_own(ledger: AnyLedger) -> None:
    """Each counts from 1."""
    _append(ledger, 1, "b")
    _append(ledger, 1, "a")
    assert ledger.pipelines() == ["a", "b"]
    assert [decision.pipeline for decision in ledger.read("a")] == ["a"]


@pytest.mark.parametrize(("after", "expected"), [(0, [1, 2, 3]), (1, [2, 3]), (3, []), (9, [])])
def test_a_reader_asks_for_what_is_new(ledger: AnyLedger, after: int, expected: list[int]) -> None:
    """After the last one there is nothing."""
    for seq in (1, 2, 3):
        _append(ledger, seq)
    assert [decision.seq for decision in ledger.read("flights", after=after)] == expected


@pytest.mark.parametrize("expected_seq", [0, 1, 3])
def test_an_append_at_another_number_is_a_conflict_and_writes_nothing(ledger: AnyLedger, expected_seq: int) -> None:
    """Neither a number that is taken nor one that leaves a gap."""
    _append(ledger, 1)
    with pytest.raises(LedgerConflict, match=r"expected 2\. Hint: .*read .*again"):
        _append(ledger, expected_seq)
    assert len(ledger.read("flights")) == 1


@pytest.mark.parametrize("bad", [float("nan"), object(), b"bytes"])
def test_a_payload_that_json_cannot_hold_is_refused(ledger: AnyLedger, bad: object) -> None:
    """Before anything is written."""
    with pytest.raises(ContractError, match="payload of a decision"):
        _append(ledger, 1, value=bad)
    assert ledger.read("flights") == []
