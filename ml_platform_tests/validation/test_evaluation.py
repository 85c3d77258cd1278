"""Evaluation: every model on the whole holdout, the champion's duel only on rows that neither was trained on."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ml_platform.contracts.evaluations import Evaluation, Verdict
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Gate, PlausibleGate
from ml_platform.validation.evaluation import ChampionScores, evaluate
from ml_platform.validation.measure import Measure, Own
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


AT = np.datetime64("2013-07-01T00:00") + np.arange(ROWS) * np.timedelta64(7 * 24 * 60 // ROWS, "m")


def _with(gates: list[Gate | PlausibleGate], measure: Measure | Task = "binary", **options: Any) -> Evaluation:
    given: dict[str, Any] = {"candidate": CHANCES, "baselines": {"prior": PRIOR}, "champion": None, "at": AT}
    return evaluate(VERSION, labels=LABELS, gates=gates, measure=measure, **(given | options))


def test_the_newest_part_cannot_hide_behind_the_old_one() -> None:
    """A candidate that is right on old rows and wrong on new ones passes on the whole holdout, and not on its end."""
    newest = AT.max() - np.timedelta64(2, "D") < AT
    stale = np.where(newest, 0.5, CHANCES)
    champion = ChampionScores(3, np.where(newest, CHANCES, 0.5), np.ones(ROWS, dtype=bool))
    gates = [NOT_WORSE, NOT_WORSE.model_copy(update={"newest": timedelta(days=2)})]
    found = _with([*gates], candidate=stale, champion=champion)
    assert [verdict.outcome for verdict in found.verdicts] == ["pass", "fail"]
    assert found.verdicts[1].rows == newest.sum()
    assert "rows of the newest 2d" in found.verdicts[1].sentence
    assert found.newest is not None
    assert (found.newest.name, found.newest.rows) == ("newest 2d", newest.sum())
    assert found.newest.metrics["candidate"] == score(LABELS[newest], stale[newest], "binary")
    assert found.newest.intervals["champion"].keys() == found.newest.metrics["champion"].keys()


def test_without_such_a_gate_about_a_quarter_is_scored_by_itself() -> None:
    """Whole days; without times nothing is."""
    found = _with([AT_MOST])
    assert found.newest is not None
    assert found.newest.name == "newest 2d"
    assert _with([AT_MOST], at=None).newest is None


def test_every_metric_of_every_model_has_an_interval() -> None:
    """Around its value; the champion's too."""
    champion = ChampionScores(3, np.clip(CHANCES + 0.05, 0, 1), NEW)
    found = _with([AT_MOST], champion=champion)
    for model in ("candidate", "champion", "prior"):
        assert found.intervals[model].keys() == found.metrics[model].keys()
        for name, bounds in found.intervals[model].items():
            assert bounds.low <= found.metrics[model][name] <= bounds.high
    loss = found.intervals["candidate"]["log_loss"]
    assert 0.01 < loss.high - loss.low < 0.1


def test_slices_that_gates_name_stand_in_the_record() -> None:
    """The large ones, largest first, candidate beside champion."""
    carriers = np.where(np.arange(ROWS) < 150, "OO", np.where(np.arange(ROWS) < 900, "AA", "UA"))
    champion = ChampionScores(3, PRIOR, np.ones(ROWS, dtype=bool))
    found = _with([AT_MOST], champion=champion, slices={"carrier": carriers.tolist()})
    assert [(part.name, part.rows) for part in found.slices] == [("carrier=UA", 1100), ("carrier=AA", 750)]
    assert found.slices[1].metrics["candidate"] == score(LABELS[150:900], CHANCES[150:900], "binary")
    assert found.slices[0].intervals.keys() == {"candidate", "champion"}


def test_each_model_is_held_to_its_own_threshold() -> None:
    """F1 of the champion is that of its own decisions."""
    champion = ChampionScores(3, CHANCES, np.ones(ROWS, dtype=bool), threshold=0.3)
    found = _with([AT_MOST], Measure("binary", 0.6), champion=champion, thresholds={"prior": 0.4})
    assert found.threshold == 0.6
    for model, predictions, threshold in (
        ("candidate", CHANCES, 0.6),
        ("champion", CHANCES, 0.3),
        ("prior", PRIOR, 0.4),
    ):
        assert found.metrics[model]["f1"] == score(LABELS, predictions, Measure("binary", threshold))["f1"]


def test_why_a_champion_cannot_be_scored_is_told() -> None:
    """For one that is gone, and for one that predicts something else."""
    gone = ChampionScores(3, None, NEW, because="BundleDamaged: model.json is missing")
    assert _duel(gone).sentence.endswith("on 1,000 rows: BundleDamaged: model.json is missing")
    minutes = ChampionScores(3, 40 * CHANCES, NEW)
    assert "expected probabilities" in _duel(minutes).sentence
    classes = ChampionScores(3, np.full((ROWS, 3), 1 / 3), NEW)
    assert "it predicts (2000, 3), the candidate (2000,)" in _duel(classes).sentence
    assert {_duel(each).outcome for each in (gone, minutes, classes)} == {"inconclusive"}


@pytest.mark.parametrize(
    ("function", "reason"),
    [(lambda *_: 1 / 0, "its function raised ZeroDivisionError"), (lambda *_: np.nan, "its function gave nan")],
)
def test_an_own_metric_that_cannot_be_taken_is_inconclusive(function: Any, reason: str) -> None:
    """And the sentence says what went wrong."""
    measure = Measure("binary", own={"mine": Own(function, is_higher_better=False)})
    found = _with([Gate(metric="mine", at_most=1)], measure)
    assert found.verdicts[0].outcome == "inconclusive"
    assert reason in found.verdicts[0].sentence


def test_an_own_metric_is_resampled_a_bounded_number_of_times() -> None:
    """In the record for each model, and for a gate with confidence."""
    calls: list[int] = []

    def money_lost(labels: FloatArray, predictions: FloatArray) -> float:
        calls.append(len(labels))
        return float(np.abs(labels - predictions).mean())

    measure = Measure("binary", own={"money_lost": Own(money_lost, is_higher_better=False)})
    gate = Gate(metric="money_lost", versus="baseline", better_by=0.05, confidence=0.95)
    found = _with([gate], measure, at=None)
    assert found.verdicts[0].outcome == "pass"
    assert found.intervals["candidate"]["money_lost"].low < found.metrics["candidate"]["money_lost"]
    assert len(calls) < 1000


def test_several_classes_are_judged_as_two_are() -> None:
    """Labels are numbers of classes, predictions have a column for each."""
    chances = np.random.default_rng(5).dirichlet([2, 1, 1], ROWS)
    labels = np.array([np.random.default_rng(place).choice(3, p=each) for place, each in enumerate(chances)])
    gates = [
        NOT_WORSE.model_copy(update={"confidence": 0.95}),
        Gate(metric="accuracy", versus="baseline", better_by=0.05),
    ]
    found = evaluate(
        VERSION, labels=labels.astype(float), candidate=chances, baselines={"prior": np.full((ROWS, 3), 1 / 3)},
        champion=ChampionScores(3, chances[:, [1, 0, 2]], NEW), gates=gates, measure="multiclass", at=AT,
    )  # fmt: skip
    assert [verdict.outcome for verdict in found.verdicts] == ["pass", "pass"]
    assert found.intervals["candidate"].keys() == {
        "log_loss",
        "brier",
        "roc_auc",
        "calibration_error",
        "f1",
        "accuracy",
    }
    assert found.threshold is None
