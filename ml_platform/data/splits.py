"""From feature rows and labels to a training set, as of an instant: train, validation and holdout in order of time.

Only labels known before the as-of instant enter, and a label that became known only after the next part began leaves
the earlier part: what a part is fitted on was known when the next one started.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

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
    return {part: (calendar.back(key, far), calendar.back(key, near)) for part, (far, near) in _reach(split).items()}


def _reach(split: Split) -> dict[str, tuple[timedelta, timedelta]]:
    """Give how long before the as-of instant each part begins and ends."""
    holdout = split.holdout
    validation = holdout + split.embargo
    train = validation + split.validation + split.embargo
    return {
        "train": (train + split.train, train),
        "validation": (validation + split.validation, validation),
        "holdout": (holdout, timedelta(0)),
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
        If validation or holdout have a partition without rows, or train fewer of them than `train_at_least` touches.
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


def empty_partitions(rows: pl.DataFrame, split: Split, calendar: Calendar, as_of: str) -> dict[str, list[str]]:
    """Name, for each part of a training set, the partitions of the pipeline in which it has no rows."""
    present = {part: set(days) for part, days in rows.group_by(PART).agg(pl.col(DAY).unique()).iter_rows()}
    return {
        part: [key for key in calendar.keys_before(as_of, far, near) if key not in present.get(part, ())]
        for part, (far, near) in _reach(split).items()
    }


def _refuse_gaps(rows: pl.DataFrame, split: Split, calendar: Calendar, as_of: str) -> None:
    empty = empty_partitions(rows, split, calendar, as_of)
    found = dict(rows.group_by(PART).agg(pl.col(DAY).n_unique()).iter_rows())
    reach = _reach(split)
    least = reach | {"train": (reach["train"][1] + split.train_at_least, reach["train"][1])}
    wanted = {part: calendar.count_before(as_of, far, near) for part, (far, near) in least.items()}
    every = f"{calendar.partitions.every}s"
    short = [
        f"{part}: {found.get(part, 0)} of {wanted[part]} {every}, none in {examples(empty[part]) or f'earlier {every}'}"
        for part in PARTS
        if found.get(part, 0) < wanted[part]
    ]
    if short:
        raise NotEnoughRows.because(
            f"training set as of {as_of}", got=examples(short), expected=f"labelled rows in each of these {every}",
            hint="materialize the missing feature partitions, or choose a later as-of partition",
        )  # fmt: skip
