"""Rolling-origin folds: pairs of train and validation inside those parts of a training set, for a search to compare on.

The holdout is in none of them. They serve whoever chooses between models before one is fitted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from ml_platform.contracts.records import Window
from ml_platform.contracts.spec import Split
from ml_platform.data.calendar import Calendar
from ml_platform.data.splits.parts import KNOWN_AT, PART, boundaries


@dataclass(frozen=True)
class Fold:
    """A window to fit on, and the window after it to judge on."""

    train: Window
    validation: Window


def rolling_folds(split: Split, calendar: Calendar, as_of: str) -> tuple[Fold, ...]:
    """Give the `split.folds` pairs, oldest first.

    The newest is the split's own train and validation. The others judge on stretches of validation's length within
    train, back to back up to its end. All begin with train, and keep the embargo before what they judge.
    """

    def back(span: timedelta) -> datetime:
        return calendar.back(as_of, span)

    begin = boundaries(split, calendar, as_of)["train"][0]
    newest = split.label_delay + split.holdout + split.embargo
    ends = [newest] + [newest + split.embargo + place * split.validation for place in range(1, split.folds)]
    judged = [(end + split.validation, end) for end in ends[: split.folds]]
    return tuple(
        Fold(Window(start=begin, end=back(far + split.embargo)), Window(start=back(far), end=back(near)))
        for far, near in reversed(judged)
    )


def fold_rows(rows: pl.DataFrame, fold: Fold, event_time: str) -> pl.DataFrame:
    """Give a training set's rows of a fold, with `part` set anew to train or validation.

    A label that became known, or was last corrected, only after the fold's validation began leaves its train.

    Parameters
    ----------
    rows : (n_rows, ...)
        A training set cut by time.
    """
    at = pl.col(event_time)
    is_train = (at >= fold.train.start) & (at < fold.train.end) & (pl.col(KNOWN_AT) < fold.validation.start)
    is_validation = (at >= fold.validation.start) & (at < fold.validation.end)
    part = pl.when(is_train).then(pl.lit("train")).when(is_validation).then(pl.lit("validation"))
    return rows.with_columns(part.alias(PART)).filter(pl.col(PART).is_not_null())
