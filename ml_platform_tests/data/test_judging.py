"""Partitions judged: each check at its limit, what is refused, what is stored, and what a training set may take."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml_platform.contracts.errors import ContractError, QuarantineExceeded
from ml_platform.contracts.spec import Quality
from ml_platform.data.lake.tables import Lake, local_lake
from ml_platform.data.quality.findings import Finding, Past
from ml_platform.data.quality.judging import Judged, _judged
from ml_platform.data.quality.partition_checks import DESCRIPTIONS, check_names, check_partitions
from ml_platform.data.quality.rows import QUARANTINE
from ml_platform.data.quality.verdicts import judge, read_past, read_verdicts, require_trusted, store_verdicts

DAY = "2020-01-10"
END = datetime(2020, 1, 11, tzinfo=UTC)
TYPES = {"partition": pl.String, "at": pl.Datetime("us", "UTC"), "x": pl.Float64, "s": pl.String}


def _kept(rows: int, day: str = DAY, **columns: list[Any]) -> pl.DataFrame:
    made = {"partition": [day] * rows, "at": [END - timedelta(hours=1)] * rows, "x": [1.0] * rows, "s": ["a"] * rows}
    return pl.DataFrame(made | columns, schema=TYPES)


def _bad(rows: int, day: str = DAY, reason: str = "x: greater_than(0)") -> pl.DataFrame:
    table = [(day, reason, "raw", f'{{"x":{at}}}') for at in range(rows)]
    return pl.DataFrame(table, schema=dict.fromkeys(QUARANTINE, pl.String), orient="row")


def _past(*rows: int, s: frozenset[str] = frozenset({"a"})) -> Past:
    return Past(list(rows), [{"s": s}] * len(rows))


def _find(
    name: str, kept: pl.DataFrame, quality: Quality, *, bad: pl.DataFrame | None = None, past: Past | None = None
) -> Finding:
    found = check_partitions(
        kept, _bad(0) if bad is None else bad, quality, event_time="at", ends={DAY: END}, past=past or Past()
    )
    [finding] = [each for each in found[DAY] if each.name == name]
    return finding


@pytest.mark.parametrize(("rows", "passes"), [(49, False), (50, True), (51, True)])
def test_rows_at_least(rows: int, passes: bool) -> None:
    finding = _find("rows_at_least", _kept(rows), Quality(rows_at_least=50))
    assert (finding.passed, finding.is_fatal) == (passes, not passes)
    assert finding.sentence == f"{rows} rows, at least 50 expected"


def test_a_partition_that_may_be_empty_passes_without_rows() -> None:
    """And nothing else is held against it: there is nothing to be null, out of range or old."""
    quality = Quality(
        rows_at_least=0,
        null_share_at_most={"x": 0.0},
        ranges={"x": {"at_least": 0}},  # type: ignore[dict-item]
        fresh_within="1h",  # type: ignore[arg-type]
        new_categories_at_most={"s": 0.0},
    )
    found = check_partitions(_kept(0), _bad(0), quality, event_time="at", ends={DAY: END}, past=_past(*[1] * 7))[DAY]
    assert [each.passed for each in found] == [True] * 7


@pytest.mark.parametrize(("bad", "passes"), [(0, True), (4, True), (5, True), (6, False), (100, False)])
def test_few_rows_quarantined(bad: int, passes: bool) -> None:
    """Five of a hundred are 5 %; the commonest reason is shown."""
    finding = _find("few_rows_quarantined", _kept(100 - bad), Quality(quarantine_at_most=0.05), bad=_bad(bad))
    assert (finding.passed, finding.is_fatal) == (passes, not passes)
    assert finding.numbers == {"quarantined": bad, "share": bad / 100}
    assert list(finding.examples) == (
        [{"reason": "x: greater_than(0)", "rows": bad, "content": '{"x":0}'}] if bad else []
    )


@pytest.mark.parametrize("repeated", [0, 1, 7])
def test_key_is_unique(repeated: int) -> None:
    """It only warns: what is kept is unique. At most five of the repeats are shown."""
    finding = _find("key_is_unique", _kept(100), Quality(), bad=_bad(repeated, reason="repeated key (id)"))
    assert finding.passed == (repeated == 0)
    assert not finding.is_fatal
    assert finding.severity == "warn"
    assert len(finding.examples) == min(repeated, 5)


@pytest.mark.parametrize(
    ("rows", "passes"), [(49, False), (50, True), (51, True), (100, True), (149, True), (150, True), (151, False)]
)
def test_volume_is_usual(rows: int, passes: bool) -> None:
    """Half as much or as much again as the median, on both sides; an outlier in the past moves it little."""
    past = _past(90, 100, 100, 100, 1_000_000, 101, 0)
    assert _find("volume_is_usual", _kept(rows), Quality(volume_change_at_most=0.5), past=past).passed == passes


@pytest.mark.parametrize(
    ("before", "trailing", "is_judged"), [(6, 28, False), (7, 28, True), (2, 3, False), (3, 3, True)]
)
def test_volume_is_judged_once_there_is_a_past(before: int, trailing: int, is_judged: bool) -> None:
    """Of seven partitions, or as many as are looked at."""
    quality = Quality(volume_change_at_most=0.5, trailing=trailing)
    finding = _find("volume_is_usual", _kept(1), quality, past=_past(*[100] * before))
    assert finding.passed != is_judged
    assert is_judged or "too few to compare with" in finding.sentence


def test_volume_looks_no_further_back_than_trailing() -> None:
    quality = Quality(volume_change_at_most=0.5, trailing=7)
    past = _past(*[10_000] * 20, *[100] * 7)
    assert _find("volume_is_usual", _kept(100), quality, past=past).passed


def test_rows_where_there_never_were_any_are_unusual() -> None:
    quality = Quality(volume_change_at_most=0.5, rows_at_least=0)
    assert _find("volume_is_usual", _kept(0), quality, past=_past(*[0] * 7)).passed
    assert not _find("volume_is_usual", _kept(1), quality, past=_past(*[0] * 7)).passed


@pytest.mark.parametrize("nothing", [None, float("nan")])
@pytest.mark.parametrize(("nulls", "passes"), [(0, True), (9, True), (10, True), (11, False)])
def test_nulls_are_few(nulls: int, passes: bool, nothing: float | None) -> None:
    """A value that is no number is none."""
    kept = _kept(100, x=[nothing] * nulls + [1.0] * (100 - nulls))
    finding = _find("nulls_are_few", kept, Quality(null_share_at_most={"x": 0.1, "s": 0.0}))
    assert finding.passed == passes
    assert finding.numbers == {"null_share/x": nulls / 100, "null_share/s": 0.0}
    assert [each["column"] for each in finding.examples] == ([] if passes else ["x"])


@pytest.mark.parametrize(("new", "passes"), [(0, True), (1, True), (2, True), (3, False)])
def test_categories_are_known(new: int, passes: bool) -> None:
    """Two of a hundred rows may have a value that no trusted partition had; a null is no value."""
    kept = _kept(100, s=["b"] * new + [None] * 5 + ["a"] * (95 - new))
    finding = _find("categories_are_known", kept, Quality(new_categories_at_most={"s": 0.02}), past=_past(*[1] * 7))
    assert finding.passed == passes
    assert list(finding.examples) == ([] if passes else [{"column": "s", "value": "b", "rows": 3}])


def test_a_value_is_forgotten_after_trailing_partitions() -> None:
    quality = Quality(new_categories_at_most={"s": 0.0}, trailing=7)
    past = _past(1, s=frozenset({"b"}))
    for _ in range(7):
        past.add(1, {"s": frozenset({"a"})})
    assert _find("categories_are_known", _kept(1, s=["a"]), quality, past=past).passed
    assert not _find("categories_are_known", _kept(1, s=["b"]), quality, past=past).passed


def test_only_a_trusted_partition_is_a_past() -> None:
    """A bad value does not become known by coming twice, and what is written first counts for what comes after."""
    days = [f"2020-01-{day:02d}" for day in range(1, 11)]
    kept = pl.concat([_kept(1, day, s=["b" if day in days[8:] else "a"]) for day in days])
    found = check_partitions(
        kept, _bad(0), Quality(new_categories_at_most={"s": 0.0}), event_time="at",
        ends=dict.fromkeys(days, END), past=Past(),
    )  # fmt: skip
    failed = [day for day in days if any(each.is_fatal for each in found[day])]
    assert failed == days[8:]
    warned = check_partitions(
        kept, _bad(0), Quality(new_categories_at_most={"s": 0.0}, warn=["categories_are_known"]), event_time="at",
        ends=dict.fromkeys(days, END), past=Past(),
    )  # fmt: skip
    assert [day for day in days if any(not each.passed for each in warned[day])] == [days[8]]
    assert not any(each.is_fatal for each in warned[days[8]])


@pytest.mark.parametrize(
    ("values", "passes"),
    [
        ([0.0, 10.0] * 5, True),
        ([-0.001, 5.0] + [1.0] * 8, True),
        ([-0.001, 10.001] + [1.0] * 8, False),
        ([None, float("nan"), float("nan")] + [1.0] * 7, True),
    ],
)
def test_values_in_range(values: list[float | None], passes: bool) -> None:
    """Bounds included; a tenth may lie outside, and what is no value does not."""
    quality = Quality.model_validate({"ranges": {"x": {"at_least": 0, "at_most": 10, "outside_at_most": 0.1}}})
    finding = _find("values_in_range", _kept(10, x=values), quality)
    assert finding.passed == passes
    assert [each["value"] for each in finding.examples] == ([] if passes else [-0.001, 10.001])


@pytest.mark.parametrize(("minutes", "passes"), [(59, True), (60, True), (61, False)])
def test_data_is_fresh(minutes: int, passes: bool) -> None:
    """The newest row counts, from the end of the partition."""
    kept = _kept(2, at=[END - timedelta(hours=20), END - timedelta(minutes=minutes)])
    finding = _find("data_is_fresh", kept, Quality.model_validate({"fresh_within": "1h"}))
    assert finding.passed == passes


def test_every_check_that_is_asked_for_has_a_description() -> None:
    """The three that always are, and the others only where the author sets a limit."""
    assert check_names(Quality()) == ["rows_at_least", "few_rows_quarantined", "key_is_unique"]
    quality = Quality.model_validate(
        {
            "volume_change_at_most": 0.5, "null_share_at_most": {"x": 0}, "new_categories_at_most": {"x": 0},
            "ranges": {"x": {"at_least": 0}}, "fresh_within": "1h",
        }
    )  # fmt: skip
    assert set(DESCRIPTIONS) - set(check_names(quality)) == {"expectations"}


@pytest.mark.parametrize("name", ["rows_at_least", "few_rows_quarantined"])
def test_a_check_that_is_to_warn_makes_no_verdict(name: str) -> None:
    kept, bad = _kept(1), _bad(1)
    quality = Quality.model_validate({"rows_at_least": 2, "warn": ["rows_at_least", "few_rows_quarantined"]})
    finding = _find(name, kept, quality, bad=bad)
    assert (finding.passed, finding.severity, finding.is_fatal) == (False, "warn", False)


def _judge(kept: pl.DataFrame, bad: pl.DataFrame, quality: Quality, days: list[str]) -> Judged:
    ends = dict.fromkeys(days, END)
    return _judged(kept, bad, check_partitions(kept, bad, quality, event_time="at", ends=ends, past=Past()))


def test_nothing_is_written_of_a_refused_partition_and_all_of_the_others() -> None:
    """The worst of several is named, with its commonest reason."""
    days = ["d1", "d2", "d3"]
    kept = pl.concat([_kept(10, "d1"), _kept(7, "d2")])
    bad = pl.concat([_bad(3, "d2"), _bad(2, "d3", "s: isin(['a'])")])
    judged = _judge(kept, bad, Quality(quarantine_at_most=0.2), days)
    assert (judged.accepted, judged.refused) == (["d1"], ["d2", "d3"])
    assert set(judged.kept["partition"]) == {"d1"}
    assert judged.quarantine.is_empty()
    assert {each.partition: each.outcome for each in judged.verdicts} == {"d1": "pass", "d2": "fail", "d3": "fail"}
    assert isinstance(judged.refusal, QuarantineExceeded)
    assert (
        "partition d3 and 1 more: got 100.0% of rows quarantined, most often: s: isin(['a']), expected at most"
        in str(judged.refusal)
    )


def test_a_quarantine_that_is_only_to_warn_refuses_nothing() -> None:
    quality = Quality.model_validate({"quarantine_at_most": 0.1, "warn": ["few_rows_quarantined"]})
    judged = _judge(_kept(5), _bad(5), quality, [DAY])
    assert (judged.accepted, judged.refusal) == ([DAY], None)
    assert judged.verdicts[0].sentence == (
        "5 rows kept, 5 quarantined; warning: 50.0% of rows quarantined, at most 10.0% expected"
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Give an empty lake."""
    return local_lake(tmp_path / "lake")


