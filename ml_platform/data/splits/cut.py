"""From feature rows and labels to a training set, as of an instant: each row with the label it had then, in a part.

Only labels known before the as-of instant enter. By time, a label must be known before the next part began: what a part
is fitted on was known when the next one started. Each row also has the label known at the as-of instant, and the rows
that have no other (embargo rows, late labels) stand in a part of their own: the served fit learns from them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from ml_platform.contracts.errors import ContractError, examples
from ml_platform.contracts.spec import Split
from ml_platform.data.calendar import Calendar
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.splits.dealing import deal
from ml_platform.data.splits.parts import (
    DAY,
    KNOWN_AT,
    LABEL,
    PART,
    REFIT,
    SERVED_LABEL,
    boundaries,
    known_before,
    refuse_gaps,
)
from ml_platform.data.splits.target_columns import PREFIX


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
    labels : (n_labels, ...)
        key, `label` and `label_known_at`, and the column `split.by` where features have none. Of the labels of one key
        the newest counts that was known when its part had to be; if that is null, the row is left out.

    Returns
    -------
    (n_rows, ...)
        The feature rows with `label`, `label_known_at`, `part`, `label_at_as_of` and, in the place of `partition`,
        `day`; by time. Rows of the part `refit` were known at the as-of instant and belong to no other part.

    Raises
    ------
    NotEnoughRows
        If a part lacks partitions, or rows at all.
    ContractError
        If two rows have the same key, or one key two labels known at the same instant: then nothing says which counts.
    """
    limits = known_before(split, calendar, as_of)
    known = _distinct(labels.filter(pl.col(KNOWN_AT) < max(limits.values())))
    _refuse_repeated_keys(features, key, as_of)
    _refuse_two_labels(known, key, as_of)
    parts = boundaries(split, calendar, as_of)
    span = min(start for start, _ in parts.values()), max(end for _, end in parts.values())
    inside = features.filter(pl.col(event_time).is_between(*span, closed="left"))
    placed = inside.with_columns(_part_by_time(event_time, parts).fill_null(REFIT))
    rows = _label(placed, known, key, limits)
    if split.kind != "time":
        rows = deal(rows, split, key)
    rows = _with_served_labels(rows, placed, known, key)
    rows = rows.sort(event_time, *key).rename({PARTITION: DAY})
    refuse_gaps(parted(rows), split, calendar, as_of)
    return rows


def parted(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of train, validation and holdout, with the label that each part knew.

    Parameters
    ----------
    rows : (n_rows, ...)
        A training set as `split_rows` makes it.
    """
    return rows.filter(pl.col(PART) != REFIT).drop(SERVED_LABEL, strict=False)


def known_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return every row whose label was known at the as-of instant, with that label: what the served fit learns from.

    Parameters
    ----------
    rows : (n_rows, ...)
        A training set as `split_rows` makes it.

    Raises
    ------
    ContractError
        If the training set was written before it held such labels.
    """
    if SERVED_LABEL not in rows.columns:
        raise ContractError.because(
            "training set", got=f"no column {SERVED_LABEL}", expected="the labels known at the as-of instant",
            hint="it was written by an earlier version: materialize training_set again",
        )  # fmt: skip
    return rows.filter(pl.col(SERVED_LABEL).is_not_null()).drop(LABEL).rename({SERVED_LABEL: LABEL})


def _distinct(labels: pl.DataFrame) -> pl.DataFrame:
    """Return each label once; of rows that differ only in what the certificate looks at, always the same one."""
    carried = [name for name in labels.columns if name.startswith(PREFIX)]
    if not carried:
        return labels.unique()
    own = [name for name in labels.columns if name not in carried]
    return labels.sort(*own, *carried).unique(own, keep="first", maintain_order=True)


def _part_by_time(event_time: str, parts: Mapping[str, tuple[datetime, datetime]]) -> pl.Expr:
    at = pl.col(event_time)
    inside = [pl.when((at >= start) & (at < end)).then(pl.lit(name)) for name, (start, end) in parts.items()]
    return pl.coalesce(inside).alias(PART)


def _with_served_labels(
    rows: pl.DataFrame, placed: pl.DataFrame, labels: pl.DataFrame, key: Sequence[str]
) -> pl.DataFrame:
    """Add the label known at the as-of instant to each row, and the rows of the span that have only that one."""
    newest = labels.sort(KNOWN_AT).unique(key, keep="last", maintain_order=True).filter(pl.col(LABEL).is_not_null())
    served = newest.select(*key, pl.col(LABEL).alias(SERVED_LABEL))
    joined = rows.filter(pl.col(PART) != REFIT).join(served, on=list(key), how="left", maintain_order="left")
    others = placed.join(joined.select(key), on=list(key), how="anti").join(newest, on=list(key), how="inner")
    refit = others.with_columns(pl.col(LABEL).alias(SERVED_LABEL), pl.lit(REFIT).alias(PART))
    return pl.concat([joined, refit.select(joined.columns)])


def _label(
    placed: pl.DataFrame, labels: pl.DataFrame, key: Sequence[str], limits: Mapping[str, datetime]
) -> pl.DataFrame:
    """Give each row the newest label that was known before its part's limit; leave out rows that have none."""
    limit = pl.coalesce(pl.when(pl.col(PART) == part).then(pl.lit(at)) for part, at in limits.items())
    ordered = labels.sort(KNOWN_AT)
    joined = placed.join(ordered, on=list(key), how="inner", maintain_order="left_right")
    newest = joined.filter(pl.col(KNOWN_AT) < limit).unique(key, keep="last", maintain_order=True)
    return newest.filter(pl.col(LABEL).is_not_null()).select(pl.exclude(PART), PART)


def _refuse_repeated_keys(features: pl.DataFrame, key: Sequence[str], as_of: str) -> None:
    repeated = features.filter(pl.struct(key).is_duplicated()).select(*key, PARTITION).sort(pl.all())
    if len(repeated):
        raise ContractError.because(
            f"training set as of {as_of}", got=f"the same key on several rows: {examples(repeated.iter_rows())}",
            expected=f"one row for each {', '.join(key)}", hint="if a key may come back, put the day into it",
        )  # fmt: skip


def _refuse_two_labels(labels: pl.DataFrame, key: Sequence[str], as_of: str) -> None:
    twice = labels.filter(pl.struct(*key, KNOWN_AT).is_duplicated()).select(*key, LABEL, KNOWN_AT).sort(pl.all())
    if len(twice):
        raise ContractError.because(
            f"training set as of {as_of}", got=f"two labels known at the same instant: {examples(twice.iter_rows())}",
            expected=f"one label for each {', '.join(key)} and instant",
            hint="a correction has a later known-at than what it corrects",
        )  # fmt: skip
