"""A person lets a version serve, or not: what is refused, what is written, and what the endpoint makes of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml_platform.contracts.errors import ApprovalRefused, LedgerConflict, PromotionRefused, VersionNotFound
from ml_platform.contracts.records import Answer, ModelVersion, Outcome
from ml_platform.contracts.spec.models import Approval
from ml_platform.deployment import approve, promote, reject
from ml_platform.deployment.approving import NAME_AT_MOST, evaluated_version
from ml_platform.deployment.controller import ATTEMPTS_AT_MOST
from ml_platform.ledger import Champion
from ml_platform.rollout import Wait
from ml_platform_tests.deployment.test_controller import DEMAND, GATE, Overtaken, World

WEEK = timedelta(days=7)
MANUAL = Approval(mode="manual", within=WEEK)
GATES = {GATE: DEMAND}


class Asked(World):
    """A pipeline whose versions a person approves."""

    def approve(
        self, version: ModelVersion, by: str = "ann", because: str = "it is good", after: timedelta = timedelta(0)
    ) -> Answer:
        """Approve, some time from now."""
        return approve(
            version, ledger=self.ledger, gates=GATES, approval=MANUAL, by=by, because=because,
            now=datetime.now(UTC) + after,
        )  # fmt: skip

    def reject(self, version: ModelVersion, by: str = "bob") -> Answer:
        """Reject."""
        return reject(version, ledger=self.ledger, by=by, because="it forgets cancelled flights")

    def ask(self, version: ModelVersion, *, is_named: bool = False, after: timedelta = timedelta(0)) -> Champion | Wait:
        """Promote through the real controller, some time from now."""
        return promote(
            version, ledger=self.ledger, store=self.store, target=self.target, gates=GATES, approval=MANUAL,
            is_named=is_named, actor="test", now=datetime.now(UTC) + after,
        )  # fmt: skip

    def serve(self, as_of: str) -> ModelVersion:
        """Train, approve and promote."""
        version = self.train(as_of)
        self.approve(version)
        assert isinstance(self.ask(version), Champion)
        return version


@pytest.fixture
def world(tmp_path: Path) -> Asked:
    """Nothing trained yet."""
    return Asked(tmp_path)


def test_a_version_waits_and_nothing_moves(world: Asked) -> None:
    """No bundle goes out, no decision is written, whoever asks and however often."""
    version = world.train("2013-06-01")
    for is_named in (False, True):
        answer = world.ask(version, is_named=is_named)
        assert isinstance(answer, Wait)
        assert answer.until == world.ledger.read("flights")[0].at + WEEK
    assert world.kinds() == ["evaluated"]
    assert (world.target.deployed, world.store.aliases("flights")) == ([], {})


def test_an_approved_version_is_promoted_and_all_of_it_is_written(world: Asked) -> None:
    """The name stands as the actor, the reason as it was given."""
    version = world.train("2013-06-01")
    said = world.approve(version, by=" ann ", because="Looked at the\nreport.")
    assert isinstance(world.ask(version), Champion)
    assert world.kinds() == ["evaluated", "approved", "promoted"]
    approved = world.ledger.read("flights")[1]
    assert (approved.actor, approved.because, approved.version) == ("ann", "Looked at the report.", version.version)
    assert said.expires_at is not None
    assert approved.payload == {"digest": version.digest, "by": "ann", "expires_at": said.expires_at.isoformat()}


def test_a_rejected_version_does_not_serve_and_is_not_approved_any_more(world: Asked) -> None:
    """Nor rejected twice."""
    version = world.train("2013-06-01")
    world.reject(version)
    with pytest.raises(PromotionRefused, match="bob rejected version 1: it forgets cancelled flights"):
        world.ask(version)
    with pytest.raises(ApprovalRefused, match=r"bob rejected version 1.*a rejection is final"):
        world.approve(version)
    with pytest.raises(ApprovalRefused, match="a version that bob has rejected"):
        world.reject(version)


def test_an_approval_can_be_taken_back_before_the_promotion(world: Asked) -> None:
    """By a rejection."""
    version = world.train("2013-06-01")
    world.approve(version)
    world.reject(version)
    with pytest.raises(PromotionRefused, match="bob rejected"):
        world.ask(version)


def test_it_is_approved_once(world: Asked) -> None:
    """The second person reads who was first."""
    version = world.train("2013-06-01")
    world.approve(version)
    with pytest.raises(ApprovalRefused, match="a version that ann has approved, until"):
        world.approve(version, by="bob")


def test_after_the_limit_nobody_can_approve(world: Asked) -> None:
    """A new evaluation opens a new limit."""
    version = world.train("2013-06-01")
    with pytest.raises(ApprovalRefused, match=r"The time to approve version 1 was over at .*: evaluate it again"):
        world.approve(version, after=WEEK)
    assert world.approve(version, after=WEEK - timedelta(minutes=1)).by == "ann"


def test_an_approval_that_nobody_acted_on_expires(world: Asked) -> None:
    """The refusal says so."""
    version = world.train("2013-06-01")
    world.approve(version)
    with pytest.raises(PromotionRefused, match="The time to approve version 1 was over at"):
        world.ask(version, after=WEEK + timedelta(minutes=1))


@pytest.mark.parametrize("outcome", ["fail", "inconclusive"])
def test_gates_that_did_not_pass_cannot_be_approved_away(world: Asked, outcome: Outcome) -> None:
    """The refusal has the gate's own sentence."""
    version = world.train("2013-06-01", outcome)
    with pytest.raises(ApprovalRefused, match=f"Gate {GATE} says {outcome}: Seen."):
        world.approve(version)
    assert world.kinds() == ["evaluated"]


