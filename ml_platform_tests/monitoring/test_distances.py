"""The index and the distance: zero at equality, robust to one row, alert to nulls, ties and unseen values."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ml_platform.contracts.errors import ShapeMismatch
from ml_platform.monitoring.distances import ks_statistic, population_stability
from ml_platform.monitoring.profiles import NumericColumn, fit_reference

NORMAL = np.random.default_rng(11).normal(size=20_000)
UNIFORM = np.random.default_rng(12).random(5000)


@pytest.fixture
def rng() -> np.random.Generator:
    """Give each test its own numbers, whatever ran before it."""
    return np.random.default_rng(13)


def _columns(reference: object, current: object) -> tuple:
    fitted = fit_reference(pl.DataFrame({"x": reference}), ["x"])
    return fitted.columns["x"], fitted.profile(pl.DataFrame({"x": current})).columns["x"]


def _psi(reference: object, current: object) -> float:
    return population_stability(*_columns(reference, current))


@settings(max_examples=40)
@given(st.lists(st.none() | st.floats(), max_size=60))
def test_equal_windows_have_no_drift(values: list[float | None]) -> None:
    """Whatever they hold."""
    series = pl.Series(values, dtype=pl.Float64)
    assert _psi(series, series) == 0.0
    assert ks_statistic(*_columns(series, series)) in (0.0, None)


@settings(max_examples=40)
@given(st.lists(st.none() | st.sampled_from("abc"), min_size=1), st.integers(2, 5))
def test_equal_shares_have_no_drift(values: list[str | None], times: int) -> None:
    """Although one window has more rows."""
    series = pl.Series(values, dtype=pl.String)
    assert _psi(series, pl.concat([series] * times)) == pytest.approx(0.0, abs=1e-12)


def test_an_unmoved_column_reads_near_zero(rng: np.random.Generator) -> None:
    """Two samples of one distribution; ten bins cost about 10 (1/n + 1/m)."""
    assert _psi(NORMAL, rng.normal(size=5000)) < 0.01


def test_one_extreme_row_does_not_hide_a_shift(rng: np.random.Generator) -> None:
    """With bins of equal width over both samples it turns 1.07 into 0.002."""
    shifted = rng.normal(1, size=5000)
    clean = _psi(NORMAL, shifted)
    assert clean == pytest.approx(0.99, abs=0.1)
    assert _psi(NORMAL, np.append(shifted, 1e6)) == pytest.approx(clean, abs=0.005)
    assert _psi(np.append(NORMAL, 1e6), shifted) == pytest.approx(clean, abs=0.005)
    assert _psi(NORMAL, np.append(rng.normal(size=5000), 1e6)) < 0.01


def test_drift_grows_with_the_shift() -> None:
    """Also far beyond the reference, where it stays finite."""
    indexes = [_psi(NORMAL, NORMAL[:2000] + shift) for shift in (0, 0.25, 0.5, 1, 3, 1e9)]
    assert indexes == sorted(indexes)
    assert indexes[-1] < 20


@pytest.mark.parametrize("reference", [NORMAL, np.tile(["a", "b", "c"], 500)], ids=["numeric", "category"])
def test_a_column_that_turns_null_drifts(reference: np.ndarray) -> None:
    """Wholly, or a third of it; and back."""
    series = pl.Series(reference)
    nulls = pl.Series([None] * 1500, dtype=series.dtype)
    assert _psi(series, nulls) > 5
    assert _psi(series, pl.concat([series[:1000], nulls[:500]])) > 1
    assert _psi(nulls, series) > 5


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ([5.0] * 1000, [4.0] * 1000),
        ([5.0] * 1000, [6.0] * 1000),
        ([0, 1] * 500, [1] * 900 + [0] * 100),
        ([0] * 950 + [1, 2, 3, 4, 5] * 10, [0] * 500 + [1, 2, 3, 4, 5] * 100),
        ([*([0.0] * 10_000), *NORMAL[:10_000]], [*([0.0] * 1000), *NORMAL[:9000]]),
        ([*([1.0] * 900), *NORMAL[:100]], [1.0001] * 1000),
        ([*([0.5] * 5000), *UNIFORM], [*([0.45] * 5000), *UNIFORM]),
    ],
    ids=[
        "below a constant",
        "above a constant",
        "boolean",
        "mostly zero",
        "heavy tie in the middle",
        "tie moved a little",
        "tie moved within its decile",
    ],
)
def test_ties_do_not_hide_a_shift(reference: list[float], current: list[float]) -> None:
    """A value that many rows share keeps its own bin."""
    assert _psi(reference, current) > 0.2


@pytest.mark.parametrize("beyond", [-5.0, 5.0])
def test_a_few_rows_beyond_the_reference_drift(beyond: float, rng: np.random.Generator) -> None:
    """Four in a hundred where it had none; in the outermost decile they would not show."""
    assert _psi(NORMAL, np.append(rng.normal(size=4800).clip(-3, 3), [beyond] * 200)) > 0.2


def test_a_tie_in_both_windows_is_no_drift(rng: np.random.Generator) -> None:
    """Nine tenths zeros, two samples."""
    reference, current = (rng.poisson(0.1, size) for size in (20_000, 3000))
    assert _psi(reference, current) < 0.01


@pytest.mark.parametrize("size", [20, 21, 365])
def test_discrete_columns_read_near_zero_when_unmoved(size: int, rng: np.random.Generator) -> None:
    """With as many distinct values as have bins of their own, one more, and many more."""
    reference, current = (rng.integers(0, size, rows) for rows in (50_000, 5000))
    assert _psi(reference, current) < 0.015


def test_a_category_never_seen_drifts_and_rare_ones_do_not(rng: np.random.Generator) -> None:
    """Rare categories of the reference share a bin, unseen ones have another."""
    names = np.array([f"c{place:03}" for place in range(100)])
    shares = np.arange(100, 0, -1) / 5050
    reference, current = (rng.choice(names, rows, p=shares) for rows in (50_000, 5000))
    assert _psi(reference, current) < 0.015
    assert _psi(reference, np.append(current[:4500], ["new"] * 500)) > 0.3


@pytest.mark.parametrize("shift", [0, 0.1, 1])
def test_the_distance_is_that_of_scipy(shift: float, rng: np.random.Generator) -> None:
    """Up to the share of one fine bin."""
    current = rng.normal(shift, size=5000)
    reference, now = _columns(NORMAL, current)
    expected, _ = stats.ks_2samp(NORMAL, current)
    assert ks_statistic(reference, now) == pytest.approx(expected, abs=0.002)


def test_a_window_without_values_has_no_distance() -> None:
    """All null, or no rows; the index of no rows is 0."""
    reference, now = _columns(NORMAL, pl.Series([None, None], dtype=pl.Float64))
    assert ks_statistic(reference, now) is None
    assert _psi(NORMAL, pl.Series([], dtype=pl.Float64)) == 0.0


def test_columns_with_other_bins_are_refused() -> None:
    """They cannot be compared."""
    one, other = (_columns(values, values)[0] for values in ([1.0], [2.0]))
    assert isinstance(one, NumericColumn)
    with pytest.raises(ShapeMismatch, match="expected the 3 numeric bins of the reference"):
        population_stability(one, other)
    with pytest.raises(ShapeMismatch, match="Hint: profile the window"):
        ks_statistic(one, other)
    with pytest.raises(ShapeMismatch, match="got 2 of kind category"):
        population_stability(one, _columns(["a"], ["a"])[0])
