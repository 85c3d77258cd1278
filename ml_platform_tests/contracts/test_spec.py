"""The spec by its text alone: what is taken, and what is refused with what was expected."""

from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ml_platform.contracts.spec import (
    Features,
    FilesSource,
    Label,
    Partitions,
    PythonSource,
    RowsWindow,
    Source,
    Split,
    SqlSource,
    ValueRange,
    WindowFeature,
)

LATE_SHARE: dict[str, Any] = {"name": "late_share_7d", "by": ["carrier"], "of": "is_late", "how": "mean", "over": "7d"}
PARTS: dict[str, Any] = {"train": "4w", "train_at_least": "2w", "validation": "1w", "holdout": "7d"}


def test_a_duration_may_be_in_weeks() -> None:
    assert Split.model_validate(PARTS).train == timedelta(days=28)


def test_the_delay_of_the_labels_is_part_of_the_span() -> None:
    assert Split.model_validate({**PARTS, "embargo": "1d", "label_delay": "3d"}).span == timedelta(days=42 + 2 + 3)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"kind": "grouped"}, "expected by with kind: grouped"),
        ({"by": "carrier"}, "expected by with kind: grouped"),
        ({"kind": "stratified", "folds": 3}, "expected embargo and folds only with kind: time"),
        ({"train_at_least": "5w"}, "expected train_at_least no longer than train"),
        ({"train": "10y"}, "expected a duration like 2w, 7d or 6h"),
    ],
)
def test_parts_of_a_split_go_together(changed: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        Split.model_validate({**PARTS, **changed})


@pytest.mark.parametrize(
    ("every", "start", "end", "expected"),
    [
        ("week", date(2013, 1, 1), date(2013, 1, 16), "expected whole weeks between start and end, got 15 days"),
        ("month", date(2013, 1, 2), date(2013, 3, 1), "expected the first of a month"),
        ("month", date(2013, 1, 1), date(2013, 3, 2), "expected the first of a month"),
        ("day", date(2013, 1, 1), date(2013, 1, 1), "expected end after start"),
    ],
)
def test_partitions_are_whole(every: str, start: date, end: date, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        Partitions.model_validate({"every": every, "start": start, "end": end})


def test_a_label_is_known_in_exactly_one_way() -> None:
    label = {"column": "is_late", "task": "binary"}
    assert Label.model_validate({**label, "known_after": "2d"}).columns == ("is_late",)
    assert Label.model_validate({**label, "known_at": "landed_at"}).columns == ("is_late", "landed_at")
    for given in ({}, {"known_at": "landed_at", "known_after": "2d"}):
        with pytest.raises(ValidationError, match="exactly one of known_at"):
            Label.model_validate({**label, **given})
    with pytest.raises(ValidationError, match="expected known_at with corrected"):
        Label.model_validate({**label, "known_after": "2d", "corrected": True})


def test_a_window_is_a_time_or_a_number_of_rows_within_a_time() -> None:
    assert WindowFeature.model_validate(LATE_SHARE).reach == timedelta(days=7)
    newest = WindowFeature.model_validate({**LATE_SHARE, "over": "20 rows", "within": "30d"})
    assert (newest.over, newest.reach) == (RowsWindow(20), timedelta(days=30))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"over": "20 rows"}, "expected within with a number of rows"),
        ({"within": "30d"}, "expected within with a number of rows"),
        ({"over": "0 rows", "within": "30d"}, "expected a duration like 7d or 6h, or a number of rows"),
        ({"over": "0d"}, "expected more than no time"),
        ({"of": None}, "expected of with how: mean"),
        ({"how": "median"}, "Input should be 'count'"),
        ({"by": []}, "at least 1 item"),
    ],
)
def test_parts_of_a_window_go_together(changed: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        WindowFeature.model_validate({**LATE_SHARE, **changed})


def test_a_count_needs_no_column() -> None:
    assert WindowFeature.model_validate({**LATE_SHARE, "how": "count", "of": None}).of is None


def test_a_window_goes_to_json_and_back() -> None:
    for changed in ({}, {"over": "36h"}, {"over": "20 rows", "within": "4w"}):
        window = WindowFeature.model_validate({**LATE_SHARE, **changed})
        assert WindowFeature.model_validate_json(window.model_dump_json()) == window


def test_windows_and_expressions_have_names_of_their_own() -> None:
    with pytest.raises(ValidationError, match="not late_share_7d again"):
        Features.model_validate(
            {"inputs": ["a"], "columns": ["a"], "windows": [LATE_SHARE], "derive": {"late_share_7d": "a + 1"}}
        )


def test_the_kind_chooses_the_source() -> None:
    read = TypeAdapter[Any](Source).validate_python
    assert isinstance(read({"kind": "python", "load": ".source.load"}), PythonSource)
    assert isinstance(read({"kind": "files", "path": "data/*.csv"}), FilesSource)
    query = "SELECT * FROM rides WHERE at >= :start AND at < :end"
    assert isinstance(read({"kind": "sql", "url_env": "RIDES_URL", "query": query}), SqlSource)
    with pytest.raises(ValidationError, match="expected :start and :end in the query"):
        read({"kind": "sql", "url_env": "RIDES_URL", "query": "SELECT * FROM rides"})


def test_a_secret_cannot_stand_in_a_spec() -> None:
    with pytest.raises(ValidationError, match="name of an environment variable"):
        SqlSource(kind="sql", url_env="postgresql://me:secret@host/db", query=":start :end")


def test_a_range_has_a_bound() -> None:
    for given in ({}, {"at_least": 2, "at_most": 1}):
        with pytest.raises(ValidationError, match="expected at_least"):
            ValueRange.model_validate(given)
