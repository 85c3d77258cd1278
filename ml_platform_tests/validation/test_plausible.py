"""A leap of quality is stopped; a good month, a slow rise and a short history are not."""

import math
from collections.abc import Sequence

import pytest

from ml_platform.contracts.evaluations import Evaluation, Verdict
from ml_platform.contracts.records import Outcome
from ml_platform.contracts.spec import PlausibleGate
from ml_platform.validation.plausible import (
    ALONE_AT_LEAST,
    ALONE_SHARE_AT_LEAST,
    SPREAD_AT_LEAST,
    Alone,
    judge_plausible,
)

GATE = PlausibleGate(kind="plausible", metric="log_loss")
PRIOR = 0.6


def _earlier(
    losses: Sequence[float], stopped: Sequence[int] = (), gate: PlausibleGate = GATE, said: Outcome = "fail"
) -> list[Evaluation]:
    return [_evaluation(place, loss, said if place in stopped else "pass", gate) for place, loss in enumerate(losses)]


def _evaluation(version: int, loss: float, outcome: Outcome, gate: PlausibleGate) -> Evaluation:
    verdict = Verdict(gate=gate.name, outcome=outcome, sentence="s", value=loss, bound=4, reference=None, rows=900)
    metrics = {"candidate": {gate.metric: loss}, "prior": {gate.metric: PRIOR}}
    return Evaluation(
        pipeline="p", version=version, digest="d", as_of="2020-01-01", champion=None, rows=900, metrics=metrics,
        verdicts=(verdict,),
    )  # fmt: skip


def _judged(loss: float, earlier: list[Evaluation], prior: float = PRIOR, gate: PlausibleGate = GATE) -> Verdict:
    return judge_plausible(gate, {"candidate": {gate.metric: loss}, "prior": {gate.metric: prior}}, 900, earlier)


@pytest.mark.parametrize(("off", "outcome"), [(1e-9, "pass"), (-1e-9, "fail"), (-0.5, "fail"), (0.5, "pass")])
def test_it_fails_below_the_best_by_more_than_times_the_spread(off: float, outcome: str) -> None:
    """Versions that are alike have the least spread, 0.05 of the logarithm; the limit itself passes."""
    limit = 0.5 * math.exp(-4 * SPREAD_AT_LEAST)
    verdict = _judged(limit * (1 + off), _earlier([0.5] * 5))
    assert (verdict.outcome, verdict.reference, verdict.bound) == (outcome, 0.5, 4)
    assert verdict.condition == "log_loss_not_too_good_to_be_true_beside_10_versions"
    assert ("look for a feature that tells the label" in verdict.sentence) == (outcome == "fail")


def test_a_wide_history_allows_more() -> None:
    """0.3 is a leap where versions are alike, and none where they differ."""
    assert _judged(0.3, _earlier([0.45, 0.5, 0.5, 0.5, 0.5])).outcome == "fail"
    assert _judged(0.3, _earlier([0.4, 0.45, 0.5, 0.55, 0.6])).outcome == "pass"


def test_an_easy_month_is_no_leap() -> None:
    """The prior is as much better there."""
    assert _judged(0.25, _earlier([0.5] * 5)).outcome == "fail"
    assert _judged(0.25, _earlier([0.5] * 5), prior=0.3).outcome == "pass"


@pytest.mark.parametrize(("versions", "outcome"), [(0, "pass"), (2, "pass"), (3, "fail")])
def test_fewer_than_three_versions_cannot_tell(versions: int, outcome: str) -> None:
    """It passes and says so."""
    verdict = _judged(0.1, _earlier([0.5] * versions))
    assert verdict.outcome == outcome
    assert ("too few to tell" in verdict.sentence) == (outcome == "pass")


