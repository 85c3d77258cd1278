"""Windows: what was known, of the rows before, and nothing of what came later, however it is computed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ml_platform.contracts.errors import SchemaMismatch
from ml_platform.features import intervals
from ml_platform.features.events import known_before
from ml_platform.features.window_plan import HistoryPlan, WindowPlan
from ml_platform.features.windows import compute_windows, prepare_history
from ml_platform_tests.features.reference import Row, known_at, windows_of

START = datetime(2013, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
INSTANT = pl.Datetime("us", "UTC")
SCHEMA = {
    "id": pl.Int64(), "at": INSTANT, "known": INSTANT, "shop": pl.String(), "till": pl.Int64(),
    "amount": pl.Float64(), "items": pl.Int64(), "is_late": pl.Boolean(),
}  # fmt: skip
WHERE: dict[str, Callable[[Row], bool]] = {
    "items > 1": lambda row: row["items"] is not None and row["items"] > 1,
    "is_late": lambda row: row["is_late"] is True,
}


def _plan(*windows: WindowPlan, **changed: Any) -> HistoryPlan:
    plan = HistoryPlan(
        key=("id",), event_time="at", inputs=("shop", "till", "amount", "items"), known_at="known", known_after=None,
        corrected=False, timezone="UTC", windows=windows,
    )  # fmt: skip
    return replace(plan, **changed)


def _window(how: str, of: str | None, hours: int = 5, rows: int | None = None, **changed: Any) -> WindowPlan:
    where = changed.get("where")
    window = WindowPlan(
        name="w", by=("shop",), how=how, of=of, reach=hours * HOUR, rows=rows, where=None,
        awaits_label=of == "is_late" or where == "is_late",
    )  # fmt: skip
    return replace(window, **changed)


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def _asked(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return _frame(rows).select("at", "shop", "till")


def _row(**given: Any) -> dict[str, Any]:
    """Make a row of shop `a` at some hour; its label, true, is known an hour later."""
    at = given.pop("at", 0)
    known = given.pop("known", at + 1)
    row = {"id": 0, "shop": "a", "till": 1, "amount": 1.0, "items": 1, "is_late": True}
    return row | {"at": START + at * HOUR, "known": None if known is None else START + known * HOUR} | given


def _value(window: WindowPlan, at: float, *rows: dict[str, Any], shop: str | None = "a", **changed: Any) -> object:
    """Give one window of one row."""
    asked = _asked([_row(at=at, shop=shop)])
    return compute_windows(asked, prepare_history(_plan(window, **changed), _frame(list(rows))), "at").item()


_VALUES: dict[str, list[Any]] = {
    "shop": ["a", "a", "a", "b", None],
    "till": [1, 1, 2, None],
    "amount": [0.0, -0.0, 0.1, 0.2, 0.3, 1.0, -7.5, 1e16, 1e-9, 3.0, float("nan"), float("inf"), None],
    "items": [0, 1, 2, 3, -(2**53) - 1, None],
    "is_late": [True, True, False, None],
}


def _made_up(seed: int, count: int, keys: int) -> list[dict[str, Any]]:
    """Make event rows: late, tied, null and, with few keys, corrected ones. A seed is drawn faster than rows."""
    random = Random(seed)  # noqa: S311 - test data
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        at, known = random.randrange(13), random.randrange(13)
        times = {"at": START + at * HOUR, "known": None if random.random() < 0.1 else START + known * HOUR}
        values = {name: random.choice(choices) for name, choices in _VALUES.items()}
        rows.append({"id": random.randrange(keys), **times, **values})
    return rows


def _rows(count: int, keys: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.builds(_made_up, st.integers(0, 2**32), st.integers(0, count), st.just(keys))


_hours = st.integers(0, 12).map(lambda hour: START + hour * HOUR)
_histories = _rows(24, 6) | _rows(24, 1000)
_asked_rows = _rows(8, 9)
_windows = st.builds(
    lambda how_of, hours, rows, by, where, awaits: replace(
        _window(how_of[0], how_of[1], hours, rows, by=by, where=where), **({"awaits_label": True} if awaits else {})
    ),
    st.sampled_from(
        [("count", None), ("count", "is_late"), ("count", "amount"), ("share", "is_late"), ("last", "is_late")]
        + [("last", "shop"), ("min", "shop"), ("mean", "is_late"), ("max", "is_late")]
        + [(how, of) for how in ("sum", "mean", "std", "min", "max", "last") for of in ("amount", "items")]
    ),
    st.integers(1, 9),
    st.none() | st.integers(1, 4),
    st.sampled_from([("shop",), ("shop", "till"), ("till",)]),
    st.sampled_from([None, None, *WHERE]),
    st.booleans(),
)
_plans = st.builds(
    lambda windows, corrected, known_after: _plan(
        *(replace(window, name=f"w{place}") for place, window in enumerate(windows)),
        corrected=corrected,
        known_at="known" if corrected or known_after is None else None,
        known_after=None if corrected else known_after,
    ),
    st.lists(_windows, min_size=1, max_size=4),
    st.booleans(),
    st.none() | st.sampled_from([timedelta(0), 2 * HOUR]),
)


def _computed(plan: HistoryPlan, asked: list[dict[str, Any]], history: list[dict[str, Any]]) -> pl.DataFrame:
    return compute_windows(_asked(asked), prepare_history(plan, _frame(history)), "at")


@settings(max_examples=400, deadline=None)
@given(_plans, _histories, _asked_rows)
def test_windows_are_those_of_the_row_by_row_reference(
    plan: HistoryPlan, history: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> None:
    """Late, corrected and tied rows, nulls, several entities: to the last bit."""
    expected = [windows_of(plan, row, history, WHERE) for row in asked]
    made = _computed(plan, asked, history)
    assert made.to_dicts() == expected


@settings(max_examples=60, deadline=None)
@given(_plans, _histories, _asked_rows, _histories)
def test_rows_known_later_change_no_earlier_result(
    plan: HistoryPlan, history: list[dict[str, Any]], asked: list[dict[str, Any]], more: list[dict[str, Any]]
) -> None:
    """Whatever is appended with a known-at after an instant leaves the windows as of this instant as they are."""
    label_only = replace(plan, windows=tuple(replace(window, awaits_label=True) for window in plan.windows))
    for row in asked:
        later = [each for each in more if (known_at(plan, each) or row["at"]) > row["at"]]
        before = _computed(label_only, [row], history)
        assert_frame_equal(_computed(label_only, [row], history + later), before)


@settings(max_examples=60, deadline=None)
@given(_plans, _histories, _asked_rows, st.randoms())
def test_the_order_of_the_history_does_not_matter(
    plan: HistoryPlan, history: list[dict[str, Any]], asked: list[dict[str, Any]], random: Any
) -> None:
    """Not for ties either."""
    shuffled = random.sample(history, len(history))
    assert_frame_equal(_computed(plan, asked, shuffled), _computed(plan, asked, history))


@settings(max_examples=60, deadline=None)
@given(_plans, _histories, _asked_rows)
def test_one_row_is_as_in_the_batch(
    plan: HistoryPlan, history: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> None:
    """The server, which asks for one row, gives what training saw, to the last bit."""
    prepared = prepare_history(plan, _frame(history))
    batch = compute_windows(_asked(asked), prepared, "at")
    for place, row in enumerate(asked):
        assert_frame_equal(compute_windows(_asked([row]), prepared, "at"), batch[place])


@settings(max_examples=60, deadline=None)
@given(_plans, _histories, _asked_rows)
def test_the_needed_history_is_enough(
    plan: HistoryPlan, history: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> None:
    """Corrections keep their row's event time; then what lies beyond the reach does not matter, to the last bit."""
    times: dict[int, datetime] = {}
    history = [row | {"at": times.setdefault(row["id"], row["at"])} for row in history]
    for row in asked:
        needed = [each for each in history if row["at"] - plan.reach <= each["at"] <= row["at"]]
        assert_frame_equal(_computed(plan, [row], needed), _computed(plan, [row], history))


