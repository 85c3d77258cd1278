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
from ml_platform.data.splits.target_columns import PREFIX, carried_columns, source_columns
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


def _ride_columns() -> dict[str, pl.Series]:
    """Make a fare, a tip on it, and what an honest model may see of a ride."""
    distance = pl.Series(RNG.lognormal(1.2, 0.6, COUNT)).round(2)
    fare = (3.5 + 2.1 * distance + pl.Series(RNG.normal(0, 1, COUNT).clip(-2, 2))).round(2)
    tip = (fare * pl.Series(RNG.uniform(0, 0.4, COUNT))).round(2)
    return {"distance": distance, "fare": fare, "tip": tip}


RIDE = _ride_columns()
GENEROUS = RIDE["tip"] / RIDE["fare"] >= 0.25
SQL = {"y": "tip / fare >= 0.25"}
EQUATIONS = "no_equation_tells_the_label"


def _ride_set(
    features: dict[str, pl.Series], derive: dict[str, str] = SQL, known_with: list[str] | None = None, **split: Any
) -> tuple[pl.DataFrame, PipelineSpec]:
    """Cut rides with some features, the target's columns carried along as the training set has them."""
    carried = {f"{PREFIX}{name}": RIDE[name] for name in ("fare", "tip")}
    rows, spec = training_set(features | carried, GENEROUS, **split)
    columns = spec.features.model_copy(update={"inputs": [*features], "columns": [*features]})
    source = spec.source.model_copy(update={"derive": derive})
    label = spec.label.model_copy(update={"known_with": known_with or []})
    return rows, spec.model_copy(update={"features": columns, "source": source, "label": label})


RIDE_LEAKS: dict[str, tuple[dict[str, pl.Series], str]] = {
    "a total": ({"total": (RIDE["fare"] + RIDE["tip"]).round(2)}, "tip = total - fare"),
    "a share that is not the target": ({"rate": (RIDE["tip"] / RIDE["fare"] / 2).round(4)}, "tip = 2 * rate * fare"),
    "a copy in cents": ({"cents": (RIDE["tip"] * 100).round()}, "tip = 0.01 * cents"),
    "its logarithm": ({"log": RIDE["tip"].log1p()}, "tip rises with log"),
    "its parts": (
        {"a": (part := (RIDE["tip"] / 3).floor()), "b": (RIDE["tip"] - part).round(2)},
        "tip = a + b",
    ),
}


@pytest.mark.parametrize("case", RIDE_LEAKS)
def test_a_column_of_the_target_that_features_make_violates(case: str) -> None:
    """By the equation and the features, unless the spec allows these: then it is mentioned as a warning."""
    leak, equation = RIDE_LEAKS[case]
    rows, spec = _ride_set({"distance": RIDE["distance"]} | leak)
    found = _named(certify(rows, spec, AS_OF))[EQUATIONS]
    assert found.outcome == "violated"
    assert found.examples[0] == equation
    assert f"{equation} (by {', '.join(leak)})" in found.sentence
    rows, spec = _ride_set({"distance": RIDE["distance"]} | leak, may_tell_label=[*leak])
    allowed = _named(certify(rows, spec, AS_OF))[EQUATIONS]
    assert allowed.outcome == "warned"
    assert equation in allowed.sentence


def test_honest_rides_name_what_was_looked_for() -> None:
    """And what could not be looked at."""
    rows, spec = _ride_set({"distance": RIDE["distance"]})
    found = _named(certify(rows, spec, AS_OF))[EQUATIONS]
    assert found.outcome == "ok"
    assert found.sentence == "No sum, difference, product or ratio of features was found that makes y, tip, fare."
    without = _named(certify(rows.drop(f"{PREFIX}tip"), spec, AS_OF))[EQUATIONS]
    assert "Not looked at, as the training set does not hold them as numbers: tip." in without.sentence


def test_a_column_of_the_target_that_tells_little_only_warns() -> None:
    """A fare by tariff is known when the ride begins; the tip is not made of it."""
    tariff = ((RIDE["fare"] - 3.5) / 2.1).round(4)
    found = _named(certify(*_args(_ride_set({"tariff": tariff}))))[EQUATIONS]
    assert (found.outcome, found.examples) == ("warned", ("fare = 2.1 * tariff + 3.5",))
    both = _named(certify(*_args(_ride_set({"tariff": tariff, "cents": RIDE["tip"] * 100}))))[EQUATIONS]
    assert both.outcome == "violated"
    assert both.numbers["violations"] == 2


def test_what_is_known_with_the_label_may_not_be_made() -> None:
    """Its author has said that it comes too late, however little it tells alone."""
    features = {"tariff": ((RIDE["fare"] - 3.5) / 2.1).round(4)}
    assert _named(certify(*_args(_ride_set(features, {}, ["fare"]))))[EQUATIONS].outcome == "violated"


@pytest.mark.parametrize("summands", [("a",), ("a", "b")])
def test_a_count_may_not_be_made_of_its_summands(summands: tuple[str, ...]) -> None:
    """With one of them left, there is no equation."""
    parts = {name: pl.Series(RNG.poisson(3, COUNT)) for name in ("a", "b")}
    rows, spec = training_set({name: parts[name] for name in summands}, parts["a"] + parts["b"])
    found = _named(certify(rows, spec, AS_OF))[EQUATIONS]
    assert found.outcome == ("violated" if len(summands) == 2 else "ok")
    assert found.examples == (("y = a + b",) if len(summands) == 2 else ())


def test_steps_of_a_derived_target_are_followed() -> None:
    """Also where one derived column is made of another, and the inputs are known."""
    rows, spec = _ride_set({"distance": RIDE["distance"]}, {"share": "tip / fare", "y": "share >= distance"})
    assert source_columns(spec) == ("share", "tip", "fare")
    types: dict[str, pl.DataType] = {"tip": pl.Float64(), "fare": pl.Float64(), "share": pl.String()}
    assert carried_columns(spec, types) == {"tip": f"{PREFIX}tip", "fare": f"{PREFIX}fare"}
    assert f"{PREFIX}tip" in rows.columns
