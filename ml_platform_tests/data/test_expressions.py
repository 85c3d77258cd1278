"""An author's SQL sees one row and no file; what is wrong with it is found before there is data."""

from typing import Any

import polars as pl
import pytest
from pydantic import TypeAdapter, ValidationError

from ml_platform.contracts.errors import SchemaMismatch, SpecError
from ml_platform.contracts.spec.parts import SqlExpression
from ml_platform.data.sources.casting import INSTANT
from ml_platform.data.sources.expressions import GUESSES, Expressions

KNOWN: dict[str, pl.DataType] = {
    "fare": pl.Float64(),
    "zone": pl.String(),
    "at": INSTANT,
    "is_paid": pl.Boolean(),
    "n": pl.Int64(),
}
ROWS = pl.DataFrame({"fare": [10.0, 0.0, None], "tip": [3.0, 1.0, 1.0], "zone": ["a", "b", "c"]})


def test_columns_are_derived_in_order_and_rows_judged_by_them() -> None:
    """A later expression sees what an earlier one made; a condition without a value is neither true nor false."""
    both = Expressions({"share": "tip / fare", "is_good": "share >= 0.25"}, "is_good or zone = 'b'")
    assert both.reads == ("tip", "fare", "zone")
    made = both.derived(ROWS)
    assert made["is_good"].to_list() == [True, True, None]  # a tip on nothing is infinite
    assert both.keeps(made).to_list() == [True, True, None]


def test_a_column_may_be_made_anew() -> None:
    """Then its expression reads the source's own."""
    anew = Expressions({"fare": "fare * 100", "double": "fare * 2"})
    assert anew.reads == ("fare",)
    assert anew.derived(ROWS)["double"].to_list() == [2000.0, 0.0, None]


def test_constants_hold_for_every_row() -> None:
    constant = Expressions({"city": "'Berlin'"}, "1 = 1")
    assert constant.derived(ROWS)["city"].to_list() == ["Berlin"] * 3
    assert constant.keeps(ROWS).to_list() == [True] * 3
    assert constant.derived(ROWS.clear()).shape == (0, 4)


@pytest.mark.parametrize(
    ("derive", "where", "types"),
    [
        ("tip / fare >= 0.25", None, {"tip": pl.Float64()}),
        ("strptime(day || ' ' || hour, '%Y-%m-%d %H:%M')", None, {"day": pl.String(), "hour": pl.String()}),
        ("extract(hour from seen)", None, {"seen": INSTANT}),
        ("substr(code, 1, 2)", None, {"code": pl.String()}),
        (None, "is_test", {"is_test": pl.Boolean()}),
        (None, "kind in ('card', 'cash')", {"kind": pl.String()}),
        (None, "kind like 'c%' and tip > 0", {"kind": pl.String(), "tip": pl.Float64()}),
        (None, "tip is not null", {"tip": pl.Float64()}),
    ],
)
def test_columns_without_a_type_get_one_that_suits(
    derive: str | None, where: str | None, types: dict[str, pl.DataType]
) -> None:
    """Numbers if they may be numbers; text where texts are joined or compared."""
    fitted = Expressions({"made": derive} if derive else {}, where).fit(KNOWN)
    assert {name: dtype for name, dtype in fitted.items() if name not in KNOWN} == types


def test_what_the_values_look_like_decides_between_types_that_suit() -> None:
    """Text that is no number is not read as one because the expression would take it."""
    assert Expressions({}, "x is not null").fit({}, {"x": [pl.String()]}) == {"x": pl.String()}
    assert Expressions({}, "x is not null").fit({}, {"x": GUESSES}) == {"x": pl.Float64()}


@pytest.mark.parametrize(
    ("derive", "where", "said"),
    [
        ("fare +", None, r"source\.derive\.made: got fare \+, expected an SQL expression"),
        ("zone / 2", None, r"source\.derive\.made: got zone / 2, expected .* suits its columns, zone String"),
        ("sum(fare)", None, r"source\.derive\.made: got sum\(fare\), expected an expression over one row"),
        (
            "max(fare) - fare",
            None,
            r"source\.derive\.made: got max\(fare\) - fare, expected an expression over one row",
        ),
        ("nope(fare)", None, r"source\.derive\.made: got nope\(fare\), expected an SQL expression \(unsupported"),
        (None, "fare", r"source\.where: got fare \(Float64\), expected a condition"),
        (None, "zone > 3 and fare = 'x'", r"source\.where: got .* suits its columns"),
        (None, "count(*) > 1", r"source\.where: got count\(\*\) > 1, expected an expression over one row"),
        (None, "*", r"source\.where: got \*, expected an SQL expression"),
    ],
)
def test_a_wrong_expression_is_refused_by_field(derive: str | None, where: str | None, said: str | None) -> None:
    """With what polars says of it."""
    wrong = Expressions({"made": derive} if derive else {}, where)
    with pytest.raises(SpecError, match=said):
        wrong.fit(KNOWN)


def test_a_value_that_breaks_an_expression_is_told() -> None:
    """With the way out; TRY_CAST gives null."""
    with pytest.raises(SchemaMismatch, match=r"source\.derive\.made: got conversion.* Hint: TRY_CAST"):
        Expressions({"made": "CAST(zone AS BIGINT)"}).derived(ROWS)
    assert Expressions({"made": "TRY_CAST(zone AS BIGINT)"}).derived(ROWS)["made"].null_count() == 3


@pytest.mark.parametrize(
    "text",
    [
        "x in (select y from read_csv('/etc/passwd'))", "x in (SELECT\n1)", "x in (from read_csv('/etc/passwd'))",
        "x in ( with a as (values (1)) from a)", "x in (table y)", "x = any(array)", "exists (x)", "x in (values (1))",
        "read_parquet('x')", "scan_csv ('x')", "sum(x) over (partition by y)", "now()", "current_timestamp", "random()",
        "columns('.*')", "1; drop table x", "x = '\\' or y in (select 1) or z = '\\'", "x = 'a' -- ' or (select 1)",
        "x = $$'$$ or y in (select $$'$$)", "x = `'` or y in (select `'`)", "x = /* ' */ (select 1) /* ' */",
        "x = \"'\" or y in (select \"'\")",
    ],
)  # fmt: skip
def test_an_expression_reaches_no_file_and_no_other_row(text: str) -> None:
    """Whatever is put around it to look like text."""
    with pytest.raises(ValidationError, match="expected an expression over one row's columns, without"):
        TypeAdapter(SqlExpression).validate_python(text)


@pytest.mark.parametrize(
    "text",
    [
        "make = 'Select' and zone = 'over (there)'", "\"select\" > 1", "selected", "extract(hour from at)",
        "x is distinct from y", "trim(both ' ' from zone)", "values > 1", "handover > 2", "note = 'it''s; now()'",
        "company = 'any (all)'", "read_count > 2",
    ],
)  # fmt: skip
def test_words_in_quotes_and_names_are_no_reach(text: str) -> None:
    assert TypeAdapter(SqlExpression).validate_python(text) == text


def test_nothing_to_do_needs_nothing() -> None:
    nothing: Any = Expressions({})
    assert nothing.reads == ()
    assert nothing.fit(KNOWN) == {}
    assert nothing.keeps(ROWS).all()
