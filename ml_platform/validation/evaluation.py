"""From labels and predictions to an evaluation: every metric of every model, each gate's verdict on the candidate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.metrics import MetricName, Task
from ml_platform.contracts.records import Evaluation, ModelVersion
from ml_platform.contracts.spec import Gate
from ml_platform.validation.bootstrap import Interval, paired_intervals
from ml_platform.validation.gates import Measured, evaluate_gates
from ml_platform.validation.metrics import score
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


def evaluate(
    version: ModelVersion,
    *,
    labels: FloatArray,
    candidate: FloatArray,
    baselines: Mapping[str, FloatArray],
    champion: ChampionScores | None,
    gates: Sequence[Gate],
    task: Task,
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
    """
    metrics = {"candidate": score(labels, candidate, task)}
    metrics |= {name: score(labels, predictions, task) for name, predictions in baselines.items()}
    rivals = {name: metrics[name] for name in baselines}
    holdout = Measured(len(labels), metrics["candidate"], rivals, _intervals(labels, candidate, baselines))
    pair = None if champion is None else _paired(labels, candidate, champion, task)
    if pair is not None and (known := next(iter(pair.rivals.values()))):
        metrics["champion"] = dict(known)  # on the rows that it was not trained on
    return Evaluation(
        pipeline=version.pipeline,
        version=version.version,
        digest=version.digest,
        as_of=version.as_of,
        champion=champion.version if champion else None,
        rows=len(labels),
        metrics=metrics,
        verdicts=evaluate_gates(gates, holdout=holdout, champion=pair),
    )


def _paired(labels: FloatArray, candidate: FloatArray, champion: ChampionScores, task: Task) -> Measured:
    """Score both on the rows that neither was trained on."""
    unseen = champion.is_unseen
    rival = {} if champion.predictions is None else score(labels[unseen], champion.predictions[unseen], task)
    name = f"champion v{champion.version}"
    known = {} if champion.predictions is None else {name: champion.predictions[unseen]}
    return Measured(
        rows=int(unseen.sum()),
        candidate=score(labels[unseen], candidate[unseen], task),
        rivals={name: rival},
        interval=_intervals(labels[unseen], candidate[unseen], known),
    )


def _intervals(
    labels: FloatArray, candidate: FloatArray, rivals: Mapping[str, FloatArray]
) -> Callable[[MetricName, str, float], Interval]:
    """Compare with a rival by the paired bootstrap; either bound alone holds with the confidence asked for."""

    def interval(metric: MetricName, rival: str, confidence: float) -> Interval:
        pair = weighted_metric(metric, labels, candidate), weighted_metric(metric, labels, rivals[rival])
        return paired_intervals(len(labels), {metric: pair}, confidence=2 * confidence - 1)[metric]

    return interval
