"""The retrain policy: whether a drift report may ask for a new model.

Pure functions of records: no clock, no store, no frames. The caller reads the champion and the earlier requests from
the ledger, and appends what is decided here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from ml_platform.contracts.records import DriftReport
from ml_platform.contracts.spec import Retrain
from ml_platform.contracts.spec.watching import COOL_DOWN


@dataclass(frozen=True)
class RetrainRequest:
    """An earlier request: its as-of, the group (one backfill, or one run) whose report asked, what became of it.

    `has_failed` when its run ended before it came to a result: it starts no cool-down.
    """

    as_of: str
    group: str
    has_failed: bool = False


@dataclass(frozen=True)
class DeadRetrain:
    """The newest request, whose run died before it came to a result.

    `attempt` counts from 1; `because` is what the run died of; `dead_for_s` says for how many seconds it has been dead.
    """

    as_of: str
    champion_version: int | None
    attempt: int
    because: str
    dead_for_s: float


@dataclass(frozen=True)
class RetrainDecision:
    """Whether to retrain, and why or why not."""

    is_requested: bool
    because: str


def decide_retrain(
    report: DriftReport,
    *,
    champion_version: int | None,
    champion_as_of: str | None,
    requests: Sequence[RetrainRequest],
    group: str,
    is_running: bool,
    retrain: Retrain,
) -> RetrainDecision:
    """Decide whether one drift report asks for a new model.

    Parameters
    ----------
    report : DriftReport
        Its `as_of` is an ISO date.
    champion_version, champion_as_of : int and str, or None
        The present champion; its as-of is an ISO date.
    requests : sequence of RetrainRequest
        All requests so far, in any order.
    group : str
        The backfill or run that the report came from; a group asks at most once.
    is_running : bool
        Whether a retrain of this pipeline is queued or running.
    retrain : Retrain
        What the pipeline's author allows.

    Returns
    -------
    RetrainDecision
        Declined for the first reason that holds, in this order: drift is no reason to retrain here; nothing drifted;
        the report is about another champion; its as-of is not newer than the champion's; a retrain is running; the
        group has asked already; the as-of is less than `cool_down` before or after that of a request which has not
        failed.
    """
    against = (
        _because_of_report(report, retrain)
        or _because_of_champion(report, champion_version, champion_as_of)
        or _because_of_requests(report.as_of, requests, group, is_running, retrain)
    )
    return RetrainDecision(against is None, against or f"{report.as_of}: {report.sentence}")


def decide_all(
    reports: Sequence[tuple[DriftReport, str]],
    *,
    champion_version: int | None,
    champion_as_of: str | None,
    requests: Sequence[RetrainRequest],
    is_running: bool,
    retrain: Retrain,
    newest_before: str | None = None,
) -> list[tuple[DriftReport, RetrainDecision]]:
    """Decide on all reports of one tick, of which at most one may ask.

    Parameters
    ----------
    reports : sequence of (DriftReport, str)
        Reports of one pipeline, each with its group, oldest first.
    champion_version, champion_as_of, requests, is_running, retrain
        As in `decide_retrain`.
    newest_before : str or None
        The newest as-of of which an earlier tick saw a conclusive report.

    Returns
    -------
    list
        Every report with its decision, in the order given. Of the conclusive ones only the newest as-of is decided on
        its merits (of equal ones, the last); the others are superseded by it, and all of them by a newer report that
        an earlier tick saw. Inconclusive ones supersede nothing, and are declined for what they are.
    """
    conclusive = [(report.as_of, place) for place, (report, _) in enumerate(reports) if _is_conclusive(report)]
    as_of, newest = max(conclusive, default=(None, None))
    superseded = RetrainDecision(False, f"superseded by the report of {as_of}, which came in the same tick")
    if as_of is not None and newest_before is not None and newest_before > as_of:
        newest, superseded = (
            None,
            RetrainDecision(False, f"superseded by the report of {newest_before}, which is newer"),
        )

    def decide(place: int, report: DriftReport, group: str) -> RetrainDecision:
        if _is_conclusive(report) and place != newest:
            return superseded
        return decide_retrain(
            report,
            champion_version=champion_version,
            champion_as_of=champion_as_of,
            requests=requests,
            group=group,
            is_running=is_running,
            retrain=retrain,
        )

    return [(report, decide(place, report, group)) for place, (report, group) in enumerate(reports)]


ATTEMPTS_AT_MOST = 3
WAIT_S = (60.0, 600.0)  # before the second attempt, and before the third: an outage may take a while


def decide_again(
    dead: DeadRetrain, *, champion_version: int | None, champion_as_of: str | None, is_running: bool
) -> RetrainDecision | None:
    """Decide whether a retrain whose run died is requested again.

    Returns
    -------
    RetrainDecision or None
        None while there is nothing to decide: a retrain is running, the champion is another one by now, or the run
        has not been dead for long enough. Declined once `ATTEMPTS_AT_MOST` runs have died.
    """
    is_outdated = champion_as_of is not None and date.fromisoformat(dead.as_of) <= date.fromisoformat(champion_as_of)
    if is_running or is_outdated or dead.champion_version != champion_version:
        return None
    if dead.attempt >= ATTEMPTS_AT_MOST:
        return RetrainDecision(False, f"given up after {dead.attempt} runs that died, the last one of: {dead.because}")
    if dead.dead_for_s < WAIT_S[dead.attempt - 1]:
        return None
    because = f"attempt {dead.attempt + 1} of {ATTEMPTS_AT_MOST}, the run before died of: {dead.because}"
    return RetrainDecision(True, because)


def _is_conclusive(report: DriftReport) -> bool:
    return report.outcome != "inconclusive"


def _because_of_report(report: DriftReport, retrain: Retrain) -> str | None:
    if "drift" not in retrain.when:
        return "this pipeline does not retrain on drift"
    if report.outcome != "drifted":
        return f"the report is {report.outcome}: {report.sentence}"
    return None


def _because_of_champion(report: DriftReport, version: int | None, as_of: str | None) -> str | None:
    if report.champion != version:
        return f"the report is about {_champion(report.champion)}, the present one is {_champion(version)}"
    if as_of is not None and date.fromisoformat(report.as_of) <= date.fromisoformat(as_of):
        return f"as-of {report.as_of} is not newer than the champion's, {as_of}"
    return None


def _because_of_requests(
    as_of: str, requests: Sequence[RetrainRequest], group: str, is_running: bool, retrain: Retrain
) -> str | None:
    if is_running:
        return "a retrain is running"
    if any(request.group == group for request in requests):
        return f"{group} has already asked for a retrain"
    day = date.fromisoformat(as_of)
    asked = [date.fromisoformat(request.as_of) for request in requests if not request.has_failed]
    nearest = min(asked, key=lambda other: abs(day - other), default=None)
    cool_down = COOL_DOWN if retrain.cool_down is None else retrain.cool_down
    if nearest is not None and abs(day - nearest) < cool_down:
        return f"as-of {as_of} is within {cool_down.days} days of a request's, {nearest}: cooling down"
    return None


def _champion(version: int | None) -> str:
    return "no champion" if version is None else f"champion v{version}"
