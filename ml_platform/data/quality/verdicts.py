"""The verdict on each partition, by which a training set takes it or not.

One row a partition in the lake table `<pipeline>/verdicts`, bound to the rows it was given for: to write a partition
again without judging it takes its trust away.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import polars as pl

from ml_platform.contracts.errors import ContractError, examples
from ml_platform.contracts.records import Record
from ml_platform.data.lake.tables import PARTITION, Lake
from ml_platform.data.quality.findings import Finding, Past, category_counts

VERDICTS = "verdicts"
VALIDATED = "validated"
REWRITTEN = "written again since its verdict"
_TYPES = {
    PARTITION: pl.String, "outcome": pl.String, "rows": pl.Int64, "quarantined": pl.Int64, "sentence": pl.String,
    "checks": pl.String, "stamp": pl.String,
}  # fmt: skip


class PartitionVerdict(Record):
    """What is said of one partition; `stamp` names the rows of `validated` it was said of, and is empty for none."""

    partition: str
    outcome: Literal["pass", "fail"]
    rows: int
    quarantined: int
    sentence: str
    checks: tuple[dict[str, Any], ...]
    stamp: str


def judge(partition: str, findings: Sequence[Finding], *, rows: int, quarantined: int) -> PartitionVerdict:
    """Make a verdict of what the checks found: it fails with any check that is no mere warning."""
    fatal = [each.sentence for each in findings if each.is_fatal]
    warned = [f"warning: {each.sentence}" for each in findings if not each.passed and not each.is_fatal]
    kept = f"{rows} rows kept, {quarantined} quarantined"
    return PartitionVerdict(
        partition=partition,
        outcome="fail" if fatal else "pass",
        rows=rows,
        quarantined=quarantined,
        sentence="; ".join([*(fatal or [kept]), *warned]),
        checks=tuple(_told(each) for each in findings),
        stamp="",
    )


def store_verdicts(lake: Lake, pipeline: str, verdicts: Sequence[PartitionVerdict]) -> None:
    """Write verdicts, bound to the rows that `validated` has now."""
    stamps = lake.stamps(f"{pipeline}/{VALIDATED}")
    rows = [
        each.model_dump() | {"checks": json.dumps(each.checks), "stamp": stamps.get(each.partition, "")}
        for each in verdicts
    ]
    lake.write(f"{pipeline}/{VERDICTS}", pl.DataFrame(rows, schema=_TYPES), [each.partition for each in verdicts])


def read_verdicts(lake: Lake, pipeline: str, keys: Sequence[str]) -> dict[str, PartitionVerdict]:
    """Give the verdicts on those of the partitions that have one."""
    table = f"{pipeline}/{VERDICTS}"
    if not keys or lake.version(table) < 0:
        return {}
    rows = lake.read(table, keys).sort(PARTITION).iter_rows(named=True)
    return {row[PARTITION]: PartitionVerdict(**row | {"checks": json.loads(row["checks"])}) for row in rows}


def read_past(lake: Lake, pipeline: str, first: str, length: int, columns: Sequence[str]) -> Past:
    """Give what the newest trusted partitions before `first` had.

    Parameters
    ----------
    length : int
        How many partitions, at most.
    columns : sequence of str
        The columns whose values are wanted.
    """
    judged = sorted((key for key in lake.stamps(f"{pipeline}/{VERDICTS}") if key < first), reverse=True)
    trusted: list[PartitionVerdict] = []
    while judged and len(trusted) < length:
        block, judged = judged[:length], judged[length:]
        found = read_verdicts(lake, pipeline, block)
        trusted += [found[key] for key in block if found[key].outcome == "pass"]
    newest = trusted[:length][::-1]
    values: Mapping[str, Mapping[str, Mapping[str, int]]] = {}
    if columns and newest:
        kept = lake.read(f"{pipeline}/{VALIDATED}", [each.partition for each in newest], columns=columns)
        values = category_counts(kept, columns)
    past = Past()
    for each in newest:
        past.add(each.rows, {name: frozenset(seen) for name, seen in values.get(each.partition, {}).items()})
    return past


def require_trusted(lake: Lake, pipeline: str, keys: Sequence[str]) -> None:
    """Refuse partitions that cannot be trusted.

    What lies before the first partition that was ever judged, and has no rows, is not there yet and not refused.

    Raises
    ------
    ContractError
        Names the partitions that have no verdict, failed, or were written again since.
    """
    verdicts, stamps = read_verdicts(lake, pipeline, keys), lake.stamps(f"{pipeline}/{VALIDATED}")
    first = min(lake.stamps(f"{pipeline}/{VERDICTS}"), default=None)
    awaited = [key for key in keys if key in stamps or (first is not None and key >= first)]
    faults = {key: _distrust(verdicts.get(key), stamps.get(key, "")) for key in awaited}
    named = [f"{key} ({fault})" for key, fault in faults.items() if fault]
    if named:
        raise ContractError.because(
            f"{pipeline}/{VALIDATED}", got=examples(named), expected="partitions that passed their checks",
            hint="fix the data, or the limits under quality, and materialize raw and validated of these partitions; "
            f"then run the job {pipeline}_refresh: their features must follow, and later ones whose windows saw them",
        )  # fmt: skip


def unbound_verdicts(lake: Lake, pipeline: str, keys: Sequence[str]) -> dict[str, str]:
    """Return which of the partitions have rows that were written after the verdict on them, with the reason."""
    verdicts, stamps = read_verdicts(lake, pipeline, keys), lake.stamps(f"{pipeline}/{VALIDATED}")
    return {key: REWRITTEN for key, verdict in verdicts.items() if verdict.stamp != stamps.get(key, "")}


def _distrust(verdict: PartitionVerdict | None, stamp: str) -> str | None:
    if verdict is None:
        return "no verdict"
    if verdict.outcome == "fail":
        return verdict.sentence
    return None if verdict.stamp == stamp else REWRITTEN


def _told(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "passed": finding.passed,
        "severity": finding.severity,
        "numbers": dict(finding.numbers),
    }
