"""Derived columns: SQL over one row, in the clock of the pipeline, nothing that looks beyond the row."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml_platform.contracts.errors import SpecError
from ml_platform.features.expressions import FUNCTIONS, columns_of, parse
from ml_platform.features.plan import FeaturePlan
from ml_platform_tests.fakes.bundles import PLAN, make_lookups, make_rows

BARE = replace(PLAN, function=None, code=None)


def _made(rows: int = 40, timezone: str = "UTC", **derive: str) -> pl.DataFrame:
    plan = replace(BARE, derive=tuple(derive.items()), columns=tuple(derive), timezone=timezone)
    return plan.transform(make_rows(rows), make_lookups())


IS_FAR, IS_BEE = pl.col("distance") > 100, pl.col("carrier").str.starts_with("b")
EXPECTED = {
    "distance / 2": pl.col("distance") / 2,
    "case when distance > 100 then 'far' else carrier end": pl.when(IS_FAR).then(pl.lit("far")).otherwise("carrier"),
    "coalesce(weight, 0)": pl.col("weight").fill_null(0),
    "cast(distance as bigint)": pl.col("distance").cast(pl.Int64),
    "upper(carrier) in ('ANT', 'BEE')": pl.col("carrier").is_in(["ant", "bee"]),
    "distance > 100 and not carrier like 'b%'": IS_FAR & ~IS_BEE,
    "round(ln(1 + distance), 2)": (1 + pl.col("distance")).log().round(2),
    "1": pl.col("distance") * 0 + 1,
}


@pytest.mark.parametrize(("sql", "expected"), EXPECTED.items(), ids=list(EXPECTED))
def test_sql_is_evaluated_row_by_row(sql: str, expected: pl.Expr) -> None:
    """Numbers, words, conditions, casts; a constant for each row."""
    rows, plan = make_rows(40), replace(BARE, derive=(("made", sql),), columns=("made",))
    made = plan.transform(rows, make_lookups())["made"].to_list()
    assert made == rows.select(made=expected)["made"].to_list()
    assert [plan.transform(rows[place], make_lookups())["made"].item() for place in range(3)] == made[:3]


def test_times_are_those_of_the_pipelines_clock() -> None:
    """Hour and weekday are local, also on the night on which the clock is put back; what comes out is UTC again."""
    at = [datetime(2013, 11, 3, hour, 30, tzinfo=UTC) for hour in (5, 6)] + [datetime(2013, 7, 1, 3, tzinfo=UTC)]
    rows = make_rows(3).with_columns(asked_at=pl.Series(at, dtype=pl.Datetime("us", "UTC")))
    derive = {"hour": "extract(hour from asked_at)", "day": "date_part('isodow', asked_at)", "same": "asked_at"}
    plan = replace(BARE, derive=tuple(derive.items()), columns=tuple(derive), timezone="America/New_York")
    made = plan.transform(rows, make_lookups())
    assert made["hour"].to_list() == [1, 1, 23]
    assert made["day"].to_list() == [7, 7, 7]
    assert made["same"].equals(rows["asked_at"], check_names=False)


def test_each_may_use_what_stands_before_it() -> None:
    """Lookups and earlier names; the author's function sees all of them."""
    made = _made(per_depot="distance / depot_size", doubled="2 * per_depot")
    assert_frame_equal(made.select(doubled=pl.col("per_depot") * 2), made.select("doubled"))
    code = "import polars as pl\ndef build(frame):\n    return frame.with_columns(seen=pl.col('half') + 1)\n"
    plan = replace(PLAN, code=code, derive=(("half", "distance / 2"),), columns=("seen", "half"))
    seen = plan.transform(make_rows(5), make_lookups())
    assert (seen["seen"] == seen["half"] + 1).all()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("distance +", "got SQL.*"),
        ("distanc / 2", "got ColumnNotFoundError: unable to find column \"distanc\""),
        ("carrier / 2", "got InvalidOperationError"),
        ("distance, weight", "got SQL.*"),
        ("*", "got SQL.*"),
        ("later * 2", "got ColumnNotFoundError"),
    ],
)  # fmt: skip
def test_wrong_sql_is_refused_by_its_name(sql: str, message: str) -> None:
    """What cannot be read, what is not there, and what cannot be computed."""
    with pytest.raises(SpecError, match=rf"features\.derive\.wrong: {message}"):
        _made(wrong=sql, later="distance")


@pytest.mark.parametrize(
    "sql",
    [
        "sum(distance)", "count(*)", "avg(distance)", "first(distance)", "lag(distance) over (order by asked_at)",
        "row_number() over (order by asked_at)", "max(distance)", "(select 1)", "distance in (select 1)",
        "read_csv('/etc/passwd')", "READ_PARQUET ('x')", "now()", "current_timestamp", "current_date", "random()",
        "columns('.*')", "unnest(distance)", "rank() over (order by distance)", "explode(carrier)",
    ],
)  # fmt: skip
def test_what_looks_beyond_the_row_is_refused(sql: str) -> None:
    """Other rows, files, the clock, chance: a feature would not be the same in the server."""
    with pytest.raises(SpecError, match=r"features\.derive\.wrong: got a call of .*, expected an expression over one"):
        _made(wrong=sql)


def test_words_in_text_are_no_calls() -> None:
    """Only what stands outside of quotes is read as a function."""
    assert _made(2, said="carrier = 'sum(x) over it''s (y)'")["said"].to_list() == [False, False]


ARGUMENTS = (
    "x", "x, x", "x, x, x", "x > 0, x, x", "hour from t", "'hour', t", "t, '%Y'",
    "s", "s, s", "s, 1", "s, 1, 1", "s, '%Y'", "s, '0', 1", "s in s",
)  # fmt: skip
TYPES = {"float", "decimal", "numeric", "varchar", "char", "cast", "try_cast"}  # not called, but written with brackets


@pytest.mark.parametrize("name", sorted(FUNCTIONS - TYPES))
def test_every_allowed_function_is_one_of_polars_sql(name: str) -> None:
    """Called with some arguments it is understood, and looks at one row alone."""
    calls = [*(f"{name}({arguments})" for arguments in ARGUMENTS), f"{name} '2013-01-01'"]
    frame = pl.DataFrame({"x": [0.5, 0.25], "s": ["2013", "2014"], "t": [datetime(2013, 1, 1, tzinfo=UTC)] * 2})
    worked = [call for call in calls if _works(call, frame)]
    assert worked, name
    for call in worked:
        alone = [frame[place].with_columns(made=parse("it", call))["made"].item() for place in range(2)]
        assert frame.with_columns(made=parse("it", call))["made"].to_list() == alone


def _works(call: str, frame: pl.DataFrame) -> bool:
    try:
        frame.with_columns(made=parse("it", call))
    except (SpecError, pl.exceptions.PolarsError):
        return False
    return True


def test_columns_of_an_expression_are_named_once() -> None:
    """In the order in which they stand, more or less: the set is what counts."""
    assert sorted(columns_of("it", "case when a > b then a else c end")) == ["a", "b", "c"]


def test_a_bundle_keeps_the_order() -> None:
    """Through JSON with sorted keys; a plan of before is read without windows and derive."""
    plan = replace(PLAN, derive=(("z", "distance"), ("a", "z + 1")), timezone="Europe/Berlin")
    stored = json.loads(json.dumps(plan.to_json(), sort_keys=True))
    assert FeaturePlan.from_json(stored, PLAN.code) == plan
    old = {name: value for name, value in stored.items() if name not in ("history", "derive", "timezone")}
    assert FeaturePlan.from_json(old, PLAN.code) == PLAN
