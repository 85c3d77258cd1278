"""Models on the same rows: their metrics, the intervals of these, and the intervals of their differences."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.evaluations import Bounds
from ml_platform.validation.bootstrap import RESAMPLES, UNDEFINED, Gap, Interval, intervals
from ml_platform.validation.days import IntArray, day_bounds, day_interval, wider
from ml_platform.validation.gates import Measured
from ml_platform.validation.influence import influence_intervals
from ml_platform.validation.measure import FloatArray, Measure
from ml_platform.validation.metrics import score, weighted_metric
from ml_platform.validation.own import OwnWeighted
from ml_platform.validation.weighted import Weighted

CANDIDATE = "candidate"
OWN_RESAMPLES = 200  # each is a call of the author's function


@dataclass(frozen=True)
class Scored:
    """The candidate and its rivals on the same rows.

    Parameters
    ----------
    labels : (n_rows,) array
        What happened.
    candidate : (n_rows,) or (n_rows, n_classes) array
        What the candidate predicts.
    rivals : mapping of str to array
        What each rival predicts; NaN where it cannot be scored.
    measure : Measure
        What is measured.
    thresholds : mapping of str to float
        From which probability on a rival says yes, if not from that of the measure.
    because : mapping of str to str
        Why a rival cannot be scored.
    of : str
        Which rows these are, for sentences; empty for the whole holdout.
    days : (n_rows,) array of int, or None
        The day of each row, whose rows belong together; without them each row counts by itself.
    """

    labels: FloatArray
    candidate: FloatArray
    rivals: Mapping[str, FloatArray]
    measure: Measure
    thresholds: Mapping[str, float] = field(default_factory=dict[str, float])
    because: Mapping[str, str] = field(default_factory=dict[str, str])
    of: str = ""
    days: IntArray | None = None

    def where(self, mask: NDArray[np.bool_], of: str | None = None) -> "Scored":
        """Give the same on some of the rows."""
        rivals = {name: predictions[mask] for name, predictions in self.rivals.items()}
        said = self.of if of is None else of
        days = None if self.days is None else self.days[mask]
        return replace(
            self, labels=self.labels[mask], candidate=self.candidate[mask], rivals=rivals, of=said, days=days
        )  # fmt: skip

    @cached_property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Every metric of every model, the candidate's first."""
        return {
            name: score(self.labels, predictions, self._measure(name)) for name, predictions in self._models.items()
        }

    def intervals(self) -> dict[str, dict[str, Bounds]]:
        """Give the 95 % interval of every metric of every model; of the author's metrics by fewer resamples."""
        return {name: self._intervals(name, metrics) for name, metrics in self.metrics.items()}

    def day_intervals(self) -> dict[str, dict[str, Bounds]]:
        """Compute the 95 % interval of every metric of every model with days as units; none where days are unknown."""
        if self.days is None or len(self.days) == 0:
            return {}
        numbers = np.unique(self.days, return_inverse=True)[1].astype(np.intp)
        return {
            name: day_bounds({each: (value, self._weighted(name, each)) for each, value in metrics.items()}, numbers)
            for name, metrics in self.metrics.items()
        }

    def measured(self) -> Measured:
        """Give what gates judge."""
        rivals = {name: values for name, values in self.metrics.items() if name != CANDIDATE}
        return Measured(
            len(self.labels), self.metrics[CANDIDATE], rivals, self.interval,
            higher_is_better=self.measure.higher_is_better, why=self.why, of=self.of,
        )  # fmt: skip

    def interval(self, metric: str, rival: str | None, confidence: float) -> Interval:
        """Compare with a rival by the paired bootstrap, or take the candidate alone.

        Either bound alone holds with this confidence. Where the days are known it is the wider of the interval over
        rows and the one over days.
        """
        if not np.isfinite(self.candidate).all() or (rival and not np.isfinite(self.rivals[rival]).all()):
            return UNDEFINED
        resamples = OWN_RESAMPLES if metric in self.measure.own else RESAMPLES
        asked = self._weighted(CANDIDATE, metric)
        if rival is not None:
            asked = Gap(asked, self._weighted(rival, metric))
        both = 2 * confidence - 1
        by_rows = intervals(
            len(self.labels), {metric: asked}, confidence=both, resamples=resamples, is_sure=True
        )[metric]  # fmt: skip
        if self.days is None:
            return by_rows
        return wider(by_rows, day_interval(asked, self.days, both), len(np.unique(self.days)))

    def why(self, model: str, metric: str) -> str | None:
        """Say why a model lacks a metric; None where the metric itself says it."""
        if model in self.because:
            return self.because[model]
        predictions = self._models[model]
        if not np.isfinite(predictions).all():
            return "a prediction is not finite"
        if metric not in self.measure.own:
            return None
        return OwnWeighted(self.measure.own[metric].function, self.labels, predictions).fault()

    @property
    def _models(self) -> dict[str, FloatArray]:
        return {CANDIDATE: self.candidate, **self.rivals}

    def _measure(self, model: str) -> Measure:
        return replace(self.measure, threshold=self.thresholds.get(model, self.measure.threshold))

    def _weighted(self, model: str, metric: str) -> Weighted:
        return weighted_metric(metric, self.labels, self._models[model], self._measure(model))

    def _intervals(self, model: str, metrics: Mapping[str, float]) -> dict[str, Bounds]:
        own, rows = self.measure.own, len(self.labels)
        weighted = {name: self._weighted(model, name) for name in metrics}
        found = influence_intervals({name: (metrics[name], each) for name, each in weighted.items() if name not in own})
        mine = {name: each for name, each in weighted.items() if name in own}
        drawn = intervals(rows, mine, resamples=OWN_RESAMPLES) if mine else {}
        return found | {
            name: Bounds(low=each.low, high=each.high) for name, each in drawn.items() if np.isfinite(each.low)
        }