def _store(lake: Lake, *days: str, passes: bool = True, rows: int = 1, s: str = "a") -> None:
    if rows:
        lake.write("p/validated", pl.concat([_kept(rows, day, s=[s] * rows) for day in days]), list(days))
    finding = Finding("rows_at_least", passes, "error", "0 rows, at least 1 expected", {"rows": rows})
    store_verdicts(lake, "p", [judge(day, [finding], rows=rows, quarantined=0) for day in days])


def test_a_verdict_is_read_as_it_was_stored(lake: Lake) -> None:
    _store(lake, "d1", rows=3)
    verdict = read_verdicts(lake, "p", ["d1", "d2"])["d1"]
    assert (verdict.outcome, verdict.rows, verdict.sentence) == ("pass", 3, "3 rows kept, 0 quarantined")
    assert verdict.checks == ({"name": "rows_at_least", "passed": True, "severity": "error", "numbers": {"rows": 3}},)
    assert verdict.stamp


def test_what_passed_is_trusted_and_what_failed_is_refused_by_name(lake: Lake) -> None:
    """With what was wrong; and trusted again once it passes."""
    _store(lake, "d1", "d2")
    _store(lake, "d3", passes=False)
    require_trusted(lake, "p", ["d1", "d2"])
    with pytest.raises(ContractError, match=r"p/validated: got d3 \(0 rows, at least 1 expected\), expected"):
        require_trusted(lake, "p", ["d1", "d3"])
    _store(lake, "d3")
    require_trusted(lake, "p", ["d1", "d2", "d3"])


