"""The stage `raw`: rows as the source gave them; rows that could not be read are kept beside it, with the reason."""

from typing import Any

import dagster as dg

from ml_platform.data.lake.tables import Lake, rows_by_partition
from ml_platform.data.sources.loaded import Loaded
from ml_platform.orchestration.catalogue import descriptions
from ml_platform.orchestration.partitions import partitions_def, stage_asset
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.written import written

KINDS = {"python": {"python", "pandas"}, "files": {"file", "polars"}, "sql": {"sql", "polars"}}
ORIGINS_AT_MOST = 50


def raw_asset(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Make the stage of a pipeline."""

    @stage_asset(
        pipeline,
        "raw",
        kinds={*KINDS[pipeline.spec.source.kind], "deltalake"},
        description="Rows as the source gave them, with the columns and types of the schema.",
        partitions_def=partitions_def(pipeline),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def raw(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult:
        keys = list(context.partition_keys)
        loaded = pipeline.source.load(keys)
        lake.write(pipeline.table("rejected"), loaded.rejected, keys)  # before raw: it may not look whole without
        bad = rows_by_partition(loaded.rejected, keys)
        extra = {key: {"rows_rejected": count} for key, count in bad.items()}
        shared, lineage = origins_metadata(loaded), {"origins": dict(loaded.origins)}
        described: dict[str, Any] = {"shared": shared, "lineage": lineage, "descriptions": descriptions(pipeline)}
        return written(context, lake, pipeline.table("raw"), loaded.rows, keys, extra, **described)

    return raw


def origins_metadata(loaded: Loaded) -> dict[str, Any]:
    """Show where rows came from, why some were rejected, and what else was noted."""
    shown = list(loaded.origins.items())[:ORIGINS_AT_MOST]
    lines = ["| origin | rows |", "| --- | --- |", *(f"| {name} | {rows} |" for name, rows in shown)]
    if more := len(loaded.origins) - len(shown):
        lines.append(f"| and {more} more | |")
    described: dict[str, Any] = {"origins": dg.MetadataValue.md("\n".join(lines))}
    if loaded.notes:
        described["notes"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in loaded.notes))
    if len(loaded.rejected):
        reasons = loaded.rejected.group_by("reason").len().sort("len", "reason", descending=[True, False]).head(5)
        rows = [f"| {reason} | {count} |" for reason, count in reasons.iter_rows()]
        described["rejected"] = dg.MetadataValue.md("\n".join(["| reason | rows |", "| --- | --- |", *rows]))
    return described
