"""Asset checks that stay true of each partition, also when one run covers a range of them."""

from collections.abc import Mapping
from typing import Any, cast

import dagster as dg


def report_per_partition(
    context: dg.AssetExecutionContext,
    name: str,
    results: Mapping[str, tuple[bool, dict[str, Any]]],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Report a check for each partition of the run, and give the result that stands for all of them.

    In a run over a range Dagster keeps one result without a partition, under which a later good day hides a bad one;
    so there each partition's own evaluation is logged first.

    Parameters
    ----------
    results : mapping
        Partition key -> whether the check passed, and its metadata.
    """
    failed = [key for key, (passed, _) in results.items() if not passed]
    if len(results) == 1:
        [(passed, metadata)] = results.values()
        return dg.AssetCheckResult(check_name=name, passed=passed, metadata=metadata, severity=severity)
    for key, (passed, metadata) in results.items():
        context.log_event(  # takes evaluations too, though its type does not say so
            cast(
                "dg.AssetObservation",
                dg.AssetCheckEvaluation(
                    asset_key=context.asset_key,
                    check_name=name,
                    passed=passed,
                    metadata=metadata,
                    severity=severity,
                    partition=key,
                ),
            )
        )
    summary = {"partitions": len(results), "failed": ", ".join(failed) or "none"}
    return dg.AssetCheckResult(check_name=name, passed=not failed, metadata=summary, severity=severity)
