"""Quality: a bad row goes to quarantine with all that is wrong with it, and too many of them fail their partition."""

from typing import Any

import pandas as pd
import pandera.pandas as pa
import polars as pl
import pytest

from ml_platform.contracts.errors import SchemaMismatch
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.quality.rows import QUARANTINE, REASON, quarantine_rows, validate

SCHEMA = pa.DataFrameSchema(
    {
        "id": pa.Column(pd.StringDtype()),
        "line": pa.Column(int),
        "miles": pa.Column(float, pa.Check.gt(0), nullable=True),
        "carrier": pa.Column(pd.StringDtype(), pa.Check.isin(["ant", "bee"])),
    },
    checks=pa.Check(lambda rows: rows["miles"] != 13, name="not_thirteen"),
)
KEY = ["id", "line"]
COLUMNS = {"id": pl.String, "line": pl.Int64, "miles": pl.Float64, "carrier": pl.String, PARTITION: pl.String}
Row = tuple[str | None, int, float | None, str, str]


def _rows(*rows: Row) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def _row(
    name: str | None = "a", miles: float | None = 1.0, carrier: str = "ant", day: str = "d1", line: int = 1
) -> Row:
    return (name, line, miles, carrier, day)


def _bad(count: int, of: int, day: str = "d1") -> list[Row]:
    return [_row(f"{day}-{at}", -1.0 if at < count else 1.0, day=day) for at in range(of)]


def _reasons(*rows: Row) -> dict[str | None, str]:
    return dict(validate(_rows(*rows), SCHEMA, KEY).quarantined.select("id", REASON).iter_rows())


def test_good_rows_are_kept_as_they_are() -> None:
    """Values, types and order, nulls where they are allowed."""
    rows = _rows(_row("b", None), _row("a"), _row("c", day="d2"))
    judged = validate(rows, SCHEMA, KEY)
    assert judged.kept.equals(rows)
    assert dict(judged.quarantined.schema) == COLUMNS | {REASON: pl.String}
    assert len(judged.quarantined) == 0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (_row("x", -1.0), "miles: greater_than(0)"),
        (_row("x", carrier="cat"), "carrier: isin(['ant', 'bee'])"),
        (_row(None), "id: not_nullable"),
        (_row("x", 13.0), "not_thirteen"),
        (_row("x", -1.0, "cat"), "carrier: isin(['ant', 'bee']); miles: greater_than(0)"),
        (_row(None, 13.0, "cat"), "carrier: isin(['ant', 'bee']); id: not_nullable; not_thirteen"),
    ],
)
def test_a_reason_names_every_rule_that_is_broken(row: Row, reason: str) -> None:
    """Each once, with its column; a rule on the whole row has none."""
    assert _reasons(_row(), row) == {row[0]: reason}


def test_no_row_is_lost_or_changed() -> None:
    """Kept and quarantined together are what came in."""
    rows = _rows(_row("a"), _row("b", -1.0), _row("c", carrier="cat"), _row("a"))
    judged = validate(rows, SCHEMA, KEY)
    assert (len(judged.kept), len(judged.quarantined)) == (1, 3)
    assert pl.concat([judged.kept, judged.quarantined.drop(REASON)]).sort(pl.all()).equals(rows.sort(pl.all()))


def test_the_first_row_of_a_repeated_key_is_kept() -> None:
    """All columns of the key count."""
    judged = validate(_rows(_row("a", 1.0), _row("a", 2.0), _row("a", 3.0, line=2), _row("a", 4.0)), SCHEMA, KEY)
    assert judged.kept["miles"].to_list() == [1.0, 3.0]
    assert judged.quarantined.select("miles", REASON).rows() == [
        (2.0, "repeated key (id, line)"),
        (4.0, "repeated key (id, line)"),
    ]


def test_a_bad_row_does_not_push_out_the_good_one_with_its_key() -> None:
    """Otherwise neither would be left."""
    judged = validate(_rows(_row("a", -1.0), _row("a", 2.0), _row("a", 3.0)), SCHEMA, KEY)
    assert judged.kept["miles"].to_list() == [2.0]
    assert judged.quarantined[REASON].to_list() == ["miles: greater_than(0)", "repeated key (id, line)"]


def test_partitions_judged_together_are_judged_as_alone() -> None:
    """A backfill of many days gives what each day alone gives, repeated keys too."""
    rows = _rows(
        _row("a"), _row("a"), _row("b", -1.0), _row("a", day="d2"), _row("c", day="d2"), _row("c", 0.0, day="d2")
    )
    together = validate(rows, SCHEMA, KEY)
    alone = [validate(rows.filter(pl.col(PARTITION) == day), SCHEMA, KEY) for day in ("d1", "d2")]
    assert together.kept.equals(pl.concat(each.kept for each in alone))
    assert together.quarantined.equals(pl.concat(each.quarantined for each in alone))


def test_no_rows_are_no_bad_rows() -> None:
    """With all the columns and types, so that they can be written."""
    judged = validate(_rows(), SCHEMA, KEY)
    schemas: list[Any] = [dict(judged.kept.schema), dict(judged.quarantined.schema)]
    assert schemas == [COLUMNS, COLUMNS | {REASON: pl.String}]


def test_the_quarantine_holds_what_was_rejected_and_what_broke_a_rule() -> None:
    """Rows that the source could not read stand first; of the others the whole content, as JSON."""
    unread = ("d1", "miles: no number", "a.csv:17", '{"miles": "far"}')
    rejected = pl.DataFrame([unread], list(QUARANTINE), orient="row")
    told = quarantine_rows(validate(_rows(_row("x", -1.0), _row(None, 2.5)), SCHEMA, KEY), rejected)
    assert told.columns == list(QUARANTINE)
    assert told.rows() == [
        unread,
        ("d1", "miles: greater_than(0)", "raw", '{"id":"x","line":1,"miles":-1.0,"carrier":"ant"}'),
        ("d1", "id: not_nullable", "raw", '{"id":null,"line":1,"miles":2.5,"carrier":"ant"}'),
    ]


def test_a_rule_on_the_whole_partition_is_refused_by_name() -> None:
    """It could not tell which rows to quarantine."""
    schema = SCHEMA.add_columns({}).update_columns({})
    schema.checks = [pa.Check(lambda rows: bool(rows["miles"].mean() > 100), name="far_on_average")]
    with pytest.raises(SchemaMismatch, match=r"rule far_on_average: got one answer .* Hint: return a boolean column"):
        validate(_rows(_row()), schema, KEY)


def test_a_unique_column_is_unique_within_its_partition() -> None:
    """Whatever else is judged in the same run."""
    schema = pa.DataFrameSchema({"carrier": pa.Column(pd.StringDtype(), unique=True)})
    rows = _rows(_row("a"), _row("b", day="d2"), _row("c", carrier="bee", day="d2"), _row("d", carrier="bee", day="d2"))
    told = validate(rows, schema, KEY).quarantined
    assert told.select("id", REASON).rows() == [("c", "carrier: field_uniqueness"), ("d", "carrier: field_uniqueness")]
