"""From labels and predictions to an evaluation: every metric of every model, each gate's verdict on the candidate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.evaluations import Bounds, Evaluation, PartScore, Verdict
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Gate, PlausibleGate
from ml_platform.contracts.spec.parts import write_duration
from ml_platform.validation.days import day_numbers
from ml_platform.validation.gates import judge
from ml_platform.validation.measure import FloatArray, Measure
from ml_platform.validation.metrics import check_predictions
from ml_platform.validation.plausible import Alone, judge_plausible
from ml_platform.validation.scored import Scored
from ml_platform.validation.slices import ROWS_AT_LEAST, judge_slices

SLICES_AT_MOST = 30  # of a column, in the record


@dataclass(frozen=True)
class ChampionScores:
    """What the champion says of the holdout.

    Parameters
    ----------
    version : int
        Its number.
    predictions : (n_holdout,) or (n_holdout, n_classes) array, or None
        None if it cannot be scored on these rows any more.
    is_unseen : (n_holdout,) array of bool
        The rows that it was not trained on.
    threshold : float or None
        From which probability on it says yes; None for that of the candidate.
    because : str
        Why it cannot be scored.
    """

    version: int
    predictions: FloatArray | None
    is_unseen: NDArray[np.bool_]
    threshold: float | None = None
    because: str = ""

    @property
    def name(self) -> str:
        """What verdicts call it."""
        return f"champion v{self.version}"


@dataclass(frozen=True)
class _Part:
    """The holdout, or a part of it: everyone on it, and the candidate against the champion on what that never saw."""

    scored: Scored
    duel: Scored | None
    columns: Mapping[str, NDArray[np.str_]]
    is_unseen: NDArray[np.bool_]

    def where(self, mask: NDArray[np.bool_], of: str) -> "_Part":
        duel = None if self.duel is None else self.duel.where(mask[self.is_unseen], of)
        columns = {name: values[mask] for name, values in self.columns.items()}
        return _Part(self.scored.where(mask, of), duel, columns, self.is_unseen[mask])

    def judge(self, gate: Gate) -> Verdict:
        if gate.per is None or (gate.versus == "champion" and self.duel is None):
            duel = None if self.duel is None else self.duel.measured()
            return judge(gate, holdout=self.scored.measured(), champion=duel)
        if gate.versus == "baseline" or self.duel is None:
            return _judged_slices(gate, self.scored, self.columns)
        unseen = {name: values[self.is_unseen] for name, values in self.columns.items()}
        return _judged_slices(gate, self.duel, unseen)

    def metrics(self) -> dict[str, dict[str, float]]:
        metrics = dict(self.scored.metrics)
        if self.duel is not None and (known := self.duel.metrics[_rival(self.duel)]):
            metrics["champion"] = known
        return metrics

    def intervals(self) -> dict[str, dict[str, Bounds]]:
        found = self.scored.intervals()
        if self.duel is not None and self.duel.metrics[_rival(self.duel)]:
            found["champion"] = self.duel.intervals()[_rival(self.duel)]
        return found

    def day_intervals(self) -> dict[str, dict[str, Bounds]]:
        bounds = self.scored.day_intervals()
        if self.duel is not None and self.duel.metrics[_rival(self.duel)] and self.duel.days is not None:
            bounds["champion"] = self.duel.day_intervals()[_rival(self.duel)]
        return bounds

    def score(self, name: str) -> PartScore:
        return PartScore(
            name=name, rows=len(self.scored.labels), metrics=self.metrics(), intervals=self.intervals()
        )  # fmt: skip

    def slices(self) -> tuple[PartScore, ...]:
        """Score the largest slices of each column, without the baselines."""
        alone = replace(self, scored=replace(self.scored, rivals={}))
        return tuple(
            alone.where(values == value, f"of {name}={value}").score(f"{name}={value}")
            for name, values in self.columns.items()
            for value in _largest(values)
        )


def evaluate(
    version: ModelVersion,
    *,
    labels: FloatArray,
    candidate: FloatArray,
    baselines: Mapping[str, FloatArray],
    champion: ChampionScores | None,
    gates: Sequence[Gate | PlausibleGate],
    measure: Measure | Task,
    slices: Mapping[str, Sequence[object]] | None = None,
    at: NDArray[np.datetime64] | None = None,
    thresholds: Mapping[str, float] | None = None,
    earlier: Sequence[Evaluation] = (),
    strongest: Callable[[], Alone | None] | None = None,
) -> Evaluation:
    """Evaluate a candidate on its holdout.

    Parameters
    ----------
    labels, candidate : arrays of n_holdout rows
        Outcomes and the candidate's predictions, as in `ml_platform.validation.metrics.score`.
    baselines : mapping of str to array of n_holdout rows
        Each baseline's predictions.
    champion : ChampionScores or None
        None when there is none: then a gate against it passes and says so.
    gates : sequence of Gate or PlausibleGate
        The conditions of the spec.
    measure : Measure or Task
        What is measured.
    slices : mapping of str to (n_holdout,) sequence, optional
        The columns that gates name with `per`.
    at : (n_holdout,) array of datetime64, optional
        When each prediction is asked for, in the pipeline's zone. Gates on the newest part of the holdout need it, and
        with it intervals are taken over days too.
    thresholds : mapping of str to float, optional
        From which probability on a baseline says yes, if not from the candidate's.
    earlier : sequence of Evaluation
        Of the versions before, newest first; gates against what is too good to be true look at them.
    strongest : function, optional
        Gives the feature that alone orders the holdout best; such gates ask it while there are few versions.
    """
    how = Measure.of(measure)
    days = None if at is None else day_numbers(at)
    scored = Scored(labels, candidate, baselines, how, thresholds or {}, days=days)
    whole = _Part(scored, *_duel(scored, champion, slices or {}))
    newest = {each: whole.where(*_newest(at, each)) for each in _stretches(gates, at) if at is not None}
    parts: dict[timedelta | None, _Part] = {None: whole, **newest}
    metrics = whole.metrics()

    def judged(gate: Gate | PlausibleGate) -> Verdict:
        if isinstance(gate, PlausibleGate):
            return judge_plausible(gate, metrics, len(labels), earlier, strongest)
        return parts[gate.newest].judge(gate)

    return Evaluation(
        pipeline=version.pipeline,
        version=version.version,
        digest=version.digest,
        as_of=version.as_of,
        champion=champion.version if champion else None,
        rows=len(labels),
        metrics=metrics,
        intervals=whole.intervals(),
        day_intervals=whole.day_intervals(),
        days=None if days is None else len(np.unique(days)),
        newest=next((part.score(f"newest {write_duration(each)}") for each, part in newest.items()), None),
        slices=whole.slices(),
        threshold=how.threshold if how.task == "binary" else None,
        verdicts=tuple(judged(gate) for gate in gates),
    )


def _duel(
    scored: Scored, champion: ChampionScores | None, slices: Mapping[str, Sequence[object]]
) -> tuple[Scored | None, Mapping[str, NDArray[np.str_]], NDArray[np.bool_]]:
    """Set the candidate against the champion alone, on the rows that the champion was not trained on."""
    columns = {name: np.asarray([str(value) for value in values]) for name, values in slices.items()}
    if champion is None:
        return None, columns, np.ones(len(scored.labels), dtype=bool)
    predictions, because = champion.predictions, champion.because
    if predictions is not None:
        because = _fault(predictions, scored) or because
    unknown = np.full_like(scored.candidate, np.nan)
    duel = replace(
        scored,
        rivals={champion.name: unknown if predictions is None or because else predictions},
        thresholds={} if champion.threshold is None else {champion.name: champion.threshold},
        because={champion.name: because} if because else {},
    )
    return duel.where(champion.is_unseen), columns, champion.is_unseen


def _fault(predictions: FloatArray, scored: Scored) -> str | None:
    """Say why a champion's predictions are not of what the candidate predicts: its label may have been another one."""
    if predictions.shape != scored.candidate.shape:
        return f"it predicts {predictions.shape}, the candidate {scored.candidate.shape}"
    return check_predictions(predictions, scored.labels, scored.measure.task)


