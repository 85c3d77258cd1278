"""The drift reports that a sensor has not decided on yet, read from Dagster's records: the newest as-of first.

Of several reports of one partition only the last counts. A tick reads a bounded number of them; which are left out is
part of the answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg

from ml_platform.contracts.errors import ContractError, examples
from ml_platform.contracts.records import Decision, DriftReport

REPORTS_PER_TICK = 500
Reported = tuple[DriftReport, str]  # with its group


@dataclass(frozen=True)
class Unread:
    """The new reports that a tick has left out, because it read enough newer ones."""

    count: int
    oldest: str
    newest: str


@dataclass(frozen=True)
class Reading:
    """What a tick has read.

    Parameters
    ----------
    reports : list of (DriftReport, str)
        New reports with their groups, the oldest as-of first.
    unread : Unread or None
        New reports that are older than all of these, if there are more than a tick reads.
    newest_before : str or None
        The as-of of the newest conclusive report that an earlier tick saw, if no new one is newer.
    cursor : str
        Where the next tick goes on.
    """

    reports: list[Reported]
    unread: Unread | None
    newest_before: str | None
    cursor: str


def read_cursor(cursor: str | None, sensor: str) -> int | None:
    """Return the storage id up to which reports were decided on; None before the first tick.

    Raises
    ------
    ContractError
        If the cursor is not a number.
    """
    if not cursor:
        return None
    if not cursor.isascii() or not cursor.isdigit():
        raise ContractError.because(
            f"cursor of sensor {sensor}", got=repr(cursor), expected="the storage id of a drift report, a number",
            hint=f"delete it in the UI or by `dagster sensor cursor {sensor} --delete`: the sensor then starts from "
            "now and names the reports that it leaves out",
        )  # fmt: skip
    return int(cursor)


def first_cursor(instance: dg.DagsterInstance, key: dg.AssetKey) -> str:
    """Return the cursor of a sensor that starts from now."""
    return str(max(_newest_ids(instance, key).values(), default=0))


def undecided(instance: dg.DagsterInstance, key: dg.AssetKey, decisions: Sequence[Decision]) -> list[str]:
    """Return the as-ofs that have a drift report but no decision on one, the newest first."""
    decided = {decision.payload.get("as_of") for decision in decisions}
    return sorted((each for each in _newest_ids(instance, key) if each not in decided), reverse=True)


def describe_dropped(as_ofs: Sequence[str]) -> str:
    """Describe the reports that a start from now leaves out."""
    if not as_ofs:
        return "watching from now on"
    reports = "1 drift report" if len(as_ofs) == 1 else f"{len(as_ofs)} drift reports"
    return f"watching from now on; not decided on: {reports} of before, as of {examples(as_ofs)}"


def read_reports(context: dg.SensorEvaluationContext, key: dg.AssetKey, cursor: int) -> Reading:
    """Read the reports after a cursor; a record that holds none is named in the log and left out."""
    ids = _newest_ids(context.instance, key)
    new = sorted((as_of for as_of, storage_id in ids.items() if storage_id > cursor), reverse=True)
    read, left_out = new[:REPORTS_PER_TICK], new[REPORTS_PER_TICK:]
    found = _fetch(context.instance, key, [ids[as_of] for as_of in read])
    for as_of in read:
        if as_of not in found:
            context.log.warning(f"The materialization of {as_of} holds no report that this version reads: skipped.")
    unread = Unread(len(left_out), oldest=left_out[-1], newest=left_out[0]) if left_out else None
    reports = [(report, _group(context.instance, run)) for report, run in (found[each] for each in sorted(found))]
    newest = max((report.as_of for report, _ in reports if _is_conclusive(report)), default="")
    before = [ids[as_of] for as_of in sorted(ids, reverse=True) if as_of > newest and ids[as_of] <= cursor]
    return Reading(
        reports=reports,
        unread=unread,
        newest_before=_newest_conclusive(_fetch(context.instance, key, before[:REPORTS_PER_TICK]).values()),
        cursor=str(max(ids.values(), default=cursor)),
    )


def _newest_ids(instance: dg.DagsterInstance, key: dg.AssetKey) -> Mapping[str, int]:
    """Return the storage id of each partition's newest materialization."""
    return instance.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)


def _fetch(
    instance: dg.DagsterInstance, key: dg.AssetKey, storage_ids: Sequence[int]
) -> dict[str, tuple[DriftReport, str]]:
    """Return partition -> report and run id, of the records that hold a report."""
    if not storage_ids:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=key, storage_ids=storage_ids)
    records = instance.fetch_materializations(wanted, limit=len(storage_ids)).records
    read = ((record.partition_key, _report(record), record.run_id) for record in records)
    return {report.as_of: (report, run) for key, report, run in read if report is not None and report.as_of == key}


def _report(record: dg.EventLogRecord) -> DriftReport | None:
    """Read a record's report; None if somebody materialized by hand, or another version did."""
    entry = record.asset_materialization and record.asset_materialization.metadata.get("report")
    try:
        report = DriftReport.model_validate(entry and entry.value)
        date.fromisoformat(report.as_of)
    except ValueError:
        return None
    return report


def _group(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return what a report came with: its backfill, or its run. A group may ask for one retrain."""
    run = instance.get_run_by_id(run_id)
    return (run and run.tags.get("dagster/backfill")) or run_id


def _newest_conclusive(found: Iterable[tuple[DriftReport, str]]) -> str | None:
    return max((report.as_of for report, _ in found if _is_conclusive(report)), default=None)


def _is_conclusive(report: DriftReport) -> bool:
    return report.outcome != "inconclusive"