def test_an_evaluation_against_a_former_champion_cannot_be_approved(world: Asked) -> None:
    """Two versions waited; the one that is approved later has to meet the one that serves by now."""
    first, second = world.train("2013-06-01"), world.train("2013-07-01")
    world.approve(second)
    world.ask(second)
    with pytest.raises(ApprovalRefused, match="was compared with no champion, but the champion is now version 2"):
        world.approve(first)


def test_an_approval_does_not_outlive_its_evaluation(world: Asked) -> None:
    """Of two approved versions one serves; the other, evaluated again, is another question."""
    first, second = world.train("2013-06-01"), world.train("2013-07-01")
    world.approve(first)
    world.approve(second)
    world.ask(first)
    with pytest.raises(PromotionRefused, match="the champion is now version 1"):
        world.ask(second)
    world.evaluate(second)
    assert isinstance(world.ask(second), Wait)


def test_the_older_of_two_that_wait_may_be_approved(world: Asked) -> None:
    """A person chooses; an approval names the version."""
    older, newer = world.train("2013-06-01"), world.train("2013-07-01")
    world.approve(older)
    assert isinstance(world.ask(newer), Wait)
    assert isinstance(world.ask(older), Champion)


def test_a_rollback_by_name_asks_nobody_again(world: Asked) -> None:
    """And cannot be approved: it needs none."""
    first, second = world.serve("2013-06-01"), world.serve("2013-07-01")
    with pytest.raises(ApprovalRefused, match="a former champion"):
        world.approve(first)
    with pytest.raises(ApprovalRefused, match=r"the champion.*it serves already"):
        world.approve(second)
    back = world.ask(first, is_named=True, after=9 * WEEK)
    assert isinstance(back, Champion)
    assert back.version == first.version


def test_a_former_champion_that_was_rejected_does_not_come_back(world: Asked) -> None:
    """The one that serves is not rejected before another has taken its place."""
    first, second = world.serve("2013-06-01"), world.serve("2013-07-01")
    world.reject(first)
    with pytest.raises(PromotionRefused, match="bob rejected version 1"):
        world.ask(first, is_named=True)
    with pytest.raises(ApprovalRefused, match="promote another version by its number first"):
        world.reject(second)


@pytest.mark.parametrize("by", ["", "  ", "\n\t", "x" * (NAME_AT_MOST + 1)], ids=["none", "blank", "control", "long"])
def test_a_name_and_a_reason_are_needed(world: Asked, by: str) -> None:
    """Of a sensible length."""
    version = world.train("2013-06-01")
    with pytest.raises(ApprovalRefused, match="--by: got"):
        world.approve(version, by=by)
    with pytest.raises(ApprovalRefused, match="--because: got nothing"):
        world.approve(version, because=" ")
    assert world.kinds() == ["evaluated"]


def test_nobody_approves_where_nobody_is_asked(world: Asked) -> None:
    """An automatic pipeline; but a version of it can be rejected."""
    version = world.train("2013-06-01")
    with pytest.raises(ApprovalRefused, match="a pipeline whose approval is automatic"):
        approve(version, ledger=world.ledger, gates=GATES, approval=Approval(), by="ann", because="good")
    world.reject(version)
    with pytest.raises(PromotionRefused, match="bob rejected version 1"):
        world.promote(version)


def test_whoever_is_overtaken_reads_again(world: Asked) -> None:
    """A decision that does not matter is passed over; one who is always overtaken gives up."""
    world.ledger = Overtaken(times=2)
    world.approve(world.train("2013-06-01"))
    assert world.kinds() == ["evaluated", "retrain_declined", "retrain_declined", "approved"]
    world.ledger.times = ATTEMPTS_AT_MOST
    with pytest.raises(LedgerConflict):
        world.approve(world.train("2013-07-01"))


def test_of_two_who_answer_at_once_the_second_reads_the_first(world: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rejection that came in between stops the approval."""
    version = world.train("2013-06-01")
    append = world.ledger.append

    def overtaken(*args: object, **options: object) -> object:
        monkeypatch.setattr(world.ledger, "append", append)
        world.reject(version)
        return append(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(world.ledger, "append", overtaken)
    with pytest.raises(ApprovalRefused, match="bob rejected version 1"):
        world.approve(version)
    assert world.kinds() == ["evaluated", "rejected"]


def test_only_an_evaluated_version_can_be_answered(world: Asked) -> None:
    """By its number, and by its digest if that is given."""
    version = world.train("2013-06-01")
    assert evaluated_version(world.ledger, "flights", 1).digest == version.digest
    assert evaluated_version(world.ledger, "flights", 1, version.digest[:9]).as_of == "2013-06-01"
    with pytest.raises(VersionNotFound, match="got 9, expected one that was evaluated: 1"):
        evaluated_version(world.ledger, "flights", 9)
    with pytest.raises(VersionNotFound, match="none yet"):
        evaluated_version(world.ledger, "trains", 1)
    with pytest.raises(ApprovalRefused, match="digest digest of 20, not other"):
        evaluated_version(world.ledger, "flights", 1, "other")
