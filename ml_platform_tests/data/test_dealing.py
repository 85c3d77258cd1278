"""Dealt parts: by whole groups or by the label's shares, the same whoever deals and in whatever order rows come."""

import subprocess
import sys
from collections import Counter
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.contracts.spec import Split
from ml_platform.data.splits.dealing import STRATA_AT_MOST, deal, stable_hash
from ml_platform.data.splits.parts import DAY, KNOWN_AT, LABEL, PART, PARTS
from ml_platform_tests.data.cuts import END, cut, events, known_soon, spec_of

SHARES = {"train": 14 / 20, "validation": 3 / 20, "holdout": 3 / 20}
HASHES_OF_NAMES = [1969961979824733034, 1760245841805064774, 7984136654223058057, 11445825990060627445]
HASHES_OF_BOTH = [3929726145882523118, 18007526167817178751, 17151160929356971333, 14613406305953300825]
BINARY = st.lists(st.booleans(), min_size=1, max_size=200)
GROUPS = st.lists(st.sampled_from(["a", "b", "c", None, "", "\x00", "long name"]), min_size=1, max_size=100)


def _split(kind: str, **more: Any) -> Split:
    return spec_of(["x"], kind=kind, **more).split


def _deal(frame: pl.DataFrame, split: Split) -> dict[int, str]:
    return dict(deal(frame, split, ["id"]).select("id", PART).sort("id").iter_rows())


def test_the_hash_is_the_same_for_ever() -> None:
    """On any machine: these numbers stand here so that a library that changes them is found out."""
    rows = pl.DataFrame({"name": ["UA", "", None, "déjà"], "count": [1, 2, 3, None]})
    assert stable_hash(rows, ["name"]).to_list() == HASHES_OF_NAMES
    assert stable_hash(rows, ["name", "count"]).to_list() == HASHES_OF_BOTH


