"""Asset checks that stay true of each partition, also when one run covers a range of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from ml_platform.data.quality.findings import Finding
from ml_platform.data.quality.partition_checks import DESCRIPTIONS, check_names
from ml_platform.orchestration.partition_events import StageContext, log_evaluations
from ml_platform.orchestration.partitions import partitions_def
from ml_platform.orchestration.resolution import Pipeline

SEVERITIES = {"error": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}


def quality_check_specs(pipeline: Pipeline) -> list[dg.AssetCheckSpec]:
    """Give the checks of `validated`: those that always are, and those the author has asked for."""
    described = {str(name): DESCRIPTIONS[name] for name in check_names(pipeline.spec.quality)}
    described |= {each.name: f"{DESCRIPTIONS['expectations']} {dict(each.kwargs)}" for each in pipeline.suite}
    return [
        dg.AssetCheckSpec(
            name,
            asset=[pipeline.name, "validated"],
            partitions_def=partitions_def(pipeline),
            description=described[name],
        )
        for name in described
    ]


def report_findings(
    context: StageContext,
    findings: Mapping[str, Sequence[Finding]],
    *,
    run_fails: bool,
) -> list[dg.AssetCheckResult]:
    """Report what the checks found of each partition of the run."""
    by_check: dict[str, dict[str, Finding]] = {}
    for key, found in findings.items():
        for each in found:
            by_check.setdefault(each.name, {})[key] = each
    return [
        report_per_partition(
            context,
            name,
            {key: (each.passed, _metadata(each)) for key, each in of.items()},
            SEVERITIES[next(iter(of.values())).severity],
            run_fails=run_fails,
        )
        for name, of in by_check.items()
    ]


def report_per_partition(
    context: StageContext,
    name: str,
    results: Mapping[str, tuple[bool, dict[str, Any]]],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    *,
    run_fails: bool = False,
) -> dg.AssetCheckResult:
    """Report a check for each partition of the run, and give the result that stands for all of them.

    In a run over a range Dagster keeps one result without a partition, under which a later good day hides a bad one;
    so there each partition's own evaluation is logged first. Of a step that is about to fail the result is lost, so
    then too.

    Parameters
    ----------
    results : mapping
        Partition key -> whether the check passed, and its metadata.
    """
    failed = [key for key, (passed, _) in results.items() if not passed]
    if len(results) == len(context.partition_keys) == 1 and not run_fails:
        [(passed, metadata)] = results.values()
        return dg.AssetCheckResult(check_name=name, passed=passed, metadata=metadata, severity=severity)
    log_evaluations(
        context,
        [
            dg.AssetCheckEvaluation(context.asset_key, name, passed, metadata, severity=severity, partition=key)
            for key, (passed, metadata) in results.items()
        ],
    )
    summary = {"partitions": len(results), "failed": ", ".join(failed) or "none"}
    return dg.AssetCheckResult(check_name=name, passed=not failed, metadata=summary, severity=severity)


def _metadata(finding: Finding) -> dict[str, Any]:
    """Show the numbers, and of a check that fails the sentence and some examples."""
    shown: dict[str, Any] = dict(finding.numbers)
    if not finding.passed:
        shown["says"] = finding.sentence
    if finding.examples:
        records = [dg.TableRecord({name: _cell(value) for name, value in each.items()}) for each in finding.examples]
        shown["examples"] = dg.MetadataValue.table(records)
    return shown


def _cell(value: object) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)
