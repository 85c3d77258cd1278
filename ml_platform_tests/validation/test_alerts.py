"""A champion that loses to a baseline is named, on the rows that are new to it and on no others."""

import numpy as np
import pytest

from ml_platform.validation.alerts import champion_alert
from ml_platform.validation.evaluation import ChampionScores
from ml_platform.validation.measure import FloatArray, Measure

ROWS = 2000
RNG = np.random.default_rng(1)
SHARES = RNG.random(ROWS)
LABELS = (RNG.random(ROWS) < SHARES).astype(float)
BASELINES = {"prior": np.full(ROWS, 0.5), "last_value": np.full(ROWS, 0.9)}
BINARY = Measure("binary")


def _alert(predictions: FloatArray | None, unseen: int = ROWS) -> str:
    is_unseen = np.arange(ROWS) >= ROWS - unseen
    return champion_alert(LABELS, ChampionScores(4, predictions, is_unseen), BASELINES, BINARY, "log_loss")


def test_a_champion_that_a_constant_beats_is_named_with_it() -> None:
    """The other baseline is worse, and is not named."""
    alert = _alert(1 - SHARES * 0.98 - 0.01)
    assert alert.startswith("champion v4 has a log_loss of")
    assert "prior 0.69" in alert
    assert "last_value" in alert
    mild = _alert(np.full(ROWS, 0.7))
    assert "prior" in mild
    assert "last_value" not in mild


@pytest.mark.parametrize(("predictions", "unseen"), [(SHARES, ROWS), (1 - SHARES, 499), (None, ROWS)])
def test_no_alert_without_a_reason(predictions: FloatArray | None, unseen: int) -> None:
    assert _alert(predictions, unseen) == ""
    assert champion_alert(LABELS, None, BASELINES, BINARY, "log_loss") == ""


def test_only_rows_that_are_new_to_it_count() -> None:
    """Good on what it has learnt from, bad on what came since."""
    predictions = np.where(np.arange(ROWS) < 1000, np.where(LABELS == 1, 0.99, 0.01), 1 - SHARES * 0.98 - 0.01)
    assert _alert(predictions, 1000)
