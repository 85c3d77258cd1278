"""Folds of a training set: what is predicted lies after what is fitted, or in other groups, and is never both."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.contracts.spec import Partitions, Split
from ml_platform.data.calendar import Calendar
from ml_platform.training.out_of_fold import DEALT_FOLDS, fold_sets, predicted_labels

CALENDAR = Calendar(Partitions(start=date(2020, 1, 1), end=date(2021, 1, 1)))
AS_OF = "2020-03-01"
FOLDS = 3
SPAN = {"train": "30d", "train_at_least": "7d", "validation": "5d", "holdout": "4d", "embargo": "1d"}


def _rows(hours_known: int = 2) -> pl.DataFrame:
    """One row an hour before the as-of, each known some hours later; parts by time."""
    end = datetime(2020, 3, 1, tzinfo=UTC)
    at = [end - timedelta(hours=past) for past in range(24 * 41, 0, -1)]
    starts = {"holdout": end - timedelta(days=4), "validation": end - timedelta(days=10)}
    part = ["holdout" if t >= starts["holdout"] else "validation" if t >= starts["validation"] else "train" for t in at]
    return pl.DataFrame(
        {
            "key": [f"{t:%m%d%H}" for t in at],
            "at": at,
            "group": np.arange(len(at)) // 7 % 40,
            "label": np.arange(len(at)) % 2 == 0,
            "label_known_at": [t + timedelta(hours=hours_known) for t in at],
            "part": part,
        }
    )


def _sets(rows: pl.DataFrame, **split: object) -> tuple[pl.DataFrame, ...]:
    given = Split.model_validate(SPAN | {"folds": FOLDS} | split)
    return fold_sets(rows, given, CALENDAR, AS_OF, event_time="at", key=["key"])


def _span(rows: pl.DataFrame, part: str) -> tuple[datetime, datetime]:
    found = rows.filter(pl.col("part") == part)["at"]
    return found.min(), found.max()  # type: ignore[return-value]


def test_in_time_a_fold_fits_then_stops_then_predicts() -> None:
    """With the embargo before each, on what was known by then; and each hour is predicted once at most."""
    sets = _sets(_rows(hours_known=30))
    assert len(sets) == FOLDS
    for each in sets:
        for before, after in (("train", "validation"), ("validation", "holdout")):
            assert _span(each, after)[0] - _span(each, before)[1] > timedelta(days=1)
            known = each.filter(pl.col("part") == before)["label_known_at"].max()
            assert isinstance(known, datetime)
            assert known < _span(each, after)[0] + timedelta(hours=1)
    predicted = pl.concat([each.filter(pl.col("part") == "holdout") for each in sets])
    assert not predicted["key"].is_duplicated().any()
    assert predicted["at"].is_sorted()


def test_the_holdout_of_the_training_set_is_in_no_fold() -> None:
    rows = _rows()
    held_out = set(rows.filter(pl.col("part") == "holdout")["key"])
    for split in ({}, {"kind": "grouped", "by": "group", "embargo": "0d", "folds": 0}):
        for each in _sets(rows, **split):
            assert not held_out & set(each["key"])


def test_groups_stay_together() -> None:
    """No group is fitted on and predicted, each row is predicted once."""
    rows = _rows()
    sets = _sets(rows, kind="grouped", by="group", embargo="0d", folds=0)
    assert len(sets) == DEALT_FOLDS
    for each in sets:
        of = {part: set(each.filter(pl.col("part") == part)["group"]) for part in ("train", "validation", "holdout")}
        assert not of["train"] & of["holdout"]
        assert not of["validation"] & of["holdout"]
        assert not of["train"] & of["validation"]
    known = rows.filter(pl.col("part") != "holdout")
    assert len(predicted_labels(sets)) == len(known)


def test_dealt_rows_are_dealt_again_whatever_order_they_come_in() -> None:
    rows, split = _rows(), {"kind": "stratified", "embargo": "0d", "folds": 0}
    first, second = _sets(rows, **split), _sets(rows.sample(fraction=1, shuffle=True, seed=1), **split)
    assert all(a.equals(b) for a, b in zip(first, second, strict=True))


def test_a_fold_without_rows_is_told() -> None:
    """All rows of one group cannot be dealt to several folds."""
    with pytest.raises(NotEnoughRows, match=r"fold \d of the training set as of 2020-03-01: got no rows in "):
        _sets(_rows().with_columns(group=pl.lit(1)), kind="grouped", by="group", embargo="0d", folds=0)
