"""What an author says is held against what can be said."""

from typing import Any

import pytest

from ml_platform.authoring.wanted import Wanted, require_name, wanted
from ml_platform.contracts.errors import SpecError
from ml_platform_tests.authoring.worlds import said


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"target": None}, "expected target .a column., or target_sql"),
        ({"known_at": "seen_at"}, "expected at most one of known_at .a column. and known_after"),
        ({"every": "hour"}, "--every: got 'hour', Input should be 'day', 'week' or 'month'"),
        ({"task": "ranking"}, "--task: got 'ranking', Input should be 'binary', 'multiclass' or 'regression'"),
        ({"level": 6}, "--level: got 6, .* less than or equal to 5"),
        ({"timezone": "Mars/Base"}, "--timezone: got 'Mars/Base', expected an IANA time zone"),
        ({"known_after": "soon"}, "--known-after: got 'soon', expected a duration like 2w, 7d or 6h"),
        ({"where": ""}, "--where: got ''"),
    ],
)
def test_what_cannot_be_is_refused_by_its_option(given: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        said(**given)


def test_dagster_gives_the_same_words() -> None:
    """It writes the model to JSON by its aliases and reads its dump by names."""
    first = Wanted.model_validate({"from": "data/*.csv", "time": "at", "target": "y"})
    assert wanted(**first.model_dump()) == first
    assert "from" in Wanted.model_json_schema()["properties"]


@pytest.mark.parametrize("name", ["", "Tips", "1tips", "my tips", "tips/../x", "t" * 64, "tips\n"])
def test_a_name_that_no_pipeline_can_have_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match=r"NAME: got .*expected a small letter"):
        require_name(name)


def test_a_good_name_is_taken() -> None:
    require_name("t" * 63)
    require_name("taxi_tips_2")
