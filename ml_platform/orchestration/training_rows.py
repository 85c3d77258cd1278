"""The rows of a training set: made of features and labels as of an instant, and read back in the order of a fit."""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from ml_platform.data.lake.tables import Lake
from ml_platform.data.sources.loaded import raw_types
from ml_platform.data.splits.cut import known_rows, parted, split_rows
from ml_platform.data.splits.labels import known_labels
from ml_platform.data.splits.target_columns import carried_columns
from ml_platform.features.plan import require_one_plan
from ml_platform.orchestration.resolution import Pipeline

READ = ("features", "validated")


class FitRows(NamedTuple):
    """What a candidate is fitted on: the three parts, and every row known as of the instant (None without a refit)."""

    parts: pl.DataFrame
    known: pl.DataFrame | None

    @property
    def learnt(self) -> pl.DataFrame:
        """The rows that the served fit learns from."""
        return self.parts.filter(pl.col("part") == "train") if self.known is None else self.known


def make_training_set(
    pipeline: Pipeline, lake: Lake, as_of: str, versions: Mapping[str, int] | None = None
) -> pl.DataFrame:
    """Cut the training set of an as-of partition, each row marked with the table versions it was read at.

    Parameters
    ----------
    versions : mapping of str to int, optional
        The version at which each table is read; the newest where none is named.

    Returns
    -------
    (n_rows, ...)
        As `ml_platform.data.splits.cut.split_rows` makes it, with the rows that only the served fit learns from.
    """
    spec = pipeline.spec
    return split_rows(
        *_known_rows(pipeline, lake, as_of, versions or {}),
        key=spec.key, event_time=spec.event_time, split=spec.split, calendar=pipeline.calendar, as_of=as_of,
    )  # fmt: skip


def read_training_set(pipeline: Pipeline, lake: Lake, as_of: str) -> pl.DataFrame:
    """Read the three parts of a training set that was written, in the order of a fit."""
    return parted(_read(pipeline, lake, as_of))


def read_fit_rows(pipeline: Pipeline, lake: Lake, as_of: str) -> FitRows:
    """Read all that a candidate of an as-of partition is fitted on."""
    return fit_rows(pipeline, _read(pipeline, lake, as_of))


def fit_rows(pipeline: Pipeline, rows: pl.DataFrame) -> FitRows:
    """Divide a training set into what its fits learn from.

    Raises
    ------
    ContractError
        If the pipeline asks for a refit, and the training set was written before it held the rows for one.
    """
    return FitRows(parted(rows), known_rows(rows) if pipeline.spec.refit == "all" else None)


def _read(pipeline: Pipeline, lake: Lake, as_of: str) -> pl.DataFrame:
    """Read a training set in the order it was made in: a fit depends on the order of its rows."""
    rows = lake.read(pipeline.table("training_set"), [as_of])
    return rows.sort(pipeline.spec.event_time, *pipeline.spec.key)


def newest_versions(pipeline: Pipeline, lake: Lake) -> dict[str, int]:
    """Return the newest version of each table that a training set is read from."""
    return {pipeline.table(stage): lake.version(pipeline.table(stage)) for stage in READ}


def table_versions(pipeline: Pipeline, rows: pl.DataFrame) -> dict[str, int]:
    """Give the table versions that the rows of a training set were read at."""
    return {pipeline.table(stage): int(rows[f"{stage}_version"][0]) for stage in READ}


def _known_rows(
    pipeline: Pipeline, lake: Lake, as_of: str, tables: Mapping[str, int]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read feature rows and labels of the split's span."""
    spec, keys = pipeline.spec, pipeline.calendar.keys_before(as_of, pipeline.spec.split.span)
    newest = {**newest_versions(pipeline, lake), **tables}
    versions = {stage: newest[pipeline.table(stage)] for stage in READ}
    features = lake.read(pipeline.table("features"), keys, version=versions["features"])
    features = require_one_plan(features, pipeline.plan.digest)
    by = [spec.split.by] if spec.split.by is not None and spec.split.by not in features.columns else []
    carried = carried_columns(spec, raw_types(pipeline.schema))
    wanted = list(dict.fromkeys([*spec.key, spec.event_time, *spec.label.columns, *by, *carried]))
    labels = lake.read(pipeline.table("validated"), keys, columns=wanted, version=versions["validated"])
    labels = labels.with_columns(pl.col(raw).cast(pl.Float64).alias(name) for raw, name in carried.items())
    return (
        features.with_columns(pl.lit(at).alias(f"{stage}_version") for stage, at in versions.items()),
        known_labels(labels, spec.label, spec.key, spec.event_time, also=[*by, *carried.values()]),
    )
