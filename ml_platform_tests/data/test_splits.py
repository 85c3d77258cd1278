"""Splits: parts that never overlap, in order of time, made only of labels known when the next part began."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_platform.contracts.errors import ContractError, NotEnoughRows
from ml_platform.contracts.spec import Partitions, Split
from ml_platform.data.calendar import Calendar
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.splits.cut import known_rows, parted, split_rows
from ml_platform.data.splits.parts import DAY, KNOWN_AT, LABEL, PART, PARTS, boundaries

CALENDAR = Calendar(Partitions(start=date(2013, 1, 1), end=date(2014, 1, 1), timezone="America/New_York"))
AS_OF = "2013-03-15"  # the parts before it hold the day of 23 hours
DAY_LONG, TICK = timedelta(days=1), timedelta(microseconds=1)
FEATURES = {"id": pl.Int64, "at": pl.Datetime("us", "UTC"), "x": pl.Float64}
LABELS = {"id": pl.Int64, LABEL: pl.Boolean, KNOWN_AT: pl.Datetime("us", "UTC")}


def _split(embargo: int = 0, train: int = 4, at_least: int = 1, label_delay: int = 0) -> Split:
    days: dict[str, Any] = {
        "train": train,
        "train_at_least": at_least,
        "validation": 2,
        "holdout": 2,
        "embargo": embargo,
        "label_delay": label_delay,
    }
    return Split.model_validate({name: timedelta(days=count) for name, count in days.items()})


def _features(times: list[datetime], first: int = 0) -> pl.DataFrame:
    rows = [(first + place, at, float(place)) for place, at in enumerate(times)]
    frame = pl.DataFrame(rows, schema=FEATURES, orient="row")
    return frame.with_columns(CALENDAR.keys_of(pl.col("at")).alias(PARTITION))


def _labels(known: Sequence[datetime | None], first: int = 0) -> pl.DataFrame:
    rows = [(first + place, place % 2 == 0, at) for place, at in enumerate(known)]
    return pl.DataFrame(rows, schema=LABELS, orient="row")


def _cut(features: pl.DataFrame, labels: pl.DataFrame, split: Split, as_of: str = AS_OF) -> pl.DataFrame:
    return parted(_whole(features, labels, split, as_of))


def _whole(features: pl.DataFrame, labels: pl.DataFrame, split: Split, as_of: str = AS_OF) -> pl.DataFrame:
    return split_rows(features, labels, key=["id"], event_time="at", split=split, calendar=CALENDAR, as_of=as_of)


def _daily(days: int = 20, hours: int = 6) -> list[datetime]:
    end = CALENDAR.as_of(AS_OF)
    return [end - timedelta(hours=back) for back in range(days * 24, -48, -hours)]


def _part_of(rows: pl.DataFrame) -> dict[int, str]:
    return dict(rows.select("id", PART).iter_rows())


@pytest.mark.parametrize("embargo", [0, 1])
def test_parts_lie_back_to_back_before_the_as_of(embargo: int) -> None:
    """In whole days, with the embargo between them, whatever the clocks did."""
    days = {
        name: [f"{at.astimezone(CALENDAR.partitions.zone):%d %H:%M}" for at in ends]
        for name, ends in boundaries(_split(embargo), CALENDAR, AS_OF).items()
    }
    first, second = 2 * embargo, embargo
    assert days == {
        "train": [f"{7 - first:02d} 00:00", f"{11 - first:02d} 00:00"],
        "validation": [f"{11 - second:02d} 00:00", f"{13 - second:02d} 00:00"],
        "holdout": ["13 00:00", "15 00:00"],
    }


@pytest.mark.parametrize("embargo", [0, 1])
@pytest.mark.parametrize("part", PARTS)
def test_a_part_begins_at_its_start_and_ends_before_its_end(part: str, embargo: int) -> None:
    """To the microsecond; what lies in the embargo is in no part."""
    start, end = boundaries(_split(embargo), CALENDAR, AS_OF)[part]
    times = [start - TICK, start, end - TICK, end]
    base = _daily()
    features = pl.concat([_features(base), _features(times, first=1000)])
    labels = pl.concat([_labels([at + TICK for at in base]), _labels(times, first=1000)])
    found = _part_of(_cut(features, labels, _split(embargo)))
    assert [found.get(1000 + place) == part for place in range(4)] == [False, True, True, False]
    if embargo and part != "holdout":
        assert 1003 not in found


@pytest.mark.parametrize("embargo", [0, 1])
@pytest.mark.parametrize(("part", "next_part"), [("train", "validation"), ("validation", "holdout"), ("holdout", None)])
def test_a_label_is_known_before_the_next_part_begins(part: str, next_part: str | None, embargo: int) -> None:
    """Or, in the holdout, before the as-of: one microsecond before is enough, that very instant is too late."""
    parts = boundaries(_split(embargo), CALENDAR, AS_OF)
    limit = parts[next_part][0] if next_part else CALENDAR.as_of(AS_OF)
    base, asked = _daily(), [parts[part][1] - timedelta(hours=1)] * 4
    features = pl.concat([_features(base), _features(asked, first=1000)])
    late = _labels([limit - TICK, limit, limit + DAY_LONG, None], first=1000)
    found = _part_of(_cut(features, pl.concat([_labels([at + TICK for at in base]), late]), _split(embargo)))
    assert [found.get(1000 + place) for place in range(4)] == [part, None, None, None]


@pytest.mark.parametrize("delay", [1, 3])
def test_a_label_delay_moves_the_whole_cut_back(delay: int) -> None:
    """By whole days; so a holdout whose labels come days later has them all."""
    split = _split(embargo=3, label_delay=delay)
    moved, still = boundaries(split, CALENDAR, AS_OF), boundaries(_split(embargo=3), CALENDAR, "2013-03-12")
    if delay == 3:
        assert moved == still
    times = _daily()
    labels = _labels([at + timedelta(days=2, hours=1) for at in times])
    if delay == 1:
        with pytest.raises(
            NotEnoughRows, match=r"holdout: 1 of 2 days, none in 2013-03-13, .*longer split.label_delay"
        ):
            _cut(_features(times), labels, split)
        return
    counts = Counter(_cut(_features(times), labels, split).select(PART).to_series())
    assert counts == {"train": 16, "validation": 8, "holdout": 7}  # one of its days has 23 hours


@pytest.mark.parametrize("embargo", [0, 1])
@pytest.mark.parametrize("delay", [0, 2])
def test_the_served_fit_learns_from_every_row_known_by_then(embargo: int, delay: int) -> None:
    """As a slow reference: with embargo rows and late labels, without the label-delay stretch and what is not known."""
    split, as_of = _split(embargo, label_delay=delay), CALENDAR.as_of(AS_OF)
    rng, times = np.random.default_rng(embargo + 2 * delay), _daily(days=25, hours=2)
    late = [timedelta(hours=float(each)) for each in rng.exponential(30, len(times))]
    drawn = [(row, bool(rng.random() < 0.5), at + late[row]) for row, at in enumerate(times)]
    corrected = [(row, not label, at + timedelta(days=2)) for row, label, at in drawn[::5]]
    taken_back = [(row, None, at + timedelta(days=1)) for row, _, at in drawn[::7]]
    history = [*drawn, *corrected, *taken_back]
    labels = pl.DataFrame(history, schema=LABELS, orient="row").sample(fraction=1, shuffle=True, seed=1)
    found = known_rows(_whole(_features(times), labels, split))
    start, end = CALENDAR.back(AS_OF, split.span), CALENDAR.back(AS_OF, timedelta(days=delay))
    expected: dict[int, bool] = {}
    for row, at in enumerate(times):
        known = [(when, label) for each, label, when in history if each == row and when < as_of]
        newest = max(known, key=lambda pair: pair[0])[1] if known else None
        if newest is not None and start <= at < end:
            expected[row] = newest
    assert dict(found.select("id", LABEL).iter_rows()) == expected


def test_without_late_labels_and_embargo_all_fits_see_the_same_labels() -> None:
    times = _daily()
    labels = _labels([at + TICK for at in times])
    rows, known = _cut(_features(times), labels, _split()), known_rows(_whole(_features(times), labels, _split()))
    assert rows.select("id", LABEL).sort("id").equals(known.select("id", LABEL).sort("id"))


def test_a_correction_counts_from_when_it_was_known() -> None:
    """In each part whose limit lies after it; a correction to null takes the row out, a label after it brings it in."""
    parts, base = boundaries(_split(), CALENDAR, AS_OF), _daily()
    train, as_of = parts["validation"][0], CALENDAR.as_of(AS_OF)
    asked = [parts["train"][1] - timedelta(hours=1)] * 5 + [as_of - timedelta(hours=1)] * 3
    history: list[tuple[int, bool | None, datetime]] = [
        (1000, True, train - 2 * TICK), (1000, False, train - TICK),  # corrected in time
        (1001, True, train - TICK), (1001, False, train),  # too late for train
        (1002, True, train - 2 * TICK), (1002, None, train - TICK),  # taken back in time
        (1003, True, train - TICK), (1003, None, train),  # taken back too late
        (1004, None, train - 2 * TICK), (1004, True, train - TICK),  # known at last
        (1005, True, as_of - 2 * TICK), (1005, False, as_of - TICK),
        (1006, True, as_of - TICK), (1006, False, as_of),
        (1007, True, as_of - 2 * TICK), (1007, None, as_of - TICK),
    ]  # fmt: skip
    features = pl.concat([_features(base), _features(asked, first=1000)])
    told = pl.DataFrame(history, schema=LABELS, orient="row").sample(fraction=1, shuffle=True, seed=1)
    rows = _cut(features, pl.concat([told, _labels([at + TICK for at in base])]), _split())
    found = dict(rows.filter(pl.col("id") >= 1000).select("id", LABEL).iter_rows())
    assert found == {1000: False, 1001: True, 1003: True, 1004: True, 1005: False, 1006: True}


EVENT = st.integers(-24 * 10, 24)
HISTORY = st.lists(
    st.tuples(st.none() | st.integers(0, 24 * 8), st.sampled_from([True, False, None])),
    max_size=4,
    unique_by=lambda told: told[0],
)


def _newest_known(history: list[tuple[datetime | None, bool | None]], limit: datetime) -> tuple[bool, datetime] | None:
    told = [(at, label) for at, label in history if at is not None and at < limit]
    if not told:
        return None
    at, label = max(told, key=lambda each: each[0])
    return None if label is None else (label, at)


def _slowly(
    times: list[datetime], histories: list[list[tuple[datetime | None, bool | None]]], split: Split
) -> set[tuple[int, str, bool, datetime]]:
    """Cut row by row, as the words of the spec say."""
    parts, found = boundaries(split, CALENDAR, AS_OF), set()
    limits = [parts["validation"][0], parts["holdout"][0], CALENDAR.as_of(AS_OF)]
    for place, (at, history) in enumerate(zip(times, histories, strict=True)):
        for part, limit in zip(PARTS, limits, strict=True):
            start, end = parts[part]
            told = _newest_known(history, limit)
            if start <= at < end and told is not None:
                found.add((place, part, *told))
    return found


@settings(max_examples=60, deadline=None)
@given(
    extra=st.lists(st.tuples(EVENT, HISTORY), max_size=20),
    later=st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 99), st.sampled_from([True, False, None])), max_size=9
    ),
    embargo=st.integers(0, 2),
    delay=st.integers(0, 2),
)
def test_the_cut_is_that_of_a_slow_reference(
    extra: list[tuple[int, list[tuple[int | None, bool | None]]]],
    later: list[tuple[int, int, bool | None]],
    embargo: int,
    delay: int,
) -> None:
    """For any history of labels; and what becomes known from the as-of on changes nothing."""
    split, end, base = _split(embargo, label_delay=delay), CALENDAR.as_of(AS_OF), _daily()
    times = base + [end + timedelta(hours=hours) for hours, _ in extra]
    histories: list[list[tuple[datetime | None, bool | None]]] = [[(at + TICK, True)] for at in base]
    for at, (_, history) in zip(times[len(base) :], extra, strict=True):
        histories.append([(None if late is None else at + timedelta(hours=late), told) for late, told in history])
    told = [(place, label, at) for place, history in enumerate(histories) for at, label in history]
    labels = pl.DataFrame(told, schema=LABELS, orient="row")
    rows = _cut(_features(times), labels, split)
    assert set(rows.select("id", PART, LABEL, KNOWN_AT).iter_rows()) == _slowly(times, histories, split)

    unknown = [(place % len(times), label, end + timedelta(hours=hours)) for place, hours, label in later]
    learned = pl.concat([labels, pl.DataFrame(unknown, schema=LABELS, orient="row")])
    assert _cut(_features(times), learned.sample(fraction=1, shuffle=True, seed=len(later)), split).equals(rows)


@pytest.mark.parametrize(("again", "is_refused"), [(True, False), (False, True), (None, True)])
def test_two_labels_known_at_one_instant_are_refused_by_name(again: bool | None, is_refused: bool) -> None:
    """Nothing says which counts; the same one told twice is told once."""
    times = _daily()
    labels = _labels([at + TICK for at in times])
    kept = _cut(_features(times), labels, _split())
    key, known = kept.filter(pl.col(LABEL)).select("id", KNOWN_AT).row(0)
    twice = pl.concat([labels, pl.DataFrame([(key, again, known)], schema=LABELS, orient="row")])
    if not is_refused:
        assert _cut(_features(times), twice, _split()).equals(kept)
        return
    with pytest.raises(ContractError, match=rf"two labels known at the same instant: \({key}, .*\({key}, True, "):
        _cut(_features(times), twice, _split())


def test_what_is_told_twice_at_the_as_of_is_not_known_yet() -> None:
    """So it is not refused either."""
    times, as_of = _daily(), CALENDAR.as_of(AS_OF)
    labels = _labels([at + TICK for at in times])
    kept = _cut(_features(times), labels, _split())
    twice = pl.DataFrame([(kept["id"][-1], told, as_of) for told in (True, False)], schema=LABELS, orient="row")
    assert _cut(_features(times), pl.concat([labels, twice]), _split()).equals(kept)


def test_a_row_without_a_label_is_left_out() -> None:
    """A cancelled flight has none, though somebody knows when it was cancelled."""
    times = _daily()
    labels = _labels([at + TICK for at in times])
    kept = _cut(_features(times), labels, _split())
    unknown = kept["id"][5]
    nulled = labels.with_columns(pl.when(pl.col("id") != unknown).then(pl.col(LABEL)).alias(LABEL))
    assert _cut(_features(times), nulled, _split()).equals(kept.filter(pl.col("id") != unknown))
    assert _cut(_features(times), labels.filter(pl.col("id") != unknown), _split()).height == kept.height - 1


def test_the_columns_and_their_order() -> None:
    """Features as they came, with the day in the place of the partition, then label, known-at and part; by time."""
    times = [at for at in _daily() for _ in range(2)]
    features, labels = _features(times), _labels([at + TICK for at in times])
    rows = _cut(features, labels, _split())
    assert rows.columns == ["id", "at", "x", DAY, LABEL, KNOWN_AT, PART]
    assert rows[DAY].n_unique() == 8
    assert rows.equals(rows.sort("at", "id"))
    mixed = [frame.sample(fraction=1, shuffle=True, seed=seed) for seed, frame in enumerate((features, labels))]
    assert _cut(mixed[0], mixed[1], _split()).equals(rows)


HOURS = st.integers(-24 * 12, 48)
DELAY = st.none() | st.integers(0, 24 * 6)


@settings(max_examples=50, deadline=None)
@given(
    extra=st.lists(st.tuples(HOURS, DELAY, st.sampled_from([True, False, None])), max_size=25),
    future=st.lists(st.tuples(st.integers(0, 200), DELAY), max_size=5),
    embargo=st.integers(0, 2),
)
def test_parts_keep_their_promises(
    extra: list[tuple[int, int | None, bool | None]], future: list[tuple[int, int | None]], embargo: int
) -> None:
    """Order of time, no label from the future, and nothing that happens or becomes known later changes the result."""
    split, end, base = _split(embargo), CALENDAR.as_of(AS_OF), _daily()
    times = base + [end + timedelta(hours=hours) for hours, _, _ in extra]
    known = [at + TICK for at in base]
    known += [None if late is None else end + timedelta(hours=hours + late) for hours, late, _ in extra]
    features, labels = _features(times), _labels(known)
    values = pl.Series(LABEL, [True] * len(base) + [label for _, _, label in extra], dtype=pl.Boolean)
    labels = labels.with_columns(values)
    rows = _cut(features, labels, split)

    assert rows["id"].is_unique().all()
    assert rows[LABEL].null_count() == 0
    parts = {part: rows.filter(pl.col(PART) == part) for part in PARTS}
    starts = {part: start for part, (start, _) in boundaries(split, CALENDAR, AS_OF).items()}
    for before, after in pairwise(PARTS):
        gap = min(parts[after]["at"].to_list()) - max(parts[before]["at"].to_list())
        assert gap > timedelta(days=embargo)
        assert max(parts[before][KNOWN_AT].to_list()) < starts[after]
    assert max(rows[KNOWN_AT].to_list()) < end

    late = [end + timedelta(hours=hours) for hours, _ in future]
    grown = pl.concat([features, _features(late, first=5000)])
    unknown = labels.filter(pl.col(KNOWN_AT).is_null()).with_columns(
        pl.lit(end).alias(KNOWN_AT), pl.lit(value=True).alias(LABEL)
    )
    later = [
        None if hours is None else at + timedelta(hours=hours) for at, (_, hours) in zip(late, future, strict=True)
    ]
    learned = pl.concat([labels.filter(pl.col(KNOWN_AT).is_not_null()), unknown, _labels(later, first=5000)])
    assert _cut(grown, learned, split).equals(rows)


def _without(part: str, days: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take the rows of the first days of a part away."""
    start = boundaries(_split(), CALENDAR, AS_OF)[part][0]
    gap = {(start.date() + timedelta(days=step)).isoformat() for step in range(days)}
    times = _daily()
    features = _features(times)
    return features.filter(~pl.col(PARTITION).is_in(gap)), _labels([at + TICK for at in times])


