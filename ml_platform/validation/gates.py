"""Gates: pure functions from what was measured to a verdict, `pass`, `fail` or `inconclusive`.

What may be compared is decided here (which rows, how many, which rival); what follows from a verdict is not. A number
exactly at its limit passes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ml_platform.contracts.evaluations import Bounds, Verdict
from ml_platform.contracts.metrics import HIGHER_IS_BETTER, worse_by
from ml_platform.contracts.records import Outcome
from ml_platform.contracts.spec import Gate
from ml_platform.validation.bootstrap import UNDEFINED, Interval
from ml_platform.validation.days import WiderInterval

ROWS_AT_LEAST = 500
CONFIDENCE = 0.95
# 0.602 - 0.6 > 0.002 in floating point; an excess that is a smaller share of the margin is rounding, not quality.
_ROUNDING = 1e-9
_ORDER: tuple[Outcome, ...] = ("fail", "inconclusive", "pass")


@dataclass(frozen=True)
class Measured:
    """The candidate and its rivals, all scored on the same rows.

    Parameters
    ----------
    rows : int
        How many rows.
    candidate : mapping
        Value by metric; a metric that is not defined is absent (see `ml_platform.validation.metrics.score`).
    rivals : mapping
        Name as a person should read it (`champion v1`, `prior`) -> value by metric.
    interval : function or None
        From a metric, a rival and a confidence to the interval of candidate minus rival, or, without a rival, of the
        candidate alone. Either bound alone holds with that confidence; asked only by gates that name one.
    higher_is_better : frozenset of str
        The metrics that are better when they are higher.
    why : function or None
        From a model (`candidate`, or a rival) and a metric to why it is not defined, if more can be said.
    of : str
        Which rows of the holdout these are, for sentences; empty for all of them.
    """

    rows: int
    candidate: Mapping[str, float]
    rivals: Mapping[str, Mapping[str, float]]
    interval: Callable[[str, str | None, float], Interval] | None = None
    higher_is_better: frozenset[str] = HIGHER_IS_BETTER
    why: Callable[[str, str], str | None] | None = None
    of: str = ""

    def said(self) -> str:
        """Say how many rows these are, and which."""
        return f"{self.rows:,} {'row' if self.rows == 1 else 'rows'}{self.of and ' '}{self.of}"

    def reason(self, model: str, metric: str) -> str:
        """Say why a metric is not defined, to end a sentence with."""
        known = None if self.why is None else self.why(model, metric)
        return "" if known is None else f": {known}"

    def worse_by(self, metric: str, value: float, reference: float) -> float:
        """Give how much worse a value is."""
        return worse_by(metric, value, reference, self.higher_is_better)

    def ends(self, metric: str, rival: str | None, confidence: float) -> Interval:
        """Give the interval; undefined where nobody can tell."""
        return UNDEFINED if self.interval is None else self.interval(metric, rival, confidence)


def judge(gate: Gate, *, holdout: Measured, champion: Measured | None, rows_at_least: int = ROWS_AT_LEAST) -> Verdict:
    """Judge one gate.

    Parameters
    ----------
    gate : Gate
        The condition.
    holdout : Measured
        The candidate on the holdout, or on what of it the gate looks at; its rivals are the baselines.
    champion : Measured or None
        The candidate on those of the rows that the champion did not train on; its one rival is the champion. Give zero
        rows when there are none, and None only when no champion exists.
    rows_at_least : int
        On fewer rows the verdict is `inconclusive`, unless the gate names another number.

    Returns
    -------
    Verdict
        `value` is the candidate's metric, `bound` the number that the gate names, `reference` the rival's metric; a
        number that is missing or not finite is None. `rows` are the rows it was judged on.

    Notes
    -----
    In this order: too few rows, or no finite metric for the candidate, is `inconclusive`; a bound is compared as it
    stands; against a champion that does not exist the gate passes; against rivals one of which has no finite metric, or
    of which there is none, it is `inconclusive`; else it is compared with each rival, and the worst outcome counts: it
    passes only against all of them. A difference that exceeds its margin by less than a billionth of the margin passes;
    a margin of 0 leaves no room, and `better_by: 0` refuses a candidate that is equal. With a confidence, what is
    within its bound or margin passes only if the interval's worse end is within it too, and is `inconclusive` if not.
    """
    measured = holdout if gate.versus != "champion" or champion is None else champion
    value = measured.candidate.get(gate.metric, math.nan)
    needed = gate.rows_at_least or rows_at_least
    if measured.rows < needed:
        which = "" if measured is holdout else f" that {', '.join(measured.rivals)} did not train on"
        sentence = f"{gate.metric}: {measured.said()}{which}; needed: {needed:,}"
        return verdict(gate, "inconclusive", sentence, measured.rows, value)
    if not math.isfinite(value):
        reason = measured.reason("candidate", gate.metric)
        sentence = f"{gate.metric} of the candidate is not defined on {measured.said()}{reason}"
        return verdict(gate, "inconclusive", sentence, measured.rows)
    if gate.versus is None:
        return _judge_bound(gate, measured, value)
    if gate.versus == "champion" and champion is None:
        sentence = f"{gate.metric} {value:.4f} on {measured.said()}; there is no champion to compare with"
        return verdict(gate, "pass", sentence, measured.rows, value)
    return _judge_rivals(gate, measured, value)


def _judge_bound(gate: Gate, measured: Measured, value: float) -> Verdict:
    word = "at least" if gate.at_most is None else "at most"
    sentence = f"{gate.metric} {value:.4f} on {measured.said()}; allowed: {word} {gate.bound:g}"
    outcome: Outcome = "pass" if _is_within_bound(gate, value) else "fail"
    if gate.confidence is None:
        return verdict(gate, outcome, sentence, measured.rows, value)
    found = measured.ends(gate.metric, None, gate.confidence)
    worst = found.low if gate.at_most is None else found.high
    if outcome == "pass" and not _is_within_bound(gate, worst):
        outcome = "inconclusive"

    def end(ends: Interval) -> str:
        known = ends.low if gate.at_most is None else ends.high
        return "cannot be told" if math.isnan(known) else f"{word} {known:.4f}"

    sentence += f"; with confidence {gate.confidence:g}: {end(found)}{_by_units(found, end)}"
    return verdict(gate, outcome, sentence, measured.rows, value, interval=found)


def _is_within_bound(gate: Gate, value: float) -> bool:
    return value <= gate.bound if gate.at_most is not None else value >= gate.bound


def _judge_rivals(gate: Gate, measured: Measured, value: float) -> Verdict:
    known = {name: metrics.get(gate.metric, math.nan) for name, metrics in measured.rivals.items()}
    unknown = [name for name, rival in known.items() if not math.isfinite(rival)]
    if unknown or not known:
        missing = f"{gate.metric} of {', '.join(unknown)} is not defined" if unknown else f"there is no {gate.versus}"
        reason = measured.reason(unknown[0], gate.metric) if unknown else ""
        return verdict(gate, "inconclusive", f"{missing} on {measured.said()}{reason}", measured.rows, value)
    compared = [_compare(gate, measured, value, name, reference) for name, reference in known.items()]
    decisive = min(compared, key=lambda one: one.rank)
    allowed = f"allowed: worse by {gate.bound:g}" if gate.better_by is None else f"needed: better by {gate.bound:g}"
    if gate.confidence is not None:
        allowed += f"; with confidence {gate.confidence:g}: {_said(decisive.worst)}"
        allowed += _by_units(decisive.interval, lambda ends: _said(_worst(gate, measured, ends)))
    sentence = f"{gate.metric} {value:.4f} is {decisive} on {measured.said()}; {allowed}"
    sentence += "".join(f"; {one}" for one in compared if one is not decisive)
    rival = decisive.reference
    return verdict(gate, decisive.outcome, sentence, measured.rows, value, rival, decisive.interval)


@dataclass(frozen=True)
class _Comparison:
    """The candidate against one rival: how much worse it is as estimated, and at most with the gate's confidence."""

    rival: str
    reference: float
    worse: float
    worst: float
    outcome: Outcome
    interval: Interval | None

    @property
    def rank(self) -> tuple[int, float, float]:
        """What decides comes first: the worst outcome, then the largest possible loss."""
        return _ORDER.index(self.outcome), -math.inf if math.isnan(self.worst) else -self.worst, -self.worse

    def __str__(self) -> str:
        compared = "equal to" if self.worse == 0 else f"{abs(self.worse):.3g} {_direction(self.worse)} than"
        return f"{compared} {self.rival} ({self.reference:.4f})"


