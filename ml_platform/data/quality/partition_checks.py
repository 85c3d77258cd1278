"""The checks of a partition: enough rows, few of them bad, fresh, and like those of the partitions before.

They go from one partition to the next, since only one that can be trusted is a past for those after it. Row by row
judging is the business of `quality`, measuring that of `findings`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Literal

import polars as pl

from ml_platform.contracts.errors import EXAMPLES_AT_MOST, examples
from ml_platform.contracts.spec import Quality
from ml_platform.contracts.spec.sources import CheckName
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.quality.findings import Finding, Partition, Past, category_counts, is_outside, measure
from ml_platform.data.quality.rows import CONTENT, REASON, REPEATED

PAST_AT_LEAST = 7
DESCRIPTIONS: dict[CheckName, str] = {
    "rows_at_least": "Enough rows to go on with.",
    "few_rows_quarantined": "Few rows break a rule; beyond the limit nothing of the partition is written.",
    "key_is_unique": "Each key once; of a repeated one the first row is kept and the others are in the quarantine.",
    "volume_is_usual": "About as many rows as the partitions before have in the median.",
    "nulls_are_few": "No column has more nulls than allowed.",
    "categories_are_known": "Few rows have a value that the partitions before did not have.",
    "values_in_range": "Few values lie outside their range.",
    "data_is_fresh": "The newest row is about as new as the end of the partition.",
    "expectations": "An expectation of the suite.",
}
_DEMOTED = ("key_is_unique",)  # what is kept is unique, and too many repeats fail few_rows_quarantined


def check_names(quality: Quality) -> list[CheckName]:
    """Name the checks of partitions that an author has asked for, and those that always are."""
    asked: dict[CheckName, object] = {
        "rows_at_least": True,
        "few_rows_quarantined": True,
        "key_is_unique": True,
        "volume_is_usual": quality.volume_change_at_most,
        "nulls_are_few": quality.null_share_at_most,
        "categories_are_known": quality.new_categories_at_most,
        "values_in_range": quality.ranges,
        "data_is_fresh": quality.fresh_within,
    }
    return [name for name, is_asked in asked.items() if is_asked]


def severity(name: CheckName, quality: Quality) -> Literal["error", "warn"]:
    """Tell whether a failed check makes the verdict, or only says so."""
    return "warn" if name in quality.warn or name in _DEMOTED else "error"


def check_partitions(
    kept: pl.DataFrame,
    quarantine: pl.DataFrame,
    quality: Quality,
    *,
    event_time: str,
    ends: Mapping[str, datetime],
    past: Past,
    more: Callable[[pl.DataFrame], list[Finding]] | None = None,
) -> dict[str, list[Finding]]:
    """Check the partitions of a run, oldest first.

    Parameters
    ----------
    kept, quarantine : frames
        The good rows, and the quarantine's four columns of the others.
    ends : mapping
        Each partition and the instant at which it ends.
    past : Past
        The trusted partitions before the first; those of the run are added as they come.
    more : function
        What else is to be found about the good rows of a partition.
    """
    numbers = measure(kept, quarantine, quality, event_time)
    categories = category_counts(kept, list(quality.new_categories_at_most))
    found: dict[str, list[Finding]] = {}
    for key in sorted(ends):
        of = Partition(key, numbers.get(key, {}), categories.get(key, {}), ends[key], kept, quarantine)
        checks = [_CHECKS[name](of, quality, past) for name in check_names(quality)]
        found[key] = [_ranked(each, quality) for each in checks]
        if more is not None:
            found[key] += more(of.rows(kept).drop(PARTITION).collect())
        if not any(each.is_fatal for each in found[key]):
            past.add(of.count("rows"), {column: frozenset(values) for column, values in of.categories.items()})
    return found


def _ranked(finding: Finding, quality: Quality) -> Finding:
    name: Any = finding.name
    return Finding(
        name, finding.passed, severity(name, quality), finding.sentence, finding.numbers,
        () if finding.passed and name != "few_rows_quarantined" else finding.examples,
    )  # fmt: skip


def _found(
    name: CheckName, passed: bool, sentence: str, numbers: dict[str, Any], shown: Iterator[dict[str, Any]] | None = None
) -> Finding:
    listed = [each for each, _ in zip(shown or (), range(EXAMPLES_AT_MOST), strict=False)]
    return Finding(name, passed, "error", sentence, numbers, listed)


def _by(what: str, shares: Mapping[str, float]) -> dict[str, Any]:
    return {f"{what}/{column}": share for column, share in shares.items()}


def _listed(shares: Mapping[str, float], over: Sequence[str]) -> str:
    return examples(f"{column} ({shares[column]:.1%})" for column in over) or "no column"


def _rows_at_least(of: Partition, quality: Quality, past: Past) -> Finding:
    del past
    rows, wanted = of.count("rows"), quality.rows_at_least
    return _found("rows_at_least", rows >= wanted, f"{rows} rows, at least {wanted} expected", {"rows": rows})


def _few_rows_quarantined(of: Partition, quality: Quality, past: Past) -> Finding:
    del past
    bad = of.count("quarantined")
    share = bad / (bad + of.count("rows")) if bad else 0.0
    return _found(
        "few_rows_quarantined",
        share <= quality.quarantine_at_most,
        f"{share:.1%} of rows quarantined, at most {quality.quarantine_at_most:.1%} expected",
        {"quarantined": bad, "share": share},
        _commonest_reasons(of) if bad else None,
    )


def _commonest_reasons(of: Partition) -> Iterator[dict[str, Any]]:
    counted = of.rows(of.quarantine).group_by(REASON).agg(pl.len().alias("rows"), pl.col(CONTENT).first())
    yield from (
        counted.sort("rows", REASON, descending=[True, False]).head(EXAMPLES_AT_MOST).collect().iter_rows(named=True)
    )


def _key_is_unique(of: Partition, quality: Quality, past: Past) -> Finding:
    del quality, past
    repeated = of.count("repeated")
    rows = of.rows(of.quarantine).filter(pl.col(REASON).str.starts_with(REPEATED)).select(REASON, CONTENT)
    shown = rows.head(EXAMPLES_AT_MOST).collect().iter_rows(named=True) if repeated else None
    return _found("key_is_unique", not repeated, f"{repeated} rows with a repeated key", {"repeated": repeated}, shown)


def _volume_is_usual(of: Partition, quality: Quality, past: Past) -> Finding:
    name, before, rows = "volume_is_usual", past.rows[-quality.trailing :], of.count("rows")
    if len(before) < min(PAST_AT_LEAST, quality.trailing):
        return _found(name, True, f"{len(before)} partitions before it, too few to compare with", {"rows": rows})
    usual, limit = median(before), quality.volume_change_at_most or 0.0
    change = abs(rows - usual) / usual if usual else float(rows > 0)
    sentence = f"{rows} rows, {usual:g} before it in the median, a change of at most {limit:.0%} expected"
    return _found(name, change <= limit, sentence, {"rows": rows, "median": float(usual), "change": change})


def _nulls_are_few(of: Partition, quality: Quality, past: Past) -> Finding:
    del past
    limits = quality.null_share_at_most
    shares = {column: of.share(f"null {column}") for column in limits}
    over = [column for column, share in shares.items() if share > limits[column]]
    shown = ({"column": column, "null_share": shares[column], "at_most": limits[column]} for column in over)
    return _found(
        "nulls_are_few", not over, f"too many nulls in {_listed(shares, over)}", _by("null_share", shares), shown
    )


def _categories_are_known(of: Partition, quality: Quality, past: Past) -> Finding:
    name, before = "categories_are_known", past.values[-quality.trailing :]
    if len(before) < min(PAST_AT_LEAST, quality.trailing):
        return _found(name, True, f"{len(before)} partitions before it, too few to compare with", {})
    new: dict[str, dict[str, int]] = {}
    for column in quality.new_categories_at_most:
        known = frozenset[str]().union(*(each.get(column, frozenset()) for each in before))
        values = of.categories.get(column, {})
        new[column] = {value: count for value, count in sorted(values.items()) if value not in known}
    shares = {column: sum(counts.values()) / max(of.count("rows"), 1) for column, counts in new.items()}
    over = [column for column, share in shares.items() if share > quality.new_categories_at_most[column]]
    shown = (
        {"column": column, "value": value, "rows": count} for column in over for value, count in new[column].items()
    )
    said = examples(f"{column} ({examples(new[column])})" for column in over)
    return _found(
        name, not over, f"too many rows with new values in {said or 'no column'}", _by("new_share", shares), shown
    )


def _values_in_range(of: Partition, quality: Quality, past: Past) -> Finding:
    del past
    shares = {column: of.share(f"outside {column}") for column in quality.ranges}
    over = [column for column, share in shares.items() if share > quality.ranges[column].outside_at_most]
    shown = (
        {"column": column, "value": float(value)}
        for column in over
        for value in of.rows(of.kept).filter(is_outside(quality, column)).select(column).head(5).collect()[column]
    )
    sentence = f"too many values outside their range in {_listed(shares, over)}"
    return _found("values_in_range", not over, sentence, _by("outside_share", shares), shown)


def _data_is_fresh(of: Partition, quality: Quality, past: Past) -> Finding:
    del past
    newest, limit = of.numbers.get("newest"), quality.fresh_within or timedelta(0)
    if newest is None:
        return _found("data_is_fresh", True, "no rows whose age could be told", {})
    age = of.end - newest
    sentence = f"newest row {newest:%Y-%m-%d %H:%M:%S} UTC, {age} before the end, at most {limit} expected"
    return _found("data_is_fresh", age <= limit, sentence, {"age_hours": age / timedelta(hours=1)})


_CHECKS: dict[CheckName, Callable[[Partition, Quality, Past], Finding]] = {
    "rows_at_least": _rows_at_least,
    "few_rows_quarantined": _few_rows_quarantined,
    "key_is_unique": _key_is_unique,
    "volume_is_usual": _volume_is_usual,
    "nulls_are_few": _nulls_are_few,
    "categories_are_known": _categories_are_known,
    "values_in_range": _values_in_range,
    "data_is_fresh": _data_is_fresh,
}
