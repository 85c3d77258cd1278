"""The fit that serves next to the fit that was judged: on the holdout, and on the first rows new to both.

Pure. On the holdout the served fit has learnt the answers, so a good number there proves nothing; a bad one shows that
the refit went wrong. What it is worth is seen only on rows that came after it.
"""

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ml_platform.contracts.evaluations import FitComparison, ServedFit, Verdict
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.records import ModelVersion, Outcome
from ml_platform.contracts.spec import ServedFitGate
from ml_platform.validation.measure import FloatArray, Measure
from ml_platform.validation.scored import CANDIDATE, Scored

DISTANCE_AT_MOST = 0.1  # mean, as a share of the labels' spread; more of it is worth a look
DECISIONS_AT_MOST = 0.1  # share of rows decided otherwise
ONE_SIDED = 0.975  # of each end of a 95 % interval
JUDGED = "judged fit"


@dataclass(frozen=True)
class Learnt:
    """How far a served fit has learnt.

    Parameters
    ----------
    rows : int
        How many rows.
    until : datetime or None
        The instant from which on it knows nothing.
    newest_at : datetime or None
        Event time of its newest row.
    """

    rows: int
    until: datetime | None
    newest_at: datetime | None


def judge_served_fit(
    gate: ServedFitGate, scored: Scored, served: FloatArray, learnt: Learnt
) -> tuple[Verdict, ServedFit]:
    """Judge whether the served fit is worse on the holdout than the judged one by more than the margin.

    Parameters
    ----------
    scored : Scored
        The judged fit as candidate, with the baselines as rivals, on the holdout.
    served : (n_holdout,) or (n_holdout, n_classes) array
        The served fit's predictions for the same rows.

    Returns
    -------
    Verdict, ServedFit
        `fail` if it is worse by more than the margin, or predicts what is not finite; `inconclusive` if a loss or the
        margin is not defined. A large distance only warns: after a real change the two must differ.
    """
    pair = Scored(scored.labels, served, {JUDGED: scored.candidate}, scored.measure)
    of_served, of_judged = (pair.metrics[name].get(gate.metric, math.nan) for name in (CANDIDATE, JUDGED))
    margin = _margin(gate, scored)
    worse_by = of_served - of_judged  # losses alone are compared
    outcome, sentence = _outcome(gate.metric, of_served, of_judged, worse_by, margin, bool(np.isfinite(served).all()))
    shown = [value if math.isfinite(value) else None for value in (of_served, of_judged, margin)]
    verdict = Verdict(
        gate=gate.name, condition=gate.condition, outcome=outcome, sentence=sentence, value=shown[0], bound=gate.bound,
        reference=shown[1], rows=len(scored.labels),
    )  # fmt: skip
    distance, others = _distance(served, scored.candidate), _other_decisions(served, scored)
    return verdict, ServedFit(
        metric=gate.metric, judged=shown[1], served=shown[0], margin=shown[2], distance=distance,
        other_decisions_share=others, rows=learnt.rows, learnt_until=learnt.until, newest_learnt_at=learnt.newest_at,
        warnings=_warnings(distance, others, scored),
    )  # fmt: skip


def compare_fits(
    version: ModelVersion, metric: str, labels: FloatArray, judged: FloatArray, served: FloatArray, measure: Measure
) -> FitComparison | None:
    """Compare the two fits of a version on rows that neither has learnt from; None where the metric is not defined."""
    pair = Scored(labels, served, {JUDGED: judged}, measure)
    of_served, of_judged = (pair.metrics[name].get(metric, math.nan) for name in (CANDIDATE, JUDGED))
    if not (math.isfinite(of_served) and math.isfinite(of_judged)):
        return None
    ends = pair.interval(metric, JUDGED, ONE_SIDED)
    low, high = (end if math.isfinite(end) else None for end in (ends.low, ends.high))
    return FitComparison(
        version=version.version, digest=version.digest, metric=metric, rows=len(labels), judged=of_judged,
        served=of_served, low=low, high=high,
    )  # fmt: skip


def comparison_sentence(found: FitComparison) -> str:
    """Say in a sentence what both fits of a version were worth on the first rows new to both."""
    interval = "" if found.low is None or found.high is None else f", 95 % interval {found.low:.4g} to {found.high:.4g}"
    return (
        f"On {found.rows:,} rows that came after it, the fit that serves has a {found.metric} of {found.served:.4g}, "
        f"the judged fit of {found.judged:.4g} (difference {found.served - found.judged:.4g}{interval})."
    )


def _margin(gate: ServedFitGate, scored: Scored) -> float:
    if gate.worse_by_at_most is not None:
        return gate.worse_by_at_most
    baselines = (values for name, values in scored.metrics.items() if name != CANDIDATE)
    losses = [values[gate.metric] for values in baselines if gate.metric in values]
    return gate.bound * min(losses) if losses else math.nan


def _outcome(
    metric: str, served: float, judged: float, worse_by: float, margin: float, is_finite: bool
) -> tuple[Outcome, str]:
    if not is_finite:
        return "fail", "a prediction of the served fit is not finite"
    said = f"{metric} on the holdout: served fit {served:.4g} (which has learnt from it), judged fit {judged:.4g}"
    if not math.isfinite(worse_by) or not math.isfinite(margin):
        return "inconclusive", f"{said}; not comparable"
    if worse_by > margin:
        return "fail", f"{said}: worse by {worse_by:.4g}, allowed: {margin:.4g}"
    return "pass", f"{said}: not worse by more than {margin:.4g}"


def _distance(served: FloatArray, judged: FloatArray) -> float:
    if served.shape != judged.shape or not len(served):
        return math.inf if len(served) else 0.0
    return float(np.abs(served - judged).mean())


def _other_decisions(served: FloatArray, scored: Scored) -> float | None:
    judged, task = scored.candidate, scored.measure.task
    if task == "regression" or served.shape != judged.shape or not len(served):
        return None
    if task == "multiclass":
        return float((served.argmax(axis=1) != judged.argmax(axis=1)).mean())
    threshold = scored.measure.threshold
    return float(((served >= threshold) != (judged >= threshold)).mean())


def _warnings(distance: float, others: float | None, scored: Scored) -> tuple[str, ...]:
    scale = _spread(scored.labels, scored.measure.task)
    warnings: list[str] = []
    if scale and distance > DISTANCE_AT_MOST * scale:
        warnings.append(f"Predictions of the served fit differ from the judged fit's by {distance:.3g} on average.")
    if others is not None and others > DECISIONS_AT_MOST:
        warnings.append(f"The served fit decides {others:.1%} of the holdout's rows otherwise than the judged fit.")
    return tuple(warnings)


def _spread(labels: FloatArray, task: Task) -> float:
    return (float(labels.std()) if len(labels) else 0.0) if task == "regression" else 1.0
