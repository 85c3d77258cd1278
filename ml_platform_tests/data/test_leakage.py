"""The certificate: an honest cut keeps it, and each way of breaking it is found under its own name."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_platform.contracts.records import LeakageCertificate, LeakageFinding
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.data.splits import leakage
from ml_platform.data.splits.leakage import TWINS_AT_MOST, certify
from ml_platform.data.splits.parts import KNOWN_AT, LABEL, PART
from ml_platform_tests.data.cuts import AS_OF, END, training_set

RNG = np.random.default_rng(11)
COUNT = 3000
LABELS = pl.Series(RNG.random(COUNT) < 0.3)
HONEST = {
    "x": pl.Series(RNG.normal(size=COUNT)) + LABELS.cast(pl.Float64),
    "who": pl.Series([f"c{place}" for place in RNG.integers(0, 400, COUNT)]),
}
KINDS: dict[str, dict[str, Any]] = {
    "time": {},
    "time with folds": {"folds": 2},
    "time with embargo and delay": {"embargo": "1d", "label_delay": "2d"},
    "grouped": {"kind": "grouped", "by": "who"},
    "stratified": {"kind": "stratified"},
}


def _named(certificate: LeakageCertificate) -> dict[str, LeakageFinding]:
    return {finding.name: finding for finding in certificate.findings}


def _outcomes(certificate: LeakageCertificate) -> set[str]:
    return {finding.name for finding in certificate.findings if finding.outcome != "ok"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_honest_cut_keeps_its_certificate(kind: str) -> None:
    """Of each kind; the record goes to JSON and back, and counts the rows of each part."""
    rows, spec = training_set(HONEST, LABELS, **KINDS[kind])
    certificate = certify(rows, spec, AS_OF)
    assert _outcomes(certificate) == set()
    assert certificate.violated == ()
    assert certificate.rows == dict(rows.group_by(PART).len().iter_rows())
    assert LeakageCertificate.model_validate_json(certificate.model_dump_json()) == certificate
    names = list(_named(certificate))
    assert ("no_group_in_two_parts" in names) is (kind == "grouped")
    assert ("folds_keep_the_order_of_time" in names) is (kind == "time with folds")


@pytest.mark.parametrize("kind", ["time", "time with folds"])
def test_the_event_time_may_be_a_part_of_the_key(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing else tells two rows apart; also where only some rows are judged."""
    rows, spec = training_set(HONEST, LABELS, **KINDS[kind])
    both = spec.model_copy(update={"key": [*spec.key, spec.event_time]})
    monkeypatch.setattr(leakage, "ASKED_ROWS_AT_MOST", COUNT // 2)
    assert _outcomes(certify(rows, both, AS_OF)) == set()


def test_a_regression_keeps_its_certificate() -> None:
    """It has no classes that a value could tell."""
    certificate = certify(*_args(training_set(HONEST, HONEST["x"] * 2 + pl.Series(RNG.normal(size=COUNT)))))
    assert _outcomes(certificate) == set()
    assert "no_value_tells_the_label" not in _named(certificate)
    assert "rank correlation" in _named(certificate)["no_feature_tells_the_label"].sentence


def _args(made: tuple[pl.DataFrame, PipelineSpec]) -> tuple[pl.DataFrame, PipelineSpec, str]:
    return (*made, AS_OF)


def _first_train(rows: pl.DataFrame) -> pl.Expr:
    return pl.col("id") == rows.filter(pl.col(PART) == "train")["id"].min()


def _with(rows: pl.DataFrame, column: str, value: Any) -> pl.DataFrame:
    """Set a column of the first training row."""
    changed = pl.when(_first_train(rows)).then(value).otherwise(pl.col(column)).alias(column)
    return rows.with_columns(changed)


def _validation_start() -> pl.Expr:
    return pl.lit(END - timedelta(days=6))


BROKEN: dict[str, tuple[str, Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "a key in two parts": (
        "no_key_on_two_rows",
        lambda rows: _with(rows, "id", pl.lit(rows["id"].max())),
        "holdout+train",
    ),
    "a row twice in a part": (
        "no_key_on_two_rows",
        lambda rows: pl.concat([rows, rows.filter(_first_train(rows))]),
        "train+train",
    ),
    "a row of another part's time": (
        "rows_lie_in_the_window_of_their_part",
        lambda rows: _with(rows, PART, pl.lit("validation")),
        "validation",
    ),
    "a row at the validation's start": (
        "rows_lie_in_the_window_of_their_part",
        lambda rows: _with(rows, "at", _validation_start()),
        "2020-01-26 00:00:00+00:00 train",
    ),
    "a label known when validation begins": (
        "labels_were_known_in_time",
        lambda rows: _with(rows, KNOWN_AT, _validation_start()),
        "train 2020-01-26 00:00:00+00:00",
    ),
    "a label never known": ("labels_were_known_in_time", lambda rows: _with(rows, KNOWN_AT, None), "train None"),
    "no label": ("labels_were_known_in_time", lambda rows: _with(rows, LABEL, None), "train"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_one_row_out_of_place_violates(case: str) -> None:
    """Under one name, with the row as example; a microsecond earlier nothing is said."""
    name, breaks, example = BROKEN[case]
    rows, spec = training_set(HONEST, LABELS)
    certificate = certify(breaks(rows), spec, AS_OF)
    assert [finding.name for finding in certificate.violated] == [name]
    [finding] = certificate.violated
    assert finding.numbers["violations"] == 1
    assert len(finding.examples) == 1
    assert example in finding.examples[0]
    assert finding.examples[0] in finding.sentence


@pytest.mark.parametrize("column", ["at", KNOWN_AT])
def test_a_microsecond_before_the_limit_is_in_time(column: str) -> None:
    rows, spec = training_set(HONEST, LABELS)
    just_before = _with(rows, column, _validation_start() - pl.duration(microseconds=1))
    assert certify(just_before, spec, AS_OF).violated == ()


@pytest.mark.parametrize("kind", ["grouped", "stratified"])
def test_a_dealt_label_known_at_the_as_of_violates(kind: str) -> None:
    rows, spec = training_set(HONEST, LABELS, **KINDS[kind])
    assert certify(_with(rows, KNOWN_AT, pl.lit(END - timedelta(microseconds=1))), spec, AS_OF).violated == ()
    [finding] = certify(_with(rows, KNOWN_AT, pl.lit(END)), spec, AS_OF).violated
    assert finding.name == "labels_were_known_in_time"


def test_a_group_in_two_parts_violates() -> None:
    """By the group's name."""
    rows, spec = training_set(HONEST, LABELS, **KINDS["grouped"])
    torn = rows.filter(_first_train(rows))["who"][0]
    [finding] = certify(_with(rows, PART, pl.lit("holdout")), spec, AS_OF).violated
    assert finding.name == "no_group_in_two_parts"
    assert finding.examples == (f"{torn} holdout+train",)


def test_a_fold_that_sees_its_validation_violates(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one without rows warns: nothing leaks, but nothing is learned of it."""
    rows, spec = training_set(HONEST, LABELS, folds=2)
    monkeypatch.setattr(leakage, "fold_rows", lambda rows, *_: rows.filter(pl.col(PART) != "holdout"))
    [finding] = certify(rows, spec, AS_OF).violated
    assert finding.name == "folds_keep_the_order_of_time"
    assert finding.examples[0].startswith("fold 1 ")
    monkeypatch.setattr(leakage, "fold_rows", lambda rows, *_: rows.clear())
    found = _named(certify(rows, spec, AS_OF))["folds_keep_the_order_of_time"]
    assert found.outcome == "warned"
    assert "fold_1_train_rows" in found.sentence


@pytest.mark.parametrize("others", [0, 1])
def test_twins_of_holdout_rows_are_counted_and_warned_of(others: int) -> None:
    """Beyond a hundredth of the holdout; key and time do not make a twin another row, a label does."""
    rows, spec = training_set(HONEST, LABELS)
    holdout = rows.filter(pl.col(PART) == "holdout")
    limit = int(TWINS_AT_MOST * len(holdout)) + others
    train = rows.filter(pl.col(PART) == "train")["id"]
    copies = holdout.head(limit + 5).select("x", "who", LABEL).with_columns(id=train.head(limit + 5))
    copies = copies.with_columns(pl.col(LABEL) ^ (pl.int_range(pl.len()) >= limit))
    found = _named(certify(rows.update(copies, on="id"), spec, AS_OF))["holdout_rows_are_new"]
    assert found.numbers["twins"] == limit
    assert found.outcome == ("warned" if others else "ok")
    assert len(found.examples) == 3 + others


LEAKS: dict[str, tuple[pl.Series, pl.Series, str]] = {
    "the label as a number": (LABELS.cast(pl.Float64), LABELS, "no_feature_tells_the_label"),
    "null where false": (
        pl.Series([1.0 if label else None for label in LABELS]),
        LABELS,
        "no_feature_tells_the_label",
    ),
    "a mark on a third of the positives": (
        pl.Series(["refunded" if label and place % 3 == 0 else "no" for place, label in enumerate(LABELS)]),
        LABELS,
        "no_value_tells_the_label",
    ),
    "the number itself": (HONEST["x"], HONEST["x"] * -2 + 1, "no_feature_tells_the_label"),
}


@pytest.mark.parametrize("case", LEAKS)
def test_a_feature_that_tells_the_label_violates_unless_the_spec_allows_it(case: str) -> None:
    """By the feature's name; allowed, it is still mentioned."""
    leak, labels, name = LEAKS[case]
    features = {"x": pl.Series(RNG.normal(size=COUNT)), "leak": leak}
    [finding, *more] = [each for each in certify(*_args(training_set(features, labels))).violated if each.name == name]
    assert not more
    assert finding.examples[0].startswith("leak ")
    allowed = certify(*_args(training_set(features, labels, may_tell_label=["leak"])))
    assert allowed.violated == ()
    if name == "no_feature_tells_the_label":
        assert "The spec allows leak." in _named(allowed)[name].sentence


@pytest.mark.parametrize(("task", "limit"), [("binary", 0.99), ("regression", 0.995)])
@pytest.mark.parametrize(("above", "is_violated"), [(-1e-9, False), (0.0, False), (1e-9, True)])
def test_a_feature_tells_the_label_beyond_the_limit(
    monkeypatch: pytest.MonkeyPatch, task: str, limit: float, above: float, is_violated: bool
) -> None:
    """At the limit it does not yet."""
    rows, spec = training_set(HONEST, LABELS if task == "binary" else HONEST["x"])
    monkeypatch.setattr(leakage, "strengths", lambda *_: {"x": limit + above, "who": None})
    found = _named(certify(rows, spec, AS_OF))["no_feature_tells_the_label"]
    assert (found.outcome == "violated") is is_violated


def test_many_rows_are_judged_by_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evenly over time, the same ones in whatever order they come; what is counted is counted over all."""
    rows, spec = training_set(HONEST | {"leak": LABELS.cast(pl.Int64)}, LABELS)
    monkeypatch.setattr(leakage, "ASKED_ROWS_AT_MOST", 700)
    certificate = certify(rows, spec, AS_OF)
    assert [finding.name for finding in certificate.violated] == ["no_feature_tells_the_label"]
    assert sum(certificate.rows.values()) == len(rows) > 1400
    assert certify(rows.sample(fraction=1, shuffle=True, seed=2), spec, AS_OF) == certificate


@settings(max_examples=15, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 10**6))
def test_the_order_of_rows_does_not_matter(kind: str, seed: int) -> None:
    rows, spec = training_set(HONEST, LABELS, **KINDS[kind])
    mixed = rows.sample(fraction=1, shuffle=True, seed=seed)
    assert certify(mixed, spec, AS_OF) == certify(rows, spec, AS_OF)
