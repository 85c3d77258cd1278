"""The gate on what is served: from what was measured on a real server to a verdict.

Pure. How it is measured is `ml_platform.deployment.infra`'s business. A number exactly at its limit passes; what could
not be measured never does.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from ml_platform.contracts.errors import examples
from ml_platform.contracts.evaluations import Verdict
from ml_platform.contracts.records import Outcome
from ml_platform.contracts.spec import ServedGate

DIFFERENCE_AT_MOST = 1e-9  # JSON carries doubles exactly; what is left is the order of additions


@dataclass(frozen=True)
class Served:
    """What was measured on a server with one version.

    Parameters
    ----------
    rows : int
        Real rows that were compared.
    largest_difference : float
        Between a served and an offline value; NaN or infinite if they cannot be compared.
    other_decisions : int or None
        Rows on which the served decision is not the offline one; None of a model that decides nothing.
    cold_start_s : float
        From the start of the process to its first prediction.
    p95_ms : float
        The time that 95 % of the requests of one row took at most.
    requests : int
        How many requests that was taken of.
    memory_mb : float or None
        The most memory the process had resident; None where nobody can tell.
    bad_requests : int
        How many requests were sent that must be refused.
    not_refused : tuple of str
        Those that were not, each with what happened.
    """

    rows: int
    largest_difference: float
    cold_start_s: float
    p95_ms: float
    requests: int
    memory_mb: float | None
    bad_requests: int
    not_refused: tuple[str, ...] = ()
    other_decisions: int | None = None


@dataclass(frozen=True)
class NotServed:
    """Why nothing could be measured: through the version's own fault, or through none of its own."""

    reason: str
    is_fault_of_version: bool


class _Finding(NamedTuple):
    sentence: str
    outcome: Outcome


def judge_served(gate: ServedGate, found: Served | NotServed) -> Verdict:
    """Judge a gate of `kind: served`.

    Returns
    -------
    Verdict
        `value` is the 95th percentile of the latency in ms, `rows` the rows compared. `fail` if a served value or
        decision is not the offline one, a declared budget is exceeded, a bad request is not refused, or the version
        cannot be served; `inconclusive` if fewer rows were compared than the gate asks for, a number with a budget
        could not be taken, or the server did not start for a reason that is not the version's.
    """
    if isinstance(found, NotServed):
        outcome: Outcome = "fail" if found.is_fault_of_version else "inconclusive"
        return _verdict(gate, outcome, found.reason, None, 0)
    findings = [
        _values(gate, found),
        *([] if found.other_decisions is None else [_decisions(found, found.other_decisions)]),
        _budget(f"p95 of {found.requests} requests", found.p95_ms, gate.p95_ms, "ms"),
        _budget("first prediction after", found.cold_start_s, gate.cold_start_s, "s"),
        _budget("memory", found.memory_mb, gate.memory_mb, "MB"),
        _refusals(found),
    ]
    outcomes = {finding.outcome for finding in findings}
    outcome = "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"
    sentence = "; ".join(finding.sentence for finding in findings)
    return _verdict(gate, outcome, sentence, found.p95_ms, found.rows)


def _values(gate: ServedGate, found: Served) -> _Finding:
    said = f"{found.rows} rows differ from offline by at most {found.largest_difference:.3g}"
    if not found.largest_difference <= DIFFERENCE_AT_MOST:  # NaN is not
        return _Finding(f"{said}, allowed: {DIFFERENCE_AT_MOST:g}", "fail")
    if found.rows < gate.rows:
        return _Finding(f"{said}, needed: {gate.rows} rows", "inconclusive")
    return _Finding(said, "pass")


def _decisions(found: Served, other: int) -> _Finding:
    said = f"{found.rows - other} of {found.rows} decisions are those of offline"
    return _Finding(said, "fail" if other else "pass")


def _budget(what: str, value: float | None, limit: float | None, unit: str) -> _Finding:
    if value is None or not math.isfinite(value):
        return _Finding(f"{what} could not be measured", "pass" if limit is None else "inconclusive")
    said = f"{what} {value:.3g} {unit}"
    if limit is None:
        return _Finding(said, "pass")
    return _Finding(f"{said}, allowed: {limit:g}", "pass" if value <= limit else "fail")


def _refusals(found: Served) -> _Finding:
    refused = f"{found.bad_requests - len(found.not_refused)} of {found.bad_requests} bad requests refused"
    if not found.bad_requests:
        return _Finding("no bad request was sent", "inconclusive")
    if found.not_refused:
        return _Finding(f"{refused}, not: {examples(found.not_refused)}", "fail")
    return _Finding(refused, "pass")


def _verdict(gate: ServedGate, outcome: Outcome, sentence: str, value: float | None, rows: int) -> Verdict:
    finite = value if value is not None and math.isfinite(value) else None
    return Verdict(
        gate=gate.name, condition=gate.condition, outcome=outcome, sentence=sentence, value=finite, bound=gate.bound,
        reference=None, rows=rows,
    )  # fmt: skip
