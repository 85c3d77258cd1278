"""The content hash: a function of a partition's rows and of nothing else."""

import math
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.data.lake.content import PARTITION, content_hashes

ROWS = pl.DataFrame(
    {
        "x": [1, 2, None],
        "share": [0.5, math.nan, -0.0],
        "word": ["a", None, "bc"],
        "ok": [True, False, None],
        "at": [datetime(2020, 1, 1, tzinfo=UTC), None, datetime(2020, 1, 2, tzinfo=UTC)],
        "on": [date(2020, 1, 1), None, None],
        "kind": pl.Series(["u", "v", "u"], dtype=pl.Categorical),
        "cost": [Decimal("1.10"), None, Decimal("2.00")],
        "raw": [b"\x00", b"", None],
        "tags": [["a", "b"], [], None],
        PARTITION: ["p", "p", "q"],
    }
)
CELLS = st.fixed_dictionaries(
    {
        "x": st.none() | st.integers(-3, 3),
        "word": st.none() | st.text(max_size=2),
        "share": st.none() | st.floats(width=32),
        PARTITION: st.sampled_from(["p", "q"]),
    }
)
SCHEMA = {"x": pl.Int64, "word": pl.String, "share": pl.Float64, PARTITION: pl.String}


def _hash(**columns: Any) -> str:
    frame = pl.DataFrame(columns)
    return content_hashes(frame.with_columns(pl.lit("p").alias(PARTITION)), ["p"])["p"]


@given(rows=st.lists(CELLS, max_size=12), seed=st.integers(0, 99))
def test_the_order_of_rows_and_columns_and_the_cuts_do_not_matter(rows: list[dict[str, Any]], seed: int) -> None:
    """Nor what else is written with a partition: it hashes alone as it does among others."""
    frame = pl.DataFrame(rows, schema=SCHEMA)
    hashes = content_hashes(frame, ["p", "q"])
    shuffled = frame.sample(fraction=1, shuffle=True, seed=seed).select(reversed(SCHEMA))
    cut = pl.concat([shuffled[:3], shuffled[3:5], shuffled[5:]], rechunk=False)
    assert content_hashes(cut, ["q", "p"]) == hashes
    for key in ("p", "q"):
        assert content_hashes(frame.filter(pl.col(PARTITION) == key), [key])[key] == hashes[key]


@given(rows=st.lists(CELLS, min_size=1, max_size=8), row=st.integers(0, 7), other=CELLS)
def test_rows_that_differ_hash_differently(rows: list[dict[str, Any]], row: int, other: dict[str, Any]) -> None:
    """One cell is enough, and one row more or less."""
    frame = pl.DataFrame(rows, schema=SCHEMA).with_columns(pl.lit("p").alias(PARTITION))
    changed = pl.DataFrame([*rows[:row], other, *rows[row + 1 :]], schema=SCHEMA).with_columns(
        pl.lit("p").alias(PARTITION)
    )
    are_equal = frame.sort(*SCHEMA).equals(changed.sort(*SCHEMA))
    assert (content_hashes(frame, ["p"]) == content_hashes(changed, ["p"])) == are_equal
    assert content_hashes(frame, ["p"]) != content_hashes(pl.concat([frame, frame[:1]]), ["p"])


def test_every_type_of_a_lake_has_a_hash() -> None:
    """And each column counts: without it the hash is another."""
    hashes = content_hashes(ROWS, ["p", "q"])
    for name in ROWS.columns[:-1]:
        assert content_hashes(ROWS.drop(name), ["p"])["p"] != hashes["p"], name
    backwards = ROWS.reverse().with_columns(pl.col("share") + 0.0, pl.col("kind").cast(pl.Categorical))
    assert content_hashes(backwards, ["p", "q"]) == hashes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"x": [1]}, {"x": [1.0]}),
        ({"x": [1]}, {"y": [1]}),
        ({"x": [0]}, {"x": [None, 0]}),
        ({"x": ["1"]}, {"x": [1]}),
        ({"x": ["a", "bc"]}, {"x": ["ab", "c"]}),
        ({"x": ["", "a"]}, {"x": [None, "a"]}),
        ({"x": [1, 2], "y": [1, 2]}, {"x": [1, 2], "y": [2, 1]}),
        ({"x": [1], "y": [2]}, {"x": [2], "y": [1]}),
    ],
)
def test_what_only_looks_alike_is_told_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    """A type, a name, a null, where one text ends and which values stand side by side."""
    assert _hash(**one) != _hash(**other)


def test_what_a_reader_cannot_tell_apart_is_equal() -> None:
    """Zeros of both signs, any NaN, and a column without values: a table that gains it reads as nulls."""
    assert _hash(x=[0.0, math.nan]) == _hash(x=[-math.nan, -0.0])
    assert _hash(x=[1]) == _hash(x=[1], later=pl.Series([None], dtype=pl.String))
    assert _hash(x=pl.Series([], dtype=pl.Int64)) == _hash()


def test_a_partition_without_rows_has_the_hash_of_none() -> None:
    """The same for every partition, and unlike any that has rows."""
    hashes = content_hashes(ROWS, ["p", "none", "nothing"])
    assert hashes["none"] == hashes["nothing"] != hashes["p"]


@pytest.mark.slow
def test_another_process_gives_the_same_hash() -> None:
    """Whatever its seed for hashing."""
    code = (
        "import polars as pl; from ml_platform.data.lake.content import content_hashes;"
        "print(content_hashes(pl.DataFrame({'x': ['b', None, 'a'], 'partition': ['p'] * 3}), ['p'])['p'])"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert seen.stdout.strip() == _hash(x=["a", "b", None])


def test_the_hash_is_the_one_it_has_always_been() -> None:
    """A change would make every partition look new: this text may only change with a reason in the changelog."""
    assert _hash(x=[2, 1], word=["a", None]) == "4783a27bdad096c1aad5a5157a09d298a7ee5b0f8d0cd591907ccfe2ad1b3659"
