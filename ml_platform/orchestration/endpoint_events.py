"""What Dagster shows of the endpoint: where its report, its run and its address are, and why it did not follow."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from ml_platform.contracts.errors import PromotionRefused
from ml_platform.contracts.ports import Ledger
from ml_platform.contracts.records import ModelVersion
from ml_platform.ledger.folds import Champion, approval_of
from ml_platform.orchestration.approval import answer_metadata, waiting
from ml_platform.orchestration.demands import demands
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.resources import server_url
from ml_platform.rollout.promotion import Wait

EVALUATION_LINKS = ("report", "report_file", "mlflow/version", "mlflow/run")


def follow(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    version: ModelVersion,
    promote: Callable[[], Champion | Wait],
    ledger: Ledger,
    faults: Mapping[str, str],
) -> dg.MaterializeResult | dg.AssetObservation:
    """Let the endpoint follow a version, and return what Dagster shows of it.

    Parameters
    ----------
    faults : mapping of str to str
        What MLflow shows otherwise than the ledger says.

    Raises
    ------
    PromotionRefused
        If the version is refused and the run was asked for nothing but the endpoint.
    """
    try:
        promoted = promote()
    except PromotionRefused as refusal:
        return _refused(context, pipeline, version, refusal)
    if isinstance(promoted, Wait):
        return waiting(context, version, promoted)
    answered = answer_metadata(approval_of(ledger.read(pipeline.name), promoted.version, promoted.digest))
    served = promoted.model_dump(mode="json", include={"version", "as_of", "promoted_at", "digest"})
    gates = {"gates": ", ".join(demands(pipeline.spec, pipeline.metrics))}
    shown = _links(context.instance, pipeline, version) | served | gates | answered
    return dg.MaterializeResult(metadata={**shown, **faults})


def _links(instance: dg.DagsterInstance, pipeline: Pipeline, version: ModelVersion) -> dict[str, Any]:
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


def _refused(
    context: dg.AssetExecutionContext, pipeline: Pipeline, version: ModelVersion, refusal: PromotionRefused
) -> dg.AssetObservation:
    """Show that a version was refused: in a run that trained it what serves is as well as before, and no failure."""
    keys = context.job_def.asset_layer.selected_asset_keys
    if dg.AssetKey([pipeline.name, "evaluation"]) not in keys:
        raise refusal
    context.log.error(f"What serves stays as it is. {refusal}")
    sentence = f"Version {version.version} as of {version.as_of} was refused; what serves stays as it is."
    metadata: dict[str, Any] = {
        "refused": str(refusal), "version": version.version, "as_of": version.as_of, "digest": version.digest,
    }  # fmt: skip
    return dg.AssetObservation(context.asset_key, description=sentence, metadata=metadata)
