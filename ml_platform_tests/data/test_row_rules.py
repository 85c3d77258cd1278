"""The rules that polars tells are those that pandera tells: the same rows, for the same reasons."""

import math
import re
from typing import Any

import pandas as pd
import pandera.pandas as pa
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.quality.row_rules import take_apart
from ml_platform.data.quality.rows import REASON, validate

NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, -2.5, 1e300])
WORDS = st.sampled_from(["", "a", "ab", "abc", "é", "a\n", "ab\n", "B-1", "b-1", "a.b", "12", "1a", "\u0661"])
PATTERNS = [
    "a", "a$", "^a", r"a\Z", "^ab?$", "a|b", "^a|b$", "[ab]{2,3}", "[^a]", r"\d+", r"B-\d$", "a.b", r"a\.b", ".*$",
    "(?:ab)+", "a+?", "(?i)b", r"\w+", r"a\b", "(?=a)", "a(?!b)", "", r"[a\-.]", "x{2}",
]  # fmt: skip


def _number_checks() -> st.SearchStrategy[pa.Check]:
    one = st.sampled_from([pa.Check.gt, pa.Check.ge, pa.Check.lt, pa.Check.le, pa.Check.eq, pa.Check.ne])
    bounds = st.tuples(NUMBERS, NUMBERS).filter(lambda pair: pair[0] < pair[1])
    listed = st.lists(st.integers(-3, 3), min_size=1) | st.lists(st.sampled_from([0.5, -2.5]), min_size=1)
    return st.one_of(
        st.builds(lambda make, bound: make(bound), one, NUMBERS),
        st.builds(
            lambda pair, low, high: pa.Check.in_range(pair[0], pair[1], include_min=low, include_max=high),
            bounds, st.booleans(), st.booleans(),
        ),
        st.builds(lambda make, values: make(values), st.sampled_from([pa.Check.isin, pa.Check.notin]), listed),
    )  # fmt: skip


def _text_checks() -> st.SearchStrategy[pa.Check]:
    return st.one_of(
        st.builds(lambda values: pa.Check.isin(values), st.lists(WORDS, min_size=1)),
        st.builds(lambda values: pa.Check.notin(values), st.lists(WORDS, min_size=1)),
        st.builds(lambda pattern: pa.Check.str_matches(pattern), st.sampled_from(PATTERNS)),
        st.builds(lambda pattern: pa.Check.str_contains(pattern), st.sampled_from(PATTERNS)),
        st.builds(lambda start: pa.Check.str_startswith(start), WORDS),
        st.tuples(st.integers(0, 3), st.integers(0, 3)).map(sorted).map(lambda pair: pa.Check.str_length(*pair)),
        st.integers(0, 3).map(lambda low: pa.Check.str_length(min_value=low)),
        st.integers(0, 3).map(lambda high: pa.Check.str_length(max_value=high)),
        st.integers(0, 3).map(lambda exact: pa.Check.str_length(exact_value=exact)),
    )


def _column(dtype: Any, checks: st.SearchStrategy[pa.Check]) -> st.SearchStrategy[pa.Column]:
    return st.builds(
        lambda checks, nullable: pa.Column(dtype, checks, nullable=nullable),
        st.lists(checks, max_size=3), st.booleans(),
    )  # fmt: skip


SCHEMAS = st.fixed_dictionaries(
    {
        "n": _column(pd.Int64Dtype(), _number_checks()),
        "x": _column("float64", _number_checks()),
        "s": _column(pd.StringDtype(), _text_checks()),
        "at": _column("datetime64[us, UTC]", st.just(pa.Check.ge(pd.Timestamp("2020-01-01", tz="UTC")))),
        "ok": _column(pd.BooleanDtype(), st.just(pa.Check.eq(value=True))),
    }
).map(pa.DataFrameSchema)
TYPES = {"n": pl.Int64, "x": pl.Float64, "s": pl.String, "at": pl.Datetime("us", "UTC"), "ok": pl.Boolean}
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-4, 4) | st.sampled_from([2**62, -(2**53) - 1]),
        st.none() | st.floats(-4, 4) | st.sampled_from([math.nan, math.inf, 0.5, -2.5]),
        st.none() | WORDS,
        st.none() | st.datetimes(pd.Timestamp("2019-06-01"), pd.Timestamp("2020-06-01")),
        st.none() | st.booleans(),
    ),
    max_size=8,
)


def _frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    naive = {name: pl.Datetime("us") if name == "at" else dtype for name, dtype in TYPES.items()}
    frame = pl.DataFrame(rows, schema=naive, orient="row").with_columns(pl.col("at").dt.replace_time_zone("UTC"))
    return frame.with_row_index("id").with_columns(pl.lit("d").alias(PARTITION))


