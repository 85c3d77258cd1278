"""Writing a stage's rows to the lake, and describing them in the Dagster UI."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from ml_platform.contracts.records import Commit
from ml_platform.data.lake.tables import STATIC, Lake
from ml_platform.orchestration.code_versions import code_version
from ml_platform.orchestration.metadata import preview, table_metadata
from ml_platform.orchestration.partition_events import (
    ALREADY_LOGGED,
    PartitionLog,
    StageContext,
    log_materializations,
)


def written(
    context: StageContext,
    lake: Lake,
    table: str,
    rows: pl.DataFrame,
    keys: list[str],
    extra: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    shared: Mapping[str, Any] | None = None,
    once: Mapping[str, Any] | None = None,
    lineage: Mapping[str, Any] | None = None,
    evolve: bool = False,
    run_fails: bool = False,
    descriptions: Mapping[str, str] | None = None,
) -> dg.MaterializeResult:
    """Write a stage's rows and describe them: each partition's own numbers, and what holds for all of them.

    Parameters
    ----------
    context : AssetExecutionContext or PartitionLog
        The stage's own step; or the log of its partitions in another step, which then logs every partition at once.
    extra : mapping, optional
        Partition -> metadata of its own.
    shared : mapping, optional
        Metadata of all partitions.
    once : mapping, optional
        What is large and the same for all of them: it stands with the newest.
    lineage : mapping, optional
        What the rows came from, besides what was read from the lake; kept in the commit.
    evolve : bool
        Columns may come and go; see `Lake.write`.
    run_fails : bool
        The step is about to fail, and its result will be lost: what was written is logged at once.
    descriptions : mapping of str to str, optional
        Column -> what its author says of it.
    """
    commit = lake.write(table, rows, keys, lineage=lineage, evolve=evolve)
    described = {**table_metadata(commit, rows, descriptions), "code_version": code_version(), **(shared or {})}
    empty = [key for key in keys if not commit.partitions[key].rows and key != STATIC]
    if empty:
        context.log.warning(f"{table}: no rows in {', '.join(empty)}")
    if len(keys) == 1 and not run_fails and not isinstance(context, PartitionLog):
        return _one(commit, keys[0], {**described, **(once or {}), **(extra or {}).get(keys[0], {})})
    large = {**(once or {}), "dagster/column_schema": described.pop("dagster/column_schema")}
    large["preview"] = dg.MetadataValue.md(preview(rows.filter(pl.col("partition") == keys[-1])))
    described.pop("preview")
    metadata = {key: {**described, **_own(commit, key), **(extra or {}).get(key, {})} for key in keys}
    metadata[keys[-1]] |= large  # what is large stands once, with the newest partition
    log_materializations(context, {key: commit.partitions[key].hash for key in keys}, metadata)
    return dg.MaterializeResult(metadata=ALREADY_LOGGED)


def _one(commit: Commit, key: str, described: Mapping[str, Any]) -> dg.MaterializeResult:
    """Describe the only partition, or a table that has none."""
    content = commit.partitions[key]
    count = "dagster/row_count" if key == STATIC else "dagster/partition_row_count"
    return dg.MaterializeResult(
        metadata={**described, "content_hash": content.hash, count: content.rows},
        data_version=dg.DataVersion(content.hash),
    )


def _own(commit: Commit, key: str) -> dict[str, Any]:
    content = commit.partitions[key]
    return {"content_hash": content.hash, "dagster/partition_row_count": content.rows}
