"""The parts of a training set: their names, where each lies before the as-of instant, and which partitions they lack.

Geometry alone. Which rows and labels go where is the business of `ml_platform.data.splits.cut`.
"""

from datetime import datetime, timedelta

import polars as pl

from ml_platform.contracts.errors import NotEnoughRows, examples
from ml_platform.contracts.spec import Split
from ml_platform.data.calendar import Calendar

PART = "part"
DAY = "day"
LABEL = "label"
KNOWN_AT = "label_known_at"
PARTS = ("train", "validation", "holdout")
REFIT = "refit"  # known as of the instant, but in no part: embargo rows, and labels that came after their part's limit
SERVED_LABEL = "label_at_as_of"  # the newest label known at the as-of instant, from which the served fit learns
_ALL = "all parts"
_HINTS = {
    "time": "give a longer split.label_delay or split.embargo if labels come later than that",
    "grouped": "name in split.by a column with more values",
    "stratified": "give the short part a greater length",
}


def boundaries(split: Split, calendar: Calendar, key: str) -> dict[str, tuple[datetime, datetime]]:
    """Give start and end of each part, as-of `key`: one after the other by time, else the whole span for each."""
    return {part: (calendar.back(key, far), calendar.back(key, near)) for part, (far, near) in _reach(split).items()}


def known_before(split: Split, calendar: Calendar, key: str) -> dict[str, datetime]:
    """Give the instant before which a label of each part must be known: the next part's start, or the as-of."""
    as_of = calendar.as_of(key)
    if split.kind != "time":
        return dict.fromkeys(PARTS, as_of)
    start = {part: start for part, (start, _) in boundaries(split, calendar, key).items()}
    return {"train": start["validation"], "validation": start["holdout"], "holdout": as_of}


def learnt_until(split: Split, calendar: Calendar, key: str, *, is_refit: bool) -> datetime:
    """Return the instant from which on a version as of `key` has learnt nothing.

    A refit learns from all that was known; without one nothing after validation is learnt from, unless rows were dealt
    to the parts and time orders none of them.
    """
    parts = boundaries(split, calendar, key)
    return parts["holdout"][1] if is_refit or split.kind != "time" else parts["validation"][1]


def empty_partitions(rows: pl.DataFrame, split: Split, calendar: Calendar, as_of: str) -> dict[str, list[str]]:
    """Name, for each part of a training set, the partitions of the pipeline in which it has no rows.

    Parts that rows were dealt to share one span, so there a row of any part counts.
    """
    present: dict[str, frozenset[str]] = dict.fromkeys(PARTS, frozenset(rows[DAY].unique()))
    if split.kind == "time":
        present = {part: frozenset(days) for part, days in rows.group_by(PART).agg(pl.col(DAY).unique()).iter_rows()}
    return {
        part: [key for key in calendar.keys_before(as_of, far, near) if key not in present.get(part, ())]
        for part, (far, near) in _reach(split).items()
    }


def refuse_gaps(rows: pl.DataFrame, split: Split, calendar: Calendar, as_of: str) -> None:
    """Refuse a training set that lacks too much.

    By time, validation and holdout need rows in each partition they touch, and train in as many as `train_at_least`
    touches. Dealt parts together need rows in as many as the three lengths touch, and each part needs some.

    Raises
    ------
    NotEnoughRows
        Names each part that is short, and what it lacks.
    """
    empty, every = empty_partitions(rows, split, calendar, as_of), f"{calendar.partitions.every}s"
    empty[_ALL] = empty[PARTS[0]]
    short = [
        f"{part}: {found} of {wanted} {every}, none in {examples(empty[part]) or f'earlier {every}'}"
        for part, (found, wanted) in _counts(rows, split, calendar, as_of).items()
        if found < wanted
    ]
    short = short or [f"{part}: no rows" for part in PARTS if part not in set(rows[PART].unique())]
    if short:
        raise NotEnoughRows.because(
            f"training set as of {as_of}", got=examples(short), expected=f"labelled rows in each of these {every}",
            hint="materialize the missing partitions from raw to features, choose a later as-of partition, or "
            + _HINTS[split.kind],
        )  # fmt: skip


def _counts(rows: pl.DataFrame, split: Split, calendar: Calendar, as_of: str) -> dict[str, tuple[int, int]]:
    """Count the partitions that have rows, and those that must, for each part that is judged by itself."""
    reach = _reach(split)
    far, near = reach["train"]
    reach["train"] = (far - split.train + split.train_at_least, near)
    if split.kind != "time":
        return {_ALL: (rows[DAY].n_unique(), calendar.count_before(as_of, *reach["train"]))}
    found = dict(rows.group_by(PART).agg(pl.col(DAY).n_unique()).iter_rows())
    return {part: (found.get(part, 0), calendar.count_before(as_of, *reach[part])) for part in PARTS}


def _reach(split: Split) -> dict[str, tuple[timedelta, timedelta]]:
    """Give how long before the as-of instant each part begins and ends."""
    if split.kind != "time":
        return dict.fromkeys(PARTS, (split.span, split.label_delay))
    holdout = split.label_delay + split.holdout
    validation = holdout + split.embargo
    train = validation + split.validation + split.embargo
    return {
        "train": (train + split.train, train),
        "validation": (validation + split.validation, validation),
        "holdout": (holdout, split.label_delay),
    }