@pytest.mark.parametrize(
    ("feature", "model", "outcome"),
    [
        (ALONE_AT_LEAST, 0.7, "inconclusive"),
        (ALONE_AT_LEAST - 1e-9, 0.7, "pass"),
        (ALONE_AT_LEAST, ALONE_AT_LEAST / ALONE_SHARE_AT_LEAST + 1e-9, "pass"),
        (ALONE_SHARE_AT_LEAST * 0.9, 0.9, "inconclusive"),
        (ALONE_SHARE_AT_LEAST * 0.9 - 1e-9, 0.9, "pass"),
    ],
)
@pytest.mark.parametrize("versions", [0, 2])
def test_without_a_history_one_feature_that_does_it_all_is_asked_about(
    feature: float, model: float, outcome: str, versions: int
) -> None:
    """Only a strong one, that does nearly what the model does."""
    metrics = {"candidate": {"log_loss": 0.1}, "prior": {"log_loss": PRIOR}}
    earlier = _earlier([0.5] * versions)
    verdict = judge_plausible(GATE, metrics, 900, earlier, lambda: Alone("delay", feature, model))
    assert verdict.outcome == outcome
    assert f"{versions} earlier versions are too few to tell" in verdict.sentence
    assert "delay alone orders the labels by" in verdict.sentence
    assert ("name it in split.may_tell_label" in verdict.sentence) == (outcome == "inconclusive")


def test_with_a_history_no_feature_is_asked_about() -> None:
    """What the model reaches beside its forerunners says more, and reading the features costs time."""

    def never() -> Alone:
        raise AssertionError

    metrics = {"candidate": {"log_loss": 0.49}, "prior": {"log_loss": PRIOR}}
    assert judge_plausible(GATE, metrics, 900, _earlier([0.5] * 3), never).outcome == "pass"


def test_features_of_which_none_can_be_judged_are_no_reason_to_stop() -> None:
    """Too few rows of a class, for instance."""
    metrics = {"candidate": {"log_loss": 0.1}, "prior": {"log_loss": PRIOR}}
    assert judge_plausible(GATE, metrics, 900, [], lambda: None).outcome == "pass"


def test_only_the_last_versions_count() -> None:
    """The newest come first; an old leap is forgotten."""
    gate = PlausibleGate(kind="plausible", metric="log_loss", versions=3)
    assert _judged(0.2, _earlier([0.5, 0.5, 0.5, 0.2]), gate=gate).outcome == "fail"
    assert _judged(0.2, _earlier([0.5, 0.5, 0.2, 0.5]), gate=gate).outcome == "pass"


@pytest.mark.parametrize("said", ["fail", "inconclusive"])
def test_a_version_that_was_stopped_makes_no_room_for_the_next(said: Outcome) -> None:
    """Else a second leaking candidate would pass beside the first, or a fourth beside three that were asked about."""
    losses = [0.1, 0.5, 0.5, 0.5]
    assert _judged(0.1, _earlier(losses, stopped=[0], said=said)).outcome == "fail"
    assert _judged(0.1, _earlier(losses)).outcome == "pass"
    assert "0 earlier versions" in _judged(0.1, _earlier([0.1] * 3, stopped=range(3), said=said)).sentence


def test_where_higher_is_better_the_error_is_what_is_missing_to_one() -> None:
    """An area of 0.93 after 0.72."""
    gate = PlausibleGate(kind="plausible", metric="roc_auc")
    earlier = _earlier([0.7, 0.72, 0.75, 0.74], gate=gate)
    assert _judged(0.78, earlier, gate=gate).outcome == "pass"
    assert _judged(0.93, earlier, gate=gate).outcome == "fail"


def test_a_metric_that_is_not_defined_is_inconclusive() -> None:
    """Of the candidate; an earlier version without it does not count."""
    assert judge_plausible(GATE, {"candidate": {}}, 900, _earlier([0.5] * 4)).outcome == "inconclusive"
    none = [each.model_copy(update={"metrics": {"candidate": {}}}) for each in _earlier([0.5] * 4)]
    assert "0 earlier versions" in _judged(0.1, none).sentence


def test_a_perfect_candidate_is_too_good() -> None:
    """Its error has no logarithm."""
    assert _judged(0.0, _earlier([0.5] * 4)).outcome == "fail"
