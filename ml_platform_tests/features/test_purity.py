"""Feature functions that look beyond their row: each way of doing so is found by the column that shows it."""

import polars as pl
import pytest

from ml_platform.contracts.errors import SpecError
from ml_platform.features.authored import load_function
from ml_platform.features.purity import ALONE, generate_rows, impure_columns, runnable_rows
from ml_platform_tests.fakes.bundles import CODE

HEAD = """
import datetime as dt, random, time
from datetime import date, datetime, UTC
import numpy as np
import polars as pl

CALLS, SEEN, MEANS = [0], {}, []
RNG = np.random.default_rng(0)
"""
# The value of column `x`, made from the frame.
IMPURE = {
    "mean of the batch": "pl.col('fare') - pl.col('fare').mean()",
    "rank in the batch": "pl.col('fare').rank()",
    "row before": "pl.col('fare').shift(1)",
    "row after": "pl.col('fare').shift(-1)",
    "running sum": "pl.col('fare').cum_sum()",
    "number of rows": "pl.lit(frame.height)",
    "row number": "pl.int_range(pl.len())",
    "codes of the batch": "pl.col('zone').rank('dense')",
    "count by group": "pl.len().over('zone')",
    "filled from the row before": "pl.col('fare').forward_fill()",
    "filled with the mean": "pl.col('fare').fill_null(strategy='mean')",
    "largest so far": "pl.col('fare').cum_max()",
    "scaled by numpy": "pl.Series(frame['fare'].fill_null(0).to_numpy() / np.nanmax(frame['fare'].to_numpy()))",
    "datetime.now": "pl.lit(datetime.now(UTC)) - pl.col('at')",
    "year of today": "pl.lit(date.today().year)",
    "day of now": "pl.lit(datetime.now().toordinal())",
    "module of datetime": "pl.lit(dt.datetime.now(dt.timezone.utc).strftime('%Y-%m'))",
    "utcnow": "pl.lit(datetime.utcnow().date())",
    "time.time by the day": "pl.lit(int(time.time() // 86400))",
    "time.localtime": "pl.lit(time.localtime().tm_yday)",
    "time.strftime": "pl.lit(time.strftime('%Y'))",
    "random": "pl.lit(random.random())",
    "numpy's chance": "pl.Series(np.random.normal(size=frame.height))",
    "generator of the module": "pl.Series(RNG.normal(size=frame.height))",
    "seeded in the function": "pl.Series(np.random.default_rng(3).normal(size=frame.height))",
    "sample": "pl.col('fare').sample(fraction=1.0, shuffle=True)",
    "chance for each value": "pl.Series([random.random() for _ in frame['zone']])",
    "counter of calls": "pl.lit(CALLS.append(0) or len(CALLS))",
    "mean of the first batch": "pl.col('fare') - (MEANS.append(frame['fare'].mean() or 0.0) or MEANS[0])",
    "codes in order of coming": (
        "pl.Series([SEEN.setdefault(z, len(SEEN)) for z in frame['zone'].to_list()], dtype=pl.Int64)"
    ),
}
PURE = {
    "arithmetic": "pl.col('fare') * 2 / (1 + pl.col('n'))",
    "division by zero": "pl.col('fare') / (pl.col('n') - pl.col('n'))",
    "numpy": "pl.Series(np.exp(-frame['fare'].fill_null(0).to_numpy() / 7))",
    "time of the row": "pl.col('at').dt.hour()",
    "constant": "pl.lit('a')",
    "nothing": "pl.lit(None)",
    "table of the module": "pl.col('zone').replace_strict({'a': 1}, default=0)",
    "datetime made": "pl.col('at') > datetime(2013, 5, 1, tzinfo=UTC)",
    "isinstance of datetime": (
        "pl.Series([isinstance(v, datetime) and v.date() > date(2013, 5, 1) for v in frame['at'].to_list()])"
    ),
    "cache by value": "pl.Series([SEEN.setdefault(z, len(z or '')) for z in frame['zone']], dtype=pl.Int64)",
    "hour of a time": "pl.Series([v and time.gmtime(v.timestamp()).tm_hour for v in frame['at'].to_list()])",
    "lists": "pl.concat_str(pl.col('zone').fill_null('-'), pl.col('n').cast(pl.String).fill_null('-'))",
}
TYPES = {
    "id": pl.Int64(), "at": pl.Datetime("us", "UTC"), "zone": pl.String(), "fare": pl.Float64(), "n": pl.Int64(),
    "is_wet": pl.Boolean(),
}  # fmt: skip


def _code(expression: str) -> str:
    body = f"    return frame.with_columns(x={expression}, y=pl.col('n') + 1)"
    return f"{HEAD}\ndef build(frame):\n{body}\n"


def _impure(expression: str, rows: pl.DataFrame) -> dict[str, str]:
    return impure_columns(_code(expression), "build", rows, ["fare", "x", "y"])


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@pytest.mark.parametrize("how", IMPURE)
def test_what_looks_beyond_its_row_is_found_by_its_column(how: str) -> None:
    """On made-up rows, as definitions load; the columns beside it are not blamed."""
    for seed in range(3):
        rows = runnable_rows(_code(IMPURE[how]), "build", generate_rows(TYPES, seed=seed))
        assert list(_impure(IMPURE[how], rows)) == ["x"], seed


@pytest.mark.parametrize("how", PURE)
def test_what_looks_at_its_row_alone_is_let_through(how: str) -> None:
    for seed in range(5):
        rows = runnable_rows(_code(PURE[how]), "build", generate_rows(TYPES, seed=seed))
        assert len(rows) == 24
        assert _impure(PURE[how], rows) == {}


def test_rows_on_which_it_raises_are_left_out() -> None:
    """It may rightly refuse values that nobody has; what it does with the others still counts."""
    picky = "pl.Series([1 / (0 if v is None else 1) + frame.height for v in frame['zone'].to_list()])"
    rows = runnable_rows(_code(picky), "build", generate_rows(TYPES))
    assert 16 <= len(rows) < 24
    assert _impure(picky, rows) == {"x": ALONE}
    never = "pl.col('no such column')"
    assert runnable_rows(_code(never), "build", generate_rows(TYPES)).is_empty()


def test_an_error_for_one_row_alone_is_told() -> None:
    """The server asks with one row."""
    needs_two = "pl.lit(1 / (frame.height - 1))"
    with pytest.raises(SpecError, match="an error for one row alone that the batch does not have"):
        _impure(needs_two, generate_rows(TYPES))


def test_the_copy_that_serves_is_not_touched() -> None:
    """Nothing of a trial stays behind in the function that everybody calls."""
    code = _code("pl.lit(CALLS.append(0) or len(CALLS))")
    served = load_function(code, "build")
    impure_columns(code, "build", generate_rows(TYPES), ["x"])
    assert served(generate_rows(TYPES))["x"].unique().to_list() == [2]


def test_the_function_of_the_fakes_is_pure() -> None:
    types = {"asked_at": TYPES["at"], "distance": pl.Float64(), "weight": pl.Float64()}
    assert impure_columns(CODE, "build", generate_rows(types), ["hour", "speed"]) == {}
