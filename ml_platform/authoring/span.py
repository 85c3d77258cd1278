"""The time of a new pipeline: its cadence, its first and last partition, and a split that its data can fill."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.contracts.spec.partitions import Cadence
from ml_platform.validation.gates import ROWS_AT_LEAST

ROWS_A_PARTITION = 50  # fewer say little of a partition
EMPTY_AT_MOST = 0.02  # share of partitions without rows
WHOLE_FROM = 0.25  # of the usual number of rows: a file may begin or end within a partition
PARTITIONS_AT_LEAST = 6
ROOM = timedelta(days=365)  # for the data to come

CADENCES: tuple[Cadence, ...] = ("day", "week", "month")
DAYS: Mapping[Cadence, int] = {"day": 1, "week": 7, "month": 28}  # at least, of a partition
TRAIN: Mapping[Cadence, int] = {"day": 364, "week": 728, "month": 1092}  # days; as much of it as there is
HELD_OUT_ENOUGH = 2000  # rows of validation and holdout each, beyond which a longer part tells little more
HELD_OUT_PARTITIONS = 2  # so many are enough where fewer rows are to be had
# Partitions, where the history has room: rows of one day are alike, and a gate with confidence needs some thousand.
HELD_OUT_AT_LEAST: Mapping[Cadence, int] = {"day": 7, "week": 4, "month": 1}
HELD_OUT_ROWS = 1.1 * ROWS_AT_LEAST  # at least; some have no label, or are no good
TRAIN_ROWS = 500  # at least, of the first model, as many as a gate judges on


@dataclass(frozen=True)
class Span:
    """Partitions and split of a pipeline.

    Parameters
    ----------
    start, end : date
        Of the pipeline; the end lies ahead of the data.
    first, as_of : date
        First day of the first whole partition, and of the one after the last whole one: there the first model is due.
    last : date
        First day of the last partition that has rows.
    rows : tuple of int
        Rows of each partition from `first` to `as_of`.
    train, history, train_at_least, held_out, delay : int
        Days of the training window, of what the data can fill of it now, of the least that a first model needs, of
        validation and holdout each, and until a label is known.
    """

    every: Cadence
    start: date
    end: date
    first: date
    as_of: date
    last: date
    rows: tuple[int, ...]
    train: int
    history: int
    train_at_least: int
    held_out: int
    delay: int

    @property
    def usual(self) -> int:
        """Rows of a usual partition."""
        return int(median(self.rows))


def choose_span(rows_by_day: Mapping[date, int], every: Cadence | None, known_after: timedelta) -> Span:
    """Choose cadence, partitions and split.

    Parameters
    ----------
    rows_by_day : mapping of date to int
        Rows of each day, of all files.
    every : "day", "week", "month" or None
        The author's cadence; None chooses the finest one with enough rows in nearly every partition.
    known_after : timedelta
        How long after its event a label is known.

    Raises
    ------
    NotEnoughRows
        If there are too few partitions to train, validate and hold out.
    """
    chosen = every or _finest(rows_by_day)
    rows, start = counted(rows_by_day, chosen), first_of(min(rows_by_day), chosen)
    low, high = _whole(rows)
    first, as_of = after(start, chosen, low), after(start, chosen, high)
    delay = -(-known_after // timedelta(days=1))
    days = (as_of - first).days - 3 * delay
    held_out = _held_out(chosen, days // DAYS[chosen], median(rows[low:high]), f"{high - low} {chosen}s", delay)
    room, usual = days - 2 * held_out, median(rows[low:high])
    return Span(
        every=chosen, start=start, end=first_of(as_of + ROOM, chosen), first=first, as_of=as_of,
        last=after(start, chosen, len(rows) - 1), rows=tuple(rows[low:high]),
        train=TRAIN[chosen], history=min(TRAIN[chosen], room),
        train_at_least=_train_at_least(chosen, room, usual, held_out), held_out=held_out, delay=delay,
    )  # fmt: skip


def _held_out(every: Cadence, usable: int, usual: float, history: str, delay: int) -> int:
    """Return the days of validation and of holdout: enough rows for a gate to judge on, no share of the calendar.

    Some thousand rows or two partitions, whichever is less, but never fewer rows than a gate needs. Of days a whole
    week, and four of weeks, where the history has room for it.
    """
    least = math.ceil(HELD_OUT_ROWS / usual)
    if usable < max(PARTITIONS_AT_LEAST, least * 3):
        raise NotEnoughRows.because(
            "the files", got=f"{history} of about {usual:g} rows, {delay} days until a label is known",
            expected=f"at least {max(PARTITIONS_AT_LEAST, least * 3)} {every}s, and three such delays: a gate needs "
            f"{ROWS_AT_LEAST} rows to speak of", hint="bring more history, or choose another --every",
        )  # fmt: skip
    enough = min(math.ceil(HELD_OUT_ENOUGH / usual), max(HELD_OUT_PARTITIONS, least))
    return DAYS[every] * max(least, min(max(enough, HELD_OUT_AT_LEAST[every]), usable // 4))


def _train_at_least(every: Cadence, room: int, usual: float, held_out: int) -> int:
    """Return the days that the first model needs: as many as are held out, and some hundred rows if there are."""
    wanted = max(held_out, DAYS[every] * math.ceil(TRAIN_ROWS / usual))
    return max(1, min(wanted, room))


def counted(rows_by_day: Mapping[date, int], every: Cadence) -> list[int]:
    """Count the rows of each partition from the first to the last that has any, empty ones between them included."""
    start, last = first_of(min(rows_by_day), every), max(rows_by_day)
    counts: list[int] = []
    while (begin := after(start, every, len(counts))) <= last:
        days = (after(start, every, len(counts) + 1) - begin).days
        counts.append(sum(rows_by_day.get(begin + timedelta(days=past), 0) for past in range(days)))
    return counts


def first_of(day: date, every: Cadence) -> date:
    """Give the day on which a day's partition begins; weeks begin on Monday."""
    if every == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if every == "week" else day


def after(start: date, every: Cadence, count: int) -> date:
    """Give the day that lies a number of partitions after the start of one."""
    if every != "month":
        return start + timedelta(days=count * DAYS[every])
    months = start.year * 12 + start.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)


def _finest(rows_by_day: Mapping[date, int]) -> Cadence:
    for every in CADENCES[:-1]:
        if _is_filled(counted(rows_by_day, every)):
            return every
    return CADENCES[-1]


def _is_filled(rows: list[int]) -> bool:
    empty = sum(count == 0 for count in rows)
    return median(rows) >= ROWS_A_PARTITION and empty <= EMPTY_AT_MOST * len(rows)


def _whole(rows: list[int]) -> tuple[int, int]:
    """Leave out what the files hold of a partition at either end, where they begin or end within it."""
    least = WHOLE_FROM * median(rows)
    whole = [place for place, count in enumerate(rows) if count and count >= least]
    return whole[0], whole[-1] + 1
