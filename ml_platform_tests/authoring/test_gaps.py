"""Columns with too few values are no features, wherever the gap lies; ones with enough of them are."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ml_platform.authoring.gaps import FILLED_AT_LEAST, reason_of_gaps

ROWS = 2000
START = datetime(2024, 1, 1, tzinfo=UTC)
TIMES = pl.Series("at", [START + timedelta(hours=row) for row in range(ROWS)])


def _reason(filled: np.ndarray) -> str | None:
    values = np.where(filled, np.arange(ROWS, dtype=float), np.nan)
    return reason_of_gaps(pl.Series("x", values, nan_to_null=True), TIMES)


@pytest.mark.parametrize("seed", range(20))
def test_gaps_are_named_by_where_they_lie(seed: int) -> None:
    """Nearly empty, begun late, ended; a column with values at random stays, whatever their share."""
    rng, place = np.random.default_rng(seed), np.arange(ROWS)
    share = rng.uniform(0.1, 1)
    chance = rng.random(ROWS)
    assert _reason(chance < share) is None
    assert (_reason(chance < 0.01) or "").startswith("it is nearly empty: ")
    late, ended = rng.uniform(0.55, 0.9), rng.uniform(0.4, 0.85)
    assert (_reason((place > late * ROWS) & (chance < share)) or "").startswith(
        "it begins late: hardly a value before "
    )
    assert (_reason((place < ended * ROWS) & (chance < share)) or "").startswith("it has ended: hardly a value since ")
    assert _reason((place > 0.3 * ROWS) & (chance < share)) is None


@pytest.mark.parametrize(
    ("filled", "is_left_out"), [(ROWS * FILLED_AT_LEAST - 1, True), (ROWS * FILLED_AT_LEAST, False)]
)
def test_nearly_empty_has_a_limit(filled: float, is_left_out: bool) -> None:
    """Two in a hundred rows, evenly spread."""
    places = np.linspace(0, ROWS - 1, int(filled)).astype(int)
    assert (_reason(np.isin(np.arange(ROWS), places)) is not None) is is_left_out


def test_a_stray_value_does_not_begin_a_column() -> None:
    filled = np.arange(ROWS) >= 1000
    filled[3] = True
    assert _reason(filled) == f"it begins late: hardly a value before {TIMES[1009]:%Y-%m-%d}"
