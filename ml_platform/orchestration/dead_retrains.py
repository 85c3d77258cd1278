"""What became of the runs that the drift sensor requested: whether one failed, and what it died of."""

import time

import dagster as dg

from ml_platform.contracts.records import Decision
from ml_platform.monitoring.policy import DeadRetrain

RUN_KEY = "dagster/run_key"
PREFIX = "drift-"
FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
REASON_AT_MOST = 300


def run_key(request: Decision) -> str:
    """Return the key under which Dagster launches a request once; each attempt has one of its own."""
    attempt = attempt_of(request)
    return f"{PREFIX}{request.payload['group']}" + (f"-{attempt}" if attempt > 1 else "")


def attempt_of(request: Decision) -> int:
    """Return which attempt at the same retrain a request is, from 1."""
    return int(request.payload.get("attempt", 1))


def has_failed(instance: dg.DagsterInstance, job: str, request: Decision) -> bool:
    """Check whether the run of a request failed or was canceled."""
    return bool(instance.get_runs(_launched(job, request, FAILED), limit=1))


def is_launched(instance: dg.DagsterInstance, job: str, request: Decision) -> bool:
    """Check whether a request has a run, whatever its status."""
    return bool(instance.get_runs(_launched(job, request), limit=1))


def may_be_dead(instance: dg.DagsterInstance, job: str) -> bool:
    """Check whether the newest run of the job is a request's and failed; only then the ledger has to be asked."""
    newest = instance.get_runs(dg.RunsFilter(job_name=job), limit=1)
    return any(
        run.status == dg.DagsterRunStatus.FAILURE and run.tags.get(RUN_KEY, "").startswith(PREFIX) for run in newest
    )


def dead_retrain(instance: dg.DagsterInstance, job: str, request: Decision) -> DeadRetrain | None:
    """Return what is known of a request whose run failed by itself; None if it did not, or somebody canceled it."""
    failed = _launched(job, request, [dg.DagsterRunStatus.FAILURE])
    records = instance.get_run_records(failed, limit=1)
    if not records:
        return None
    [record] = records
    ended = record.end_time or record.update_timestamp.timestamp()
    return DeadRetrain(
        as_of=str(request.payload["as_of"]),
        champion_version=request.version,
        attempt=attempt_of(request),
        because=_reason(instance, record.dagster_run.run_id),
        dead_for_s=time.time() - ended,
    )


def _launched(job: str, request: Decision, statuses: list[dg.DagsterRunStatus] | None = None) -> dg.RunsFilter:
    return dg.RunsFilter(job_name=job, tags={RUN_KEY: run_key(request)}, statuses=statuses)


def _reason(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return the error of the first step that failed, else what Dagster says of the run."""
    wanted = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    for entry in instance.all_logs(run_id, of_type=wanted):
        event = entry.get_dagster_event()
        error = event.step_failure_data.error if event.is_step_failure else None
        while error is not None and error.cause is not None:
            error = error.cause
        message = error.message if error is not None else event.message or ""
        if message.strip():
            return f"{' '.join(message.split())[:REASON_AT_MOST]} (run {run_id})"
    return f"no message (run {run_id})"
