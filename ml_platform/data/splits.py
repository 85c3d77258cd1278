"""From feature rows and labels to a training set, as of an instant: train, validation and holdout in order of time.

Only labels known before the as-of instant enter, and a label that became known only after the next part began leaves
the earlier part: what a part is fitted on was known when the next one started.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from ml_platform.contracts.errors import ContractError, NotEnoughRows, examples
from ml_platform.contracts.spec import Split
from ml_platform.data.calendar import Calendar
from ml_platform.data.lake import PARTITION

PART = "part"
DAY = "day"
LABEL = "label"
KNOWN_AT = "label_known_at"
PARTS = ("train", "validation", "holdout")


def boundaries(split: Split, calendar: Calendar, key: str) -> dict[str, tuple[datetime, datetime]]:
    """Give start and end of each part, as-of `key`, the embargo lying between them."""
    holdout = split.holdout
    validation = holdout + split.embargo
    train = validation + split.validation + split.embargo
    return {
        "train": (calendar.back(key, train + split.train), calendar.back(key, train)),
        "validation": (calendar.back(key, validation + split.validation), calendar.back(key, validation)),
        "holdout": (calendar.back(key, holdout), calendar.as_of(key)),
    }


def split_rows(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    key: Sequence[str],
    event_time: str,
    split: Split,
    calendar: Calendar,
    as_of: str,
) -> pl.DataFrame:
    """Join labels to feature rows and cut them into parts.

    Parameters
    ----------
    features : (n_rows, n_features + ...)
        Rows of the split's span, with key, event time and `partition`.
    labels : (n_rows, ...)
        key, `label` and `label_known_at`; rows whose label is null are left out.

    Returns
    -------
    (n_rows, ...)
        The feature rows with `label`, `label_known_at`, `part` and, in the place of `partition`, `day`; by time.

    Raises
    ------
    NotEnoughRows
        If validation or holdout have a day without rows, or train fewer days than `train_at_least`.
    ContractError
        If two rows have the same key: then no label belongs to one of them alone.
    """
    _refuse_repeated_keys(features, key, as_of)
    parts = boundaries(split, calendar, as_of)
    ends = {"train": parts["validation"][0], "validation": parts["holdout"][0], "holdout": parts["holdout"][1]}
    part = pl.coalesce(
        pl.when(
            (pl.col(event_time) >= start) & (pl.col(event_time) < end) & (pl.col(KNOWN_AT) < ends[name])
        ).then(pl.lit(name))
        for name, (start, end) in parts.items()
    )  # fmt: skip
    known = labels.filter(pl.col(LABEL).is_not_null() & pl.col(KNOWN_AT).is_not_null())
    rows = features.join(known, on=list(key), how="inner", validate="1:1").with_columns(part.alias(PART))
    rows = rows.filter(pl.col(PART).is_not_null()).sort(event_time, *key).rename({PARTITION: DAY})
    _refuse_gaps(rows, split, calendar, as_of)
    return rows


def _refuse_repeated_keys(features: pl.DataFrame, key: Sequence[str], as_of: str) -> None:
    repeated = features.filter(pl.struct(key).is_duplicated()).select(*key, PARTITION).sort(pl.all())
    if len(repeated):
        raise ContractError.because(
            f"training set as of {as_of}", got=f"the same key on several rows: {examples(repeated.iter_rows())}",
            expected=f"one row for each {', '.join(key)}", hint="if a key may come back, put the day into it",
        )  # fmt: skip


def empty_days(rows: pl.DataFrame, split: Split, calendar: Calendar, as_of: str) -> dict[str, list[str]]:
    """Name, for each part of a training set, the days of the pipeline on which it has no rows."""
    parts = boundaries(split, calendar, as_of)
    days = {day: calendar.as_of(day) for day in calendar.days_before(as_of, split.span)}
    present = set(rows[DAY])
    return {
        name: [day for day, at in days.items() if start <= at < end and day not in present]
        for name, (start, end) in parts.items()
    }


def _refuse_gaps(rows: pl.DataFrame, split: Split, calendar: Calendar, as_of: str) -> None:
    empty = empty_days(rows, split, calendar, as_of)
    days = dict(rows.group_by(PART).agg(pl.col(DAY).n_unique()).iter_rows())
    wanted = {"train": split.train_at_least.days, "validation": split.validation.days, "holdout": split.holdout.days}
    short = [
        f"{part}: {days.get(part, 0)} of {wanted[part]} days, none on {examples(empty[part]) or 'earlier days'}"
        for part in PARTS
        if days.get(part, 0) < wanted[part]
    ]
    if short:
        raise NotEnoughRows.because(
            f"training set as of {as_of}", got=examples(short), expected="labelled rows on each of these days",
            hint="materialize the missing feature partitions, or choose a later as-of partition",
        )  # fmt: skip
