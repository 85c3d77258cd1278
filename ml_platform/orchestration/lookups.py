"""Loading lookups from their sources, and reading as much of them from the lake as some partitions' features need."""

from collections.abc import Mapping, Sequence

import polars as pl

from ml_platform.data.lake.tables import PARTITION, STATIC, Lake
from ml_platform.data.sources.python import read_lookup
from ml_platform.features.types import POLARS_TYPES
from ml_platform.orchestration.partitions import whole_days
from ml_platform.orchestration.resolution import Pipeline, raw_types


def load_lookup(pipeline: Pipeline, name: str, keys: Sequence[str]) -> pl.DataFrame:
    """Load a lookup: the rows that became known within the partitions, or all of it where it knows no time."""
    lookup, load = pipeline.spec.features.lookups[name], pipeline.lookups[name]
    raw = raw_types(pipeline.schema)
    types = {column: raw.get(column, pl.String()) for column in lookup.by}
    types |= {column: POLARS_TYPES[kind] for column, kind in lookup.columns.items()}
    if lookup.known_at is None:
        return read_lookup(load(), name, types, lookup.by).with_columns(pl.lit(STATIC).alias(PARTITION))
    types[lookup.known_at] = POLARS_TYPES["timestamp"]
    rows = read_lookup(load(pipeline.calendar.window(keys)), name, types, lookup.by)
    return rows.with_columns(pipeline.calendar.keys_of(pl.col(lookup.known_at)).alias(PARTITION))


def read_lookups(
    pipeline: Pipeline, lake: Lake, keys: Sequence[str], versions: Mapping[str, int] | None = None
) -> dict[str, pl.DataFrame]:
    """Read the lookups that rows of these partitions may join, by name; `versions` are of their tables."""
    lookups: dict[str, pl.DataFrame] = {}
    for name, lookup in pipeline.spec.features.lookups.items():
        wanted = [STATIC]
        if lookup.tolerance is not None:
            wanted = [*pipeline.calendar.keys_before(keys[0], whole_days(lookup.tolerance)), *keys]
        lookups[name] = lake.read(
            pipeline.table(name), wanted, version=(versions or {}).get(pipeline.table(name))
        ).drop(PARTITION)
    return lookups
