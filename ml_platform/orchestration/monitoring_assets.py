"""The monitoring stage as an asset: drift of the last days' features against what the champion was trained on."""

import dagster as dg

from ml_platform.contracts.ports import Ledger
from ml_platform.contracts.records import DriftReport
from ml_platform.data.lake.tables import Lake
from ml_platform.monitoring.plots import drift_plot, drift_table
from ml_platform.orchestration.checks import report_per_partition
from ml_platform.orchestration.metadata import picture
from ml_platform.orchestration.partitions import lookback, partitions_def, stage_asset
from ml_platform.orchestration.profiling import reports
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.resources import home

CHECK = "inputs_not_drifted"


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
        deps=[dg.AssetDep([pipeline.name, "features"], partition_mapping=lookback(pipeline, monitoring.window))],
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
        found = reports(pipeline, lake, ledger.read(pipeline.name), home().bundles, list(context.partition_keys))
        for report in found:
            context.add_asset_metadata(_numbers(report), partition_key=report.as_of)
        context.add_asset_metadata(_shown(found[-1], monitoring.psi_at_most), partition_key=found[-1].as_of)
        passed = {report.as_of: (_has_passed(report), {"finding": report.sentence}) for report in found}
        return dg.MaterializeResult(
            check_results=[report_per_partition(context, CHECK, passed, dg.AssetCheckSeverity.WARN)]
        )

    return drift


def _has_passed(report: DriftReport) -> bool:
    return report.outcome == "stable" or report.champion is None


def _shown(report: DriftReport, psi_at_most: float) -> dict[str, object]:
    """Give what is large, for the newest report alone."""
    plot = picture(drift_plot(report, psi_at_most), "drift")
    return {"table": dg.MetadataValue.md(drift_table(report)), "plot": plot}


def _numbers(report: DriftReport) -> dict[str, object]:
    worst = max((column.psi for column in report.columns), default=0.0)
    return {
        "outcome": report.outcome,
        "finding": report.sentence,
        "columns_drifted": sum(column.is_drifted for column in report.columns),
        "psi_largest": worst,
        "report": dg.MetadataValue.json(report.model_dump(mode="json")),
    }