def _by_pandera_alone(rows: pl.DataFrame, schema: pa.DataFrameSchema) -> dict[int, str]:
    """Judge as pandera does; the frame is made of arrays, so that no integer passes through a float."""
    types: Any = {name: str(column.dtype) for name, column in schema.columns.items()}
    arrays = {name: pd.Series(rows[name].to_list(), dtype=dtype) for name, dtype in types.items()}
    reasons: dict[int, set[str]] = {}
    try:
        schema.validate(pd.DataFrame(arrays), lazy=True)
    except pa.errors.SchemaErrors as errors:
        for row, column, check in errors.failure_cases[["index", "column", "check"]].itertuples(index=False):
            reasons.setdefault(int(row), set()).add(f"{column}: {check}")
    return {row: "; ".join(sorted(broken)) for row, broken in reasons.items()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The behavior of DataFrame concatenation:FutureWarning")  # pandera's own tables
@settings(max_examples=100)
@given(rows=ROWS, schema=SCHEMAS)
def test_polars_and_pandera_find_the_same_rows_for_the_same_reasons(
    rows: list[tuple[Any, ...]], schema: pa.DataFrameSchema
) -> None:
    frame = _frame(rows)
    found = dict(validate(frame, schema, ["id"]).quarantined.select("id", REASON).iter_rows())
    assert found == _by_pandera_alone(frame, schema)


def _is_told_by_polars(column: pa.Column, dtype: Any) -> bool:
    return take_apart(pa.DataFrameSchema({"x": column}), {"x": dtype}).others is None


@pytest.mark.parametrize(
    ("column", "dtype", "is_told"),
    [
        (pa.Column(float, pa.Check.gt(0)), pl.Float64(), True),
        (pa.Column("Int64", pa.Check.in_range(0, 5)), pl.Int64(), True),
        (pa.Column("string", pa.Check.isin(["a"])), pl.String(), True),
        (pa.Column(str, pa.Check.str_length(2)), pl.String(), True),
        (pa.Column("string", pa.Check.str_matches(r"(?:[A-Z]{2}-\d+)\Z")), pl.String(), True),
        (pa.Column("string", nullable=False), pl.String(), True),
        (pa.Column("boolean"), pl.Boolean(), True),
        (pa.Column("string", pa.Check.str_matches(r"\w+")), pl.String(), False),
        (pa.Column("string", pa.Check.str_matches("(?i)a")), pl.String(), False),
        (pa.Column("string", pa.Check.str_matches("^a|b$")), pl.String(), False),
        (pa.Column(float, pa.Check.gt(2**60)), pl.Float64(), False),
        (pa.Column(float, pa.Check(lambda x: x > 0)), pl.Float64(), False),
        (pa.Column(float, pa.Check.gt(0, ignore_na=False)), pl.Float64(), False),
        (pa.Column(float, pa.Check.gt(0, n_failure_cases=1)), pl.Float64(), False),
        (pa.Column(float, unique=True), pl.Float64(), False),
        (pa.Column(float, pa.Check.gt(0)), pl.Int64(), False),
        (pa.Column("category"), pl.String(), False),
        (pa.Column("datetime64[us, UTC]", pa.Check.ge(pd.Timestamp(0, tz="UTC"))), pl.Datetime("us", "UTC"), False),
    ],
)
def test_polars_tells_only_what_it_surely_tells_alike(column: pa.Column, dtype: Any, is_told: bool) -> None:
    """All else is left to pandera."""
    assert _is_told_by_polars(column, dtype) == is_told


def test_a_schema_that_changes_values_first_is_left_to_pandera() -> None:
    """A parser may make a good value of a bad one."""
    schema = pa.DataFrameSchema({"x": pa.Column(float, pa.Check.gt(0), parsers=pa.Parser(abs))})
    rows = pl.DataFrame({"x": [-1.0, 0.0], PARTITION: ["d", "d"]})
    assert take_apart(schema, rows.schema).broken == []
    assert validate(rows, schema, ["x"]).quarantined["x"].to_list() == [0.0]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_fits_the_texts_that_it_fits_in_python(pattern: str) -> None:
    """Also at a line break at the end, before which Python's `$` fits too."""
    words = [
        "",
        "a",
        "ab",
        "aba",
        "é",
        "a\n",
        "ab\n",
        "a\n\n",
        "\na",
        "B-1",
        "B-1\n",
        "b-1",
        "a.b",
        "12",
        "xx\n",
        "\u0661",
    ]
    rows = pl.DataFrame({"s": words, PARTITION: "d"})
    for make, fits in ((pa.Check.str_matches, re.match), (pa.Check.str_contains, re.search)):
        schema = pa.DataFrameSchema({"s": pa.Column(pd.StringDtype(), make(pattern))})
        assert validate(rows, schema, ["s"]).kept["s"].to_list() == [word for word in words if fits(pattern, word)]
