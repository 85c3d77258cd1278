"""The sensor that turns drift into a retrain: reads the reports, decides by the policy, writes each decision down.

A tick that dies half-way is repeated: the cursor has not moved, a request in the ledger is found again, and Dagster
launches a run key once.
"""

from collections.abc import Iterable, Sequence
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
]


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
        if context.cursor is None:
            context.update_cursor(str(records[-1].storage_id if records else 0))
            return dg.SkipReason("first tick: watching from now on")
        if not records:
            return dg.SkipReason("no new drift report")
        found = [(_report(record), _group(context.instance, record)) for record in records]
        decided = _decide(
            pipeline, ledger.read(pipeline.name), found, is_running=_is_running(context.instance, job.name)
        )
        requests = _written(pipeline, ledger, decided, found)
        return dg.SensorResult(run_requests=requests, cursor=str(records[-1].storage_id))

    return watch


def _new_records(context: dg.SensorEvaluationContext, key: dg.AssetKey) -> Sequence[dg.EventLogRecord]:
    """Give materializations after the cursor, oldest first; without a cursor, the newest one."""
    if context.cursor is None:
        return context.instance.fetch_materializations(key, limit=1).records
    wanted = dg.AssetRecordsFilter(asset_key=key, after_storage_id=int(context.cursor))
    return context.instance.fetch_materializations(wanted, limit=RECORDS_PER_TICK, ascending=True).records


def _report(record: dg.EventLogRecord) -> DriftReport:
    materialization = record.asset_materialization
    if materialization is None:
        raise TypeError(f"event {record.storage_id} is not a materialization")
    return DriftReport.model_validate(materialization.metadata["report"].value)


def _group(instance: dg.DagsterInstance, record: dg.EventLogRecord) -> str:
    """Name what a report came with: its backfill, or its run. A group may ask for one retrain."""
    run = instance.get_run_by_id(record.run_id)
    return (run and run.tags.get("dagster/backfill")) or record.run_id


def _is_running(instance: dg.DagsterInstance, job: str) -> bool:
    return bool(instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED), limit=1))


def _decide(
    pipeline: Pipeline, decisions: Sequence[Decision], found: Sequence[tuple[DriftReport, str]], *, is_running: bool
) -> list[tuple[DriftReport, RetrainDecision]]:
    present = champion(decisions)
    asked = [
        RetrainRequest(str(each.payload["as_of"]), str(each.payload["group"])) for each in retrain_requests(decisions)
    ]
    return decide_all(
        found,
        champion_version=present.version if present else None,
        champion_as_of=present.as_of if present else None,
        requests=asked,
        is_running=is_running,
        retrain=pipeline.spec.retrain,
    )


def _written(
    pipeline: Pipeline,
    ledger: Ledger,
    decided: Iterable[tuple[DriftReport, RetrainDecision]],
    found: Sequence[tuple[DriftReport, str]],
) -> list[dg.RunRequest]:
    """Append each decision, and give a run request for each retrain; what an earlier, dead tick wrote stands."""
    requests: list[dg.RunRequest] = []
    for (report, decision), (_, group) in zip(decided, found, strict=True):
        decisions = ledger.read(pipeline.name)
        written = _earlier(decisions, report.as_of, group) or ledger.append(
            pipeline.name,
            "retrain_requested" if decision.is_requested else "retrain_declined",
            expected_seq=next_seq(decisions),
            actor=f"sensor {pipeline.name}_drift",
            because=decision.because,
            version=report.champion,
            payload={"as_of": report.as_of, "group": group, "evidence": _evidence(report)},
        )
        if written.kind == "retrain_requested":
            requests.append(_run_request(report, group, written.because))
    return requests


def _earlier(decisions: Sequence[Decision], as_of: str, group: str) -> Decision | None:
    """Give what was decided on this very report before."""
    kinds = ("retrain_requested", "retrain_declined")
    return next(
        (
            each
            for each in reversed(decisions)
            if each.kind in kinds and (each.payload["as_of"], each.payload["group"]) == (as_of, group)
        ),
        None,
    )


def _run_request(report: DriftReport, group: str, because: str) -> dg.RunRequest:
    evidence = ", ".join(f"{name} {psi:.2f}" for name, psi in _evidence(report).items())
    return dg.RunRequest(
        run_key=f"drift-{group}",
        partition_key=report.as_of,
        tags={
            "ml_platform/reason": because,
            "ml_platform/evidence": evidence,
            "ml_platform/champion": str(report.champion),
        },
    )


def _evidence(report: DriftReport) -> dict[str, float]:
    """Give the index of each drifted column, largest first."""
    drifted = sorted((column for column in report.columns if column.is_drifted), key=lambda column: -column.psi)
    return {column.name: round(column.psi, 4) for column in drifted}
