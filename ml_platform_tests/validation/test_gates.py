"""Gates at their limit, just inside, just outside, with too few rows, and with metrics that are not defined."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.contracts.evaluations import Verdict
from ml_platform.contracts.metrics import HIGHER_IS_BETTER, METRIC_NAMES, MetricName
from ml_platform.contracts.spec import Gate
from ml_platform.validation.bootstrap import Interval
from ml_platform.validation.gates import Measured, judge

AT_MOST = Gate(metric="log_loss", at_most=0.6)
AT_LEAST = Gate(metric="roc_auc", at_least=0.7)
NOT_WORSE = Gate(metric="log_loss", versus="champion", worse_by_at_most=0.002)
BETTER = Gate(metric="roc_auc", versus="baseline", better_by=0.02)
ORDER = {"fail": 0, "inconclusive": 1, "pass": 2}


def _holdout(metric: str, value: float, rows: int = 6312, **baselines: float) -> Measured:
    return Measured(rows, {metric: value}, {name: {metric: other} for name, other in baselines.items()})


def _champion(value: float, champion: float, rows: int = 6312) -> Measured:
    return Measured(rows, {"log_loss": value}, {"champion v1": {"log_loss": champion}})


def _not_worse(value: float, champion: float, rows: int = 6312) -> Verdict:
    return judge(NOT_WORSE, holdout=_holdout("log_loss", 0.1), champion=_champion(value, champion, rows))


@pytest.mark.parametrize(
    ("gate", "value", "outcome"),
    [
        (AT_MOST, 0.6, "pass"),
        (AT_MOST, math.nextafter(0.6, 0), "pass"),
        (AT_MOST, math.nextafter(0.6, 1), "fail"),
        (AT_LEAST, 0.7, "pass"),
        (AT_LEAST, math.nextafter(0.7, 1), "pass"),
        (AT_LEAST, math.nextafter(0.7, 0), "fail"),
    ],
)
def test_a_bound_passes_exactly_at_its_limit(gate: Gate, value: float, outcome: str) -> None:
    """One float beyond it fails."""
    assert judge(gate, holdout=_holdout(gate.metric, value), champion=None).outcome == outcome


@pytest.mark.parametrize(
    ("value", "outcome"), [(0.602, "pass"), (0.60199, "pass"), (0.60201, "fail"), (0.5, "pass"), (0.9, "fail")]
)
def test_a_margin_passes_exactly_at_its_limit(value: float, outcome: str) -> None:
    """Although 0.602 - 0.6 is more than 0.002 in floating point."""
    assert _not_worse(value, 0.6).outcome == outcome


@pytest.mark.parametrize(("value", "outcome"), [(0.66, "pass"), (0.66001, "pass"), (0.65999, "fail")])
def test_better_is_measured_against_the_best_baseline(value: float, outcome: str) -> None:
    """The best is the one with the highest area, 0.64, not the first."""
    holdout = _holdout("roc_auc", value, prior=0.5, last_value=0.64)
    verdict = judge(BETTER, holdout=holdout, champion=None)
    assert (verdict.outcome, verdict.reference) == (outcome, 0.64)


def test_the_champion_is_compared_on_its_own_rows() -> None:
    """The candidate's value there counts, not the one on its whole holdout."""
    verdict = _not_worse(0.7, 0.6, rows=700)
    assert (verdict.outcome, verdict.value, verdict.rows) == ("fail", 0.7, 700)


@pytest.mark.parametrize(("rows", "outcome"), [(499, "inconclusive"), (500, "pass"), (0, "inconclusive")])
@pytest.mark.parametrize("gate", [AT_MOST, NOT_WORSE, BETTER], ids=lambda gate: gate.name)
def test_too_few_rows_are_inconclusive(gate: Gate, rows: int, outcome: str) -> None:
    """For each kind of gate, at the limit and one row below it."""
    measured = Measured(rows, {"log_loss": 0.5, "roc_auc": 0.8}, {"champion v1": {"log_loss": 0.6, "roc_auc": 0.5}})
    assert judge(gate, holdout=measured, champion=measured).outcome == outcome


