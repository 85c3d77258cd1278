"""Text and values are read as the schema's types without being changed; what cannot be read becomes null."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.contracts.errors import SpecError
from ml_platform.data.sources.casting import INSTANT, TextRules, blanks, cast, check_time_format, type_name

NEW_YORK = TextRules(zone="America/New_York", nulls=("", "NA"))


def _cast(values: list[Any], dtype: pl.DataType, rules: TextRules = NEW_YORK, given_as: Any = None) -> list[Any]:
    return cast(pl.Series("x", values, given_as), dtype, rules).to_list()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("3", 3), (" 3 ", 3), ("+4", 4), ("-4", -4), ("007", 7), ("3.0", 3), ("1e3", 1000),
        ("9007199254740993", 2**53 + 1), ("9007199254740991.0", 2**53 - 1), ("9007199254740992.0", None),
        ("3.5", None), ("abc", None), ("1,000", None), ("0x1", None), ("1_000", None), ("nan", None), ("1e30", None),
        ("9223372036854775807", 2**63 - 1), ("9223372036854775808", None), ("9007199254740993.0", None),
    ],
)  # fmt: skip
def test_integers(text: str, read: int | None) -> None:
    """A fraction is never cut, and what a float cannot hold is not read through one."""
    assert _cast([text], pl.Int64()) == [read]


@pytest.mark.parametrize(("text", "read"), [("127", 127), ("128", None), ("-129", None), ("128.0", None)])
def test_narrow_integers(text: str, read: int | None) -> None:
    """Just inside, just outside."""
    assert _cast([text], pl.Int8()) == [read]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("3", 3.0), (" -3.25", -3.25), ("1e-3", 0.001), (".5", 0.5), ("5.", 5.0), ("NA", None), (" NA ", None),
        ("inf", None), ("NaN", None), ("1e400", None), ("12,5", None), ("$3", None), ("3%", None), ("", None),
    ],
)  # fmt: skip
def test_floats(text: str, read: float | None) -> None:
    """Finite ones, with a point; no unit is guessed away."""
    assert _cast([text], pl.Float64()) == [read]


@pytest.mark.parametrize("text", ["true", "TRUE", "t", "Yes", "y", "1", " true"])
def test_true(text: str) -> None:
    assert _cast([text], pl.Boolean()) == [True]


@pytest.mark.parametrize("text", ["false", "F", "no", "N", "0"])
def test_false(text: str) -> None:
    assert _cast([text], pl.Boolean()) == [False]


@pytest.mark.parametrize("text", ["2", "on", "-1", "NA", "true!", "1.0"])
def test_neither_true_nor_false(text: str) -> None:
    assert _cast([text], pl.Boolean()) == [None]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2013-01-31", datetime(2013, 1, 31, 5)),
        ("2013-01-31 05:00", datetime(2013, 1, 31, 10)),
        ("2013-01-31T05:00:01", datetime(2013, 1, 31, 10, 0, 1)),
        ("2013-01-31 05:00:01.25", datetime(2013, 1, 31, 10, 0, 1, 250_000)),
        ("2013-01-31T05:00:00Z", datetime(2013, 1, 31, 5)),
        ("2013-01-31 05:00:00+02:00", datetime(2013, 1, 31, 3)),
        ("2013-01-31T05:00-0530", datetime(2013, 1, 31, 10, 30)),
        ("2013-07-01 00:00:00", datetime(2013, 7, 1, 4)),
        ("2013-02-29", None),
        ("2013-1-31T", None),
        ("31/01/2013", None),
        ("0013-01-31", None),
        ("1357034400", None),
    ],
)
def test_times_without_a_format_are_iso_8601(text: str, read: datetime | None) -> None:
    """In the source's zone where they name none."""
    assert _cast([text], INSTANT) == [read and read.replace(tzinfo=UTC)]


def test_formats_are_tried_in_order_before_iso() -> None:
    """Row by row: a file may have several; a year of two digits is no year of four."""
    rules = TextRules(time_formats=("%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%d.%m.%Y %H:%M %z", "%s"))
    read = _cast(
        ["02/01/2013", "01/31/2013", "02/01/13", "02.01.2013 10:00 +0200", "1357120800", "2013-01-02", "?"],
        INSTANT,
        rules,
    )
    assert [at and (at.day, at.hour) for at in read] == [(2, 0), (31, 0), (2, 0), (2, 8), (2, 10), (2, 0), None]


