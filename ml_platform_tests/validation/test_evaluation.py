"""Evaluation: every model on the whole holdout, the champion's duel only on rows that neither was trained on."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ml_platform.contracts.records import Evaluation, ModelVersion, Verdict
from ml_platform.contracts.spec import Gate
from ml_platform.validation.evaluation import ChampionScores, evaluate
from ml_platform.validation.metrics import score

FloatArray = NDArray[np.float64]

ROWS = 2000
VERSION = ModelVersion(pipeline="flights", version=4, digest="d", as_of="2013-07-01", run_id="r")
AT_MOST = Gate(metric="log_loss", at_most=0.65)
NOT_WORSE = Gate(metric="log_loss", versus="champion", worse_by_at_most=0.002)
BETTER = Gate(metric="roc_auc", versus="baseline", better_by=0.02)
RNG = np.random.default_rng(0)
CHANCES = RNG.uniform(0.05, 0.95, ROWS)
LABELS = (RNG.random(ROWS) < CHANCES).astype(np.float64)
PRIOR = np.full(ROWS, 0.5)
OLD, NEW = np.arange(ROWS) < ROWS // 2, np.arange(ROWS) >= ROWS // 2


def _evaluate(champion: ChampionScores | None, candidate: FloatArray = CHANCES) -> Evaluation:
    return evaluate(
        VERSION,
        labels=LABELS,
        candidate=candidate,
        baselines={"prior": PRIOR},
        champion=champion,
        gates=[AT_MOST, NOT_WORSE, BETTER],
        measure="binary",
    )


def _duel(champion: ChampionScores | None, candidate: FloatArray = CHANCES) -> Verdict:
    return _evaluate(champion, candidate).verdicts[1]


def test_the_record_names_the_version_and_its_numbers() -> None:
    """For the ledger: which version, as of when, against whom, on how many rows."""
    found = _evaluate(ChampionScores(3, PRIOR, NEW))
    assert (found.pipeline, found.version, found.digest, found.as_of) == ("flights", 4, "d", "2013-07-01")
    assert (found.champion, found.rows, found.outcome) == (3, ROWS, "pass")
    assert found.metrics == {
        "candidate": score(LABELS, CHANCES, "binary"),
        "prior": score(LABELS, PRIOR, "binary"),
        "champion": score(LABELS[NEW], PRIOR[NEW], "binary"),
    }
    assert Evaluation.model_validate_json(found.model_dump_json()) == found


def test_the_duel_is_on_rows_that_the_champion_did_not_see() -> None:
    """A champion that knows the seen rows by heart and guesses on the others loses."""
    by_heart = np.where(OLD, LABELS, 0.5)
    assert _evaluate(None).metrics["candidate"]["log_loss"] > score(LABELS, by_heart, "binary")["log_loss"]
    verdict = _duel(ChampionScores(3, by_heart, NEW))
    assert (verdict.outcome, verdict.rows) == ("pass", ROWS // 2)
    assert verdict.value == score(LABELS[NEW], CHANCES[NEW], "binary")["log_loss"]
    assert verdict.reference == score(LABELS[NEW], PRIOR[NEW], "binary")["log_loss"]
    assert "champion v3" in verdict.sentence


def test_the_candidate_too_is_measured_on_those_rows() -> None:
    """One that is good on the seen rows alone does not win."""
    half = np.where(OLD, LABELS, 0.5)
    found = _evaluate(ChampionScores(3, CHANCES, NEW), candidate=half)
    assert found.metrics["candidate"]["log_loss"] < found.metrics["champion"]["log_loss"]
    assert (found.verdicts[1].outcome, found.outcome) == ("fail", "fail")


def test_without_a_champion_the_duel_passes_and_says_so() -> None:
    """There is nobody to be worse than; the other gates judge."""
    found = _evaluate(None)
    assert (found.champion, sorted(found.metrics)) == (None, ["candidate", "prior"])
    assert found.verdicts[1].outcome == "pass"
    assert "there is no champion" in found.verdicts[1].sentence


def test_a_champion_that_cannot_be_scored_is_no_missing_champion() -> None:
    """Nobody knows who is better: inconclusive, and the record names it."""
    found = _evaluate(ChampionScores(3, None, NEW))
    assert (found.champion, sorted(found.metrics)) == (3, ["candidate", "prior"])
    assert (found.verdicts[1].outcome, found.outcome) == ("inconclusive", "inconclusive")
    assert "champion v3" in found.verdicts[1].sentence


@pytest.mark.parametrize(("unseen", "outcome"), [(0, "inconclusive"), (499, "inconclusive"), (500, "pass")])
def test_too_few_unseen_rows_are_inconclusive(unseen: int, outcome: str) -> None:
    """None at all, when the champion is as new as the candidate; 500 are enough."""
    found = _evaluate(ChampionScores(3, PRIOR, np.arange(ROWS) >= ROWS - unseen))
    assert (found.verdicts[1].outcome, found.verdicts[1].rows, found.outcome) == (outcome, unseen, outcome)
    assert found.rows == ROWS


def test_baselines_and_bounds_are_measured_on_the_whole_holdout() -> None:
    """A champion leaves these gates as they are."""
    with_champion, without = _evaluate(ChampionScores(3, PRIOR, NEW)), _evaluate(None)
    for place in (0, 2):
        assert with_champion.verdicts[place] == without.verdicts[place]
        assert without.verdicts[place].rows == ROWS
    assert without.verdicts[2].reference == 0.5
    assert [verdict.gate for verdict in without.verdicts] == [AT_MOST.name, NOT_WORSE.name, BETTER.name]


def test_a_regression_is_measured_by_its_own_metrics() -> None:
    """Against the same kinds of rivals, on the same rows."""
    minutes = RNG.exponential(30, ROWS)
    gates = [Gate(metric="rmse", versus="baseline", better_by=1), Gate(metric="mae", versus="champion", better_by=0)]
    found = evaluate(
        VERSION,
        labels=minutes,
        candidate=minutes + 1,
        baselines={"prior": np.full(ROWS, 30.0)},
        champion=ChampionScores(3, minutes - 2, NEW),
        gates=gates,
        measure="regression",
    )
    of_candidate, of_champion = found.metrics["candidate"], found.metrics["champion"]
    assert (of_candidate["rmse"], of_candidate["mae"]) == (pytest.approx(1), pytest.approx(1))
    assert (of_champion["rmse"], of_champion["mae"]) == (pytest.approx(2), pytest.approx(2))
    assert [verdict.outcome for verdict in found.verdicts] == ["pass", "pass"]
    assert (found.verdicts[1].rows, found.verdicts[1].reference) == (ROWS // 2, pytest.approx(2))


def test_a_duel_with_confidence_asks_the_bootstrap_on_those_rows() -> None:
    """The same model with a little noise is surely no more than 0.05 worse, and not surely as good."""
    noisy = np.clip(CHANCES + 0.01 * np.random.default_rng(1).standard_normal(ROWS), 0.01, 0.99)
    losses = [score(LABELS[NEW], predictions[NEW], "binary")["log_loss"] for predictions in (CHANCES, noisy)]
    as_estimated = max(0.0, losses[0] - losses[1])
    gates = [
        Gate(metric="log_loss", versus="champion", worse_by_at_most=0.05, confidence=0.95),
        Gate(metric="log_loss", versus="champion", worse_by_at_most=as_estimated, confidence=0.95),
        Gate(metric="roc_auc", versus="baseline", better_by=0.1, confidence=0.99),
    ]
    champion = ChampionScores(3, noisy, NEW)
    found = evaluate(
        VERSION,
        labels=LABELS,
        candidate=CHANCES,
        baselines={"prior": PRIOR},
        champion=champion,
        gates=gates,
        measure="binary",
    )
    assert [verdict.outcome for verdict in found.verdicts] == ["pass", "inconclusive", "pass"]
