"""What one feature tells of the label: measured against areas and correlations computed pair by pair."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_platform.data.splits.parts import LABEL, PART
from ml_platform.data.splits.telling import CLASS_AT_LEAST, PURE_ROWS_AT_LEAST, order, pure_values, strengths

RNG = np.random.default_rng(3)
COUNT = 4000
NOISE = pl.Series(RNG.normal(size=COUNT))
COIN = pl.Series(RNG.random(COUNT) < 0.3)
NUMBER = pl.Series(RNG.normal(size=COUNT))


def _rows(label: pl.Series, **features: Any) -> pl.DataFrame:
    part = ["train" if place % 2 else "holdout" for place in range(len(label))]
    return pl.DataFrame({**features, LABEL: label, PART: part})


def _strength(feature: Any, label: pl.Series = COIN) -> float:
    told = strengths(_rows(label, x=feature), ["x"], "binary" if label.dtype == pl.Boolean else "regression")["x"]
    assert told is not None
    return told


WEEK = pl.Series([f"d{place % 7}" for place in range(COUNT)])
IN_A_BAND = pl.Series(np.where(COIN, RNG.uniform(-1, 1, COUNT), RNG.choice([-1, 1], COUNT) * RNG.uniform(1, 3, COUNT)))
TELLING: dict[str, Any] = {
    "the label itself": COIN,
    "a number above a threshold": NOISE.abs() + COIN.cast(pl.Float64) * 10,
    "a number below a threshold": NOISE.abs() - COIN.cast(pl.Float64) * 10,
    "a number in a band": IN_A_BAND,
    "a category": COIN.replace_strict({True: "yes", False: "no"}),
    "many categories": pl.Series([f"{coin} {place % 51}" for place, coin in enumerate(COIN)]),
    "null where false": pl.Series([1.0 if coin else None for coin in COIN]),
    "null where true": pl.Series([None if coin else "x" for coin in COIN]),
    "the label, often null": pl.Series([None if place % 3 else float(coin) for place, coin in enumerate(COIN)]),
    "infinite where true": pl.Series([float("inf") if coin else 0.5 for coin in COIN]),
    "NaN where true": pl.Series([float("nan") if coin else 0.5 for coin in COIN]),
}
HONEST: dict[str, Any] = {
    "noise": NOISE,
    "a category": WEEK,
    "a key": pl.Series([f"k{place}" for place in range(COUNT)]),
    "nothing but null": pl.Series([None] * COUNT, dtype=pl.Null),
    "one value": pl.Series([1] * COUNT),
    "null at random": pl.Series([None if place % 3 else 1.0 for place in range(COUNT)]),
    "a strong hint": NOISE + COIN.cast(pl.Float64) * 2,
}


@pytest.mark.parametrize("case", TELLING)
def test_what_tells_the_label_is_found(case: str) -> None:
    """However it tells it."""
    assert _strength(TELLING[case]) > 0.99


@pytest.mark.parametrize("case", HONEST)
def test_what_hints_at_the_label_does_not_tell_it(case: str) -> None:
    """Neither does what is different on each row, though it would fit what it was fitted on."""
    assert _strength(HONEST[case]) < 0.95


@pytest.mark.parametrize(
    ("feature", "is_telling"),
    [(NUMBER, True), (-(NUMBER**3), True), (NUMBER + NOISE * 0.2, False), (NOISE, False), (NUMBER.round(1), True)],
    ids=["itself", "falling", "roughly", "noise", "rounded"],
)
def test_numbers_are_told_by_rank(feature: pl.Series, is_telling: bool) -> None:
    """Any monotone function of the label tells it."""
    assert (_strength(feature, NUMBER) > 0.995) is is_telling


@settings(max_examples=60, deadline=None)
@given(
    told=st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=4 * CLASS_AT_LEAST, max_size=400),
    seed=st.integers(0, 9),
)
def test_the_area_is_the_share_of_pairs_in_order(told: list[tuple[int, bool]], seed: int) -> None:
    """Ties count half, whatever order the rows come in; checked pair by pair."""
    values, labels = [str(value) for value, _ in told], [label for _, label in told]
    rows = _rows(pl.Series(labels), x=values)
    fitted = [(value, label) for place, (value, label) in enumerate(zip(values, labels, strict=True)) if place % 2]
    asked = [(value, label) for place, (value, label) in enumerate(zip(values, labels, strict=True)) if not place % 2]
    prior = sum(label for _, label in fitted) / len(fitted)
    means = {
        value: (lambda found: sum(found) / len(found) if found else prior)([y for x, y in fitted if x == value])
        for value in set(values)
    }
    positives = [means[value] for value, label in asked if label]
    negatives = [means[value] for value, label in asked if not label]
    found = strengths(rows.sample(fraction=1, shuffle=True, seed=seed), ["x"], "binary")["x"]
    if min(len(positives), len(negatives)) < CLASS_AT_LEAST:
        assert found is None
        return
    order = [(high > low) + (high == low) / 2 for high in positives for low in negatives]
    assert found == pytest.approx(sum(order) / len(order))


@pytest.mark.parametrize(("positives", "is_judged"), [(CLASS_AT_LEAST - 1, False), (CLASS_AT_LEAST, True)])
def test_nothing_is_said_of_too_few_rows(positives: int, is_judged: bool) -> None:
    """Of the rarer class, among the rows that are asked about."""
    label = pl.Series([place < 2 * positives for place in range(1000)])
    assert (strengths(_rows(label, x=label), ["x"], "binary")["x"] is not None) is is_judged


def _pure(feature: pl.Series, label: pl.Series, share: float = 0.1) -> list[tuple[str, int, float]]:
    found = pure_values(_rows(label, x=feature), ["x"], share)
    return [(each.value, each.rows, round(each.class_share, 3)) for each in found]


RARE = pl.Series([place < 500 for place in range(5000)])


@pytest.mark.parametrize(
    ("rows", "share", "is_found"),
    [(PURE_ROWS_AT_LEAST, 0.1, True), (PURE_ROWS_AT_LEAST - 1, 0.01, False), (99, 0.2, False), (100, 0.2, True)],
)
def test_a_value_of_the_rarer_class_alone_is_found_where_it_matters(rows: int, share: float, is_found: bool) -> None:
    """From fifty rows on, and from its share of the class on."""
    feature = pl.Series(["refund" if place < rows else "other" for place in range(5000)])
    assert _pure(feature, RARE, share) == ([("refund", rows, rows / 500)] if is_found else [])
    assert _pure(feature, ~RARE, share) == ([("refund", rows, rows / 500)] if is_found else [])


def test_nulls_and_their_absence_are_values_too() -> None:
    """Of a number or a text; a column that is set only where the label is true says so."""
    numbers = pl.Series([float(place) if place < 200 else None for place in range(5000)])
    assert _pure(numbers, RARE) == [("not null", 200, 0.4)]
    assert _pure(numbers.is_null().replace_strict({True: "x", False: None}), RARE) == [("null", 200, 0.4)]


def test_a_value_of_the_commoner_class_alone_is_no_leak() -> None:
    """A line on which nothing was ever late is good news."""
    assert _pure(pl.Series(["quiet" if place >= 4000 else "busy" for place in range(5000)]), RARE) == []


def test_one_exception_makes_a_value_impure() -> None:
    mixed = pl.Series(["refund" if place < 200 or place == 4999 else "other" for place in range(5000)])
    assert _pure(mixed, RARE) == []


def test_scores_order_labels_as_a_feature_does() -> None:
    """The area is that of all pairs, ties counting half; the correlation is that of the ranks."""
    label, scores = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.4, 0.4, 0.8])
    assert order(scores, label, "binary") == pytest.approx(3.5 / 4)
    assert order(-scores, label, "multiclass") == pytest.approx(0.5 / 4)
    assert order(np.exp(scores), np.array([1.0, 2.0, 2.0, 9.0]), "regression") == pytest.approx(1.0)


def test_scores_of_one_class_or_one_value_order_nothing() -> None:
    """There is no pair to order."""
    scores = np.array([0.1, 0.4])
    assert order(scores, np.ones(2), "binary") is None
    assert order(scores, np.zeros(2), "binary") is None
    assert order(np.ones(2), scores, "regression") is None
