"""The retrain policy as a table: what may ask for a new model, and why the rest may not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.contracts.records import DriftReport, Window
from ml_platform.contracts.spec import Retrain
from ml_platform.monitoring.policy import DeadRetrain, RetrainRequest, decide_again, decide_all, decide_retrain

WINDOW = Window(start=datetime(2013, 6, 24, tzinfo=UTC), end=datetime(2013, 7, 1, tzinfo=UTC))
DRIFTED = DriftReport(
    pipeline="flight_delays",
    as_of="2013-07-01",
    champion=3,
    champion_as_of="2013-05-01",
    window=WINDOW,
    rows=6312,
    outcome="drifted",
    sentence="2 of 12 columns drifted",
    columns=(),
)
PRESENT: dict[str, Any] = {
    "champion_version": 3,
    "champion_as_of": "2013-05-01",
    "requests": [],
    "is_running": False,
    "retrain": Retrain(cool_down=timedelta(days=7)),
}


def _decide(report: DriftReport = DRIFTED, **changes: Any) -> tuple[bool, str]:
    decision = decide_retrain(report, **{**PRESENT, "group": "backfill-b", **changes})
    return decision.is_requested, decision.because


def test_drift_asks_for_a_new_model() -> None:
    """The reason is the report's sentence."""
    assert _decide() == (True, "2013-07-01: 2 of 12 columns drifted")


@pytest.mark.parametrize(
    ("report", "changes", "because"),
    [
        ({}, {"retrain": Retrain(when=[])}, "this pipeline does not retrain on drift"),
        ({"outcome": "stable"}, {}, "the report is stable: 2 of 12 columns drifted"),
        ({"outcome": "inconclusive"}, {}, "the report is inconclusive: 2 of 12 columns drifted"),
        ({}, {"champion_version": 4}, "the report is about champion v3, the present one is champion v4"),
        ({}, {"champion_version": None}, "the report is about champion v3, the present one is no champion"),
        ({}, {"champion_as_of": "2013-07-01"}, "as-of 2013-07-01 is not newer than the champion's, 2013-07-01"),
        ({}, {"champion_as_of": "2013-08-01"}, "as-of 2013-07-01 is not newer than the champion's, 2013-08-01"),
        ({}, {"is_running": True}, "a retrain is running"),
        ({}, {"requests": [RetrainRequest("2013-01-01", "backfill-b")]}, "backfill-b has already asked for a retrain"),
        (
            {},
            {"requests": [RetrainRequest("2013-06-25", "a"), RetrainRequest("2013-01-01", "c")]},
            "as-of 2013-07-01 is within 7 days of a request's, 2013-06-25: cooling down",
        ),
        (
            {},
            {"requests": [RetrainRequest("2013-09-01", "a"), RetrainRequest("2013-07-07", "c")]},
            "as-of 2013-07-01 is within 7 days of a request's, 2013-07-07: cooling down",
        ),
        (
            {},
            {"requests": [RetrainRequest("2013-01-01", "backfill-b", has_failed=True)]},
            "backfill-b has already asked for a retrain",
        ),
    ],
)
def test_reasons_not_to_act(report: dict[str, Any], changes: dict[str, Any], because: str) -> None:
    """One for each row of the table."""
    assert _decide(DRIFTED.model_copy(update=report), **changes) == (False, because)


@pytest.mark.parametrize(
    ("other", "is_requested"),
    [
        ("2013-06-23", True),
        ("2013-06-24", True),
        ("2013-06-25", False),
        ("2013-07-07", False),
        ("2013-07-08", True),
        ("2013-12-31", True),
    ],
)
def test_the_cool_down_ends_exactly_when_it_has_passed(other: str, is_requested: bool) -> None:
    """Seven days before and after a request's as-of, whenever that was asked; one far ahead blocks no earlier day."""
    assert _decide(requests=[RetrainRequest(other, "a")])[0] is is_requested


def test_a_request_that_failed_starts_no_cool_down() -> None:
    """There is no model of those days yet."""
    assert _decide(requests=[RetrainRequest("2013-06-30", "a", has_failed=True)])[0]


def test_the_first_reason_is_given() -> None:
    """A stable report says so, whatever else is in the way."""
    stable = DRIFTED.model_copy(update={"outcome": "stable"})
    assert _decide(stable, is_running=True, champion_version=9)[1].startswith("the report is stable")


def test_only_the_newest_report_of_a_tick_may_ask() -> None:
    """The others are superseded, and come back in the order given."""
    reports = [(DRIFTED.model_copy(update={"as_of": f"2013-07-{day:02}"}), "b") for day in (3, 9, 5)]
    decided = decide_all(reports, **PRESENT)
    assert [report.as_of for report, _ in decided] == ["2013-07-03", "2013-07-09", "2013-07-05"]
    assert [decision.is_requested for _, decision in decided] == [False, True, False]
    assert decided[0][1].because == "superseded by the report of 2013-07-09, which came in the same tick"


