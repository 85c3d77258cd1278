"""Gates on slices: on no named subgroup may the candidate surely be worse than its rival by more than the margin.

A slice has fewer rows than the whole, so a gate cannot ask that each is surely good enough: noise alone would stop
every model. It stops what is surely harm, with the confidence shared out among the slices (Bonferroni).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ml_platform.contracts.errors import examples
from ml_platform.contracts.evaluations import Verdict
from ml_platform.contracts.spec import Gate
from ml_platform.validation.days import WiderInterval
from ml_platform.validation.gates import CONFIDENCE, Measured, verdict

ROWS_AT_LEAST = 200


@dataclass(frozen=True)
class _Gap:
    """How much worse the candidate is on one slice: as estimated, and at least."""

    name: str
    rows: int
    worse: float
    at_least: float

    def __str__(self) -> str:
        return f"{self.name} by {self.worse:.3g} on {self.rows:,} rows"


def judge_slices(gate: Gate, slices: Mapping[str, Measured], rows_at_least: int = ROWS_AT_LEAST) -> Verdict:
    """Judge a gate with `per`.

    Parameters
    ----------
    gate : Gate
        With a margin `worse_by_at_most`.
    slices : mapping of str to Measured
        By the name a person should read (`carrier=UA`), each with the one rival, on the rows of the slice.
    rows_at_least : int
        A smaller slice is left out, unless the gate names another number.

    Returns
    -------
    Verdict
        `fail` if any slice is surely worse by more than the margin, `inconclusive` if none can be judged. `value` is
        how much worse the worst slice is.

    Notes
    -----
    Source: the confidence of each of k slices is 1 - (1 - confidence) / k, so that all of them together err no more
    often than one: O. J. Dunn, Multiple Comparisons among Means, Journal of the American Statistical Association 56,
    1961.
    """
    needed = gate.rows_at_least or rows_at_least
    large = {name: each for name, each in slices.items() if each.rows >= needed}
    share = 1 - (1 - (gate.confidence or CONFIDENCE)) / max(1, len(large))
    gaps = [gap for name, each in large.items() if (gap := _gap(gate, name, each, share)) is not None]
    rows = sum(gap.rows for gap in gaps)
    if not gaps:
        reason = next((why for each in large.values() if (why := _why(gate, each))), "")
        sentence = f"{gate.metric}: none of {len(slices)} slices has {needed:,} rows that can be compared{reason}"
        return verdict(gate, "inconclusive", sentence, rows)
    worst = max(gaps, key=lambda gap: gap.worse)
    harmed = sorted((gap for gap in gaps if gap.at_least > gate.bound), key=lambda gap: -gap.worse)
    left_out = f", {len(slices) - len(gaps)} left out as too small" if len(gaps) < len(slices) else ""
    allowed = f"; allowed: worse by {gate.bound:g}, with confidence {share:.4g} for each"
    if harmed:
        sentence = f"{gate.metric} is surely worse for {examples(harmed)}, of {len(gaps)} slices{left_out}{allowed}"
        return verdict(gate, "fail", sentence, rows, worst.worse)
    sentence = f"{gate.metric} is surely worse on none of {len(gaps)} slices{left_out}; the worst: {worst}{allowed}"
    return verdict(gate, "pass", sentence, rows, worst.worse)


def _why(gate: Gate, measured: Measured) -> str:
    """Say why the first model that lacks the metric lacks it."""
    models = {"candidate": measured.candidate, **measured.rivals}
    return next((measured.reason(name, gate.metric) for name, each in models.items() if gate.metric not in each), "")


def _gap(gate: Gate, name: str, measured: Measured, confidence: float) -> _Gap | None:
    """Compare with the rival that is best on the slice; None where the metric is not defined."""
    if measured.interval is None:
        return None
    signs = -1 if gate.metric in measured.higher_is_better else 1
    found: list[_Gap] = []
    for rival in measured.rivals:
        interval = measured.interval(gate.metric, rival, confidence)
        # Harm need not be shown over days: that would let more of it pass, where a slice has few of them.
        gap = interval.by_rows if isinstance(interval, WiderInterval) else interval
        low = gap.low if signs > 0 else -gap.high
        if math.isfinite(gap.estimate):
            found.append(_Gap(name, measured.rows, signs * gap.estimate, low))
    return max(found, key=lambda gap: gap.worse, default=None)
