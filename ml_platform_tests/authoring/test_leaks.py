"""Columns that give the target away are seen, and honest ones are not taken for them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.authoring.leaks import leaks
from ml_platform.contracts.metrics import Task

ROWS = 600
RNG = np.random.default_rng(3)
START = datetime(2024, 1, 1, tzinfo=UTC)
AT = pl.Series("at", [START + timedelta(hours=row) for row in range(ROWS)])
LATE = pl.Series("late", RNG.random(ROWS) < 0.3)
AMOUNT = pl.Series("amount", RNG.normal(10, 3, ROWS))


def _noise() -> pl.Series:
    return pl.Series(RNG.normal(size=ROWS))


def _leak(feature: pl.Series, target: pl.Series, task: Task) -> str | None:
    rows = pl.DataFrame({"at": AT, "target": target, "feature": feature})
    return leaks(rows, ["feature"], "target", task, "at").get("feature")


LEAKS = {
    "the target itself": LATE.cast(pl.Int64),
    "its opposite": ~LATE,
    "a threshold away": LATE.cast(pl.Float64) * 10 + _noise().clip(-3, 3),
    "below a threshold": LATE.cast(pl.Float64) * -10 + _noise().clip(-3, 3),
    "its name": LATE.replace_strict({True: "late", False: "early"}, return_dtype=pl.String),
    "many names": pl.Series([f"{'late' if late else 'fine'} {row % 20}" for row, late in enumerate(LATE)]),
    "there when true": pl.Series([1.5 + row if late else None for row, late in enumerate(LATE)]),
    "an instant when true": pl.Series([START + timedelta(days=900 * late, hours=row) for row, late in enumerate(LATE)]),
}


@pytest.mark.parametrize("case", LEAKS)
def test_what_gives_a_yes_or_no_away_is_seen(case: str) -> None:
    assert "alone it tells the target" in (_leak(LEAKS[case], LATE, "binary") or "nothing")


HONEST = {
    "chance": _noise(),
    "a constant": pl.Series([1.0] * ROWS),
    "a good feature": LATE.cast(pl.Float64) * 3 + _noise(),
    "a category": pl.Series([f"c{row % 7}" for row in range(ROWS)]),
    "an identifier": pl.Series([f"r{row}" for row in range(ROWS)]),
    "missing at random": pl.Series([None if row % 5 else 1.0 for row in range(ROWS)]),
    "empty": pl.Series([None] * ROWS, dtype=pl.Float64),
}


@pytest.mark.parametrize("case", HONEST)
def test_an_honest_column_stays(case: str) -> None:
    assert _leak(HONEST[case], LATE, "binary") is None
    assert _leak(HONEST[case], AMOUNT, "regression") is None


def test_what_gives_a_number_away_is_seen() -> None:
    """Itself in another unit, any function of it, a name for each value; a strong feature is none."""
    steps = (AMOUNT / 3).round().clip(2, 5)
    names = pl.Series([f"about {value}" for value in steps])
    for feature in (AMOUNT * -100, AMOUNT.exp()):
        assert _leak(feature, AMOUNT, "regression") == "it rises or falls with it"
    assert "alone it tells the target" in (_leak(names, steps, "regression") or "nothing")
    assert _leak(AMOUNT + 2 * _noise(), AMOUNT, "regression") is None


def test_what_is_filled_in_with_the_target_is_seen() -> None:
    """Rows of which nothing became known have no value either: it is written down afterwards."""
    unknown = pl.Series([row % 4 == 0 for row in range(ROWS)])
    noise = _noise()
    target, feature = (pl.select(pl.when(~unknown).then(each)).to_series() for each in (LATE, noise))
    assert _leak(feature, target, "binary") == "missing exactly where the target is"
    assert _leak(noise, target, "binary") is None


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.floats(0.05, 0.95))
def test_chance_is_never_a_leak(seed: int, values: int, share: float) -> None:
    """Whatever the number of values and the share of true targets."""
    rng = np.random.default_rng(seed)
    target, feature = pl.Series(rng.random(ROWS) < share), pl.Series(rng.integers(0, values, ROWS))
    assert _leak(feature, target, "binary") is None
    assert _leak(feature.cast(pl.String), target, "binary") is None
