"""Gates: pure functions from what was measured to a verdict, `pass`, `fail` or `inconclusive`.

What may be compared is decided here (which rows, how many, which rival); what follows from a verdict is not. A number
exactly at its limit passes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ml_platform.contracts.metrics import HIGHER_IS_BETTER, worse_by
from ml_platform.contracts.records import Outcome, Verdict
from ml_platform.contracts.spec import Gate
from ml_platform.validation.bootstrap import Interval

ROWS_AT_LEAST = 500
CONFIDENCE = 0.95
# 0.602 - 0.6 > 0.002 in floating point; a smaller excess over a margin is rounding, not quality.
_ROUNDING = 1e-9


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
        From a metric, a rival and a confidence to the interval of candidate minus rival whose either bound alone holds
        with that confidence; asked only by gates that name one.
    """

    rows: int
    candidate: Mapping[str, float]
    rivals: Mapping[str, Mapping[str, float]]
    interval: Callable[[str, str, float], Interval] | None = None


def judge(gate: Gate, *, holdout: Measured, champion: Measured | None, rows_at_least: int = ROWS_AT_LEAST) -> Verdict:
    """Judge one gate.

    Parameters
    ----------
    gate : Gate
        The condition.
    holdout : Measured
        The candidate on its whole holdout; its rivals are the baselines.
    champion : Measured or None
        The candidate on those holdout rows that the champion did not train on; its one rival is the champion. Give zero
        rows when there are none, and None only when no champion exists.
    rows_at_least : int
        On fewer rows the verdict is `inconclusive`.

    Returns
    -------
    Verdict
        `value` is the candidate's metric, `bound` the number that the gate names, `reference` the rival's metric; a
        number that is missing or not finite is None. `rows` are the rows it was judged on.

    Notes
    -----
    In this order: too few rows, or no finite metric for the candidate, is `inconclusive`; a bound is compared as it
    stands; against a champion that does not exist the gate passes; against rivals one of which has no finite metric, or
    of which there is none, it is `inconclusive`; else the best rival counts. A difference that exceeds its margin by
    less than 1e-9 passes. With a confidence, a difference within its margin passes only if the interval's worse bound
    is within it too, and is `inconclusive` if not.
    """
    measured = holdout if gate.versus != "champion" or champion is None else champion
    value = measured.candidate.get(gate.metric, math.nan)
    if measured.rows < rows_at_least:
        which = "" if measured is holdout else f" that {', '.join(measured.rivals)} did not train on"
        sentence = f"{gate.metric}: {_count(measured.rows)}{which}; needed: {rows_at_least:,}"
        return verdict(gate, "inconclusive", sentence, measured.rows, value)
    if not math.isfinite(value):
        sentence = f"{gate.metric} of the candidate is not defined on {_count(measured.rows)}"
        return verdict(gate, "inconclusive", sentence, measured.rows)
    if gate.versus is None:
        return _judge_bound(gate, measured.rows, value)
    if gate.versus == "champion" and champion is None:
        sentence = f"{gate.metric} {value:.4f} on {_count(measured.rows)}; there is no champion to compare with"
        return verdict(gate, "pass", sentence, measured.rows, value)
    return _judge_rivals(gate, measured, value)


def _judge_bound(gate: Gate, rows: int, value: float) -> Verdict:
    if gate.at_most is not None:
        is_within, allowed = value <= gate.at_most, f"at most {gate.at_most:g}"
    else:
        is_within, allowed = value >= gate.bound, f"at least {gate.bound:g}"
    sentence = f"{gate.metric} {value:.4f} on {_count(rows)}; allowed: {allowed}"
    return verdict(gate, "pass" if is_within else "fail", sentence, rows, value)


def _judge_rivals(gate: Gate, measured: Measured, value: float) -> Verdict:
    known = {name: metrics.get(gate.metric, math.nan) for name, metrics in measured.rivals.items()}
    unknown = [name for name, rival in known.items() if not math.isfinite(rival)]
    if unknown or not known:
        missing = f"{gate.metric} of {', '.join(unknown)} is not defined" if unknown else f"there is no {gate.versus}"
        return verdict(gate, "inconclusive", f"{missing} on {_count(measured.rows)}", measured.rows, value)
    best = min(known, key=lambda name: worse_by(gate.metric, known[name], 0.0))
    worse = worse_by(gate.metric, value, known[best])
    allowed = f"allowed: worse by {gate.bound:g}" if gate.better_by is None else f"needed: better by {gate.bound:g}"
    outcome: Outcome = "pass" if _is_within(gate, worse) else "fail"
    if gate.confidence is not None:
        worst = _worst(gate.metric, best, gate.confidence, measured)
        allowed += f"; with confidence {gate.confidence:g}: {_said(worst)}"
        if outcome == "pass" and not _is_within(gate, worst):
            outcome = "inconclusive"
    compared = "equal to" if worse == 0 else f"{abs(worse):.3g} {'worse' if worse > 0 else 'better'} than"
    sentence = (
        f"{gate.metric} {value:.4f} is {compared} {best} ({known[best]:.4f}) on {_count(measured.rows)}; {allowed}"
    )
    return verdict(gate, outcome, sentence, measured.rows, value, known[best])


def _is_within(gate: Gate, worse: float) -> bool:
    """Tell whether so much worse is within the margin; NaN is not."""
    margin = gate.bound if gate.better_by is None else -gate.bound
    return worse <= margin + _ROUNDING


def _worst(metric: str, rival: str, confidence: float, measured: Measured) -> float:
    """Give how much worse the candidate may be, at most, with this confidence; NaN where nobody can tell."""
    if measured.interval is None:
        return math.nan
    gap = measured.interval(metric, rival, confidence)
    return -gap.low if metric in HIGHER_IS_BETTER else gap.high


def _said(worst: float) -> str:
    if math.isnan(worst):
        return "cannot be told"
    return f"worse by at most {worst:.3g}" if worst > 0 else f"better by at least {-worst:.3g}"


def verdict(
    gate: Gate, outcome: Outcome, sentence: str, rows: int, value: float = math.nan, reference: float | None = None
) -> Verdict:
    """Give the verdict of a gate; a value that is not finite becomes None."""
    return Verdict(
        gate=gate.name,
        outcome=outcome,
        sentence=sentence,
        value=value if math.isfinite(value) else None,
        bound=gate.bound,
        reference=reference,
        rows=rows,
    )


def _count(rows: int) -> str:
    return f"{rows:,} {'row' if rows == 1 else 'rows'}"