def _compare(gate: Gate, measured: Measured, value: float, rival: str, reference: float) -> _Comparison:
    worse = measured.worse_by(gate.metric, value, reference)
    outcome: Outcome = "pass" if _is_within(gate, worse) else "fail"
    if gate.confidence is None:
        return _Comparison(rival, reference, worse, worse, outcome, None)
    interval = measured.ends(gate.metric, rival, gate.confidence)
    worst = _worst(gate, measured, interval)
    if outcome == "pass" and not _is_within(gate, worst):
        outcome = "inconclusive"
    return _Comparison(rival, reference, worse, worst, outcome, interval)


def _worst(gate: Gate, measured: Measured, difference: Interval) -> float:
    """Return how much worse the candidate is at most."""
    return -difference.low if gate.metric in measured.higher_is_better else difference.high


def _is_within(gate: Gate, worse: float) -> bool:
    """Check whether so much worse is within the margin; NaN is not, and to be equal is not to be better."""
    if gate.better_by == 0:
        return worse < 0
    margin = gate.bound if gate.better_by is None else -gate.bound
    return worse <= margin + _ROUNDING * gate.bound


def _direction(worse: float) -> str:
    return "worse" if worse > 0 else "better"


def _by_units(interval: Interval | None, end: Callable[[Interval], str]) -> str:
    """Write what either unit alone says, where there are two."""
    if not isinstance(interval, WiderInterval):
        return ""
    days = f"{interval.days} {'day' if interval.days == 1 else 'days'}"
    return f" (over rows {end(interval.by_rows)}; over {days} {end(interval.by_days)})"


def _said(worst: float) -> str:
    if math.isnan(worst):
        return "cannot be told"
    return f"worse by at most {worst:.3g}" if worst > 0 else f"better by at least {-worst:.3g}"


def verdict(
    gate: Gate,
    outcome: Outcome,
    sentence: str,
    rows: int,
    value: float = math.nan,
    reference: float | None = None,
    interval: Interval | None = None,
) -> Verdict:
    """Give the verdict of a gate; a value that is not finite becomes None."""
    ends = UNDEFINED if interval is None else interval
    by_rows, by_days = (ends.by_rows, ends.by_days) if isinstance(ends, WiderInterval) else (None, None)
    return Verdict(
        gate=gate.name,
        condition=gate.condition,
        outcome=outcome,
        sentence=sentence,
        value=_finite(value),
        bound=gate.bound,
        reference=reference,
        rows=rows,
        low=_finite(ends.low),
        high=_finite(ends.high),
        by_rows=_bounds(by_rows),
        by_days=_bounds(by_days),
        days=ends.days if isinstance(ends, WiderInterval) else None,
        confidence=gate.confidence,
    )


def _bounds(ends: Interval | None) -> Bounds | None:
    if ends is None or not math.isfinite(ends.low + ends.high):
        return None
    return Bounds(low=ends.low, high=ends.high)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
