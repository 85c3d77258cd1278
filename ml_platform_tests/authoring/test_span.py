"""The time of a new pipeline: cadence by rows, partitions that cover the data, a split that it can fill."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.authoring.span import (
    HELD_OUT_ROWS,
    PARTITIONS_AT_LEAST,
    ROWS_A_PARTITION,
    after,
    choose_span,
    counted,
    first_of,
)
from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.contracts.spec import Partitions, Split
from ml_platform.contracts.spec.partitions import Cadence
from ml_platform.data.calendar import Calendar

START = date(2024, 1, 10)
NO_TIME, DAY = timedelta(0), timedelta(days=1)


def _days(count: int, rows: int) -> dict[date, int]:
    return {START + timedelta(days=past): rows for past in range(count)}


@pytest.mark.parametrize(
    ("rows", "every"),
    [(ROWS_A_PARTITION, "day"), (ROWS_A_PARTITION - 1, "week"), (8, "week"), (7, "month"), (1, "month")],
)
def test_the_cadence_is_the_finest_with_enough_rows(rows: int, every: str) -> None:
    assert choose_span(_days(4000, rows), None, NO_TIME).every == every


def test_days_that_are_often_empty_become_weeks() -> None:
    """Closed on Sundays: a daily pipeline would miss a partition each week."""
    rows = {day: count for day, count in _days(200, 500).items() if day.weekday() < 6}
    assert choose_span(rows, None, NO_TIME).every == "week"
    assert choose_span(rows, "day", NO_TIME).every == "day"


@pytest.mark.parametrize("every", ["day", "week", "month"])
def test_partitions_cover_the_data_and_leave_room(every: Cadence) -> None:
    """And are those that the spec takes."""
    span = choose_span(_days(400, 99), every, NO_TIME)
    last = START + timedelta(days=399)
    assert span.start <= START < after(span.start, every, 1)
    assert span.last <= last < after(span.last, every, 1)
    assert span.end > last + timedelta(days=300)
    assert Partitions(every=every, start=span.start, end=span.end).days


@given(st.integers(1, 800), st.sampled_from(["day", "week", "month"]), st.integers(0, 40))
def test_a_split_always_fits_its_data(days: int, every: Cadence, delay: int) -> None:
    """Or is refused; all of it lies between the first whole partition and the newest as-of."""
    try:
        span = choose_span(_days(days, 60), every, delay * DAY)
    except NotEnoughRows:
        assert days < 3 * delay + (3 * PARTITIONS_AT_LEAST + 2) * 31
        return
    assert min(span.train_at_least, span.held_out) >= 1
    assert timedelta(days=span.train_at_least + 2 * span.held_out + 3 * span.delay) <= span.as_of - span.first
    assert span.train_at_least <= span.history <= span.train


@pytest.mark.parametrize(("days", "is_enough"), [(PARTITIONS_AT_LEAST + 2, False), (PARTITIONS_AT_LEAST + 3, True)])
def test_too_little_history_is_refused_with_the_numbers(days: int, is_enough: bool) -> None:
    if is_enough:
        assert choose_span(_days(days, 600), "day", DAY).delay == 1
    else:
        with pytest.raises(NotEnoughRows, match=f"got {days} days of about 600 rows, 1 days until a label is known"):
            choose_span(_days(days, 600), "day", DAY)


@pytest.mark.parametrize(
    ("rows", "held_out"), [(600, 1), (HELD_OUT_ROWS, 1), (HELD_OUT_ROWS - 1, 2), (275, 2), (274, None)]
)
def test_what_is_held_out_has_rows_for_a_gate(rows: float, held_out: int | None) -> None:
    """However short; a holdout that no gate could speak of would never promote a model."""
    if held_out is None:
        with pytest.raises(NotEnoughRows, match=r"expected at least 9 days.*a gate needs 500 rows"):
            choose_span(_days(6, int(rows)), "day", NO_TIME)
    else:
        assert choose_span(_days(6, int(rows)), "day", NO_TIME).held_out == held_out


@pytest.mark.parametrize("rows", [10, 40, 200, 1000])  # of a day
def test_two_thirds_of_the_months_of_two_years_can_be_trained(rows: int) -> None:
    """Parts are as long as a gate needs, no share of the calendar: a model is due long before the second year."""
    span = choose_span(_days(730, rows), "month", DAY)
    split = Split.model_validate(
        {"train": f"{span.train}d", "train_at_least": f"{span.train_at_least}d", "validation": f"{span.held_out}d",
         "holdout": f"{span.held_out}d", "embargo": f"{span.delay}d", "label_delay": f"{span.delay}d"}
    )  # fmt: skip
    needed = split.span - split.train + split.train_at_least
    calendar = Calendar(Partitions(every="month", start=span.start, end=span.end))
    every = calendar.keys()
    months = [key for key in every if key <= span.as_of.isoformat()]
    trainable = [key for key in months if calendar.as_of(key) - needed >= calendar.as_of(span.first.isoformat())]
    assert len(trainable) >= 2 / 3 * 24


@pytest.mark.parametrize(("rows", "held_out"), [(40, 14), (100, 7), (900, 7), (50_000, 7)])
def test_a_holdout_of_days_is_a_week_or_as_many_as_a_gate_needs(rows: int, held_out: int) -> None:
    assert choose_span(_days(365, rows), "day", DAY).held_out == held_out


def test_a_partition_that_the_files_cut_is_no_part_of_the_split() -> None:
    """An export that ended at three in the morning: its last day is loaded, and trained on once it is whole."""
    rows = _days(30, 1000) | {START: 249, START + timedelta(days=30): 10}
    span = choose_span(rows, "day", NO_TIME)
    assert (span.start, span.first) == (START, START + DAY)
    assert (span.as_of, span.last) == (START + timedelta(days=30), START + timedelta(days=30))
    assert span.history + 2 * span.held_out == 29
    assert choose_span(rows | {START: 250}, "day", NO_TIME).first == START


def test_a_gap_counts_as_an_empty_partition() -> None:
    rows = _days(3, 5) | {START + timedelta(days=4): 7}
    assert counted(rows, "day") == [5, 5, 5, 0, 7]
    assert counted(rows, "week") == [22]


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    assert first_of(START, "week") == date(2024, 1, 8)
    assert first_of(START, "month") == date(2024, 1, 1)
    assert after(date(2024, 11, 1), "month", 3) == date(2025, 2, 1)
