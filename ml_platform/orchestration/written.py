"""Writing a stage's rows to the lake, and describing them in the Dagster UI."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from ml_platform.data.lake import STATIC, Lake, rows_by_partition
from ml_platform.orchestration.metadata import preview, table_metadata


def written(
    context: dg.AssetExecutionContext,
    lake: Lake,
    table: str,
    rows: pl.DataFrame,
    keys: list[str],
    extra: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    evolve: bool = False,
) -> dg.MaterializeResult:
    """Write a stage's rows and describe them: each partition's own numbers, and what holds for all of them.

    With `evolve`, columns may come and go; see `Lake.write`.
    """
    version = lake.write(table, rows, keys, evolve=evolve)
    counts = rows_by_partition(rows, keys)
    if keys == [STATIC]:
        return dg.MaterializeResult(metadata=table_metadata(version, rows) | {"dagster/row_count": len(rows)})
    for key in keys:
        context.add_asset_metadata(
            {"dagster/partition_row_count": counts[key], **(extra or {}).get(key, {})}, partition_key=key
        )
    empty = [key for key in keys if not counts[key]]
    if empty:
        context.log.warning(f"{table}: no rows in {', '.join(empty)}")
    described = table_metadata(version, rows)
    if len(keys) > 1:  # what is large stands once, with the newest partition
        described.pop("preview")
        newest = rows.filter(pl.col("partition") == keys[-1])
        context.add_asset_metadata({"preview": dg.MetadataValue.md(preview(newest))}, partition_key=keys[-1])
    return dg.MaterializeResult(metadata=described)
