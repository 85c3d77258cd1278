"""Types of a sample with faults in it: a few odd values are faults, many are what the column is."""

import polars as pl
import pytest

from ml_platform.authoring.settling import ODD_AT_MOST, settle_time_formats, settle_types
from ml_platform.contracts.errors import ContractError

ROWS = 1000
ODD = int(ODD_AT_MOST * ROWS)


def _mostly(values: list[str], odd: str, count: int) -> pl.Series:
    return pl.Series("x", [odd] * count + (values * ROWS)[: ROWS - count])


@pytest.mark.parametrize(("odd", "number"), [(0, "int64"), (ODD, "int64"), (ODD + 1, "string")])
def test_a_few_words_among_numbers_are_faults(odd: int, number: str) -> None:
    column = _mostly([str(row) for row in range(ROWS)], "twelve", odd)
    assert settle_types(column.to_frame(), ()) == {"x": number}


@pytest.mark.parametrize(("odd", "kind"), [(0, "timestamp"), (ODD, "timestamp"), (ODD + 1, "string")])
def test_a_few_words_among_times_are_faults(odd: int, kind: str) -> None:
    column = _mostly([f"2024-05-{1 + row % 28:02d} 10:{row % 60:02d}" for row in range(ROWS)], "yesterday", odd)
    formats = settle_time_formats(column, ())
    assert formats == ()
    assert settle_types(column.to_frame(), formats) == {"x": kind}


def test_formats_are_found_though_months_differ_and_a_date_does_not_exist() -> None:
    """Two ways of writing, a word, and the thirty-first of a month that has none."""
    days = [f"{1 + row % 28:02d}.03.2024 {row % 24:02d}:{row % 60:02d}" for row in range(ROWS)]
    iso = [f"2024-02-{1 + row % 28:02d} {row % 24:02d}:{row % 60:02d}:00" for row in range(ROWS)]
    times = pl.Series("at", [*days, *iso, "yesterday", "31.02.2024 10:00"])
    assert settle_time_formats(times, ()) == ("%d.%m.%Y %H:%M",)
    assert settle_time_formats(times, ["%d.%m.%Y %H:%M", "%Y"]) == ("%d.%m.%Y %H:%M", "%Y")


def test_a_day_that_may_be_a_month_is_refused() -> None:
    times = pl.Series("at", [f"{1 + row % 12:02d}/{1 + row % 7:02d}/2024" for row in range(ROWS)])
    with pytest.raises(ContractError, match=r"times in at: got .* may be day or month first.*set time_formats to"):
        settle_time_formats(times, ())


def test_columns_with_types_keep_them() -> None:
    """Of Parquet files; a time without zone is one, in the author's zone."""
    typed = pl.DataFrame(
        {"n": [1], "x": [1.5], "ok": [True], "s": ["1"], "day": pl.Series(["2024-01-01"]).str.to_date()}
    )
    kinds = {"n": "int64", "x": "float64", "ok": "bool", "s": "int64", "day": "timestamp"}
    assert settle_types(typed, ()) == kinds
