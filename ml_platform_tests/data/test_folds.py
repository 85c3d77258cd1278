"""Folds: pairs inside train and validation, one after the other, none of which sees what comes after it."""

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ml_platform.contracts.spec import Partitions
from ml_platform.data.calendar import Calendar
from ml_platform.data.splits.folds import fold_rows, rolling_folds
from ml_platform.data.splits.parts import KNOWN_AT, PART, boundaries
from ml_platform_tests.data.cuts import AS_OF, cut, events, known_soon, spec_of

CALENDAR = Calendar(Partitions(start=date(2020, 1, 1), end=date(2020, 3, 1)))
LENGTHS: dict[str, Any] = {"train": "12d", "train_at_least": "2d", "validation": "2d", "holdout": "3d"}


def _days(**split: Any) -> list[tuple[str, str, str, str]]:
    folds = rolling_folds(spec_of(["x"], **LENGTHS | split).split, CALENDAR, AS_OF)
    windows = [(fold.train.start, fold.train.end, fold.validation.start, fold.validation.end) for fold in folds]
    return [tuple(f"{at:%m-%d}" for at in window) for window in windows]  # type: ignore[misc]


def test_folds_roll_back_from_the_splits_own() -> None:
    """The newest is train and validation themselves; the others judge the last days of train."""
    assert _days(folds=3) == [
        ("01-15", "01-23", "01-23", "01-25"),
        ("01-15", "01-25", "01-25", "01-27"),
        ("01-15", "01-27", "01-27", "01-29"),
    ]


def test_folds_keep_the_embargo_and_move_with_the_delay() -> None:
    """What lies in the split's embargo is in no fold, since the training set has no such rows."""
    assert _days(folds=3, embargo="1d", label_delay="1d") == [
        ("01-12", "01-19", "01-20", "01-22"),
        ("01-12", "01-21", "01-22", "01-24"),
        ("01-12", "01-24", "01-25", "01-27"),
    ]


def test_no_folds_are_no_folds() -> None:
    assert _days() == []
    assert _days(folds=1) == [("01-15", "01-27", "01-27", "01-29")]


@pytest.mark.parametrize(("least", "is_refused"), [("7d", False), ("8d", True)])
def test_the_oldest_fold_has_something_to_fit(least: str, is_refused: bool) -> None:
    """At least `train_at_least`: twelve days less two stretches of two and a day of embargo are seven."""
    lengths = LENGTHS | {"train_at_least": least, "folds": 3, "embargo": "1d"}
    if not is_refused:
        assert spec_of(["x"], **lengths).split.oldest_fold == timedelta(days=7)
        return
    with pytest.raises(ValidationError, match="expected folds that leave train_at_least to the oldest, got 7 days"):
        spec_of(["x"], **lengths)


@pytest.mark.parametrize(("early", "is_fitted"), [(1, True), (0, False)])
def test_a_label_is_known_before_a_fold_judges(early: int, is_fitted: bool) -> None:
    """A microsecond before is enough, that very instant is too late, though train still has the row."""
    spec = spec_of(["x"], **LENGTHS, folds=2)
    rows = events(240)
    oldest = rolling_folds(spec.split, CALENDAR, AS_OF)[0]
    labels = known_soon(rows, pl.Series([place % 3 == 0 for place in range(240)]))
    asked = rows.filter(pl.col("at") < oldest.train.end)["id"].max()
    known = pl.lit(oldest.validation.start - timedelta(microseconds=early))
    labels = labels.with_columns(pl.when(pl.col("id") == asked).then(known).otherwise(KNOWN_AT).alias(KNOWN_AT))
    whole = cut(rows, labels, spec)
    assert asked in whole["id"]
    assert (asked in fold_rows(whole, oldest, "at")["id"]) is is_fitted


@settings(max_examples=40, deadline=None)
@given(
    folds=st.integers(1, 5),
    embargo=st.integers(0, 1),
    delays=st.lists(st.integers(1, 24 * 5), min_size=30, max_size=30),
    seed=st.integers(0, 9),
)
def test_no_fold_sees_what_comes_after(folds: int, embargo: int, delays: list[int], seed: int) -> None:
    """Not by event, not by when a label was known; the holdout is in none; the order of rows does not matter."""
    spec = spec_of(["x"], **LENGTHS | {"folds": folds, "embargo": f"{embargo}d"})
    rows = events(240)
    late = pl.Series([timedelta(hours=delays[place % 30] if place % 4 else 0) for place in range(240)])
    labels = known_soon(rows, pl.Series([place % 3 == 0 for place in range(240)]))
    whole = cut(rows, labels.with_columns(pl.col(KNOWN_AT) + late), spec)
    calendar = Calendar(spec.partitions)
    holdout = boundaries(spec.split, calendar, AS_OF)["holdout"][0]
    windows = rolling_folds(spec.split, calendar, AS_OF)
    assert len(windows) == folds
    for before, after in pairwise(windows):
        assert before.validation.end <= after.validation.start
    for fold in windows:
        found = fold_rows(whole, fold, "at")
        fitted, judged = (found.filter(pl.col(PART) == part) for part in ("train", "validation"))
        assert found["id"].is_unique().all()
        assert len(judged)
        assert found["at"].max() < holdout  # type: ignore[operator]
        assert fitted[KNOWN_AT].max() < fold.validation.start  # type: ignore[operator]
        assert judged["at"].min() - fitted["at"].max() > timedelta(days=embargo)  # type: ignore[operator]
        assert fitted["at"].max() < judged["at"].min()  # type: ignore[operator]
        mixed = whole.sample(fraction=1, shuffle=True, seed=seed)
        assert fold_rows(mixed, fold, "at").sort("at", "id").equals(found)
