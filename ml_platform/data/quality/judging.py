"""From the raw rows of some partitions to what may be kept of them, and the verdict on each."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandera.pandas as pa
import polars as pl

from ml_platform.contracts.errors import PartitionMissing, QuarantineExceeded
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.data.calendar import Calendar
from ml_platform.data.lake.tables import PARTITION, Lake
from ml_platform.data.quality.expectations import Expectation, check_expectations
from ml_platform.data.quality.findings import Finding
from ml_platform.data.quality.partition_checks import check_partitions
from ml_platform.data.quality.rows import QUARANTINE, REASON, quarantine_rows, validate
from ml_platform.data.quality.verdicts import PartitionVerdict, judge, read_past


@dataclass(frozen=True)
class Judged:
    """Partitions that were judged together.

    Parameters
    ----------
    kept, quarantine : frames
        What is written of the accepted partitions: the good rows, and the quarantine's four columns of the others.
    findings : mapping
        What the checks say of each partition.
    verdicts : list
        The verdict on each.
    refused : list of str
        The partitions of which nothing is written, since too many of their rows are bad.
    refusal : QuarantineExceeded or None
        What to raise for them, once all is stored.
    """

    kept: pl.DataFrame
    quarantine: pl.DataFrame
    findings: dict[str, list[Finding]]
    verdicts: list[PartitionVerdict]
    refused: list[str]
    refusal: QuarantineExceeded | None

    @property
    def accepted(self) -> list[str]:
        """The partitions that are written."""
        return [key for key in self.findings if key not in self.refused]


def judge_partitions(
    lake: Lake,
    spec: PipelineSpec,
    schema: pa.DataFrameSchema,
    calendar: Calendar,
    keys: Sequence[str],
    suite: Sequence[Expectation] = (),
) -> Judged:
    """Judge rows and partitions as the source left them in the lake.

    Parameters
    ----------
    schema : pandera schema
        What a row must be.
    keys : sequence of str
        Partitions of `raw`.
    suite : sequence of Expectation
        What else is expected of each partition.
    """
    quality, event_time = spec.quality, spec.event_time
    validated = validate(lake.read(f"{spec.name}/raw", keys), schema, row_key(spec))
    quarantine = quarantine_rows(validated, _rejected(lake, spec.name, keys))
    past = read_past(lake, spec.name, min(keys), quality.trailing, list(quality.new_categories_at_most))
    ends = {key: calendar.window([key]).end for key in keys}
    findings = check_partitions(
        validated.kept, quarantine, quality, event_time=event_time, ends=ends, past=past,
        more=lambda rows: check_expectations(rows, suite, warn="expectations" in quality.warn),
    )  # fmt: skip
    return _judged(validated.kept, quarantine, findings)


def row_key(spec: PipelineSpec) -> list[str]:
    """Name the columns that no two rows of a partition share: the key, and what tells corrections of a label apart."""
    known_at = spec.label.known_at
    return [*spec.key, known_at] if spec.label.corrected and known_at is not None else spec.key


def _judged(kept: pl.DataFrame, quarantine: pl.DataFrame, findings: dict[str, list[Finding]]) -> Judged:
    good, bad = (dict(frame.group_by(PARTITION).len().iter_rows()) for frame in (kept, quarantine))
    over = {
        key: each
        for key, found in findings.items()
        for each in found
        if each.name == "few_rows_quarantined" and each.is_fatal
    }
    is_accepted = pl.col(PARTITION).is_in(list(over)).not_()
    return Judged(
        kept=kept.filter(is_accepted) if over else kept,
        quarantine=quarantine.filter(is_accepted) if over else quarantine,
        findings=findings,
        verdicts=[
            judge(key, found, rows=good.get(key, 0), quarantined=bad.get(key, 0)) for key, found in findings.items()
        ],
        refused=list(over),
        refusal=_refusal(over, quarantine) if over else None,
    )


def _refusal(over: dict[str, Finding], quarantine: pl.DataFrame) -> QuarantineExceeded:
    worst = max(over, key=lambda key: over[key].numbers["share"])
    got, _, expected = over[worst].sentence.partition(", ")
    reason = quarantine.filter(pl.col(PARTITION) == worst)[REASON].value_counts(sort=True)[REASON][0]
    others = f" and {len(over) - 1} more" if len(over) > 1 else ""
    return QuarantineExceeded.because(
        f"partition {worst}{others}", got=f"{got}, most often: {reason}", expected=expected.removesuffix(" expected"),
        hint="fix the source, or the rule in the schema, and materialize raw, validated and features of it again",
    )  # fmt: skip


def _rejected(lake: Lake, pipeline: str, keys: Sequence[str]) -> pl.DataFrame:
    try:
        return lake.read(f"{pipeline}/rejected", keys)
    except PartitionMissing:  # of a source that rejects nothing there may be no such table
        return pl.DataFrame(schema=dict.fromkeys(QUARANTINE, pl.String))
