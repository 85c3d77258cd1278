"""The leakage certificate of a training set: shown as a blocking check, and asked for again by whoever trains.

A blocking check does not stop a later run that selects only the candidate, so the fit certifies the rows it has read.
"""

from typing import Any

import dagster as dg
import polars as pl

from ml_platform.contracts.errors import LeakageFound, examples
from ml_platform.contracts.records import LeakageCertificate
from ml_platform.data.splits.leakage import certify
from ml_platform.data.splits.parts import PARTS
from ml_platform.orchestration.partitions import partitions_def
from ml_platform.orchestration.resolution import Pipeline

CHECK = "no_leakage"


def leakage_check_spec(pipeline: Pipeline) -> dg.AssetCheckSpec:
    """Declare the check."""
    return dg.AssetCheckSpec(
        CHECK,
        asset=[pipeline.name, "training_set"],
        partitions_def=partitions_def(pipeline),
        blocking=True,
        description="Of what the leakage certificate looks for, nothing was found in the training set.",
    )


def leakage_check(certificate: LeakageCertificate) -> dg.AssetCheckResult:
    """Show a certificate; what is violated stops the run."""
    violated = [finding.name for finding in certificate.violated]
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not violated,
        description=_description(certificate),
        metadata={
            "violated": ", ".join(violated) or "none",
            "certificate": dg.MetadataValue.md(_table(certificate)),
            "record": dg.MetadataValue.json(certificate.model_dump(mode="json")),
        },
    )


def _description(certificate: LeakageCertificate) -> str:
    """Return how many findings hold, and which do not: no more was looked for."""
    findings = certificate.findings
    violated = [finding.name for finding in certificate.violated]
    warned = [finding.name for finding in findings if finding.outcome == "warned"]
    counted = f"{len(findings) - len(violated) - len(warned)} of {len(findings)} findings hold."
    lists = [("Violated", violated), ("Warned", warned)]
    return " ".join([counted, *(f"{word}: {examples(names)}." for word, names in lists if names)])


def require_no_leakage(pipeline: Pipeline, rows: pl.DataFrame, as_of: str) -> None:
    """Refuse to train on a training set that does not keep its certificate.

    Raises
    ------
    LeakageFound
        Names what is violated.
    """
    violated = certify(rows, pipeline.spec, as_of).violated
    if violated:
        raise LeakageFound.because(
            f"{pipeline.name}: training set as of {as_of}",
            got="; ".join(f"{finding.name}: {finding.sentence}" for finding in violated),
            expected="a leakage certificate with nothing violated",
            hint="fix the features or the split, and materialize features and training_set again; a feature that may "
            "tell the label is named in split.may_tell_label",
        )


def fold_numbers(certificate: LeakageCertificate) -> dict[str, Any]:
    """Give the number of rows of each fold's parts."""
    return {
        name: int(count)
        for finding in certificate.findings
        for name, count in finding.numbers.items()
        if name.startswith("fold_")
    }


def _table(certificate: LeakageCertificate) -> str:
    rows = [f"{part} {certificate.rows[part]}" for part in PARTS]
    lines = [
        f"| {finding.name} | {finding.outcome} | {_cell(finding.sentence)} | {_cell(', '.join(finding.examples))} |"
        for finding in certificate.findings
    ]
    head = ["| finding | outcome | what was found | examples |", "| --- | --- | --- | --- |"]
    return "\n".join([f"As of {certificate.as_of}, rows: {', '.join(rows)}.", "", *head, *lines])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