@pytest.mark.parametrize("rows_at_least", [1, 10_000])
def test_the_least_number_of_rows_can_be_chosen(rows_at_least: int) -> None:
    """The default of 500 is no constant."""
    verdict = judge(AT_MOST, holdout=_holdout("log_loss", 0.5), champion=None, rows_at_least=rows_at_least)
    assert verdict.outcome == ("pass" if rows_at_least == 1 else "inconclusive")


CERTAIN = NOT_WORSE.model_copy(update={"confidence": 0.95})
CERTAIN_BETTER = BETTER.model_copy(update={"confidence": 0.95})


@pytest.mark.parametrize(
    ("worst", "outcome"),
    [(0.002, "pass"), (-0.01, "pass"), (0.00201, "inconclusive"), (0.5, "inconclusive"), (math.nan, "inconclusive")],
)
def test_with_a_confidence_the_whole_interval_is_within_the_margin(worst: float, outcome: str) -> None:
    """An estimate within the margin is no more than a reason to look again."""
    measured = replace(_champion(0.6, 0.6), interval=lambda *_: Interval(0.0, -0.01, worst))
    verdict = judge(CERTAIN, holdout=_holdout("log_loss", 0.1), champion=measured)
    assert (verdict.outcome, verdict.condition) == (outcome, "log_loss_not_worse_than_champion_with_confidence_0_95")
    assert "with confidence 0.95: " in verdict.sentence


@pytest.mark.parametrize(("low", "outcome"), [(0.02, "pass"), (0.05, "pass"), (0.01999, "inconclusive")])
def test_where_higher_is_better_the_lower_bound_counts(low: float, outcome: str) -> None:
    """Better by 0.02 for certain, not only as estimated."""
    holdout = replace(_holdout("roc_auc", 0.7, prior=0.5), interval=lambda *_: Interval(0.2, low, 0.9))
    assert judge(CERTAIN_BETTER, holdout=holdout, champion=None).outcome == outcome


@pytest.mark.parametrize(
    ("value", "worst", "outcome"),
    [(0.55, 0.6, "pass"), (0.55, 0.6001, "inconclusive"), (0.61, 0.62, "fail"), (0.55, math.nan, "inconclusive")],
)
def test_a_bound_with_confidence_is_kept_for_certain(value: float, worst: float, outcome: str) -> None:
    """The verdict carries the ends."""
    gate = Gate(metric="log_loss", at_most=0.6, confidence=0.95)
    measured = replace(_holdout("log_loss", value), interval=lambda *_: Interval(value, 0.5, worst))
    verdict = judge(gate, holdout=measured, champion=None)
    assert (verdict.outcome, verdict.condition) == (outcome, "log_loss_at_most_0_6_with_confidence_0_95")
    assert (verdict.low, verdict.confidence) == (0.5, 0.95)
    assert "with confidence 0.95: " in verdict.sentence


def test_where_higher_is_better_a_bound_is_kept_by_the_lower_end() -> None:
    """At the limit it passes."""
    gate = Gate(metric="roc_auc", at_least=0.7, confidence=0.9)
    ends = {"pass": 0.7, "inconclusive": 0.699}
    for outcome, low in ends.items():
        measured = replace(_holdout("roc_auc", 0.75), interval=lambda *_, low=low: Interval(0.75, low, 0.8))
        assert judge(gate, holdout=measured, champion=None).outcome == outcome


def test_a_gate_may_name_its_rows() -> None:
    """Fewer or more than others need; the condition says it, so that an older verdict does not count for it."""
    for rows, outcome in ((99, "inconclusive"), (100, "pass")):
        gate = AT_MOST.model_copy(update={"rows_at_least": 100})
        assert judge(gate, holdout=_holdout("log_loss", 0.5, rows=rows), champion=None).outcome == outcome
        assert gate.condition == "log_loss_at_most_0_6_on_100_rows_or_more"


def test_whatever_changes_a_verdict_changes_the_condition_or_the_bound_of_its_gate() -> None:
    """So that promotion never takes a verdict for another."""
    changes = {"confidence": 0.9, "newest": timedelta(days=2), "rows_at_least": 9, "per": ["carrier"]}
    conditions = [NOT_WORSE.model_copy(update={name: value}).condition for name, value in changes.items()]
    assert len({NOT_WORSE.condition, *conditions}) == 5


