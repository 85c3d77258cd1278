"""Promotion in steps: deployed, written, shown; whatever step it dies in, asking again comes to the same end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ml_platform.contracts.errors import LedgerConflict, PromotionRefused
from ml_platform.contracts.evaluations import Demand, Evaluation, Verdict
from ml_platform.contracts.records import Decision, DecisionKind, ModelVersion, Outcome
from ml_platform.contracts.spec.models import Approval
from ml_platform.deployment import promote
from ml_platform.deployment.controller import ATTEMPTS_AT_MOST
from ml_platform.ledger import Champion, champion, next_seq, promotions
from ml_platform_tests.fakes.ledger import InMemoryLedger
from ml_platform_tests.fakes.model_store import InMemoryModelStore
from ml_platform_tests.fakes.target import RecordingTarget

GATE = "log_loss_at_most_0_65"
DEMAND = Demand(bound=0.65, basis="a1")


class CrashError(Exception):
    """Stands for a killed process."""


class World:
    """Ledger, store and target in memory, and how a version comes into them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = InMemoryLedger()
        self.store = InMemoryModelStore(folder / "store")
        self.target = RecordingTarget()

    def train(self, as_of: str, outcome: Outcome = "pass") -> ModelVersion:
        """Register a version and write its evaluation against the present champion."""
        bundle = self.folder / as_of
        bundle.mkdir(exist_ok=True)
        version = self.store.register("flights", bundle, as_of=as_of, digest=f"digest of {as_of}", run_id="r")
        self.evaluate(version, outcome)
        return version

    def evaluate(self, version: ModelVersion, outcome: Outcome = "pass") -> None:
        """Write an evaluation into the ledger."""
        decisions = self.ledger.read("flights")
        present = champion(decisions)
        verdict = Verdict(
            gate=GATE, outcome=outcome, sentence="Seen.", value=0.5, bound=DEMAND.bound, reference=None, rows=9,
            basis=DEMAND.basis,
        )  # fmt: skip
        evaluation = Evaluation(
            pipeline="flights",
            version=version.version,
            digest=version.digest,
            as_of=version.as_of,
            champion=present.version if present else None,
            rows=9,
            metrics={},
            verdicts=(verdict,),
        )
        self.ledger.append(
            "flights",
            "evaluated",
            expected_seq=next_seq(decisions),
            actor="test",
            because="asked",
            version=version.version,
            payload=evaluation.model_dump(mode="json"),
        )

    def promote(self, version: ModelVersion, *, is_named: bool = False) -> Champion:
        """Promote through the real controller."""
        promoted = promote(
            version,
            ledger=self.ledger,
            store=self.store,
            target=self.target,
            gates={GATE: DEMAND},
            approval=Approval(),
            is_named=is_named,
            actor="test",
        )
        assert isinstance(promoted, Champion)
        return promoted

    def kinds(self) -> list[str]:
        """Name the decisions in order."""
        return [decision.kind for decision in self.ledger.read("flights")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Nothing trained yet."""
    return World(tmp_path)


def test_a_promoted_version_is_deployed_written_and_shown(world: World) -> None:
    """The ledger says what it replaced."""
    first, second = world.train("2013-06-01"), None
    world.promote(first)
    second = world.train("2013-07-01")
    assert world.promote(second).version == 2
    assert world.target.deployed == [first, second]
    assert world.store.aliases("flights") == {"champion": 2}
    newest = world.ledger.read("flights")[-1]
    assert (newest.kind, newest.version, newest.actor) == ("promoted", 2, "test")
    assert newest.payload == {"digest": second.digest, "as_of": "2013-07-01", "previous": 1}


def test_a_refusal_is_written_with_its_reasons_and_moves_nothing(world: World) -> None:
    """Neither bundle nor alias."""
    version = world.train("2013-06-01", "inconclusive")
    with pytest.raises(PromotionRefused, match=f"Gate {GATE} says inconclusive: Seen"):
        world.promote(version)
    refusal = world.ledger.read("flights")[-1]
    assert (refusal.kind, refusal.version) == ("promotion_refused", 1)
    assert refusal.payload["reasons"] == [f"Gate {GATE} says inconclusive: Seen."]
    assert (world.target.deployed, world.store.aliases("flights")) == ([], {})


def test_an_older_version_is_promoted_only_by_name(world: World) -> None:
    """A backfill never moves traffic."""
    world.promote(world.train("2013-06-01"))
    older = world.train("2013-05-01")
    with pytest.raises(PromotionRefused, match="not newer"):
        world.promote(older)
    assert world.promote(older, is_named=True).as_of == "2013-05-01"


def test_asking_again_repairs_and_decides_nothing(world: World) -> None:
    """A lost bundle and a lost alias come back, the ledger stays as it is."""
    version = world.train("2013-06-01")
    once = world.promote(version)
    world.target, kinds = RecordingTarget(), world.kinds()
    world.store.set_alias(world.train("2013-06-02"), "champion")
    assert world.promote(version) == once
    assert world.kinds() == [*kinds, "evaluated"]
    assert world.target.deployed == [version]
    assert world.store.aliases("flights") == {"champion": 1}


@pytest.mark.parametrize("is_done_first", [True, False], ids=["after", "before"])
@pytest.mark.parametrize(("part", "step"), [("target", "deploy"), ("ledger", "append"), ("store", "set_alias")])
def test_a_crash_around_any_step_ends_like_no_crash(
    world: World, monkeypatch: pytest.MonkeyPatch, part: str, step: str, is_done_first: bool
) -> None:
    """Run again, there is one champion, promoted once, deployed and shown."""
    world.promote(world.train("2013-06-01"))
    version = world.train("2013-07-01")
    real = getattr(getattr(world, part), step)

    def dies(*args: Any, **options: Any) -> None:
        if is_done_first:
            real(*args, **options)
        raise CrashError

    with monkeypatch.context() as patched:
        patched.setattr(getattr(world, part), step, dies)
        with pytest.raises(CrashError):
            world.promote(version)
    assert world.promote(version).version == 2
    assert [one.version for one in promotions(world.ledger.read("flights"))] == [2, 1]
    assert version in world.target.deployed
    assert world.store.aliases("flights") == {"champion": 2}


class Overtaken(InMemoryLedger):
    """A ledger in which somebody else always appends between a reader's read and its own append.

    Parameters
    ----------
    times : int
        How often that happens.
    """

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def append(
        self,
        pipeline: str,
        kind: DecisionKind,
        *,
        expected_seq: int,
        actor: str,
        because: str,
        version: int | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> Decision:
        """Let the other one go first, as long as there are times left."""
        if kind != "evaluated" and self.times:
            self.times -= 1
            super().append(pipeline, "retrain_declined", expected_seq=expected_seq, actor="other", because="first")
        return super().append(
            pipeline,
            kind,
            expected_seq=expected_seq,
            actor=actor,
            because=because,
            version=version,
            payload=payload,
        )


def test_an_overtaken_promotion_decides_again(world: World) -> None:
    """The other decision did not matter to it."""
    world.ledger = Overtaken(times=2)
    world.promote(world.train("2013-06-01"))
    assert world.kinds() == ["evaluated", "retrain_declined", "retrain_declined", "promoted"]


def test_a_promotion_that_is_always_overtaken_gives_up(world: World) -> None:
    """With the conflict itself, and nothing promoted."""
    world.ledger = Overtaken(times=ATTEMPTS_AT_MOST)
    with pytest.raises(LedgerConflict):
        world.promote(world.train("2013-06-01"))
    assert champion(world.ledger.read("flights")) is None


def test_whoever_is_overtaken_by_another_promotion_is_judged_against_the_new_champion(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two controllers promote at once: one wins, the other is refused, since it was compared with no champion."""
    slow, quick = world.train("2013-07-01"), world.train("2013-07-02")
    deploy = world.target.deploy

    def overtake(version: ModelVersion, bundle: Path) -> str:
        monkeypatch.setattr(world.target, "deploy", deploy)
        world.promote(quick)
        return deploy(version, bundle)

    monkeypatch.setattr(world.target, "deploy", overtake)
    with pytest.raises(PromotionRefused, match="was compared with no champion, but the champion is now version 2"):
        world.promote(slow)
    assert world.kinds() == ["evaluated", "evaluated", "promoted", "promotion_refused"]
    assert world.store.aliases("flights") == {"champion": 2}


def test_a_former_champion_comes_back_by_name(world: World) -> None:
    """On the evaluation that it was promoted on, though a later one says otherwise."""
    first = world.train("2013-01-01")
    world.promote(first)
    world.promote(world.train("2013-02-01"))
    world.evaluate(first, "inconclusive")
    with pytest.raises(PromotionRefused):
        world.promote(first)
    assert world.promote(first, is_named=True).version == first.version
    assert world.store.aliases("flights") == {"champion": first.version}
