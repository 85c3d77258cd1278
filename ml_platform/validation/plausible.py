"""The gate against what is too good to be true: a feature that tells the label makes a model better at a leap.

A first version has nothing behind it that it could leap from; there the gate looks for one feature that alone does
nearly all that the model does. Whether that is a leak or merely a good feature no number can tell: a person is asked.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml_platform.contracts.evaluations import Evaluation, Verdict
from ml_platform.contracts.metrics import HIGHER_IS_BETTER
from ml_platform.contracts.records import Outcome
from ml_platform.contracts.spec import PlausibleGate

VERSIONS_AT_LEAST = 3
SPREAD_AT_LEAST = 0.05
ALONE_AT_LEAST = 0.6  # of one feature; docs/gates.md has what honest features and leaks reach
ALONE_SHARE_AT_LEAST = 0.8  # of what the whole model reaches
_LEAST_ERROR = 1e-12
_MAD_OF_NORMAL = 1.4826

Metrics = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Alone:
    """How well one feature alone orders the labels of the holdout, beside the whole model: 0 as by chance, 1 rightly.

    Of classes it is twice the area under the curve less 1, of numbers the rank correlation.
    """

    feature: str
    feature_order: float
    model_order: float

    @property
    def is_suspicious(self) -> bool:
        """Whether the feature is strong, and does nearly all that the model does."""
        needed = max(ALONE_AT_LEAST, ALONE_SHARE_AT_LEAST * self.model_order)
        return self.feature_order >= needed


def judge_plausible(
    gate: PlausibleGate,
    metrics: Metrics,
    rows: int,
    earlier: Sequence[Evaluation],
    strongest: Callable[[], Alone | None] | None = None,
) -> Verdict:
    """Judge whether the candidate is not too good to be true.

    Parameters
    ----------
    gate : PlausibleGate
        The condition.
    metrics : mapping
        Value by metric, by model, on the whole holdout: of the candidate, and of the baseline `prior` if there is one.
    rows : int
        Of the holdout.
    earlier : sequence of Evaluation
        Of the versions before, newest first.
    strongest : function or None
        Gives the feature that alone orders the holdout best, None where none can be judged; asked only of a version
        with too few before it.

    Returns
    -------
    Verdict
        `value` is the candidate's metric, `reference` the best one before. If fewer than three versions can be compared
        with it says so; it is `inconclusive` if the strongest feature is suspicious, and passes otherwise.

    Notes
    -----
    Compared is the logarithm of the error (the loss, or 1 less what is better when higher) as a share of the prior's
    error on the same rows, so that an easy month is no leap. It fails if it lies below the least of the versions before
    by more than `times` their spread: 1.4826 times the median absolute deviation (P. Rousseeuw and C. Croux,
    Alternatives to the Median Absolute Deviation, Journal of the American Statistical Association 88, 1993), at least
    0.05, as few versions may be alike by chance. A version that this gate did not pass does not count among them.
    """
    value, now = metrics["candidate"].get(gate.metric, math.nan), _log_error(gate.metric, metrics)
    if not math.isfinite(now):
        return _verdict(gate, "inconclusive", f"{gate.metric} of the candidate is not defined", rows, value)
    before = list(_comparable(gate, earlier))[: gate.versions]
    if len(before) < VERSIONS_AT_LEAST:
        said = f"{gate.metric} {value:.4f}; {len(before)} earlier versions are too few to tell what is too good"
        alone = None if strongest is None else strongest()
        return _verdict(gate, *_judged_alone(f"{said}: {VERSIONS_AT_LEAST} are needed", alone), rows, value)
    errors = np.array([_log_error(gate.metric, each.metrics) for each in before])
    spread = max(SPREAD_AT_LEAST, _MAD_OF_NORMAL * float(np.median(np.abs(errors - np.median(errors)))))
    best, limit = before[int(errors.argmin())], float(errors.min()) - gate.times * spread
    reference = best.metrics["candidate"][gate.metric]
    sentence = (
        f"{gate.metric} {value:.4f} on {rows:,} rows: {math.exp(now):.3f} of the prior's error; the best of "
        f"{len(before)} earlier versions, v{best.version} ({reference:.4f}), has {math.exp(float(errors.min())):.3f}; "
        f"less than {math.exp(limit):.3f} is too good to be true"
    )
    too_good = f"{sentence}: look for a feature that tells the label"
    return _verdict(gate, *(("fail", too_good) if now < limit else ("pass", sentence)), rows, value, reference)


def _judged_alone(said: str, alone: Alone | None) -> tuple[Outcome, str]:
    if alone is None:
        return "pass", said
    orders = (
        f"{alone.feature} alone orders the labels by {alone.feature_order:.2f}, the model by {alone.model_order:.2f}"
    )
    if not alone.is_suspicious:
        return "pass", f"{said}; {orders}"
    asked = "if it is known when a prediction is asked for, name it in split.may_tell_label"
    return "inconclusive", f"{said}; {orders}, hardly more: {asked}"


def _comparable(gate: PlausibleGate, earlier: Sequence[Evaluation]) -> Iterator[Evaluation]:
    for each in earlier:
        own = [one for one in each.verdicts if one.gate == gate.name or one.judged.startswith(gate.stem)]
        stopped = any(one.outcome != "pass" for one in own)
        if not stopped and math.isfinite(_log_error(gate.metric, each.metrics)):
            yield each


def _log_error(metric: str, metrics: Metrics) -> float:
    mine, prior = (_error(metric, metrics.get(model, {})) for model in ("candidate", "prior"))
    share = mine / prior if prior > 0 else mine
    return math.log(max(share, _LEAST_ERROR)) if math.isfinite(share) else math.nan


def _error(metric: str, values: Mapping[str, float]) -> float:
    value = values.get(metric, math.nan)
    return 1 - value if metric in HIGHER_IS_BETTER else value


def _verdict(
    gate: PlausibleGate, outcome: Outcome, sentence: str, rows: int, value: float, reference: float | None = None
) -> Verdict:
    return Verdict(
        gate=gate.name, condition=gate.condition, outcome=outcome, sentence=sentence,
        value=value if math.isfinite(value) else None, bound=gate.bound, reference=reference, rows=rows,
    )  # fmt: skip
