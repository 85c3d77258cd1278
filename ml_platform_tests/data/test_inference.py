"""Inference: a column has a type only if every value of it does; what could be read two ways is not guessed."""

from datetime import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.contracts.errors import ContractError, SchemaMismatch
from ml_platform.data.sources.inference import ISO_FORMATS, guess_time_formats, infer_types, read_times, type_of


def _type(*values: str | None, formats: tuple[str, ...] = ()) -> str:
    return infer_types(pl.DataFrame({"x": pl.Series(values, dtype=pl.String)}), formats)["x"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("1", "-2", "+3", None), "int64"),
        (("9223372036854775807",), "int64"),
        (("9223372036854775808",), "string"),
        (("9223372036854775808", "0.5"), "string"),
        (("1", "2.5", "1e5", ".5", "3."), "float64"),
        (("1,5",), "string"),
        (("007", "123"), "string"),
        (("0", "0.5"), "float64"),
        (("1", "x"), "string"),
        (("True", "false", None), "bool"),
        (("Yes", "no"), "bool"),
        (("yes", "yes"), "string"),
        (("yes", "no", "maybe"), "string"),
        (("0", "1"), "int64"),
        (("2020-02-29", "2020-02-29 10:00", "2020-02-29T10:00:00.5", "2020-02-29T10:00:00+01:00"), "timestamp"),
        (("2020-02-30",), "string"),
        (("2020-02-29", "soon"), "string"),
        (("29.02.2020",), "string"),
        ((None, None), "string"),
        ((), "string"),
        ((" 1", "2 "), "int64"),
        (("inf", "1.0"), "string"),
    ],
)
def test_a_column_is_what_all_of_its_values_are(values: tuple[str | None, ...], expected: str) -> None:
    assert _type(*values) == expected


def test_formats_that_are_named_go_before_numbers() -> None:
    """A compact date is a number to who was told nothing."""
    assert _type("20200229") == "int64"
    assert _type("20200229", formats=("%Y%m%d",)) == "timestamp"
    assert _type("20200230", formats=("%Y%m%d",)) == "int64"
    assert _type("29.02.2020", "2020-02-29", formats=("%d.%m.%Y",)) == "timestamp"


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers_are_integers(values: list[int]) -> None:
    assert _type(*map(str, values)) == "int64"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_floats_are_numbers(values: list[float]) -> None:
    assert _type(*map(repr, values)) == "float64"


def test_a_time_with_an_offset_is_read_in_utc_and_one_without_as_it_stands() -> None:
    read = read_times(pl.Series(["2020-01-01T12:00:00+01:00", "2020-01-01T12:00:00Z", "2020-01-01", "x"]), ISO_FORMATS)
    assert read.to_list() == [datetime(2020, 1, 1, 11), datetime(2020, 1, 1, 12), datetime(2020, 1, 1), None]


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["2020-01-01"], ()),
        (["5", "6.5"], ()),
        (["abc"], ()),
        ([], ()),
        (["31/12/2020", "01/02/2020"], ("%d/%m/%Y",)),
        (["12/31/2020 3:04 PM"], ("%m/%d/%Y %I:%M %p",)),
        (["13.01.2020 10:00", "2020-01-01", "13.01.2020"], ("%d.%m.%Y", "%d.%m.%Y %H:%M")),
        (["20200102", "20201231"], ("%Y%m%d",)),
        (["20200102", "20201331"], ()),
        (["31/12/2020", "soon"], ()),
    ],
)
def test_the_formats_of_a_column_are_found(values: list[str], formats: tuple[str, ...]) -> None:
    """All values together decide which way round day and month are."""
    found = guess_time_formats(pl.Series("at", values, pl.String))
    assert found == formats
    if formats:
        assert not read_times(pl.Series(values), (*found, *ISO_FORMATS)).null_count()


def test_day_or_month_first_is_not_guessed() -> None:
    with pytest.raises(ContractError, match=r"at: got 01/02/2020, which may be .* '%d/%m/%Y' or to '%m/%d/%Y'"):
        guess_time_formats(pl.Series("at", ["01/02/2020"]))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (pl.Int8(), "int64"),
        (pl.UInt32(), "int64"),
        (pl.Float32(), "float64"),
        (pl.Boolean(), "bool"),
        (pl.Categorical(), "string"),
        (pl.Null(), "string"),
        (pl.Datetime("ns", "Europe/Berlin"), "timestamp"),
    ],
)
def test_a_typed_column_is_named_by_its_widest_type(dtype: pl.DataType, expected: str) -> None:
    assert type_of("x", dtype) == expected


@pytest.mark.parametrize("dtype", [pl.Datetime("us"), pl.Date(), pl.List(pl.Int64()), pl.Duration()])
def test_a_type_that_is_none_of_the_five_is_refused_by_column(dtype: pl.DataType) -> None:
    with pytest.raises(SchemaMismatch, match=r"column x: got .* times need a time zone"):
        type_of("x", dtype)