@settings(max_examples=40, deadline=None)
@given(_plans, _histories, _asked_rows)
def test_a_line_too_long_for_microseconds_counts_instants(
    plan: HistoryPlan, history: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> None:
    """Millions of entities over decades give the same as a few."""
    expected = _computed(plan, asked, history)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "_LONGEST_LINE", 1)
        assert_frame_equal(_computed(plan, asked, history), expected)


@settings(max_examples=60, deadline=None)
@given(_plans, _histories, _asked_rows, _hours)
def test_the_past_as_known_before_an_instant_is_enough_up_to_it(
    plan: HistoryPlan, history: list[dict[str, Any]], asked: list[dict[str, Any]], instant: datetime
) -> None:
    """What a bundle carries hides what was known later, and gives every row before its instant the same windows."""
    times: dict[int, datetime] = {}
    history = [row | {"at": times.setdefault(row["id"], row["at"])} for row in history]
    if not plan.corrected:
        history = list({row["id"]: row for row in history}.values())
    then = known_before(plan, _frame(history), instant)
    if plan.known_at is not None:
        assert then.filter(pl.col(plan.known_at) >= instant).is_empty()
    before = [row for row in asked if row["at"] < instant]
    made = compute_windows(_asked(before), prepare_history(plan, then), "at")
    assert_frame_equal(made, _computed(plan, before, history))


