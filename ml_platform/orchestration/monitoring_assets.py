"""The monitoring stage as an asset: drift of the last days' features against what the champion was trained on."""

import hashlib
from collections.abc import Sequence
from typing import Any

import dagster as dg

from ml_platform.contracts.errors import examples
from ml_platform.contracts.ports import Ledger
from ml_platform.contracts.records import DriftReport
from ml_platform.data.lake.tables import Lake
from ml_platform.monitoring.plots import drift_plot, drift_table
from ml_platform.orchestration.checks import report_per_partition
from ml_platform.orchestration.metadata import picture
from ml_platform.orchestration.partition_events import ALREADY_LOGGED, log_materializations
from ml_platform.orchestration.partitions import lookback, partitions_def, stage_asset
from ml_platform.orchestration.profiling import reports
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.resources import home

CHECK = "inputs_not_drifted"
NO_REPORT = "before which no version was promoted: there is nothing to compare with"


def drift_asset(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Make the drift stage of a pipeline."""
    monitoring = pipeline.spec.monitoring

    @stage_asset(
        pipeline,
        "drift",
        kinds={"numpy", "polars"},
        description=f"Did the last {monitoring.window.days} days' features leave what the champion was trained on?",
        partitions_def=partitions_def(pipeline),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[
            dg.AssetDep([pipeline.name, "features"], partition_mapping=lookback(pipeline, monitoring.window)),
            [pipeline.name, "endpoint"],
        ],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=[pipeline.name, "drift"],
                partitions_def=partitions_def(pipeline),
                description="Warns of drift, and of a window that cannot be judged; the sensor decides what follows.",
            )
        ],
    )
    def drift(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], ledger: dg.ResourceParam[Ledger]
    ) -> dg.MaterializeResult:
        keys = list(context.partition_keys)
        found = reports(pipeline, lake, ledger.read(pipeline.name), home().bundles, keys)
        shown = {report.as_of: _numbers(report) for report in found}
        if found:
            shown[found[-1].as_of] |= _large(found[-1], monitoring.psi_at_most)
        checks = [_check(context, found, keys)]
        if shown.keys() == set(keys) and len(keys) == 1:
            return dg.MaterializeResult(metadata=shown[keys[0]], check_results=checks)
        log_materializations(context, {report.as_of: _digest(report) for report in found}, shown)
        return dg.MaterializeResult(metadata=ALREADY_LOGGED, check_results=checks)

    return drift


def _check(context: dg.AssetExecutionContext, found: Sequence[DriftReport], keys: Sequence[str]) -> dg.AssetCheckResult:
    """Report the check of each partition; one without a report has nothing to warn of, and says why."""
    results = {report.as_of: (report.outcome == "stable", {"finding": report.sentence}) for report in found}
    if not found:
        return dg.AssetCheckResult(check_name=CHECK, passed=True, description=NO_REPORT, metadata=_missing(keys))
    result = report_per_partition(context, CHECK, results, dg.AssetCheckSeverity.WARN)
    without = [key for key in keys if key not in results]
    return result._replace(metadata={**result.metadata, **_missing(without)}) if without else result


def _missing(keys: Sequence[str]) -> dict[str, Any]:
    return {"no_report": f"{len(keys)} partitions, {NO_REPORT}: {examples(keys)}"}


def _digest(report: DriftReport) -> str:
    return hashlib.sha256(report.model_dump_json().encode()).hexdigest()


def _large(report: DriftReport, psi_at_most: float) -> dict[str, Any]:
    """Return what is large, for the newest report alone."""
    plot = picture(drift_plot(report, psi_at_most), "drift")
    return {"table": dg.MetadataValue.md(drift_table(report)), "plot": plot}


def _numbers(report: DriftReport) -> dict[str, Any]:
    worst = max((column.psi for column in report.columns), default=0.0)
    return {
        "outcome": report.outcome,
        "finding": report.sentence,
        "columns_drifted": sum(column.is_drifted for column in report.columns),
        "psi_largest": worst,
        "report": dg.MetadataValue.json(report.model_dump(mode="json")),
    }
