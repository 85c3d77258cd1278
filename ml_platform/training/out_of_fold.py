"""Small training sets within a training set, so that rows are predicted by a model that never saw them.

A stack is fitted on such predictions alone: those of rows a member was fitted on would make the member that learned
them by heart look best. Each set has the parts of a whole one; its holdout are the rows to predict, and its validation,
on which a fit may stop, lies before them too. The holdout of the training set itself is in none of them.
"""

from collections.abc import Sequence

import polars as pl

from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.contracts.records import Window
from ml_platform.contracts.spec import Split
from ml_platform.data.calendar import Calendar
from ml_platform.data.splits.dealing import stable_hash
from ml_platform.data.splits.folds import Fold, fold_rows, rolling_folds
from ml_platform.data.splits.parts import LABEL, PART, PARTS

DEALT_FOLDS = 5  # where rows were dealt to the parts, and no time orders them


def fold_sets(
    rows: pl.DataFrame, split: Split, calendar: Calendar, as_of: str, *, event_time: str, key: Sequence[str]
) -> tuple[pl.DataFrame, ...]:
    """Cut a training set into one small training set for each fold.

    By time they are the rolling-origin folds of the split; a fit stops on the last stretch of a fold's train, of
    validation's length, and never on what it then predicts. Where rows were dealt, whole groups (or rows) are dealt to
    the folds again.

    Parameters
    ----------
    rows : (n_rows, ...)
        A training set.

    Returns
    -------
    tuple of (n_fold_rows, ...)
        Each with `part` set anew, by time and key.

    Raises
    ------
    NotEnoughRows
        If a part of a fold has no rows.
    """
    known = rows.filter(pl.col(PART) != "holdout").sort(event_time, *key)
    sets = (
        [_by_time(known, fold, split, event_time) for fold in rolling_folds(split, calendar, as_of)]
        if split.kind == "time"
        else _dealt(known, [split.by] if split.by is not None else key)
    )
    for place, each in enumerate(sets, start=1):
        _refuse_empty(place, each, as_of)
    return tuple(sets)


def predicted_labels(sets: Sequence[pl.DataFrame]) -> pl.Series:
    """Give the labels of the rows that the folds predict, in the folds' order."""
    return pl.concat([predicted_rows(each) for each in sets])[LABEL]


def predicted_rows(each: pl.DataFrame) -> pl.DataFrame:
    """Give the rows of a fold that no fit in it sees."""
    return each.filter(pl.col(PART) == "holdout")


def _by_time(known: pl.DataFrame, fold: Fold, split: Split, event_time: str) -> pl.DataFrame:
    placed = fold_rows(known, fold, event_time)
    stop = fold.train.end - split.validation
    inner = Fold(Window(start=fold.train.start, end=stop - split.embargo), Window(start=stop, end=fold.train.end))
    fitted = fold_rows(placed.filter(pl.col(PART) == "train"), inner, event_time)
    asked = placed.filter(pl.col(PART) == "validation").with_columns(pl.lit("holdout").alias(PART))
    return pl.concat([fitted, asked])


def _dealt(known: pl.DataFrame, by: Sequence[str]) -> list[pl.DataFrame]:
    place = stable_hash(known, by) % DEALT_FOLDS
    return [known.with_columns(_part(place, number)) for number in range(DEALT_FOLDS)]


def _part(place: pl.Series, number: int) -> pl.Expr:
    fold = pl.lit(place)
    is_asked, is_stop = fold == number, fold == (number + 1) % DEALT_FOLDS
    part = pl.when(is_asked).then(pl.lit("holdout")).when(is_stop).then(pl.lit("validation"))
    return part.otherwise(pl.lit("train")).alias(PART)


def _refuse_empty(place: int, each: pl.DataFrame, as_of: str) -> None:
    if missing := [part for part in PARTS if part not in set(each[PART])]:
        raise NotEnoughRows.because(
            f"fold {place} of the training set as of {as_of}", got=f"no rows in {', '.join(missing)}",
            expected="rows to fit on, to stop on and to predict", hint="choose a longer split.train or fewer folds, "
            "or with a grouped split a column with more values",
        )  # fmt: skip