EMPTY_DAY = {"validation": "2013-03-11", "holdout": "2013-03-13"}


@pytest.mark.parametrize("part", ["validation", "holdout"])
def test_a_day_without_rows_in_a_judging_part_is_refused(part: str) -> None:
    """By the part's name and its days."""
    with pytest.raises(
        NotEnoughRows, match=f"training set as of {AS_OF}: got {part}: 1 of 2 days, none in {EMPTY_DAY[part]},"
    ):
        _cut(*_without(part, 1), _split())


@pytest.mark.parametrize(("days", "is_refused"), [(0, False), (2, False), (3, True), (4, True)])
def test_train_may_be_shorter_down_to_its_limit(days: int, is_refused: bool) -> None:
    """Two of four days are enough if the spec says so, one is not."""
    split = _split(at_least=2)
    if not is_refused:
        rows = _cut(*_without("train", days), split)
        assert rows.filter(pl.col(PART) == "train")[DAY].n_unique() == 4 - days
        return
    with pytest.raises(NotEnoughRows, match=f"got train: {4 - days} of 2 days, none in 20"):
        _cut(*_without("train", days), split)


def test_every_short_part_is_named() -> None:
    """In one message, also when there is nothing at all."""
    with pytest.raises(NotEnoughRows, match=r"got train: 0 of 1 days.*validation: 0 of 2 days.*holdout: 0 of 2 days"):
        _cut(_features([]), _labels([]), _split())