@pytest.mark.parametrize(
    ("at", "expected"), [(0, 0), (1e-6 / 3600, 1), (4.999999, 1), (5 - 1e-6 / 3600, 1), (5, 0), (6, 0)]
)
def test_both_ends_of_the_window_are_excluded(at: float, expected: int) -> None:
    """A row counts from the first microsecond after its event time to the last within `over`."""
    asked = pl.DataFrame({"at": [START + timedelta(microseconds=round(at * 3.6e9))], "shop": ["a"]})
    history = prepare_history(_plan(_window("count", None)), _frame([_row()]))
    assert compute_windows(asked.cast({"at": INSTANT}), history, "at").item() == expected


@pytest.mark.parametrize(("known", "expected"), [(2, 1), (3, 1), (3.1, 0), (None, 0), (-1, 1)])
def test_a_label_counts_from_the_instant_at_which_it_was_known(known: float | None, expected: int) -> None:
    """Included; a label that nobody knows never counts, and one known before its event counts after it."""
    assert _value(_window("count", "is_late"), 3, _row(known=known)) == expected
    assert _value(_window("count", None), 3, _row(known=known)) == 1
    assert _value(_window("count", None, where="is_late"), 3, _row(known=known)) == expected


def test_a_label_known_after_a_fixed_time_counts_from_then_on() -> None:
    """Without a column for it."""
    fixed: dict[str, Any] = {"known_at": None, "known_after": 2 * HOUR}
    window = _window("count", "is_late")
    assert [_value(window, at, _row(known=None), **fixed) for at in (1, 2, 3)] == [0, 1, 1]


def test_a_correction_replaces_its_row_when_it_is_known() -> None:
    """To another value, to null, and back."""
    rows = [_row(known=1), _row(known=2, is_late=False), _row(known=3, is_late=None), _row(known=4)]
    late = [_value(_window("sum", "is_late"), at, *rows, corrected=True) for at in (0.5, 1, 2, 3, 4)]
    known = [_value(_window("count", "is_late"), at, *rows, corrected=True) for at in (0.5, 1, 2, 3, 4)]
    assert (late, known) == ([0, 1, 0, 0, 1], [0, 1, 1, 0, 1])
    assert [_value(_window("count", None), at, *rows, corrected=True) for at in (0.5, 3)] == [1, 1]
    assert _value(_window("count", None), 3, *rows) == 4


def test_a_retracted_row_lets_an_older_one_back_in() -> None:
    """Among the newest rows."""
    rows = [_row(id=1, at=0, amount=1.0), _row(id=2, at=1, known=1, amount=2.0), _row(id=2, at=1, known=3, amount=None)]
    window = _window("sum", "amount", 9, rows=1)
    assert [_value(window, at, *rows, corrected=True) for at in (1, 2, 3)] == [1.0, 2.0, 1.0]


def test_a_row_that_becomes_known_late_is_not_among_the_newest_for_that() -> None:
    """Three newer ones were known before it."""
    rows = [_row(id=place, at=place, known=known, amount=float(place)) for place, known in enumerate([8, 2, 3, 4])]
    window = _window("sum", "amount", 9, rows=2, awaits_label=True)
    assert [_value(window, at, *rows) for at in (3, 5, 8.5)] == [3.0, 5.0, 5.0]


def test_the_past_of_a_bundle_knows_no_later_correction() -> None:
    """It is not there at all, and what it corrects is as it was."""
    rows = [_row(known=2, amount=1.0), _row(known=5, amount=9.0, is_late=False)]
    plan = _plan(_window("sum", "amount"), _window("count", "is_late", name="known"), corrected=True)
    then = known_before(plan, _frame(rows), START + 4 * HOUR)
    assert then.select("known", "amount", "is_late").rows() == [(START + 2 * HOUR, 1.0, True)]
    earlier = known_before(plan, _frame(rows), START + 2 * HOUR)
    assert earlier.select("known", "amount", "is_late").rows() == [(None, 1.0, None)]


def test_newest_rows_are_the_newest_that_were_known() -> None:
    """By event time, not by when they became known; no older than `within`."""
    rows = [_row(id=1, at=0, known=4, amount=1.0), _row(id=2, at=1, known=2, amount=2.0), _row(id=3, at=2, known=9)]
    window = _window("sum", "amount", 5, rows=2, awaits_label=True)
    assert [_value(window, at, *rows) for at in (2, 4, 5.5, 9)] == [2.0, 3.0, 2.0, 0.0]


def test_rows_of_one_instant_are_told_apart_by_their_key() -> None:
    """So that the newest is always the same, and never depends on a known-at that nobody knows yet."""
    rows = [_row(id=2, known=1, amount=2.0), _row(id=1, known=9, amount=1.0), _row(id=0, known=None, amount=0.0)]
    window = _window("last", "amount")
    assert _value(window, 3, *rows) == _value(window, 3, *reversed(rows)) == 2.0
    arrived = [rows[0], _row(id=1, known=2, amount=1.0), _row(id=0, known=3, amount=0.0)]
    assert _value(window, 3, *arrived) == 2.0


