"""The sensor that turns drift into a retrain: reads the reports, decides by the policy, writes each decision down.

A tick that dies half-way, or that another writer to the ledger overtook, is repeated: the cursor has not moved, a
request in the ledger is found again, and Dagster launches a run key once. A retrain whose run died is requested again.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_platform.contracts.ports import Ledger, ModelStore
from ml_platform.contracts.records import Decision, DriftReport
from ml_platform.ledger.folds import champion, is_settled, next_seq, retrain_requests
from ml_platform.monitoring.policy import RetrainDecision, RetrainRequest, decide_again, decide_all
from ml_platform.orchestration.dead_retrains import (
    attempt_of,
    dead_retrain,
    has_failed,
    is_launched,
    may_be_dead,
    run_key,
)
from ml_platform.orchestration.drift_reports import (
    Reading,
    Reported,
    Unread,
    describe_dropped,
    first_cursor,
    read_cursor,
    read_reports,
    undecided,
)
from ml_platform.orchestration.registry_faults import mlflow_faults
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.resources import mlflow_url

if TYPE_CHECKING:
    from ml_platform.orchestration.jobs import AssetJob

INTERVAL_S = 15
UNREAD = "unread"  # the group of the one decision on all reports that a tick left out
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def drift_sensor(pipeline: Pipeline, job: "AssetJob") -> dg.SensorDefinition:
    """Make the sensor of a pipeline; off until somebody switches it on."""
    name, key = f"{pipeline.name}_drift", dg.AssetKey([pipeline.name, "drift"])

    @dg.sensor(
        name=name,
        job=job,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Requests a retrain when a new drift report and the policy say so, and again if its run died.",
    )
    def watch(
        context: dg.SensorEvaluationContext, ledger: dg.ResourceParam[Ledger], models: dg.ResourceParam[ModelStore]
    ) -> dg.SensorResult | dg.SkipReason:
        cursor, decisions = read_cursor(context.cursor, name), ledger.read(pipeline.name)
        faults = _registry_faults(context, pipeline, decisions, models)
        if cursor is None:
            return _start(context, key, decisions, faults)
        reading = read_reports(context, key, cursor)
        if not reading.reports and not may_be_dead(context.instance, job.name):
            context.update_cursor(reading.cursor)
            return dg.SkipReason(" ".join(["no new drift report", *faults]))
        requests = _Tick(pipeline, job.name, context, ledger, decisions).decide(reading)
        return dg.SensorResult(run_requests=requests, cursor=reading.cursor)

    return watch


def _registry_faults(
    context: dg.SensorEvaluationContext, pipeline: Pipeline, decisions: Sequence[Decision], models: ModelStore
) -> list[str]:
    """Log what MLflow shows otherwise than the ledger says, before a retrain meets it."""
    faults = mlflow_faults(pipeline.name, decisions, models, mlflow_url())
    for fault in faults:
        context.log.warning(fault)
    return faults


def _start(
    context: dg.SensorEvaluationContext, key: dg.AssetKey, decisions: Sequence[Decision], faults: Sequence[str]
) -> dg.SkipReason:
    """Start from now, and name the reports that nobody will decide on."""
    as_ofs = undecided(context.instance, key, decisions)
    dropped = describe_dropped(as_ofs)
    if as_ofs:
        context.log.warning(dropped)
    context.update_cursor(first_cursor(context.instance, key))
    return dg.SkipReason(" ".join([f"first tick: {dropped}", *faults]))


class _Tick:
    """One tick: decides on the ledger as it was read once, and appends each decision."""

    def __init__(
        self,
        pipeline: Pipeline,
        job: str,
        context: dg.SensorEvaluationContext,
        ledger: Ledger,
        decisions: Sequence[Decision],
    ) -> None:
        self._pipeline, self._job, self._instance, self._ledger = pipeline, job, context.instance, ledger
        self._decisions = decisions
        self._seq = next_seq(self._decisions)
        self._is_running = _is_running(self._instance, job, dg.AssetKey([pipeline.name, "candidate"]))
        present = champion(self._decisions)
        self._champion: dict[str, Any] = {
            "champion_version": present.version if present else None,
            "champion_as_of": present.as_of if present else None,
            "is_running": self._is_running,
        }

    def decide(self, reading: Reading) -> list[dg.RunRequest]:
        """Decide on the new reports; where they request nothing, on a retrain that died."""
        decided = decide_all(
            reading.reports,
            requests=self._requests(),
            retrain=self._pipeline.spec.retraining,
            newest_before=reading.newest_before,
            **self._champion,
        )
        if reading.unread is not None:
            self._decline_unread(reading.unread, newest=reading.reports[-1][0] if reading.reports else None)
        requests = self._write_all(decided, reading.reports)
        return requests or self._again()

    def _requests(self) -> list[RetrainRequest]:
        return [
            RetrainRequest(
                str(each.payload["as_of"]),
                str(each.payload["group"]),
                has_failed=not is_settled(self._decisions, each) and has_failed(self._instance, self._job, each),
            )
            for each in retrain_requests(self._decisions)
        ]

    def _write_all(
        self, decided: Iterable[tuple[DriftReport, RetrainDecision]], reports: Sequence[Reported]
    ) -> list[dg.RunRequest]:
        """Append each decision, and return a run request for each retrain; what a dead tick wrote stands."""
        written = {(each.payload["as_of"], each.payload["group"]): each for each in _of_sensor(self._decisions)}
        requests: list[dg.RunRequest] = []
        for (report, decision), (_, group) in zip(decided, reports, strict=True):
            place = (report.as_of, group)
            if place not in written:
                payload = {"as_of": report.as_of, "group": group, "evidence": _evidence(report)}
                written[place] = self._append(decision, report.champion, payload)
            if written[place].kind == "retrain_requested":
                requests.append(_run_request(written[place]))
        return requests

    def _decline_unread(self, unread: Unread, newest: DriftReport | None) -> None:
        """Decline what the tick left out, in one decision."""
        payload = {"as_of": unread.newest, "oldest": unread.oldest, "group": UNREAD, "reports": unread.count}
        if any(each.payload == payload for each in _of_sensor(self._decisions)):
            return
        newer = "newer ones" if newest is None else f"those up to {newest.as_of}"
        because = f"{unread.count} reports of {unread.oldest} to {unread.newest} were not read: superseded by {newer}"
        self._append(RetrainDecision(False, because), None, payload)

    def _again(self) -> list[dg.RunRequest]:
        """Request the newest retrain again if its run died; one that a dead tick wrote down is launched."""
        newest = _newest_request(self._decisions)
        if newest is None or is_settled(self._decisions, newest):
            return []
        dead = dead_retrain(self._instance, self._job, newest)
        if dead is None:
            is_lost = attempt_of(newest) > 1 and not is_launched(self._instance, self._job, newest)
            return [_run_request(newest)] if is_lost else []
        decision = decide_again(dead, **self._champion)
        if decision is None:
            return []
        payload = {**newest.payload, "attempt": dead.attempt + (1 if decision.is_requested else 0)}
        written = self._append(decision, newest.version, payload)
        return [_run_request(written)] if decision.is_requested else []

    def _append(self, decision: RetrainDecision, version: int | None, payload: dict[str, Any]) -> Decision:
        written = self._ledger.append(
            self._pipeline.name,
            "retrain_requested" if decision.is_requested else "retrain_declined",
            expected_seq=self._seq,
            actor=f"sensor {self._pipeline.name}_drift",
            because=decision.because,
            version=version,
            payload=payload,
        )
        self._seq += 1
        return written


def _is_running(instance: dg.DagsterInstance, job: str, candidate: dg.AssetKey) -> bool:
    """Check whether a retrain is on its way: the job, or the candidate materialized from the asset graph."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    return any(run.job_name == job or candidate in (run.asset_selection or ()) for run in unfinished)