def test_the_hash_is_the_same_in_another_process() -> None:
    """Python's own differs from process to process."""
    code = (
        "import polars as pl; from ml_platform.data.splits.dealing import stable_hash;"
        "print(stable_hash(pl.DataFrame({'id': ['a', 'b']}), ['id']).to_list())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == str(stable_hash(pl.DataFrame({"id": ["a", "b"]}), ["id"]).to_list())


def test_columns_do_not_run_into_each_other() -> None:
    """`ab` and `c` are not `a` and `bc`."""
    rows = pl.DataFrame({"one": ["ab", "a"], "two": ["c", "bc"]})
    assert stable_hash(rows, ["one", "two"]).n_unique() == 2


@settings(max_examples=100, deadline=None)
@given(groups=GROUPS, seed=st.integers(0, 100))
def test_a_group_lies_in_one_part_and_stays_there(groups: list[str | None], seed: int) -> None:
    """Nulls are a group; neither the order of rows nor rows that come later move one."""
    rows = pl.DataFrame({"id": range(len(groups)), "who": groups}, schema_overrides={"who": pl.String})
    split = _split("grouped", by="who")
    dealt = _deal(rows, split)
    homes: dict[str | None, set[str]] = {}
    for place, who in enumerate(groups):
        homes.setdefault(who, set()).add(dealt[place])
    assert all(len(parts) == 1 for parts in homes.values())
    assert _deal(rows.sample(fraction=1, shuffle=True, seed=seed), split) == dealt
    grown = pl.concat([rows, rows.with_columns(pl.col("id") + 1000, pl.lit("new").alias("who"))])
    assert {each: part for each, part in _deal(grown, split).items() if each < 1000} == dealt


def test_groups_are_dealt_in_proportion_to_the_lengths() -> None:
    """Each within a hundredth, of twenty thousand groups."""
    rows = pl.DataFrame({"id": range(20_000)}).with_columns(pl.col("id").cast(pl.String).alias("who"))
    counts = Counter(_deal(rows, _split("grouped", by="who")).values())
    assert {part: counts[part] / 20_000 for part in PARTS} == pytest.approx(SHARES, abs=0.01)


@settings(max_examples=100, deadline=None)
@given(labels=BINARY, seed=st.integers(0, 100))
def test_each_part_has_the_shares_of_the_label(labels: list[bool], seed: int) -> None:
    """Of each class each part has its due, to within a row; the order of rows does not matter."""
    rows = pl.DataFrame({"id": range(len(labels)), LABEL: labels})
    dealt = _deal(rows, _split("stratified"))
    for value in (True, False):
        of_class = [dealt[place] for place, label in enumerate(labels) if label is value]
        for part in PARTS:
            assert abs(of_class.count(part) - SHARES[part] * len(of_class)) <= 1
    assert _deal(rows.sample(fraction=1, shuffle=True, seed=seed), _split("stratified")) == dealt


@settings(max_examples=50, deadline=None)
@given(labels=st.lists(st.floats(-1e6, 1e6), min_size=30, max_size=200, unique=True), seed=st.integers(0, 100))
def test_numbers_are_dealt_by_tenths(labels: list[float], seed: int) -> None:
    """Of each tenth of the labels each part has its due, to within a row."""
    rows = pl.DataFrame({"id": range(len(labels)), LABEL: labels})
    dealt = _deal(rows, _split("stratified"))
    order = sorted(range(len(labels)), key=lambda place: labels[place])
    tenths: dict[int, list[str]] = {}
    for rank, place in enumerate(order):
        tenths.setdefault(rank * STRATA_AT_MOST // len(labels), []).append(dealt[place])
    for parts in tenths.values():
        assert all(abs(parts.count(part) - SHARES[part] * len(parts)) <= 1 for part in PARTS)
    assert _deal(rows.sample(fraction=1, shuffle=True, seed=seed), _split("stratified")) == dealt


@pytest.mark.parametrize(("values", "is_by_value"), [(STRATA_AT_MOST, True), (STRATA_AT_MOST + 1, False)])
def test_few_numbers_are_strata_of_their_own(values: int, is_by_value: bool) -> None:
    """Ten values are classes, eleven are cut into tenths."""
    labels = [float(place % values) for place in range(20 * values)]
    dealt = _deal(pl.DataFrame({"id": range(len(labels)), LABEL: labels}), _split("stratified"))
    counts = Counter((label, dealt[place]) for place, label in enumerate(labels))
    even = all(counts[float(value), part] == 20 * SHARES[part] for value in range(values) for part in PARTS)
    assert even is is_by_value


@pytest.mark.parametrize("kind", ["grouped", "stratified"])
def test_dealt_parts_share_a_span_and_know_nothing_after_the_as_of(kind: str) -> None:
    """The span is the sum of the lengths, moved back by the label's delay; labels known at the as-of are too late."""
    rows = events(3000).with_columns(who=pl.col("id") % 300)
    labels = known_soon(rows, pl.Series([place % 3 == 0 for place in range(3000)]))
    late = labels.with_columns(pl.when(pl.col("id") == 2500).then(pl.lit(END)).otherwise(KNOWN_AT).alias(KNOWN_AT))
    more = {"by": "who"} if kind == "grouped" else {}
    found = cut(rows, late, spec_of(["x"], kind=kind, label_delay="2d", **more))
    assert set(found[DAY].unique()) == {f"2020-01-{day:02d}" for day in range(10, 30)}
    assert len(found) == 1999
    assert 2500 not in found["id"]
    assert found.equals(found.sort("at", "id"))
    spans = found.group_by(PART).agg(days=pl.col(DAY).n_unique())
    assert min(spans["days"]) > 10


def test_a_group_may_come_with_the_labels() -> None:
    """A column that is no feature still parts the rows."""
    rows = events(3000)
    labels = known_soon(rows, pl.Series([True, False] * 1500)).with_columns(who=pl.col("id") % 300)
    found = cut(rows, labels, spec_of(["x"], kind="grouped", by="who"))
    assert found.group_by("who").agg(pl.col(PART).n_unique())[PART].max() == 1


def test_too_few_groups_are_refused_with_what_to_do() -> None:
    """One group cannot make three parts."""
    rows = events(300).with_columns(who=pl.lit("alone"))
    labels = known_soon(rows, pl.Series([True, False] * 150))
    with pytest.raises(NotEnoughRows, match=r"got .*: no rows, .*: no rows, .*name in split.by a column with more"):
        cut(rows, labels, spec_of(["x"], kind="grouped", by="who"))


@pytest.mark.parametrize(("missing", "is_refused"), [(7, False), (8, True)])
def test_dealt_parts_together_need_their_partitions(missing: int, is_refused: bool) -> None:
    """As many as train_at_least, validation and holdout have, wherever they lie."""
    rows = events(3000)
    labels = known_soon(rows, pl.Series([True, False] * 1500))
    kept = rows.filter(~pl.col("partition").is_in([f"2020-01-{day}" for day in range(15, 15 + missing)]))
    spec = spec_of(["x"], kind="stratified")
    if not is_refused:
        assert cut(kept, labels, spec)[DAY].n_unique() == 13
        return
    with pytest.raises(NotEnoughRows, match=r"all parts: 12 of 13 days, none in 2020-01-15, .* and 3 more"):
        cut(kept, labels, spec)