def test_equal_values_have_no_deviation() -> None:
    """Exactly none, however the values before them look."""
    before = [_row(id=place, at=-20, amount=1e9 / 7) for place in range(3)]
    same = [_row(id=10 + place, amount=0.1) for place in range(7)]
    assert _value(_window("std", "amount"), 2, *before, *same) == 0.0
    assert _value(_window("std", "amount"), 2, *before, same[0]) is None


def test_sums_do_not_carry_what_left_the_window() -> None:
    """A huge value that is gone leaves no rounding behind."""
    rows = [_row(id=1, at=-20, amount=1e300), _row(id=2, at=-19, amount=1e-300), _row(id=3, amount=0.1)]
    assert _value(_window("sum", "amount"), 2, *rows) == 0.1
    assert _value(_window("mean", "amount"), 2, *rows) == 0.1
    assert _value(_window("sum", "amount"), 2, *[_row(id=i, amount=1.7e308) for i in range(2)]) == float("inf")


def test_nan_and_infinite_values_do_not_count() -> None:
    """As nulls do not."""
    rows = [_row(id=place, amount=value) for place, value in enumerate([float("nan"), float("inf"), None, 2.0])]
    for how, expected in (("count", 1), ("sum", 2.0), ("mean", 2.0), ("min", 2.0), ("max", 2.0), ("last", 2.0)):
        assert _value(_window(how, "amount"), 2, *rows) == expected


def test_a_window_without_rows_counts_none() -> None:
    """Of a shop that nobody has seen, and of no history at all."""
    for rows in ([_row(shop="b")], []):
        for how, of in (("count", None), ("count", "amount"), ("sum", "amount")):
            assert _value(_window(how, of), 2, *rows) == 0
        for how in ("mean", "std", "min", "max", "last"):
            assert _value(_window(how, "amount"), 2, *rows) is None
        assert _value(_window("share", "is_late"), 2, *rows) is None


def test_a_row_without_an_entity_has_no_windows() -> None:
    """Nor does the past of rows without one become an entity."""
    assert _value(_window("count", None), 2, _row(shop=None), shop=None) is None
    two = _window("count", None, by=("shop", "till"))
    assert _value(two, 2, _row(till=None), _row()) == 1


def test_whole_numbers_keep_their_last_digit() -> None:
    """Min, max and last do not go through floats."""
    odd = 2**53 + 1
    for how in ("min", "max", "last"):
        assert _value(_window(how, "items"), 2, _row(items=odd)) == odd


def test_types_are_those_of_the_spec() -> None:
    """Also of no rows."""
    plan = _plan(
        *(_window(how, "items", name=how) for how in ("count", "sum", "mean", "std", "min", "max", "last")),
        _window("share", "is_late", name="share"),
        _window("last", "shop", name="shop_last"),
    )
    for asked in ([], [_row(at=2)]):
        made = _computed(plan, asked, [])
        floats = dict.fromkeys(("sum", "mean", "std"), pl.Float64())
        whole = dict.fromkeys(("min", "max", "last"), pl.Int64())
        assert made.schema == {"count": pl.Int64()} | floats | whole | {"share": pl.Float64(), "shop_last": pl.String()}


def test_conditions_see_the_clock_of_the_pipeline() -> None:
    """Noon in New York is five in the afternoon in UTC."""
    window = _window("count", None, 48, where="extract(hour from at) = 12")
    assert _value(window, 20, _row(at=17), _row(at=12), timezone="America/New_York") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": "amount"}, "lookup history: got no column amount"),
        ({"naive": "at"}, r"lookup history\.at: .* expected a timestamp with time zone"),
        ({"cast": "shop"}, r"lookup history\.shop: got Int64, expected String"),
    ],
)
def test_a_history_that_does_not_fit_is_refused(change: dict[str, str], message: str) -> None:
    """By the column at fault."""
    frame = _frame([_row()])
    frame = frame.drop(change.get("drop", []))
    if "naive" in change:
        frame = frame.with_columns(pl.col("at").dt.replace_time_zone(None))
    if "cast" in change:
        frame = frame.with_columns(shop=pl.lit(1))
    with pytest.raises(SchemaMismatch, match=message):
        compute_windows(_asked([_row()]), prepare_history(_plan(_window("sum", "amount")), frame), "at")


def test_a_large_batch_finds_its_entities_as_a_small_one_does() -> None:
    """Beyond some thousand rows they are joined, below looked up."""
    asked = [_row(at=2, shop=shop) for shop in ("a", "b", None)]
    plan = _plan(_window("count", None))
    small = _computed(plan, asked, [_row()])
    assert_frame_equal(_computed(plan, asked * 2000, [_row()]), pl.concat([small] * 2000))
