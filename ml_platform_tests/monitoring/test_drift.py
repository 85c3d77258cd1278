"""A report says what drifted, how far, and when there is too little to say anything."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.errors import ShapeMismatch
from ml_platform.contracts.records import DriftReport, Window
from ml_platform.contracts.spec import Monitoring
from ml_platform.monitoring.drift import NULL_SHARE_RISE_AT_MOST, compare, report
from ml_platform.monitoring.plots import drift_plot, drift_table
from ml_platform.monitoring.profiles import Profile, fit_reference

WINDOW = Window(start=datetime(2013, 6, 24, tzinfo=UTC), end=datetime(2013, 7, 1, tzinfo=UTC))
COLUMNS = ["temp", "hour", "carrier"]


def _frame(rows: int, warmer_by: float = 0.0, carriers: str = "ABC") -> pl.DataFrame:
    rng = np.random.default_rng(rows)
    return pl.DataFrame(
        {
            "temp": rng.normal(warmer_by, size=rows),
            "hour": rng.integers(0, 24, rows),
            "carrier": rng.choice(list(carriers), rows),
        }
    )


REFERENCE = fit_reference(_frame(10_000), COLUMNS)


def _report(
    current: Profile | None,
    champion: int | None = 1,
    reference: Profile = REFERENCE,
    missing: Sequence[str] = (),
    **monitoring: float,
) -> DriftReport:
    return report(
        pipeline="flight_delays",
        as_of="2013-07-01",
        window=WINDOW,
        champion=champion,
        champion_as_of="2013-03-01" if champion else None,
        reference=reference if champion else None,
        current=current,
        missing=missing,
        monitoring=Monitoring.model_validate(monitoring),
    )


def test_an_unmoved_window_is_stable() -> None:
    """The sentence names the worst column all the same."""
    found = _report(REFERENCE.profile(_frame(3000)))
    assert (found.outcome, found.rows, [column.is_drifted for column in found.columns]) == ("stable", 3000, [False] * 3)
    assert found.sentence.startswith("0 of 3 columns drifted (psi above 0.2), worst: ")
    assert found.sentence.endswith("; 3,000 rows against 10,000 that champion v1 was trained on")


def test_a_moved_column_drifts_and_is_named() -> None:
    """The worst first; a category has no distance."""
    found = _report(REFERENCE.profile(_frame(3000, warmer_by=1.0, carriers="AB")))
    drifted = {column.name: (column.kind, column.is_drifted, column.ks is None) for column in found.columns}
    assert drifted == {
        "temp": ("numeric", True, False),
        "hour": ("numeric", False, False),
        "carrier": ("category", True, True),
    }
    assert found.outcome == "drifted"
    assert "2 of 3 columns drifted (psi above 0.2), worst: carrier 2." in found.sentence
    assert DriftReport.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(("at_least", "outcome"), [(1, "drifted"), (2, "drifted"), (3, "stable")])
def test_as_many_columns_as_declared_make_a_window_drifted(at_least: int, outcome: str) -> None:
    """At the number, below it, above it."""
    current = REFERENCE.profile(_frame(3000, warmer_by=1.0, carriers="AB"))
    assert _report(current, drifted_columns_at_least=at_least).outcome == outcome


def test_an_index_at_its_limit_has_not_drifted() -> None:
    """Only above it."""
    current = REFERENCE.profile(_frame(3000, warmer_by=1.0))
    psi = compare(REFERENCE, current, Monitoring())[0].psi
    assert [
        compare(REFERENCE, current, Monitoring(psi_at_most=limit))[0].is_drifted
        for limit in (psi, np.nextafter(psi, 0))
    ] == [False, True]


@pytest.mark.parametrize(("rows", "outcome"), [(100, "drifted"), (99, "inconclusive"), (0, "inconclusive")])
def test_too_few_rows_are_inconclusive(rows: int, outcome: str) -> None:
    """At the limit, below it, and none at all."""
    found = _report(REFERENCE.profile(_frame(rows, warmer_by=3.0)))
    assert (found.outcome, found.rows) == (outcome, rows)
    if rows < 100:
        assert found.sentence.startswith("too few rows, needed: 100 on each side")


def test_a_reference_of_few_rows_is_inconclusive() -> None:
    """It is as noisy as a small window."""
    reference = fit_reference(_frame(99), COLUMNS)
    current = reference.profile(_frame(3000, warmer_by=3.0))
    assert _report(current, reference=reference).outcome == "inconclusive"


def test_without_a_champion_there_is_nothing_to_compare() -> None:
    """No columns, and a sentence that says why."""
    found = _report(None, champion=None)
    assert (found.outcome, found.rows, found.columns) == ("inconclusive", 0, ())
    assert found.sentence.startswith("there is no champion")


def test_null_shares_are_reported() -> None:
    """A column that turned null drifts."""
    frame = _frame(1000).with_columns(temp=pl.lit(None, dtype=pl.Float64))
    column = _report(REFERENCE.profile(frame)).columns[0]
    assert (column.reference_null_share, column.current_null_share, column.is_drifted) == (0.0, 1.0, True)


def test_a_window_with_a_missing_day_is_a_data_fault() -> None:
    """Whatever the days that are there look like: quality before drift."""
    found = _report(REFERENCE.profile(_frame(3000, warmer_by=3.0)), missing=["2013-06-25", "2013-06-27"])
    assert (found.outcome, found.columns[0].is_drifted) == ("inconclusive", True)
    assert found.sentence.startswith("data fault: no rows in 2013-06-25, 2013-06-27; 3,000 rows against")


@pytest.mark.parametrize(
    ("before", "more", "outcome"),
    [(0, 0, "drifted"), (0, 1, "inconclusive"), (0, -1, "drifted"), (500, 0, "drifted"), (500, 1, "inconclusive")],
)
def test_a_column_that_turned_null_is_a_data_fault(before: int, more: int, outcome: str) -> None:
    """At the limit, beyond it and within it, by its rise over the reference; other columns' drift changes nothing."""

    def some_null(nulls: int, warmer_by: float = 0.0) -> pl.DataFrame:
        hour = pl.when(pl.int_range(pl.len()) >= nulls).then("hour")
        return _frame(1000, warmer_by).with_columns(hour=hour, carrier=pl.when(hour.is_not_null()).then("carrier"))

    reference = fit_reference(some_null(before), COLUMNS)
    nulls = before + int(1000 * NULL_SHARE_RISE_AT_MOST) + more
    found = _report(reference.profile(some_null(nulls, warmer_by=3.0)), reference=reference)
    assert found.outcome == outcome
    if outcome == "inconclusive":
        assert found.sentence.startswith("data fault: null share rose by more than 0.25 in hour, carrier; 1,000 rows")


def test_only_profiles_of_one_reference_are_compared() -> None:
    """The hint says what to do."""
    other = fit_reference(_frame(500), COLUMNS)
    with pytest.raises(ShapeMismatch, match="Hint: profile the window under the present champion's reference"):
        compare(REFERENCE, other, Monitoring())


@pytest.mark.parametrize("champion", [1, None])
def test_a_drift_plot_is_a_reproducible_png(champion: int | None) -> None:
    """With columns, one far beyond the limit, and without."""
    found = _report(REFERENCE.profile(_frame(1000, warmer_by=9.0)), champion=champion)
    png = drift_plot(found, 0.2)
    assert png.startswith(b"\x89PNG")
    assert png == drift_plot(found, 0.2)


def test_a_drift_table_has_the_worst_column_first() -> None:
    """One line for each column; a category shows a dash for its distance."""
    lines = drift_table(_report(REFERENCE.profile(_frame(1000, carriers="A")))).splitlines()
    assert lines[0] == "| column | kind | psi | ks | null before | null now | drifted |"
    assert lines[2].startswith("| carrier | category | ")
    assert lines[2].endswith(" | - | 0.0% | 0.0% | yes |")
    assert len(lines) == 5
