"""What Dagster shows of the endpoint: where its report, its run and its address are, and why it did not follow."""

from typing import Any

import dagster as dg

from ml_platform.contracts.errors import PromotionRefused
from ml_platform.contracts.records import ModelVersion
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.resources import server_url

EVALUATION_LINKS = ("report", "report_file", "mlflow/version", "mlflow/run")


def endpoint_links(instance: dg.DagsterInstance, pipeline: Pipeline, version: ModelVersion) -> dict[str, Any]:
    """Return the address that serves, and the links of the version's newest evaluation, if Dagster has one."""
    wanted = dg.AssetRecordsFilter(
        asset_key=dg.AssetKey([pipeline.name, "evaluation"]), asset_partitions=[version.as_of]
    )
    shown: dict[str, Any] = {"url": dg.MetadataValue.url(f"{server_url()}/predict/{pipeline.name}")}
    for record in instance.fetch_materializations(wanted, limit=1).records:
        metadata = record.asset_materialization.metadata if record.asset_materialization else {}
        evaluated = metadata.get("model/version")
        if evaluated is not None and evaluated.value == version.version:
            shown |= {name: metadata[name] for name in EVALUATION_LINKS if name in metadata}
    return shown


def refused(
    context: dg.AssetExecutionContext, pipeline: Pipeline, version: ModelVersion, refusal: PromotionRefused
) -> dg.AssetObservation:
    """Show that a version was refused, and leave what serves as it is.

    Raises
    ------
    PromotionRefused
        If the run was asked for nothing but the endpoint: then it has not done what it was asked for.
    """
    keys = context.job_def.asset_layer.selected_asset_keys
    if dg.AssetKey([pipeline.name, "evaluation"]) not in keys:
        raise refusal
    context.log.error(f"What serves stays as it is. {refusal}")
    sentence = f"Version {version.version} as of {version.as_of} was refused; what serves stays as it is."
    metadata: dict[str, Any] = {
        "refused": str(refusal), "version": version.version, "as_of": version.as_of, "digest": version.digest,
    }  # fmt: skip
    return dg.AssetObservation(context.asset_key, description=sentence, metadata=metadata)