def _rival(duel: Scored) -> str:
    return next(iter(duel.rivals))


def _stretches(gates: Sequence[Gate | PlausibleGate], at: NDArray[np.datetime64] | None) -> list[timedelta]:
    """Give the stretches that gates look at, shortest first; without any, about the newest quarter of the holdout."""
    asked = sorted({gate.newest for gate in gates if isinstance(gate, Gate) and gate.newest is not None})
    if asked or at is None or not len(at):
        return asked
    days = (at.max() - at.min()) / np.timedelta64(1, "D")
    return [timedelta(days=max(1, round(days / 4)))]


def _newest(at: NDArray[np.datetime64], stretch: timedelta) -> tuple[NDArray[np.bool_], str]:
    """Find the rows of the last stretch of the holdout, up to its newest row."""
    is_newest = at > at.max() - np.timedelta64(stretch) if len(at) else np.zeros(0, dtype=bool)
    return is_newest, f"of the newest {write_duration(stretch)}"


def _largest(values: NDArray[np.str_]) -> list[str]:
    names, counts = np.unique(values, return_counts=True)
    large = sorted(zip(-counts, names.tolist(), strict=True))[:SLICES_AT_MOST]
    return [name for count, name in large if -count >= ROWS_AT_LEAST]


def _judged_slices(gate: Gate, scored: Scored, columns: Mapping[str, NDArray[np.str_]]) -> Verdict:
    slices = {
        f"{name}={value}": scored.where(columns[name] == value).measured()
        for name in gate.per or ()
        for value in np.unique(columns[name])
    }
    return judge_slices(gate, slices)
