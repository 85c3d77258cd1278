"""The served fit next to the judged one: blocked when worse by more than the margin, compared fairly on new rows."""

import numpy as np
import pytest

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import ServedFitGate
from ml_platform.validation.measure import FloatArray, Measure
from ml_platform.validation.scored import Scored
from ml_platform.validation.served_fit import Learnt, compare_fits, comparison_sentence, judge_served_fit

RNG = np.random.default_rng(5)
ROWS = 2000
VERSION = ModelVersion(pipeline="p", version=3, digest="d" * 64, as_of="2024-01-01", run_id="")
NOTHING = Learnt(10, None, None)


def _regression(offset: float) -> tuple[Scored, FloatArray]:
    """Return a judged fit that misses by 1 in the root mean square, and a served one that misses by `1 + offset`."""
    labels = RNG.normal(0, 3, ROWS)
    signs = np.where(RNG.random(ROWS) < 0.5, -1.0, 1.0)
    scored = Scored(labels, labels + signs, {"prior": np.zeros(ROWS)}, Measure("regression"))
    return scored, labels + signs * (1 + offset)


@pytest.mark.parametrize(("offset", "outcome"), [(-0.5, "pass"), (0.0, "pass"), (0.049, "pass"), (0.051, "fail")])
def test_worse_by_more_than_the_margin_is_blocked(offset: float, outcome: str) -> None:
    scored, served = _regression(offset)
    verdict, record = judge_served_fit(ServedFitGate(metric="rmse", worse_by_at_most=0.05), scored, served, NOTHING)
    assert verdict.outcome == outcome
    assert verdict.bound == 0.05
    assert record.served == pytest.approx(1 + offset)
    assert record.judged == pytest.approx(1)


def test_without_a_margin_of_the_spec_it_is_a_hundredth_of_the_best_baseline() -> None:
    scored, served = _regression(0.0)
    _, record = judge_served_fit(ServedFitGate(metric="rmse"), scored, served, NOTHING)
    assert record.margin == pytest.approx(0.01 * np.sqrt(np.square(scored.labels).mean()))


def test_a_prediction_that_is_not_finite_fails_and_no_baseline_is_inconclusive() -> None:
    scored, served = _regression(0.0)
    broken = served.copy()
    broken[0] = np.nan
    gate = ServedFitGate(metric="rmse")
    assert judge_served_fit(gate, scored, broken, NOTHING)[0].outcome == "fail"
    alone = Scored(scored.labels, scored.candidate, {}, scored.measure)
    assert judge_served_fit(gate, alone, served, NOTHING)[0].outcome == "inconclusive"


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_far_predictions_and_other_decisions_only_warn(task: Task) -> None:
    """After a real change the two fits must differ."""
    shares = RNG.dirichlet((1, 1, 1), ROWS) if task == "multiclass" else RNG.random(ROWS)
    labels = (shares.argmax(axis=1) if task == "multiclass" else RNG.random(ROWS) < shares).astype(float)
    turned = shares[:, ::-1] if task == "multiclass" else 1 - shares
    baseline = np.full((ROWS, 3), 1 / 3) if task == "multiclass" else np.full(ROWS, 0.5)
    scored = Scored(labels, turned, {"prior": baseline}, Measure(task))
    gate = ServedFitGate(metric="log_loss", worse_by_at_most=0)
    verdict, record = judge_served_fit(gate, scored, shares, NOTHING)
    assert verdict.outcome == "pass"
    assert len(record.warnings) == 2
    assert record.other_decisions_share is not None
    assert record.other_decisions_share > 0.3
    same, unmoved = judge_served_fit(gate, scored, turned, NOTHING)
    assert (same.outcome, unmoved.distance, unmoved.warnings) == ("pass", 0.0, ())


def test_on_new_rows_both_fits_are_compared_in_pairs() -> None:
    """The interval holds the difference that is there, and not zero where one is better for certain."""
    shares = RNG.random(ROWS)
    labels = (RNG.random(ROWS) < shares).astype(float)
    worse = np.clip(shares * 0.5 + 0.3, 0.01, 0.99)
    found = compare_fits(VERSION, "log_loss", labels, worse, np.clip(shares, 0.01, 0.99), Measure("binary"))
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.served - found.judged < found.high < 0
    assert comparison_sentence(found).startswith("On 2,000 rows that came after it, the fit that serves has a log_loss")
    assert compare_fits(VERSION, "log_loss", labels[:0], worse[:0], shares[:0], Measure("binary")) is None
