"""What a training set is made from, compared before it is cut: stale partitions are refused, or rebuilt first.

The check `features_are_fresh` shows what was found. Dagster's own staleness does not reach here: it looks at no
dependency on 100 partitions or more, which a training set often has.
"""

from typing import NamedTuple

import dagster as dg

from ml_platform.data.lake.freshness import Freshness, StalePartition, listed
from ml_platform.data.lake.tables import Lake
from ml_platform.data.quality.verdicts import require_trusted
from ml_platform.features.online import OnlineStore
from ml_platform.orchestration.freshness import (
    refuse_stale,
    rows_behind,
    stale_features,
    stale_validated,
    training_span,
)
from ml_platform.orchestration.partition_events import log_evaluations
from ml_platform.orchestration.partitions import partitions_def
from ml_platform.orchestration.refresh import rebuild_features, stale_table
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.training_rows import newest_versions

CHECK = "features_are_fresh"


class FreshInputs(NamedTuple):
    """The table versions that were compared, how many feature partitions, and those that were rebuilt before."""

    versions: dict[str, int]
    partitions: int
    rebuilt: list[StalePartition]


def fresh_check_spec(pipeline: Pipeline) -> dg.AssetCheckSpec:
    """Declare the check."""
    return dg.AssetCheckSpec(
        CHECK,
        asset=[pipeline.name, "training_set"],
        partitions_def=partitions_def(pipeline),
        description="Features and rows follow from what they were made from: nothing changed since.",
    )


def fresh_check(inputs: FreshInputs) -> dg.AssetCheckResult:
    """Show what was compared, and what was rebuilt."""
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=True,
        description=f"{inputs.partitions} partitions compared, {len(inputs.rebuilt)} rebuilt.",
        metadata={
            "partitions": inputs.partitions,
            "rebuilt": len(inputs.rebuilt),
            **({"rebuilt_partitions": stale_table(inputs.rebuilt)} if inputs.rebuilt else {}),
        },
    )


def require_fresh_inputs(
    context: dg.AssetExecutionContext, pipeline: Pipeline, lake: Lake, online: OnlineStore, as_of: str
) -> FreshInputs:
    """Compare what a training set is made from with what that was made from, and rebuild features if the spec says so.

    Raises
    ------
    StaleInputs
        If rows were not judged again, or features are stale and are not to be rebuilt; names the partitions.
    ContractError
        If the rows behind it cannot be trusted.
    """
    keys, rebuilt = training_span(pipeline, as_of), []
    _refuse(context, pipeline, as_of, list(stale_validated(pipeline, Freshness(lake), rows_behind(pipeline, as_of))))
    require_trusted(lake, pipeline.name, rows_behind(pipeline, as_of))
    versions = newest_versions(pipeline, lake)
    stale = list(stale_features(pipeline, Freshness(lake, versions), keys))
    if stale and pipeline.spec.training.stale == "rebuild":
        context.log.info(f"{pipeline.name}: rebuilding {listed(stale)}")
        rebuild_features(context, pipeline, lake, online, [each.partition for each in stale])
        rebuilt, versions = stale, newest_versions(pipeline, lake)
        stale = list(stale_features(pipeline, Freshness(lake, versions), keys))
    _refuse(context, pipeline, as_of, stale)
    return FreshInputs(versions, len(keys), rebuilt)


def _refuse(context: dg.AssetExecutionContext, pipeline: Pipeline, as_of: str, stale: list[StalePartition]) -> None:
    """Show the failed check before the refusal: of a step that fails Dagster keeps no result."""
    if stale:
        metadata = {"stale": len(stale), "stale_partitions": stale_table(stale)}
        log_evaluations(context, [dg.AssetCheckEvaluation(context.asset_key, CHECK, False, metadata, partition=as_of)])
    refuse_stale(pipeline, as_of, stale)