def _of_sensor(decisions: Sequence[Decision]) -> list[Decision]:
    return [each for each in decisions if each.kind in ("retrain_requested", "retrain_declined")]


def _newest_request(decisions: Sequence[Decision]) -> Decision | None:
    """Return the newest request; None if it was given up."""
    chain = (
        each
        for each in reversed(_of_sensor(decisions))
        if each.kind == "retrain_requested" or "attempt" in each.payload
    )
    newest = next(chain, None)
    return newest if newest is not None and newest.kind == "retrain_requested" else None


def _run_request(request: Decision) -> dg.RunRequest:
    largest_first = sorted(request.payload["evidence"].items(), key=lambda column: -column[1])  # JSON sorts by name
    evidence = ", ".join(f"{name} {psi:.2f}" for name, psi in largest_first)
    return dg.RunRequest(
        run_key=run_key(request),
        partition_key=request.payload["as_of"],
        tags={
            "ml_platform/reason": request.because,
            "ml_platform/evidence": evidence,
            "ml_platform/champion": str(request.version),
        },
    )


def _evidence(report: DriftReport) -> dict[str, float]:
    """Return the index of each drifted column, largest first."""
    drifted = sorted((column for column in report.columns if column.is_drifted), key=lambda column: -column.psi)
    return {column.name: round(column.psi, 4) for column in drifted}