def test_days_whose_labels_came_too_late_are_missing() -> None:
    """Rows are there, but nobody knew their outcome."""
    times, start = _daily(), boundaries(_split(), CALENDAR, AS_OF)["holdout"][0]
    known = [at + (timedelta(days=9) if at >= start else TICK) for at in times]
    with pytest.raises(NotEnoughRows, match="holdout: 0 of 2 days"):
        _cut(_features(times), _labels(known), _split())


def test_a_key_on_two_days_is_refused_by_name() -> None:
    """No label belongs to one of the two alone."""
    times = _daily()
    features = pl.concat([_features(times), _features([datetime(2013, 3, 14, 12, tzinfo=UTC)], first=3)])
    with pytest.raises(ContractError, match=r"the same key on several rows: \(3, '2013-02-.*\(3, '2013-03-14'\), exp"):
        _cut(features, _labels([at + TICK for at in times]), _split())


WEEKS = Calendar(Partitions(every="week", start=date(2013, 1, 1), end=date(2013, 12, 31), timezone="America/New_York"))


def _cut_weeks(without: Sequence[str], **lengths: int) -> pl.DataFrame:
    """Cut ten weeks of four rows a day, some weeks left out."""
    end = WEEKS.as_of("2013-03-12")
    times = [end - timedelta(hours=back) for back in range(70 * 24, 0, -6)]
    features = _features(times).with_columns(WEEKS.keys_of(pl.col("at")).alias(PARTITION))
    days = {"train": 28, "train_at_least": 14, "validation": 7, "holdout": 7, "embargo": 0} | lengths
    split = Split.model_validate({name: timedelta(days=count) for name, count in days.items()})
    known = _labels([at + TICK for at in times])
    kept = features.filter(~pl.col(PARTITION).is_in(list(without)))
    return split_rows(kept, known, key=["id"], event_time="at", split=split, calendar=WEEKS, as_of="2013-03-12")