def test_an_own_metric_may_be_better_when_higher() -> None:
    """As its author says."""
    gate = Gate(metric="gain", versus="champion", better_by=0.1)
    measured = Measured(900, {"gain": 5.0}, {"champion v1": {"gain": 4.0}})
    assert judge(gate, holdout=measured, champion=measured).outcome == "fail"
    higher = replace(measured, higher_is_better=frozenset({"gain"}))
    assert judge(gate, holdout=higher, champion=higher).outcome == "pass"


def test_an_estimate_beyond_the_margin_fails_however_wide_the_interval() -> None:
    """A confidence makes no gate easier."""
    measured = replace(_champion(0.7, 0.6), interval=lambda *_: Interval(0.1, -1.0, 1.0))
    assert judge(CERTAIN, holdout=_holdout("log_loss", 0.1), champion=measured).outcome == "fail"


def test_a_first_model_passes_against_no_champion() -> None:
    """And the sentence says so."""
    verdict = judge(NOT_WORSE, holdout=_holdout("log_loss", 0.58), champion=None)
    assert verdict.outcome == "pass"
    assert verdict.sentence == "log_loss 0.5800 on 6,312 rows; there is no champion to compare with"


@pytest.mark.parametrize("holdout", [_holdout("log_loss", math.nan), _holdout("log_loss", 0.5, rows=3)])
def test_a_first_model_still_needs_rows_and_a_metric(holdout: Measured) -> None:
    """No champion is no excuse for a model that nobody could measure."""
    assert judge(NOT_WORSE, holdout=holdout, champion=None).outcome == "inconclusive"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("gate", [AT_MOST, NOT_WORSE], ids=lambda gate: gate.name)
def test_a_metric_that_is_not_finite_is_inconclusive(gate: Gate, value: float) -> None:
    """Minus infinity is not a good log loss; the record holds no number that JSON cannot."""
    verdict = judge(gate, holdout=_holdout("log_loss", value), champion=_champion(value, 0.6))
    assert (verdict.outcome, verdict.value) == ("inconclusive", None)
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


@pytest.mark.parametrize(
    ("measured", "sentence"),
    [
        (Measured(900, {}, {"champion v1": {"log_loss": 0.6}}), "log_loss of the candidate is not defined on 900 rows"),
        (Measured(900, {"log_loss": 0.5}, {"champion v1": {}}), "log_loss of champion v1 is not defined on 900 rows"),
        (Measured(900, {"log_loss": 0.5}, {}), "there is no champion on 900 rows"),
        (Measured(1, {}, {"champion v1": {}}), "log_loss: 1 row that champion v1 did not train on; needed: 500"),
    ],
)
def test_what_is_missing_is_inconclusive_and_named(measured: Measured, sentence: str) -> None:
    """The sentence names the model that has no number."""
    verdict = judge(NOT_WORSE, holdout=_holdout("log_loss", 0.5), champion=measured)
    assert (verdict.outcome, verdict.sentence) == ("inconclusive", sentence)


def test_one_unknown_baseline_is_inconclusive() -> None:
    """It could have been the best."""
    holdout = _holdout("roc_auc", 0.9, prior=0.5, last_value=math.nan)
    assert judge(BETTER, holdout=holdout, champion=None).outcome == "inconclusive"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            0.5867,
            "log_loss 0.5867 is 0.0213 better than champion v1 (0.6080) on 6,312 rows; allowed: worse by 0.002",
        ),
        (0.615, "log_loss 0.6150 is 0.007 worse than champion v1 (0.6080) on 6,312 rows; allowed: worse by 0.002"),
        (0.608, "log_loss 0.6080 is equal to champion v1 (0.6080) on 6,312 rows; allowed: worse by 0.002"),
    ],
)
def test_a_verdict_has_a_sentence_that_a_person_can_read(value: float, sentence: str) -> None:
    """With the number, the difference, the rival, the rows and the limit."""
    assert _not_worse(value, 0.608).sentence == sentence


def test_a_verdict_holds_the_numbers_it_came_from() -> None:
    """Those of its own gate."""
    holdout = Measured(800, {"log_loss": 0.5, "roc_auc": 0.8}, {"prior": {"roc_auc": 0.5}})
    champion = _champion(0.5, 0.49)
    verdicts = [judge(gate, holdout=holdout, champion=champion) for gate in (BETTER, AT_MOST, NOT_WORSE)]
    assert [(one.gate, one.outcome, one.value, one.bound, one.reference, one.rows) for one in verdicts] == [
        ("beats_baselines", "pass", 0.8, 0.02, 0.5, 800),
        ("log_loss_at_most_0_6", "pass", 0.5, 0.6, None, 800),
        ("not_worse_than_champion", "fail", 0.5, 0.002, 0.49, 6312),
    ]


