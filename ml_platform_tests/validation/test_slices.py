"""Gates on slices: harm that is sure stops a model, noise does not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ml_platform.contracts.evaluations import Verdict
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Gate
from ml_platform.validation.bootstrap import Interval
from ml_platform.validation.evaluation import ChampionScores, evaluate
from ml_platform.validation.gates import Measured
from ml_platform.validation.slices import judge_slices

FloatArray = NDArray[np.float64]

ROWS = 6000
VERSION = ModelVersion(pipeline="flights", version=4, digest="d", as_of="2013-07-01", run_id="r")
GATE = Gate(metric="log_loss", per=["carrier"], versus="champion", worse_by_at_most=0.02)
RNG = np.random.default_rng(0)
CHANCES = RNG.uniform(0.05, 0.95, ROWS)
LABELS = (RNG.random(ROWS) < CHANCES).astype(np.float64)
CARRIERS = RNG.choice(["AA", "DL", "OO", "UA"], ROWS, p=[0.4, 0.3, 0.02, 0.28])


def _slice(low: float, rows: int = 900, estimate: float = 0.1) -> Measured:
    return Measured(rows, {}, {"champion v1": {}}, lambda *_: Interval(estimate, low, 9.0))


def _verdict(candidate: FloatArray, gate: Gate = GATE, champion: ChampionScores | None = None) -> Verdict:
    present = champion or ChampionScores(3, CHANCES, np.ones(ROWS, dtype=bool))
    return evaluate(
        VERSION,
        labels=LABELS,
        candidate=candidate,
        baselines={"prior": np.full(ROWS, 0.5)},
        champion=present,
        gates=[gate],
        measure="binary",
        slices={"carrier": CARRIERS.tolist()},
    ).verdicts[0]


@pytest.mark.parametrize(("low", "outcome"), [(0.02, "pass"), (0.0201, "fail"), (-0.3, "pass")])
def test_a_slice_fails_when_it_is_surely_beyond_the_margin(low: float, outcome: str) -> None:
    """At the limit it passes, though it is worse as estimated."""
    assert judge_slices(GATE, {"carrier=UA": _slice(low), "carrier=AA": _slice(-1.0)}).outcome == outcome


@pytest.mark.parametrize(("rows", "outcome"), [(199, "inconclusive"), (200, "fail")])
def test_a_small_slice_is_left_out(rows: int, outcome: str) -> None:
    """With no other, nobody can tell."""
    assert judge_slices(GATE, {"carrier=UA": _slice(0.1, rows)}).outcome == outcome


def test_the_confidence_is_shared_out_among_the_slices_that_are_judged() -> None:
    """Of ten slices each is asked with 0.995, so that all together err as one with 0.95 would."""
    asked: list[float] = []

    def interval(*what: object) -> Interval:
        asked.append(float(str(what[-1])))
        return Interval(0.0, -1.0, 1.0)

    slices = {f"carrier={place}": Measured(900, {}, {"champion v1": {}}, interval) for place in range(10)}
    judge_slices(GATE, slices | {"carrier=tiny": _slice(0.1, rows=3)})
    assert asked == pytest.approx([0.995] * 10)


def test_a_model_that_is_worse_for_one_carrier_alone_is_stopped() -> None:
    """Its log loss on all rows is hardly worse; the sentence names the carrier."""
    worse = np.where(CARRIERS == "UA", 0.5, CHANCES)
    verdict = _verdict(worse)
    assert (verdict.outcome, verdict.gate) == ("fail", "not_worse_than_champion_per_carrier")
    assert "log_loss is surely worse for carrier=UA by " in verdict.sentence
    assert "carrier=AA" not in verdict.sentence
    assert "of 3 slices, 1 left out as too small" in verdict.sentence


def test_noise_on_slices_stops_no_model() -> None:
    """The worst slice is named all the same."""
    noisy = np.clip(CHANCES + 0.02 * np.random.default_rng(1).standard_normal(ROWS), 0.01, 0.99)
    verdict = _verdict(noisy)
    assert verdict.outcome == "pass"
    assert "log_loss is surely worse on none of 3 slices" in verdict.sentence


def test_slices_too_are_of_rows_that_the_champion_did_not_see() -> None:
    """A model that is bad for a carrier on seen rows alone is not stopped for it."""
    seen = np.arange(ROWS) < ROWS // 2
    worse = np.where((CARRIERS == "UA") & seen, 0.5, CHANCES)
    assert _verdict(worse).outcome == "fail"
    assert _verdict(worse, champion=ChampionScores(3, CHANCES, ~seen)).outcome == "pass"


def test_a_champion_that_cannot_be_scored_leaves_slices_inconclusive() -> None:
    """No number, no verdict."""
    assert _verdict(CHANCES, champion=ChampionScores(3, None, np.ones(ROWS, dtype=bool))).outcome == "inconclusive"


def test_slices_may_be_held_against_the_baselines() -> None:
    """Against the best of them on each slice; where higher is better too."""
    gate = Gate(metric="roc_auc", per=["carrier"], versus="baseline", worse_by_at_most=0.0)
    assert _verdict(CHANCES, gate).outcome == "pass"
    upside_down = np.where(CARRIERS == "DL", 1 - CHANCES, CHANCES)
    assert "carrier=DL" in _verdict(upside_down, gate).sentence
