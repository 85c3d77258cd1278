"""A version becomes champion only with every verdict `pass`, against the present champion, and newer than it."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.contracts.evaluations import Demand, Evaluation, Verdict
from ml_platform.contracts.records import ModelVersion, Outcome
from ml_platform.rollout import AlreadyChampion, NotNeeded, Promote, Refuse
from ml_platform.rollout import decide_promotion as decide

decide_promotion = partial(decide, approval=NotNeeded())  # what approval adds stands in `test_approval.py`

GATES = {
    "log_loss_at_most_0_65": Demand(bound=0.65, basis="a1"),
    "log_loss_not_worse_than_champion": Demand(bound=0.002, basis="b2"),
}
UNASKED = Demand(bound=0.0, basis="")
SECOND = tuple(GATES)[1]
CANDIDATE = ModelVersion(pipeline="flights", version=7, digest="seven", as_of="2013-07-01", run_id="r")


@dataclass(frozen=True)
class Live:
    """A champion, as far as the decision looks at it."""

    version: int = 6
    digest: str = "six"
    as_of: str = "2013-06-01"


def _verdict(gate: str, outcome: Outcome = "pass") -> Verdict:
    sentence, asked = f"{gate} was looked at.", GATES.get(gate, UNASKED)
    return Verdict(
        gate=gate, outcome=outcome, sentence=sentence, value=0.5, bound=asked.bound, reference=None, rows=900,
        basis=asked.basis,
    )  # fmt: skip


def _evaluation(*outcomes: Outcome, champion: int | None = 6, **changes: Any) -> Evaluation:
    verdicts = tuple(_verdict(gate, outcome) for gate, outcome in zip(GATES, outcomes, strict=False))
    fields = {"pipeline": "flights", "version": 7, "digest": "seven", "as_of": "2013-07-01", "rows": 900}
    return Evaluation.model_validate(
        {**fields, "champion": champion, "metrics": {}, "verdicts": verdicts, **changes},
    )


PASSED = _evaluation("pass", "pass")


def _reasons(evaluation: Evaluation | None, champion: Live | None, *, is_named: bool = False) -> tuple[str, ...]:
    answer = decide_promotion(CANDIDATE, evaluation, champion, GATES, is_named=is_named)
    assert isinstance(answer, Refuse)
    return answer.reasons


def test_a_newer_version_that_passed_everything_is_promoted() -> None:
    """The answer names whom it replaces."""
    assert decide_promotion(CANDIDATE, PASSED, Live(), GATES, is_named=False) == Promote(previous=6)


def test_the_first_version_needs_no_champion() -> None:
    """It was compared with none, and there is none."""
    first = _evaluation("pass", "pass", champion=None)
    assert decide_promotion(CANDIDATE, first, None, GATES, is_named=False) == Promote(previous=None)


def test_the_champion_is_already_champion() -> None:
    """Whatever its evaluation says by now."""
    live = Live(version=7, digest="seven", as_of="2013-07-01")
    assert decide_promotion(CANDIDATE, None, live, GATES, is_named=False) == AlreadyChampion()


def test_the_champions_number_with_another_digest_is_not_the_champion() -> None:
    """Then it is judged like any other."""
    assert _reasons(None, Live(version=7, digest="other"))


@pytest.mark.parametrize("changes", [{"version": 8}, {"digest": "eight"}, {"pipeline": "trains"}])
def test_an_evaluation_of_anything_else_counts_as_none(changes: dict[str, Any]) -> None:
    """Its verdicts are not even mentioned."""
    (reason,) = _reasons(_evaluation("fail", "fail", **changes), Live())
    assert reason == "Version 7 with digest seven was never evaluated: evaluate it."


@pytest.mark.parametrize("outcome", ["fail", "inconclusive"])
def test_a_gate_that_did_not_pass_refuses_with_its_own_sentence(outcome: Outcome) -> None:
    """Inconclusive is as good as a failure here."""
    (reason,) = _reasons(_evaluation("pass", outcome), Live())
    assert reason == f"Gate {SECOND} says {outcome}: {SECOND} was looked at."


def test_a_demanded_gate_without_verdict_refuses() -> None:
    """Such as one that was added to the spec after the evaluation."""
    (reason,) = _reasons(_evaluation("pass"), Live())
    assert f"Gate {SECOND} gave no verdict" in reason


def test_a_verdict_that_nobody_demands_must_pass_too() -> None:
    """The spec of the evaluation demanded it."""
    extra = PASSED.model_copy(update={"verdicts": (*PASSED.verdicts, _verdict("served", "fail"))})
    assert "Gate served says fail" in _reasons(extra, Live())[0]


def test_no_verdict_at_all_refuses_even_when_none_is_demanded() -> None:
    """Nothing measured is inconclusive."""
    answer = decide_promotion(CANDIDATE, _evaluation(), Live(), {}, is_named=True)
    assert answer == Refuse(("The evaluation of version 7 holds no verdict at all.",))


@pytest.mark.parametrize(
    ("compared", "live", "named"),
    [(5, Live(), "version 5"), (None, Live(), "no champion"), (6, None, "version 6")],
)
def test_a_comparison_with_another_champion_refuses(compared: int | None, live: Live | None, named: str) -> None:
    """The champion changed between evaluation and promotion."""
    (reason,) = _reasons(_evaluation("pass", "pass", champion=compared), live)
    assert f"was compared with {named}, but the champion is now" in reason


@pytest.mark.parametrize("as_of", ["2013-07-01", "2013-07-02", "2014-01-01"])
def test_an_as_of_that_is_not_newer_refuses_unless_named(as_of: str) -> None:
    """The same as-of is not newer."""
    live = Live(as_of=as_of)
    (reason,) = _reasons(PASSED, live)
    assert f"not newer than the champion's {as_of}" in reason
    assert decide_promotion(CANDIDATE, PASSED, live, GATES, is_named=True) == Promote(previous=6)


def test_all_reasons_are_gathered() -> None:
    """A person mends everything at once."""
    reasons = _reasons(_evaluation("inconclusive", champion=5), Live(as_of="2013-08-01"))
    assert len(reasons) == 4


outcomes = st.lists(st.sampled_from(get_args(Outcome)), min_size=0, max_size=2)
champions = st.none() | st.builds(
    Live,
    version=st.integers(1, 9),
    digest=st.sampled_from(["six", "seven"]),
    as_of=st.dates().map(lambda day: day.isoformat()),
)


@given(outcomes=outcomes, live=champions, compared=st.none() | st.integers(1, 9), is_named=st.booleans())
def test_a_promotion_always_has_every_reason_for_it(
    outcomes: list[Outcome], live: Live | None, compared: int | None, is_named: bool
) -> None:
    """Every demanded gate passed, against the present champion, and the as-of is newer unless named."""
    evaluation = _evaluation(*outcomes, champion=compared)
    answer = decide_promotion(CANDIDATE, evaluation, live, GATES, is_named=is_named)
    is_right = (
        outcomes == ["pass", "pass"]
        and compared == (live.version if live else None)
        and (is_named or live is None or live.as_of < CANDIDATE.as_of)
    )
    if live and (live.version, live.digest) == (CANDIDATE.version, CANDIDATE.digest):
        assert answer == AlreadyChampion()
    else:
        assert isinstance(answer, Promote) == is_right


@given(live=champions)
def test_what_was_promoted_is_champion_afterwards(live: Live | None) -> None:
    """So asking again decides nothing new."""
    evaluation = _evaluation("pass", "pass", champion=live.version if live else None)
    answer = decide_promotion(CANDIDATE, evaluation, live, GATES, is_named=True)
    if isinstance(answer, Promote):
        live = replace(live or Live(), version=CANDIDATE.version, digest=CANDIDATE.digest, as_of=CANDIDATE.as_of)
    assert decide_promotion(CANDIDATE, evaluation, live, GATES, is_named=False) == AlreadyChampion()


def test_a_verdict_given_at_another_bound_counts_as_none() -> None:
    """The spec has changed since: a verdict on the old margin says nothing of the new one."""
    stricter = {**GATES, SECOND: Demand(bound=0.0, basis="b2")}
    answer = decide_promotion(CANDIDATE, PASSED, Live(), stricter, is_named=False)
    assert answer == Refuse((f"Gate {SECOND} was judged at 0.002, the spec says 0.0: evaluate it again.",))


def test_a_verdict_on_another_basis_counts_as_none() -> None:
    """At the same bound, but what it hangs on has changed: other costs, or an edited metric."""
    other = {**GATES, SECOND: Demand(bound=0.002, basis="c3")}
    answer = decide_promotion(CANDIDATE, PASSED, Live(), other, is_named=True)
    assert isinstance(answer, Refuse)
    (reason,) = answer.reasons
    assert reason.startswith(f"What gate {SECOND} hangs on has changed since its verdict")


def test_a_verdict_on_another_basis_and_bound_is_told_once() -> None:
    other = {**GATES, SECOND: Demand(bound=0.0, basis="c3")}
    answer = decide_promotion(CANDIDATE, PASSED, Live(), other, is_named=False)
    assert isinstance(answer, Refuse)
    assert len(answer.reasons) == 1


def test_a_rollback_stands_on_the_verdicts_of_its_day() -> None:
    """They cannot be given again for a version that was champion: the metric it was judged by may be no more."""
    other = {**GATES, SECOND: Demand(bound=0.002, basis="c3")}
    answer = decide_promotion(CANDIDATE, PASSED, Live(9, "nine"), other, is_named=True, was_champion=True)
    assert answer == Promote(previous=9)


def test_a_backfill_never_moves_traffic() -> None:
    """Though every gate passed and the version is newer; a person may still name it."""
    answer = decide_promotion(CANDIDATE, PASSED, Live(), GATES, is_named=False, is_backfill=True)
    assert isinstance(answer, Refuse)
    assert "A backfill never moves traffic" in answer.reasons[0]
    named = decide_promotion(CANDIDATE, PASSED, Live(), GATES, is_named=True, is_backfill=True)
    assert named == Promote(previous=6)


def test_a_former_champion_comes_back_by_name_alone() -> None:
    """A rollback: its evaluation knows another rival, and its as-of is older."""
    live = Live(version=9, digest="nine", as_of="2013-08-01")
    back: dict[str, Any] = {"is_named": True, "was_champion": True}
    assert decide_promotion(CANDIDATE, PASSED, live, GATES, **back) == Promote(previous=9)
    for less in ({"is_named": False}, {"was_champion": False}):
        assert isinstance(decide_promotion(CANDIDATE, PASSED, live, GATES, **{**back, **less}), Refuse)


def test_a_former_champion_needs_its_passing_verdicts_too() -> None:
    """A rollback is no way around the gates."""
    failed = _evaluation("pass", "fail")
    answer = decide_promotion(CANDIDATE, failed, Live(), GATES, is_named=True, was_champion=True)
    assert isinstance(answer, Refuse)


def _of(gate: str, condition: str, verdict: str, judged: str, *, was_champion: bool = False) -> object:
    """Decide on a verdict of a name and a condition, where the spec has a gate of a name and a condition."""
    given = _verdict(SECOND).model_copy(update={"gate": verdict, "condition": judged, "bound": 0.0, "basis": "b"})
    evaluation = _evaluation(verdicts=(given,))
    demanded = {gate: Demand(bound=0.0, basis="b", condition=condition)}
    return decide_promotion(CANDIDATE, evaluation, Live(), demanded, is_named=was_champion, was_champion=was_champion)


@pytest.mark.parametrize("was_champion", [False, True])
def test_a_name_that_is_used_again_for_another_condition_has_no_verdict(was_champion: bool) -> None:
    """Not at the same bound, nor for a rollback: what was judged is the condition."""
    answer = _of("good", "log_loss_better", "good", "brier_better", was_champion=was_champion)
    assert isinstance(answer, Refuse)
    assert answer.reasons[0] == (
        "Gate good gave no verdict on version 7: the verdict of this name is on another condition: evaluate it again."
    )


def test_a_verdict_stands_when_its_gate_is_renamed() -> None:
    assert isinstance(_of("better_name", "log_loss_better", "good", "log_loss_better"), Promote)


def test_a_verdict_of_before_there_were_names_stands() -> None:
    """Then what is its condition now was its name."""
    assert isinstance(_of("beats_champion", "log_loss_better", "log_loss_better", ""), Promote)