@pytest.mark.parametrize("form", [(), ("%Y-%m-%d %H:%M:%S",)])
def test_clock_changes(form: tuple[str, ...]) -> None:
    """What the clocks skipped cannot be read; of what they went through twice the first is taken."""
    rules = TextRules("America/New_York", form)
    skipped, twice = _cast(["2013-03-10 02:30:00", "2013-11-03 01:30:00"], INSTANT, rules)
    assert (skipped, twice) == (None, datetime(2013, 11, 3, 5, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("values", "dtype", "read"),
    [
        ([1, None], pl.Float64(), [1.0, None]),
        ([2**53, 2**53 + 1], pl.Float64(), [2.0**53, None]),
        ([1.0, 2.5, float("nan")], pl.Int64(), [1, None, None]),
        ([float("nan"), 1.0], pl.Float64(), [None, 1.0]),
        ([127, 128], pl.Int8(), [127, None]),
        ([0.1], pl.Float32(), [pytest.approx(0.1)]),
        ([Decimal("1.50")], pl.Float64(), [1.5]),
        ([0, 1, 2], pl.Boolean(), [False, True, None]),
        ([True], pl.Int64(), [1]),
        ([7], pl.String(), ["7"]),
        ([None, None], pl.Int64(), [None, None]),
        ([date(2013, 1, 1)], INSTANT, [datetime(2013, 1, 1, 5, tzinfo=UTC)]),
        ([datetime(2013, 1, 1)], INSTANT, [datetime(2013, 1, 1, 5, tzinfo=UTC)]),
        ([datetime(2013, 1, 1, tzinfo=UTC)], INSTANT, [datetime(2013, 1, 1, tzinfo=UTC)]),
        (["a", "NA"], pl.String(), ["a", None]),
    ],
)
def test_values_of_another_type(values: list[Any], dtype: pl.DataType, read: list[Any]) -> None:
    """Widened, or narrowed where nothing is lost."""
    assert _cast(values, dtype) == read


@pytest.mark.parametrize(
    ("values", "dtype", "said"),
    [
        ([1.5], pl.String(), "holds float64"),
        ([1], INSTANT, "holds int64"),
        ([date(2013, 1, 1)], pl.Float64(), "holds date"),
        ([[1]], pl.Int64(), r"holds list"),
        ([b"a"], pl.String(), "holds binary"),
    ],
)
def test_types_that_nothing_is_read_from(values: list[Any], dtype: pl.DataType, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        _cast(values, dtype)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none()))
def test_integers_come_back_from_text(values: list[int | None]) -> None:
    """Every one, beside any other."""
    assert _cast([None if value is None else str(value) for value in values], pl.Int64(), given_as=pl.String) == values


@given(st.lists(st.text("0123456789.+-eE xNA", max_size=6)))
def test_what_is_read_as_an_integer_is_that_number(texts: list[str]) -> None:
    """Python reads it as the same number; what is not read is no number, no whole one, or none at all."""
    for text, read in zip(texts, _cast(texts, pl.Int64(), given_as=pl.String), strict=True):
        try:
            number = float(text.strip().replace("_", "x"))
        except ValueError:
            assert read is None
        else:
            assert read == (number if number == number // 1 and abs(number) < 2**53 else None)


@given(st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), min_size=1))
def test_times_come_back_from_text(times: list[datetime]) -> None:
    """However many of their digits there are."""
    texts = [f"{at}+00:00" if place % 2 else at.isoformat() for place, at in enumerate(times)]
    assert _cast(texts, INSTANT, TextRules()) == [at.replace(tzinfo=UTC) for at in times]


@pytest.mark.parametrize("form", ["%Y-%m-%d %H", "%Q", "%H:%M", "day %m"])
def test_a_time_format_that_cannot_be_read_is_refused(form: str) -> None:
    with pytest.raises(
        SpecError, match=rf"source\.time_formats: got {form} \(.*\), expected a format that reads what it writes"
    ):
        check_time_format(form)


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%d %b %y %I:%M %p", "%s", "%Y-%m-%dT%H:%M:%S%.f%:z"])
def test_a_time_format_is_taken(form: str) -> None:
    check_time_format(form)


def test_no_value_is_told_from_a_lost_one() -> None:
    assert blanks(pl.Series(["", " NA", "x", None]), NEW_YORK).to_list() == [True, True, False, True]
    assert blanks(pl.Series([1.0, float("nan"), None]), NEW_YORK).to_list() == [False, True, True]
    assert [type_name(each) for each in (pl.Boolean(), pl.String(), INSTANT, pl.Float64())] == [
        "bool", "string", "timestamp", "float64",
    ]  # fmt: skip
