"""A pipeline that asks a person promotes nothing before the person has said yes to this very version, in time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.contracts.evaluations import Demand, Evaluation, Verdict
from ml_platform.contracts.records import Answer, ModelVersion, Outcome
from ml_platform.contracts.spec.models import Approval
from ml_platform.rollout import (
    AlreadyChampion,
    ApprovalState,
    Approved,
    Expired,
    NotNeeded,
    Promote,
    Refuse,
    Rejected,
    Wait,
    Waiting,
    approval_state,
    decide_promotion,
)

GATES = {"g": Demand(bound=0.6, basis="a1")}
NOW = datetime(2013, 7, 10, tzinfo=UTC)
WEEK, SECOND = timedelta(days=7), timedelta(seconds=1)
MANUAL = Approval(mode="manual", within=WEEK)
CANDIDATE = ModelVersion(pipeline="flights", version=7, digest="seven", as_of="2013-07-01", run_id="r")
STATES: list[ApprovalState] = [
    NotNeeded(),
    Waiting(NOW),
    Approved("ann", NOW),
    Expired(NOW),
    Rejected("bob", "it forgets cancelled flights"),
]


@dataclass(frozen=True)
class Live:
    """The champion."""

    version: int = 6
    digest: str = "six"
    as_of: str = "2013-06-01"


def _answer(*, is_approved: bool = True, expires_at: datetime | None = NOW + WEEK) -> Answer:
    said = {"version": 7, "digest": "seven", "is_approved": is_approved, "by": "ann", "because": "it is good", "seq": 3}
    return Answer.model_validate({**said, "at": NOW, "expires_at": expires_at})


def _evaluation(outcome: Outcome = "pass", champion: int | None = 6) -> Evaluation:
    verdict = Verdict(
        gate="g", outcome=outcome, sentence="Seen.", value=0.5, bound=0.6, reference=None, rows=9, basis="a1"
    )
    return Evaluation(
        pipeline="flights", version=7, digest="seven", as_of="2013-07-01", champion=champion, rows=900,
        metrics={}, verdicts=(verdict,),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("waited", "expected"),
    [
        (timedelta(0), Waiting(NOW + WEEK)),
        (WEEK - SECOND, Waiting(NOW + WEEK)),
        (WEEK, Expired(NOW + WEEK)),
        (WEEK + SECOND, Expired(NOW + WEEK)),
    ],
)
def test_the_time_to_approve_counts_from_the_evaluation(waited: timedelta, expected: ApprovalState) -> None:
    """The limit itself is too late."""
    assert approval_state(MANUAL, evaluated_at=NOW, answer=None, now=NOW + waited) == expected


@pytest.mark.parametrize(
    ("waited", "expected"),
    [(WEEK - SECOND, Approved("ann", NOW + WEEK)), (WEEK, Expired(NOW + WEEK))],
)
def test_a_yes_holds_for_its_time_and_no_longer(waited: timedelta, expected: ApprovalState) -> None:
    """Also when the time to say it is long over."""
    state = approval_state(MANUAL, evaluated_at=NOW - 3 * WEEK, answer=_answer(), now=NOW + waited)
    assert state == expected


def test_an_automatic_pipeline_asks_nobody() -> None:
    """Not even about a version of long ago."""
    assert approval_state(Approval(), evaluated_at=NOW - 9 * WEEK, answer=None, now=NOW) == NotNeeded()


@pytest.mark.parametrize("approval", [Approval(), MANUAL])
def test_a_no_holds_for_ever_and_everywhere(approval: Approval) -> None:
    """In an automatic pipeline too."""
    no = _answer(is_approved=False, expires_at=None)
    state = approval_state(approval, evaluated_at=NOW, answer=no, now=NOW + 99 * WEEK)
    assert state == Rejected("ann", "it is good")


def test_a_version_that_only_lacks_its_approval_waits() -> None:
    """Whoever asks reads until when."""
    answer = decide_promotion(CANDIDATE, _evaluation(), Live(), GATES, approval=Waiting(NOW), is_named=False)
    assert answer == Wait(NOW)


def test_an_expired_approval_refuses_and_says_so() -> None:
    """With what to do about it."""
    answer = decide_promotion(CANDIDATE, _evaluation(), Live(), GATES, approval=Expired(NOW), is_named=True)
    assert answer == Refuse(
        ("The time to approve version 7 was over at 2013-07-10 00:00 UTC: evaluate it again, then approve it.",)
    )


def test_a_rejected_version_refuses_with_name_and_reason() -> None:
    """Also one that was champion before and is named."""
    state = Rejected("bob", "it forgets cancelled flights")
    for was_champion in (False, True):
        answer = decide_promotion(
            CANDIDATE,
            _evaluation(),
            Live(),
            GATES,
            approval=state,
            is_named=True,
            was_champion=was_champion,
        )
        assert answer == Refuse(("bob rejected version 7: it forgets cancelled flights",))


@pytest.mark.parametrize("state", [Waiting(NOW), Expired(NOW)])
def test_a_rollback_by_name_asks_nobody_again(state: ApprovalState) -> None:
    """It was let serve once, and an emergency does not wait."""
    back = {"is_named": True, "was_champion": True}
    assert decide_promotion(CANDIDATE, _evaluation(), Live(), GATES, approval=state, **back) == Promote(6)


@given(
    outcome=st.sampled_from(get_args(Outcome)),
    compared=st.sampled_from([None, 5, 6]),
    state=st.sampled_from(STATES),
    is_named=st.booleans(),
    is_backfill=st.booleans(),
    as_of=st.sampled_from(["2013-06-01", "2013-07-01", "2013-08-01"]),
)
def test_a_version_that_was_never_champion_serves_only_with_a_yes_or_where_nobody_is_asked(
    outcome: Outcome, compared: int | None, state: ApprovalState, is_named: bool, is_backfill: bool, as_of: str
) -> None:
    """And a yes lets nothing pass that would not pass without the question."""
    evaluation, live = _evaluation(outcome, compared), Live(as_of=as_of)

    def decided(approval: ApprovalState) -> object:
        return decide_promotion(
            CANDIDATE,
            evaluation,
            live,
            GATES,
            approval=approval,
            is_named=is_named,
            is_backfill=is_backfill,
        )

    answer, unasked = decided(state), decided(NotNeeded())
    if isinstance(answer, Promote):
        assert isinstance(state, Approved | NotNeeded)
        assert answer == unasked
    if isinstance(answer, Wait):
        assert isinstance(state, Waiting)
        assert isinstance(unasked, Promote)
    assert not isinstance(answer, AlreadyChampion)
