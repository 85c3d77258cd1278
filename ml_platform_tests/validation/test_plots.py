"""Pictures are PNG files of the size promised, the same for the same numbers; tables are markdown."""

import struct
from collections.abc import Callable

import numpy as np
import pytest

from ml_platform.contracts.evaluations import Verdict
from ml_platform.validation.plots import actual_plot, calibration_plot, importance_plot, metric_table, verdict_table

LABELS = np.tile([0, 0, 1], 200)
PREDICTIONS = np.linspace(0, 1, 600)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: calibration_plot(LABELS, {"candidate": PREDICTIONS, "prior": np.full(600, 1 / 3)}),
        lambda: calibration_plot(LABELS, {}),
        lambda: actual_plot(90 * PREDICTIONS, {"candidate": PREDICTIONS, "prior": np.full(600, 45.0)}),
        lambda: actual_plot(LABELS, {}),
        lambda: importance_plot({f"feature_{place}": float(place) for place in range(40)}),
        lambda: importance_plot({"hour": 0.0}),
        lambda: importance_plot({}),
    ],
    ids=["calibration", "no models", "actual", "actual of no models", "importance", "no gain", "no features"],
)
def test_a_picture_is_a_reproducible_png(draw: Callable[[], bytes]) -> None:
    """Width and height stand in bytes 16 to 24 of the file."""
    png = draw()
    assert png.startswith(b"\x89PNG")
    assert struct.unpack(">II", png[16:24]) == (640, 400)
    assert png == draw()


def test_a_metric_table_shows_a_dash_for_what_is_not_defined() -> None:
    """Columns come in the platform's order, and only those that somebody has."""
    table = metric_table({"candidate": {"roc_auc": 0.75, "log_loss": 0.58673}, "prior": {"log_loss": 0.66}})
    assert table.splitlines() == [
        "| model | log_loss | roc_auc |",
        "| --- | --- | --- |",
        "| candidate | 0.5867 | 0.7500 |",
        "| prior | 0.6600 | - |",
    ]


def test_a_verdict_table_keeps_a_vertical_bar_in_its_cell() -> None:
    """One line for each verdict."""
    verdict = Verdict(gate="g", outcome="fail", sentence="a|b", value=1.0, bound=0.5, reference=None, rows=9)
    assert verdict_table([verdict]).splitlines()[2:] == ["| fail | a\\|b | g |"]
