"""The sensor that turns drift into a retrain: reads the reports, decides by the policy, writes each decision down.

A tick that dies half-way, or that another writer to the ledger overtook, is repeated: the cursor has not moved, a
request in the ledger is found again, and Dagster launches a run key once.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from ml_platform.contracts.ports import Ledger
from ml_platform.contracts.records import Decision, DriftReport
from ml_platform.ledger.folds import champion, next_seq, retrain_requests
from ml_platform.monitoring.policy import RetrainDecision, RetrainRequest, decide_all
from ml_platform.orchestration.resolution import Pipeline

if TYPE_CHECKING:
    from ml_platform.orchestration.jobs import AssetJob

INTERVAL_S = 15
RECORDS_PER_TICK = 500
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def drift_sensor(pipeline: Pipeline, job: "AssetJob") -> dg.SensorDefinition:
    """Make the sensor of a pipeline; off until somebody switches it on."""

    @dg.sensor(
        name=f"{pipeline.name}_drift",
        job=job,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Asks for a retrain when a new drift report says so and the policy allows it.",
    )
    def watch(context: dg.SensorEvaluationContext, ledger: dg.ResourceParam[Ledger]) -> dg.SensorResult | dg.SkipReason:
        key = dg.AssetKey([pipeline.name, "drift"])
        records = _new_records(context, key)
        if not context.cursor:
            context.update_cursor(str(records[-1].storage_id if records else 0))
            return dg.SkipReason("first tick: watching from now on")
        if not records:
            return dg.SkipReason("no new drift report")
        decisions, found = ledger.read(pipeline.name), _found(context, records)
        requests = _written(
            pipeline, ledger, decisions, _decide(pipeline, context.instance, job.name, decisions, found), found
        )
        return dg.SensorResult(run_requests=requests, cursor=str(records[-1].storage_id))

    return watch


def _new_records(context: dg.SensorEvaluationContext, key: dg.AssetKey) -> Sequence[dg.EventLogRecord]:
    """Give materializations after the cursor, oldest first; without a cursor, the newest one."""
    if not context.cursor:
        return context.instance.fetch_materializations(key, limit=1).records
    wanted = dg.AssetRecordsFilter(asset_key=key, after_storage_id=int(context.cursor))
    return context.instance.fetch_materializations(wanted, limit=RECORDS_PER_TICK, ascending=True).records


def _found(context: dg.SensorEvaluationContext, records: Iterable[dg.EventLogRecord]) -> list[tuple[DriftReport, str]]:
    """Read each record's report, with its group; what cannot be read is named and left out."""
    found: list[tuple[DriftReport, str]] = []
    for record in records:
        report = _report(record)
        if report is None:
            context.log.warning(
                f"Materialization {record.storage_id} holds no report that this version reads: skipped."
            )
        else:
            found.append((report, _group(context.instance, record)))
    return found


def _report(record: dg.EventLogRecord) -> DriftReport | None:
    """Read a record's report; None if somebody materialized by hand, or another version did."""
    entry = record.asset_materialization and record.asset_materialization.metadata.get("report")
    try:
        report = DriftReport.model_validate(entry and entry.value)
        date.fromisoformat(report.as_of)
    except ValueError:
        return None
    return report


def _group(instance: dg.DagsterInstance, record: dg.EventLogRecord) -> str:
    """Name what a report came with: its backfill, or its run. A group may ask for one retrain."""
    run = instance.get_run_by_id(record.run_id)
    return (run and run.tags.get("dagster/backfill")) or record.run_id


def _is_running(instance: dg.DagsterInstance, job: str, candidate: dg.AssetKey) -> bool:
    """Tell whether a retrain is on its way: the job, or the candidate materialized from the asset graph."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    return any(run.job_name == job or candidate in (run.asset_selection or ()) for run in unfinished)


def _asked(instance: dg.DagsterInstance, job: str, decisions: Sequence[Decision]) -> list[RetrainRequest]:
    """Give every request so far; one has failed if its run did, and nothing was evaluated as of its day since."""
    asked: list[RetrainRequest] = []
    for each in retrain_requests(decisions):
        as_of, group = str(each.payload["as_of"]), str(each.payload["group"])
        is_evaluated = any(
            later.kind == "evaluated" and later.payload["as_of"] == as_of for later in decisions[each.seq :]
        )
        asked.append(RetrainRequest(as_of, group, has_failed=not is_evaluated and _has_failed(instance, job, group)))
    return asked


def _has_failed(instance: dg.DagsterInstance, job: str, group: str) -> bool:
    launched = dg.RunsFilter(job_name=job, tags={"dagster/run_key": _run_key(group)}, statuses=FAILED)
    return bool(instance.get_runs(launched, limit=1))


def _decide(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    job: str,
    decisions: Sequence[Decision],
    found: Sequence[tuple[DriftReport, str]],
) -> list[tuple[DriftReport, RetrainDecision]]:
    present = champion(decisions)
    return decide_all(
        found,
        champion_version=present.version if present else None,
        champion_as_of=present.as_of if present else None,
        requests=_asked(instance, job, decisions),
        is_running=_is_running(instance, job, dg.AssetKey([pipeline.name, "candidate"])),
        retrain=pipeline.spec.retraining,
    )


def _written(
    pipeline: Pipeline,
    ledger: Ledger,
    decisions: Sequence[Decision],
    decided: Iterable[tuple[DriftReport, RetrainDecision]],
    found: Sequence[tuple[DriftReport, str]],
) -> list[dg.RunRequest]:
    """Append each decision, and give a run request for each retrain; what an earlier, dead tick wrote stands."""
    requests: list[dg.RunRequest] = []
    written = {
        (each.payload["as_of"], each.payload["group"]): each
        for each in decisions
        if each.kind in ("retrain_requested", "retrain_declined")
    }
    seq = next_seq(decisions)
    for (report, decision), (_, group) in zip(decided, found, strict=True):
        place = (report.as_of, group)
        if place not in written:
            written[place] = ledger.append(
                pipeline.name,
                "retrain_requested" if decision.is_requested else "retrain_declined",
                expected_seq=seq,
                actor=f"sensor {pipeline.name}_drift",
                because=decision.because,
                version=report.champion,
                payload={"as_of": report.as_of, "group": group, "evidence": _evidence(report)},
            )
            seq += 1
        if written[place].kind == "retrain_requested":
            requests.append(_run_request(report, group, written[place].because))
    return requests


def _run_request(report: DriftReport, group: str, because: str) -> dg.RunRequest:
    evidence = ", ".join(f"{name} {psi:.2f}" for name, psi in _evidence(report).items())
    return dg.RunRequest(
        run_key=_run_key(group),
        partition_key=report.as_of,
        tags={
            "ml_platform/reason": because,
            "ml_platform/evidence": evidence,
            "ml_platform/champion": str(report.champion),
        },
    )


def _run_key(group: str) -> str:
    return f"drift-{group}"


def _evidence(report: DriftReport) -> dict[str, float]:
    """Give the index of each drifted column, largest first."""
    drifted = sorted((column for column in report.columns if column.is_drifted), key=lambda column: -column.psi)
    return {column.name: round(column.psi, 4) for column in drifted}