def test_a_gap_is_refused_but_not_what_lies_before_the_first_verdict(lake: Lake) -> None:
    """That is simply not there yet."""
    _store(lake, "d3", "d5")
    require_trusted(lake, "p", ["d1", "d2", "d3"])
    with pytest.raises(ContractError, match=r"got d4 \(no verdict\), d6 \(no verdict\), expected"):
        require_trusted(lake, "p", ["d2", "d3", "d4", "d5", "d6"])


def test_rows_that_nobody_judged_are_refused(lake: Lake) -> None:
    """Also before the first verdict, and in a lake without any."""
    require_trusted(lake, "p", ["d1"])
    lake.write("p/validated", _kept(1, "d1"), ["d1"])
    for _ in range(2):
        with pytest.raises(ContractError, match=r"got d1 \(no verdict\)"):
            require_trusted(lake, "p", ["d1"])
        _store(lake, "d2")


def test_a_verdict_belongs_to_the_rows_it_was_given_for(lake: Lake) -> None:
    _store(lake, "d1", "d2")
    lake.write("p/validated", _kept(2, "d1"), ["d1"])
    require_trusted(lake, "p", ["d2"])
    with pytest.raises(ContractError, match=r"got d1 \(written again since its verdict\)"):
        require_trusted(lake, "p", ["d1", "d2"])


