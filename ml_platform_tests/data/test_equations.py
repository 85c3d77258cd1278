"""Equations of every shape are found through rounding, gaps and faulty rows, and no honest table is accused of one."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from ml_platform.data.splits.equation_search import find_equation
from ml_platform.data.splits.equations import Column, Equation, decimal_step, verify

Floats = NDArray[np.float64]
Rng = np.random.Generator
SEEDS = range(4)
HONEST_TRIALS = 60
BROKEN_SHARE, MISSING_SHARE = 0.005, 0.03


def _rides(rng: Rng, count: int) -> dict[str, Floats]:
    """Make the columns of rides: numbers that hang on each other, chance, counts."""
    distance = rng.lognormal(1.2, 0.6, count).round(2)
    fare = (3.5 + 2.1 * distance + rng.normal(0, 1, count).clip(-3, 3)).round(2)
    columns = {
        "distance": distance,
        "fare": fare,
        "tolls": np.where(rng.random(count) < 0.1, 5.54, 0.0),
        "passengers": rng.integers(1, 6, count).astype(float),
        "tip": np.where(rng.random(count) < 0.4, 0.0, fare * rng.uniform(0, 0.4, count)).round(2),
    }
    return columns | {f"chance_{place}": rng.normal(size=count).round(place) for place in range(6)}


def _part(rng: Rng, whole: Floats) -> Floats:
    return (whole * rng.random(len(whole))).round(2)


# By name: what is added to the rides, so that the tip is made of it and of the columns named behind.
SHAPES: dict[str, tuple[Callable[[Rng, dict[str, Floats]], dict[str, Floats]], set[str]]] = {
    "a sum of two": (lambda _, c: {"x": (c["fare"] + c["tip"]).round(2)}, {"x", "fare"}),
    "a sum of three": (lambda _, c: {"x": (c["fare"] + c["tip"] + c["tolls"]).round(2)}, {"x", "fare", "tolls"}),
    "a sum of three rounded to tenths": (
        lambda _, c: {"x": (c["fare"] + c["tip"] + c["tolls"]).round(1)},
        {"x", "fare", "tolls"},
    ),
    "a difference": (lambda _, c: {"x": (c["fare"] - c["tip"]).round(2)}, {"x", "fare"}),
    "constants": (lambda _, c: {"x": (1.2 * c["tip"] + c["fare"]).round(2)}, {"x", "fare"}),
    "constants and a base": (lambda _, c: {"x": (2.5 + 1.2 * (c["fare"] + c["tip"])).round(2)}, {"x", "fare"}),
    "a product": (lambda _, c: {"x": (c["tip"] * c["fare"]).round(2)}, {"x", "fare"}),
    "a ratio": (lambda _, c: {"x": (c["tip"] / c["fare"]).round(4)}, {"x", "fare"}),
    "a ratio in percent": (lambda _, c: {"x": (100 * c["tip"] / c["fare"]).round(1)}, {"x", "fare"}),
    "another unit": (lambda _, c: {"x": (100 * c["tip"]).round()}, {"x"}),
    "its opposite": (lambda _, c: {"x": -c["tip"] + 7}, {"x"}),
    "two summands": (lambda rng, c: {"x": (x := _part(rng, c["tip"])), "y": (c["tip"] - x).round(2)}, {"x", "y"}),
    "three summands": (
        lambda rng, c: {
            "x": (x := _part(rng, c["tip"])),
            "y": (y := _part(rng, c["tip"] - x)),
            "z": (c["tip"] - x - y).round(2),
        },
        {"x", "y", "z"},
    ),
    "a bill of six": (
        lambda rng, c: {
            "x": (x := rng.uniform(0, 3, len(c["tip"])).round(2)),
            "y": (y := rng.choice([0.0, 0.5, 1.0], len(c["tip"]))),
            "z": (c["fare"] + c["tip"] + c["tolls"] + x + y).round(2),
        },
        {"x", "y", "z", "fare", "tolls"},
    ),
}


def _broken(rng: Rng, columns: dict[str, Floats], names: set[str]) -> dict[str, Column]:
    """Spoil a few rows of the columns that matter, some of them by far, and lose some values."""
    spoiled = {name: values.astype(float).copy() for name, values in columns.items()}
    for name in sorted(names):
        values = spoiled[name]
        bad = rng.choice(len(values), int(BROKEN_SHARE * len(values) / len(names)), replace=False)
        values[bad] = rng.choice(values, len(bad)) * rng.choice([1, 1, 100], len(bad))
        values[rng.random(len(values)) < MISSING_SHARE] = np.nan
    return {name: Column.of(values) for name, values in spoiled.items()}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_found_by_its_columns(shape: str, seed: int) -> None:
    """Rounded to cents, with faulty rows and gaps, among columns that have nothing to do with it."""
    rng = np.random.default_rng([seed, *shape.encode()])
    rides = _rides(rng, int(rng.choice([400, 1200, 3000])))
    more, names = SHAPES[shape]
    columns = _broken(rng, rides | more(rng, rides), names)
    target = columns.pop("tip")
    found = find_equation(target, columns, [name for name in columns if name != "fare"])
    assert found is not None
    assert set(found.columns) == names, found.right_side
    assert found.share >= 0.99


@pytest.mark.parametrize("seed", SEEDS)
def test_a_count_is_found_in_its_summands(seed: int) -> None:
    """Whole numbers, most of them small."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.poisson(rate, 1500).astype(float) for name, rate in (("a", 0.4), ("b", 2.0), ("other", 3.0))}
    found = find_equation(
        Column.of(columns["a"] + columns["b"]), {name: Column.of(each) for name, each in columns.items()}, ["a", "b"]
    )
    assert found is not None
    assert found.right_side in ("a + b", "b + a")