def test_a_newest_report_that_is_stable_silences_older_drift() -> None:
    """The drift has passed."""
    stable = DRIFTED.model_copy(update={"as_of": "2013-07-02", "outcome": "stable"})
    decided = decide_all([(DRIFTED, "a"), (stable, "a")], **PRESENT)
    assert [decision.is_requested for _, decision in decided] == [False, False]


def test_an_inconclusive_report_silences_nothing() -> None:
    """The newest that found something out decides; those beyond the data are declined for what they are."""
    inconclusive = {"outcome": "inconclusive", "sentence": "too few rows"}
    late, early = (DRIFTED.model_copy(update=inconclusive | {"as_of": as_of}) for as_of in ("2013-12-31", "2013-01-01"))
    newer = DRIFTED.model_copy(update={"as_of": "2013-07-02"})
    decided = decide_all([(early, "b"), (DRIFTED, "b"), (newer, "b"), (late, "b")], **PRESENT)
    assert [decision.is_requested for _, decision in decided] == [False, False, True, False]
    assert [decision.because for _, decision in decided if not decision.is_requested] == [
        "the report is inconclusive: too few rows",
        "superseded by the report of 2013-07-02, which came in the same tick",
        "the report is inconclusive: too few rows",
    ]


def test_no_reports_need_no_decision() -> None:
    """An empty tick."""
    assert decide_all([], **PRESENT) == []


@given(st.lists(st.tuples(st.integers(1, 28), st.sampled_from(["drifted", "stable"]), st.sampled_from("ab"))))
def test_a_tick_asks_at_most_once(found: list[tuple[int, str, str]]) -> None:
    """Also when two reports share the newest as-of."""
    reports = [
        (DRIFTED.model_copy(update={"as_of": f"2013-07-{day:02}", "outcome": outcome}), group)
        for day, outcome, group in found
    ]
    decided = decide_all(reports, **PRESENT)
    assert [report for report, _ in decided] == [report for report, _ in reports]
    assert sum(decision.is_requested for _, decision in decided) <= 1


@given(
    st.lists(st.tuples(st.integers(1, 28), st.sampled_from(["drifted", "stable", "inconclusive"]))),
    st.none() | st.integers(1, 28),
)
def test_nothing_older_than_a_report_of_before_asks(found: list[tuple[int, str]], before: int | None) -> None:
    """Whoever asks is the newest conclusive report there is, of this tick or of an earlier one."""
    reports = [
        (DRIFTED.model_copy(update={"as_of": f"2013-07-{day:02}", "outcome": outcome}), "b") for day, outcome in found
    ]
    newest_before = None if before is None else f"2013-07-{before:02}"
    decided = decide_all(reports, newest_before=newest_before, **PRESENT)
    conclusive = [f"2013-07-{day:02}" for day, outcome in found if outcome != "inconclusive"]
    for report, decision in decided:
        if decision.is_requested:
            assert report.as_of == max([*conclusive, newest_before or ""])


DEAD = DeadRetrain("2013-07-01", 3, attempt=1, because="out of memory", dead_for_s=1e6)
NOW: dict[str, Any] = {"champion_version": 3, "champion_as_of": "2013-05-01", "is_running": False}


@pytest.mark.parametrize(
    ("changes", "now", "expected"),
    [
        ({}, {}, (True, "attempt 2 of 3, the run before died of: out of memory")),
        ({"attempt": 2}, {}, (True, "attempt 3 of 3, the run before died of: out of memory")),
        ({"attempt": 3}, {}, (False, "given up after 3 runs that died, the last one of: out of memory")),
        ({"dead_for_s": 59.9}, {}, None),
        ({"dead_for_s": 60.0}, {}, (True, "attempt 2 of 3, the run before died of: out of memory")),
        ({"dead_for_s": 60.0, "attempt": 2}, {}, None),
        ({}, {"is_running": True}, None),
        ({}, {"champion_version": 4}, None),
        ({}, {"champion_as_of": "2013-07-01"}, None),
        ({"champion_version": None}, {"champion_version": None, "champion_as_of": None}, (True, "attempt 2 of 3,")),
    ],
)
def test_a_dead_retrain_is_requested_again(
    changes: dict[str, Any], now: dict[str, Any], expected: tuple[bool, str] | None
) -> None:
    decision = decide_again(replace(DEAD, **changes), **{**NOW, **now})
    if expected is None:
        assert decision is None
    else:
        assert decision is not None
        assert decision.is_requested is expected[0]
        assert decision.because.startswith(expected[1])
