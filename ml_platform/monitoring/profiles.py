"""Profiles: counts of a table's rows in bins that the champion's training rows fixed.

Counts under the same bins add up, so the profile of a window is the merge of its partitions' profiles, and no row is
read twice. Put here what counts rows; what judges the counts is in `ml_platform.monitoring.drift`.
"""

import hashlib
import json
import math
import sys
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field

from ml_platform.contracts.errors import NotEnoughRows, SchemaMismatch, ShapeMismatch, examples
from ml_platform.contracts.records import Record
from ml_platform.validation.metrics import FloatArray

EDGES_AT_MOST = 1024
CATEGORIES_AT_MOST = 1000


class NumericColumn(Record):
    """Counts of one numeric (or boolean) column.

    Bin `i` holds values in `(edges[i - 1], edges[i]]`. The first edge lies just below the reference's smallest value
    and the last at its largest, so the outermost bins hold what the reference never saw. NaN counts as null.
    """

    kind: Literal["numeric"] = "numeric"
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    nulls: int


class CategoryColumn(Record):
    """Counts of one column of strings: one for each category of the reference, and last one for all others."""

    kind: Literal["category"] = "category"
    categories: tuple[str, ...]
    counts: tuple[int, ...]
    nulls: int


Column = Annotated[NumericColumn | CategoryColumn, Field(discriminator="kind")]


class Profile(Record):
    """The mergeable summary of rows of features under one reference.

    Parameters
    ----------
    reference : str
        SHA-256 of the bins; only profiles of the same reference can be merged or compared.
    rows : int
        How many rows were counted.
    columns : dict
        Counts by column.
    """

    reference: str
    rows: int
    columns: dict[str, Column]

    def profile(self, frame: pl.DataFrame) -> Self:
        """Count other rows in this profile's bins.

        Parameters
        ----------
        frame : polars.DataFrame
            Holds at least this profile's columns; its rows may come in any order.

        Raises
        ------
        SchemaMismatch
            If a column is missing, or is numeric here and a string there.
        """
        missing = [name for name in self.columns if name not in frame.columns]
        if missing:
            raise SchemaMismatch.because(
                f"columns {examples(missing)}",
                got="no such columns",
                expected="those of the reference",
                hint="profile features",
            )
        columns = {name: _count(frame[name], column) for name, column in self.columns.items()}
        return self.model_copy(update={"rows": frame.height, "columns": columns})

    def to_json(self) -> str:
        """Write compact JSON; equal profiles give equal text."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote."""
        return cls.model_validate_json(text)


def fit_reference(frame: pl.DataFrame, columns: Sequence[str]) -> Profile:
    """Fix the bins by a reference and count it.

    Parameters
    ----------
    frame : polars.DataFrame
        The rows we trust: those that the champion was trained on.
    columns : sequence of str
        What to watch. Numbers and booleans are cut at up to 1024 quantiles that are values of the column; strings keep
        their 1000 most frequent categories.

    Returns
    -------
    Profile
        The reference's own counts; its method `profile` counts other rows in the same bins.

    Raises
    ------
    SchemaMismatch
        If a column is missing, or is neither numeric, boolean nor a string.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise SchemaMismatch.because(
            f"columns {examples(missing)}",
            got="no such columns",
            expected=examples(frame.columns),
            hint="name features",
        )
    bins = {name: _fit(frame[name]) for name in columns}
    content = json.dumps([(name, column.model_dump(mode="json")) for name, column in bins.items()])
    reference = hashlib.sha256(content.encode()).hexdigest()
    return Profile(reference=reference, rows=0, columns=bins).profile(frame)


def merge(profiles: Sequence[Profile]) -> Profile:
    """Add profiles up: the result is the profile of all their rows together.

    Raises
    ------
    NotEnoughRows
        If there is no profile.
    ShapeMismatch
        If they were made under different references.
    """
    if not profiles:
        raise NotEnoughRows.because(
            "profiles", got="none", expected="at least one", hint="materialize predictions first"
        )
    references = {one.reference for one in profiles}
    if len(references) > 1:
        raise ShapeMismatch.because(
            "profiles",
            got=f"{len(references)} references: {examples(sorted(reference[:12] for reference in references))}",
            expected="one reference",
            hint="profile every partition under the present champion's reference",
        )
    columns = {name: _add([one.columns[name] for one in profiles]) for name in profiles[0].columns}
    return profiles[0].model_copy(update={"rows": sum(one.rows for one in profiles), "columns": columns})


def _add(columns: Sequence[NumericColumn | CategoryColumn]) -> NumericColumn | CategoryColumn:
    counts = np.sum([column.counts for column in columns], axis=0)
    return columns[0].model_copy(
        update={"counts": tuple(counts.tolist()), "nulls": sum(column.nulls for column in columns)}
    )


def _fit(series: pl.Series) -> NumericColumn | CategoryColumn:
    if _is_text(series):
        frequent = (
            series.drop_nulls()
            .cast(pl.String)
            .value_counts(name="rows")
            .sort(["rows", series.name], descending=[True, False])
        )
        categories = tuple(sorted(frequent[series.name].head(CATEGORIES_AT_MOST).to_list()))
        return CategoryColumn(categories=categories, counts=(0,) * (len(categories) + 1), nulls=0)
    values = _sorted_numbers(series)
    edges = _edges(values[np.isfinite(values)])
    return NumericColumn(edges=edges, counts=(0,) * (len(edges) + 1), nulls=0)


def _edges(values: FloatArray) -> tuple[float, ...]:
    if not values.size:
        return ()
    places = np.linspace(0, values.size - 1, EDGES_AT_MOST - 1).round().astype(np.int64)
    quantiles = np.unique(values[places])
    below = max(math.nextafter(quantiles[0], -math.inf), -sys.float_info.max)
    return tuple(np.unique([below, *quantiles]).tolist())


def _count(series: pl.Series, column: NumericColumn | CategoryColumn) -> NumericColumn | CategoryColumn:
    if column.kind == "category":
        counts, nulls = _count_categories(series, column.categories)
    else:
        values = _sorted_numbers(series)
        up_to = np.searchsorted(values, np.array(column.edges), side="right")
        counts, nulls = np.diff(up_to, prepend=0, append=values.size).tolist(), series.len() - values.size
    return column.model_copy(update={"counts": tuple(counts), "nulls": nulls})


def _count_categories(series: pl.Series, categories: Sequence[str]) -> tuple[list[int], int]:
    if not _is_text(series) and series.dtype != pl.Null:
        raise _strange(series, "a string column, as in the reference")
    seen = dict(series.drop_nulls().cast(pl.String).value_counts().iter_rows())
    counts = [seen.get(category, 0) for category in categories]
    return [*counts, sum(seen.values()) - sum(counts)], series.null_count()


def _sorted_numbers(series: pl.Series) -> FloatArray:
    """Give the column's values without nulls and NaN, in order; adding 0.0 turns -0.0 into 0.0."""
    if not (series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null)):
        raise _strange(series, "a numeric, boolean or string column, of the same kind as in the reference")
    return np.sort(series.cast(pl.Float64).drop_nulls().drop_nans().to_numpy() + 0.0)


def _is_text(series: pl.Series) -> bool:
    return series.dtype in (pl.String, pl.Categorical, pl.Enum)


def _strange(series: pl.Series, expected: str) -> SchemaMismatch:
    return SchemaMismatch.because(
        f"column {series.name}", got=series.dtype, expected=expected, hint="watch features as the model sees them"
    )
