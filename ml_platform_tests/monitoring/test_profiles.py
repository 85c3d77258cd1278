"""Profiles add up, forget the order of rows, and go to JSON and back unchanged."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_platform.contracts.errors import NotEnoughRows, SchemaMismatch, ShapeMismatch
from ml_platform.monitoring.profiles import CategoryColumn, NumericColumn, Profile, fit_reference, merge

COLUMNS = ["number", "text", "flag"]
SCHEMA = {"number": pl.Float64, "text": pl.String, "flag": pl.Boolean}

_row = st.tuples(
    st.none() | st.floats() | st.sampled_from([0.0, -0.0, 1.0]),
    st.none() | st.sampled_from(["AA", "UA", "", "new"]),
    st.none() | st.booleans(),
)
_rows = st.lists(_row, max_size=40)


def _frame(rows: list[tuple[float | None, str | None, bool | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _numeric(profile: Profile, name: str) -> NumericColumn:
    column = profile.columns[name]
    assert isinstance(column, NumericColumn)
    return column


@settings(max_examples=40)
@given(reference=_rows, parts=st.lists(_rows, min_size=1, max_size=4))
def test_merged_profiles_are_the_profile_of_the_union(reference: list, parts: list[list]) -> None:
    """However the rows are cut into partitions, empty ones included."""
    fitted = fit_reference(_frame(reference), COLUMNS)
    merged = merge([fitted.profile(_frame(part)) for part in parts])
    assert merged == fitted.profile(_frame([row for part in parts for row in part]))


@settings(max_examples=40)
@given(rows=_rows, data=st.data())
def test_the_order_of_rows_does_not_matter(rows: list, data: st.DataObject) -> None:
    """Not even in the bytes: 0.0 and -0.0 are one value."""
    shuffled = data.draw(st.permutations(rows))
    assert fit_reference(_frame(rows), COLUMNS).to_json() == fit_reference(_frame(shuffled), COLUMNS).to_json()


@settings(max_examples=40)
@given(rows=_rows)
def test_json_gives_the_profile_back(rows: list) -> None:
    """Every edge is an exact float."""
    profile = fit_reference(_frame(rows), COLUMNS)
    assert Profile.from_json(profile.to_json()) == profile


@settings(max_examples=40)
@given(reference=_rows, rows=_rows)
def test_every_row_is_counted_once(reference: list, rows: list) -> None:
    """In a bin or as a null."""
    profile = fit_reference(_frame(reference), COLUMNS).profile(_frame(rows))
    assert {sum(column.counts) + column.nulls for column in profile.columns.values()} == {profile.rows} == {len(rows)}


def test_values_outside_the_reference_have_bins_of_their_own() -> None:
    """Also for a column that was constant."""
    reference = fit_reference(pl.DataFrame({"x": [5.0, 5.0]}), ["x"])
    assert _numeric(reference, "x").counts == (0, 2, 0)
    now = reference.profile(pl.DataFrame({"x": [4.0, 5.0, 6.0, 7.0, math.inf, -math.inf]}))
    assert _numeric(now, "x").counts == (2, 1, 3)


def test_nan_counts_as_null() -> None:
    """A broken join gives either."""
    reference = fit_reference(pl.DataFrame({"x": [1.0, None, math.nan]}), ["x"])
    assert (_numeric(reference, "x").nulls, sum(_numeric(reference, "x").counts)) == (2, 1)


def test_whole_numbers_and_booleans_are_numbers() -> None:
    """And a window may hold them in another width."""
    frame = pl.DataFrame({"hour": [0, 1, 23], "flag": [True, False, True]})
    reference = fit_reference(frame, ["hour", "flag"])
    assert _numeric(reference, "flag").counts == (0, 1, 2, 0)
    assert reference.profile(frame.with_columns(pl.col("hour").cast(pl.Int8))) == reference


def test_strings_count_the_categories_of_the_reference_and_others() -> None:
    """Categories are sorted; the last count is of those never seen."""
    reference = fit_reference(pl.DataFrame({"carrier": ["UA", "AA", "UA", None]}), ["carrier"])
    expected = CategoryColumn(categories=("AA", "UA"), counts=(1, 2, 0), nulls=1)
    assert reference.columns["carrier"] == expected
    frame = pl.DataFrame({"carrier": ["UA", "B6", "EV"]}, schema={"carrier": pl.Categorical})
    assert reference.profile(frame).columns["carrier"].counts == (0, 1, 2)


def test_a_column_with_very_many_categories_keeps_the_most_frequent() -> None:
    """So that an identifier cannot blow a profile up."""
    names = [f"N{place:05}" for place in range(3000)]
    column = fit_reference(pl.DataFrame({"tail": [*names, "N02999"]}), ["tail"]).columns["tail"]
    assert isinstance(column, CategoryColumn)
    assert (len(column.categories), column.categories[-1], column.counts[-1]) == (1000, "N02999", 2001 - 1)


def test_a_large_column_is_cut_at_about_a_thousand_quantiles() -> None:
    """Each bin holds about the same share."""
    values = np.random.default_rng(0).normal(size=100_000)
    column = _numeric(fit_reference(pl.DataFrame({"x": values}), ["x"]), "x")
    assert (len(column.edges), len(column.counts)) == (1024, 1025)
    assert max(column.counts) <= 100


def test_a_column_that_is_null_throughout_fits_any_kind() -> None:
    """Polars gives it no type of its own."""
    frame = pl.DataFrame({"x": [1.0], "carrier": ["UA"]})
    reference = fit_reference(frame, ["x", "carrier"])
    now = reference.profile(pl.DataFrame({"x": [None, None], "carrier": [None, None]}))
    assert [column.nulls for column in now.columns.values()] == [2, 2]


def test_only_profiles_of_one_reference_merge() -> None:
    """Counts in other bins mean something else."""
    one, other = (fit_reference(pl.DataFrame({"x": values}), ["x"]) for values in ([1.0, 2.0], [1.0, 3.0]))
    with pytest.raises(ShapeMismatch, match=r"got 2 references: .* expected one reference"):
        merge([one, other])
    with pytest.raises(NotEnoughRows, match="got none"):
        merge([])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"y": [1.0]}), "columns x: got no such columns"),
        (pl.DataFrame({"x": ["a"]}), "column x: got String, expected a numeric"),
    ],
)
def test_a_window_with_other_columns_is_refused(frame: pl.DataFrame, message: str) -> None:
    """A broken table is a data fault, not drift."""
    with pytest.raises(SchemaMismatch, match=message):
        fit_reference(pl.DataFrame({"x": [1.0]}), ["x"]).profile(frame)


def test_what_cannot_be_binned_is_refused() -> None:
    """Lists, dates and numbers where strings were."""
    with pytest.raises(SchemaMismatch, match="got Date, expected a numeric"):
        fit_reference(pl.DataFrame({"x": [None]}, schema={"x": pl.Date}), ["x"])
    with pytest.raises(SchemaMismatch, match="columns z: got no such columns, expected x"):
        fit_reference(pl.DataFrame({"x": [1.0]}), ["z"])
    with pytest.raises(SchemaMismatch, match="got Float64, expected a string column"):
        fit_reference(pl.DataFrame({"x": ["a"]}), ["x"]).profile(pl.DataFrame({"x": [1.0]}))