def _gates(metric: MetricName) -> st.SearchStrategy[Gate]:
    bound = "at_least" if metric in HIGHER_IS_BETTER else "at_most"
    number = st.floats(0, 1)
    return st.one_of(
        number.map(lambda value: Gate.model_validate({"metric": metric, bound: value})),
        st.builds(
            lambda versus, margin, value: Gate.model_validate({"metric": metric, "versus": versus, margin: value}),
            st.sampled_from(["champion", "baseline"]),
            st.sampled_from(["worse_by_at_most", "better_by"]),
            number,
        ),
    )


@given(data=st.data(), metric=st.sampled_from(METRIC_NAMES), rows=st.sampled_from([10, 500, 5000]))
def test_a_worse_model_never_passes_where_a_better_one_fails(
    data: st.DataObject, metric: MetricName, rows: int
) -> None:
    """Whatever the gate, the rivals and the rows."""
    number = st.floats(0, 1) | st.sampled_from([0.5, 0.502, 0.498])
    gate = data.draw(_gates(metric))
    rivals = {name: {metric: data.draw(number)} for name in ("prior", "last_value")}
    worse, better = sorted([data.draw(number), data.draw(number)], reverse=metric not in HIGHER_IS_BETTER)
    first, second = (Measured(rows, {metric: value}, rivals) for value in (worse, better))
    has_champion = data.draw(st.booleans())
    outcomes = [judge(gate, holdout=one, champion=one if has_champion else None).outcome for one in (first, second)]
    assert ORDER[outcomes[0]] <= ORDER[outcomes[1]]


def test_with_confidence_each_baseline_must_be_beaten() -> None:
    """The best one as estimated is not always the one that is hardest to be sure of."""
    ends = {"prior": Interval(-0.1, -0.15, -0.05), "last_value": Interval(-0.2, -0.5, 0.1)}
    gate = Gate(metric="log_loss", versus="baseline", better_by=0, confidence=0.95)
    baselines = _holdout("log_loss", 0.5, prior=0.6, last_value=0.7)
    for names, outcome in ((["prior"], "pass"), (["last_value", "prior"], "inconclusive")):
        rivals = {name: baselines.rivals[name] for name in names}
        holdout = replace(baselines, rivals=rivals, interval=lambda _, rival, __: ends[str(rival)])
        verdict = judge(gate, holdout=holdout, champion=None)
        assert (verdict.outcome, verdict.reference) == (outcome, rivals[names[0]]["log_loss"])
        assert all(name in verdict.sentence for name in names)


@pytest.mark.parametrize(
    ("value", "better_by", "worse_by"),
    [(0.6, "fail", "pass"), (math.nextafter(0.6, 1), "fail", "fail"), (math.nextafter(0.6, 0), "pass", "pass")],
)
def test_a_margin_of_nothing_is_not_passed_by_rounding(value: float, better_by: str, worse_by: str) -> None:
    """A model that is equal to a constant does not beat it; one that is worse by a single float is worse."""
    margins = {"better_by": better_by, "worse_by_at_most": worse_by}
    for margin, outcome in margins.items():
        gate = Gate.model_validate({"metric": "log_loss", "versus": "baseline", margin: 0})
        assert judge(gate, holdout=_holdout("log_loss", value, prior=0.6), champion=None).outcome == outcome


@given(st.floats(1e-12, 1e6), st.floats(1.001, 5), st.sampled_from(["better_by", "worse_by_at_most"]))
def test_rounding_is_a_share_of_the_margin_whatever_the_unit(margin: float, times: float, name: str) -> None:
    """An error in kilometres and one in microns are judged alike."""
    gate = Gate.model_validate({"metric": "rmse", "versus": "baseline", name: margin})
    reference = 10 * margin
    off = -margin / times if name == "better_by" else margin * times
    assert judge(gate, holdout=_holdout("rmse", reference + off, prior=reference), champion=None).outcome == "fail"