def test_an_equation_reads_as_one_writes_it() -> None:
    terms = ((-1.0, "fare"), (1.0, "total"), (-0.5, "toll"))
    assert Equation("linear", terms, -2.5).right_side == "total - fare - 0.5 * toll - 2.5"
    assert Equation("linear", ((-1.0, "x"),), 10.0).right_side == "-x + 10"
    assert Equation("product", ((0.01, "fare"), (1.0, "percent"))).right_side == "0.01 * fare * percent"
    assert Equation("ratio", ((1.0, "a"), (1.0, "b"))).right_side == "a / b"


def test_an_equation_without_a_feature_is_none() -> None:
    """What the target's own columns are to each other tells nobody anything."""
    rng = np.random.default_rng(1)
    rides = _rides(rng, 800)
    columns = {name: Column.of(each) for name, each in (rides | {"x": rides["fare"] + rides["tip"]}).items()}
    target = columns.pop("tip")
    assert find_equation(target, columns, [name for name in columns if name not in ("fare", "x")]) is None
    assert find_equation(target, columns, ["x"]) is not None


@pytest.mark.parametrize(("broken", "is_found"), [(9, True), (11, False)])
def test_nearly_all_rows_must_keep_it(broken: int, is_found: bool) -> None:
    """One in a hundred may break it; it is the share of rows that decides, on either side of the limit."""
    rng = np.random.default_rng(2)
    a, b = (Column.of(rng.normal(size=1000)) for _ in range(2))
    values = a.values + b.values
    values[:broken] += 5
    equation = Equation("linear", ((1.0, "a"), (1.0, "b")))
    assert (verify(Column.of(values), {"a": a, "b": b}, equation) is not None) is is_found


def test_a_rare_value_must_keep_it_too() -> None:
    """That two columns are nearly always zero together is no equation."""
    rng = np.random.default_rng(3)
    rare, other = (np.where(rng.random(4000) < 0.008, rng.integers(1, 9, 4000), 0).astype(float) for _ in range(2))
    assert find_equation(Column.of(rare), {"other": Column.of(other)}, ["other"]) is None
    equation = Equation("linear", ((1.0, "other"),))
    few = np.where(np.arange(4000) % 160 == 0, rare + 1, 0.0)
    assert (few == 0).mean() > 0.99
    assert verify(Column.of(few), {"other": Column.of(np.zeros(4000))}, equation) is None
    assert verify(Column.of(few), {"other": Column.of(few)}, equation) is not None


@pytest.mark.parametrize(
    ("values", "step"), [([1, 2, 300], 1.0), ([0.5, 1.25, 7], 0.01), ([1 / 3, 2 / 7], 0.0), ([1e9, 1e9 + 0.01], 0.01)]
)
def test_the_step_of_rounding(values: list[float], step: float) -> None:
    assert decimal_step(np.array(values, dtype=float)) == pytest.approx(step)


def _honest_table(rng: Rng) -> tuple[Floats, Mapping[str, Floats]]:
    """Make columns of every kind that hang on the same three causes as the target does, and on chance."""
    count = int(rng.choice([120, 300, 700, 2000]))
    causes = rng.normal(size=(count, 3))

    def caused(noise: float) -> Floats:
        return causes @ rng.normal(size=3) + rng.normal(size=count) * noise

    shapes: list[Callable[[Floats], Floats]] = [
        lambda base: base,
        lambda base: base.round(1),
        np.round,
        lambda base: (base > 0).astype(float),
        lambda base: np.exp(base).round(2),
        lambda base: np.maximum(base, 0).round(2),
        lambda base: rng.poisson(np.exp(base.clip(-3, 3))).astype(float),
        lambda base: rng.integers(0, 3, len(base)).astype(float),
    ]
    columns: dict[str, Floats] = {}
    for place in range(int(rng.choice([2, 5, 12, 25]))):
        values = shapes[rng.integers(len(shapes))](caused(rng.choice([0.1, 1, 3])))
        if rng.random() < 0.3:
            values = np.where(rng.random(count) < rng.choice([0.02, 0.2, 0.6]), np.nan, values)
        columns[f"c{place}"] = values
    targets = [*shapes[:7], lambda base: (base > 1.5).astype(float), lambda base: np.where(base > 0, base, 0).round(2)]
    return targets[rng.integers(len(targets))](caused(rng.choice([0.15, 0.5, 1]))), columns


def test_no_honest_table_is_accused() -> None:
    """Whatever the number of rows and columns, rounded or not, counts, flags or amounts, with gaps or without."""
    for seed in range(HONEST_TRIALS):
        target, columns = _honest_table(np.random.default_rng(seed))
        found = find_equation(Column.of(target), {name: Column.of(each) for name, each in columns.items()}, [*columns])
        assert found is None, (seed, found)
