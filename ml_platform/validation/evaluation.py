"""From labels and predictions to an evaluation: every metric of every model, each gate's verdict on the candidate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.records import Evaluation, ModelVersion, Verdict
from ml_platform.contracts.spec import Gate
from ml_platform.validation.bootstrap import Interval, paired_intervals
from ml_platform.validation.gates import Measured, judge
from ml_platform.validation.metrics import score
from ml_platform.validation.slices import judge_slices
from ml_platform.validation.weighted import weighted_metric

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ChampionScores:
    """What the champion says of the holdout.

    Parameters
    ----------
    version : int
        Its number.
    predictions : (n_holdout,) array or None
        None if it cannot be scored on these rows any more.
    is_unseen : (n_holdout,) array of bool
        The rows that it was not trained on.
    """

    version: int
    predictions: FloatArray | None
    is_unseen: NDArray[np.bool_]


@dataclass(frozen=True)
class Scored:
    """The candidate and its rivals on the same rows.

    Parameters
    ----------
    labels, candidate : (n_rows,) array
        What happened, and what the candidate predicts.
    rivals : mapping of str to (n_rows,) array
        What each rival predicts; NaN where it cannot be scored.
    task : Task
        Whose metrics are taken.
    """

    labels: FloatArray
    candidate: FloatArray
    rivals: Mapping[str, FloatArray]
    task: Task

    def where(self, mask: NDArray[np.bool_]) -> "Scored":
        """Give the same on some of the rows."""
        rivals = {name: predictions[mask] for name, predictions in self.rivals.items()}
        return Scored(self.labels[mask], self.candidate[mask], rivals, self.task)

    def against(self, champion: ChampionScores) -> "Scored":
        """Give the candidate against the champion alone, on the rows that the champion was not trained on."""
        unknown = np.full(len(self.labels), np.nan)
        predictions = unknown if champion.predictions is None else champion.predictions
        duel = Scored(self.labels, self.candidate, {f"champion v{champion.version}": predictions}, self.task)
        return duel.where(champion.is_unseen)

    def metrics(self) -> dict[str, dict[str, float]]:
        """Give every metric of every model, the candidate's first."""
        models = {"candidate": self.candidate, **self.rivals}
        return {name: score(self.labels, predictions, self.task) for name, predictions in models.items()}

    def measured(self) -> Measured:
        """Give what gates judge."""
        metrics = self.metrics()
        return Measured(len(self.labels), metrics.pop("candidate"), metrics, self.interval)

    def interval(self, metric: str, rival: str, confidence: float) -> Interval:
        """Compare with a rival by the paired bootstrap; either bound alone holds with this confidence."""
        models = (self.candidate, self.rivals[rival])
        candidate, other = (weighted_metric(metric, self.labels, predictions) for predictions in models)
        return paired_intervals(len(self.labels), {metric: (candidate, other)}, confidence=2 * confidence - 1)[metric]


def evaluate(
    version: ModelVersion,
    *,
    labels: FloatArray,
    candidate: FloatArray,
    baselines: Mapping[str, FloatArray],
    champion: ChampionScores | None,
    gates: Sequence[Gate],
    task: Task,
    slices: Mapping[str, Sequence[object]] | None = None,
) -> Evaluation:
    """Evaluate a candidate on its holdout.

    Parameters
    ----------
    labels, candidate : (n_holdout,) arrays
        Outcomes and the candidate's predictions, as in `ml_platform.validation.metrics.score`.
    baselines : mapping of str to (n_holdout,) array
        Each baseline's predictions.
    champion : ChampionScores or None
        None when there is none: then a gate against it passes and says so.
    gates : sequence of Gate
        The conditions of the spec.
    task : Task
        Whose metrics are taken.
    slices : mapping of str to (n_holdout,) sequence, optional
        The columns that gates name with `per`.
    """
    scored = Scored(labels, candidate, baselines, task)
    duel = None if champion is None else scored.against(champion)
    holdout, pair = scored.measured(), None if duel is None else duel.measured()
    columns = {name: np.asarray([str(value) for value in values]) for name, values in (slices or {}).items()}
    metrics = scored.metrics()
    if pair is not None and (known := next(iter(pair.rivals.values()))):
        metrics["champion"] = dict(known)  # on the rows that it was not trained on

    def judged(gate: Gate) -> Verdict:
        if gate.per is None or (gate.versus == "champion" and champion is None):
            return judge(gate, holdout=holdout, champion=pair)
        if gate.versus == "baseline" or champion is None:
            return _judged_slices(gate, scored, columns)
        unseen = {name: values[champion.is_unseen] for name, values in columns.items()}
        return _judged_slices(gate, scored.against(champion), unseen)

    return Evaluation(
        pipeline=version.pipeline,
        version=version.version,
        digest=version.digest,
        as_of=version.as_of,
        champion=champion.version if champion else None,
        rows=len(labels),
        metrics=metrics,
        verdicts=tuple(judged(gate) for gate in gates),
    )


def _judged_slices(gate: Gate, scored: Scored, columns: Mapping[str, NDArray[np.str_]]) -> Verdict:
    slices = {
        f"{name}={value}": scored.where(columns[name] == value).measured()
        for name in gate.per or ()
        for value in np.unique(columns[name])
    }
    return judge_slices(gate, slices)