def test_parts_are_counted_in_weeks_where_partitions_are_weeks() -> None:
    """Validation and holdout have each week they touch, train at least those that `train_at_least` touches."""
    rows = _cut_weeks(without=["2013-01-29", "2013-02-05"])
    counts = dict(rows.group_by(PART).agg(pl.col(DAY).n_unique()).iter_rows())
    assert counts == {"train": 2, "validation": 1, "holdout": 1}


@pytest.mark.parametrize(
    ("without", "lengths", "said"),
    [
        (["2013-03-05"], {}, "holdout: 0 of 1 weeks, none in 2013-03-05"),
        (["2013-02-26"], {}, "validation: 0 of 1 weeks, none in 2013-02-26"),
        (["2013-01-29", "2013-02-05", "2013-02-12"], {}, "train: 1 of 2 weeks, none in 2013-01-29, .*2013-02-12"),
        (["2013-01-29", "2013-02-05"], {"train_at_least": 15}, "train: 2 of 3 weeks"),
        (["2013-02-26"], {"holdout": 8}, "validation: 1 of 2 weeks, none in 2013-02-26, holdout: 1 of 2 weeks"),
    ],
)
def test_a_week_without_rows_is_named(without: list[str], lengths: dict[str, int], said: str) -> None:
    """Also one that a part touches with a single day."""
    with pytest.raises(NotEnoughRows, match=said):
        _cut_weeks(without, **lengths)