def test_a_partition_that_may_be_empty_is_trusted_without_rows(lake: Lake) -> None:
    _store(lake, "d1", rows=0)
    require_trusted(lake, "p", ["d1"])
    lake.write("p/validated", _kept(2, "d1"), ["d1"])
    with pytest.raises(ContractError, match="written again"):
        require_trusted(lake, "p", ["d1"])


def test_at_most_five_are_named(lake: Lake) -> None:
    _store(lake, "d0")
    with pytest.raises(ContractError, match=r"d1 .*d5 \(no verdict\) and 2 more, expected"):
        require_trusted(lake, "p", [f"d{at}" for at in range(8)])


def test_the_past_is_the_newest_trusted_partitions_before(lake: Lake) -> None:
    """Oldest first; also when many lie between that failed."""
    for at, passes in enumerate([True, True, False, False, False, True, True]):
        _store(lake, f"d{at}", passes=passes, rows=at + 1, s=f"s{at}")
    past = read_past(lake, "p", "d6", 2, ["s"])
    assert past.rows == [2, 6]
    assert past.values == [{"s": frozenset({"s1"})}, {"s": frozenset({"s5"})}]
    assert read_past(lake, "p", "d6", 10, []).rows == [1, 2, 6]
    assert read_past(lake, "p", "d0", 2, ["s"]).rows == []
