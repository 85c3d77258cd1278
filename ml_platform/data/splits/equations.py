"""Equations between one column and a few others: nearly exact sums, differences, products and ratios.

Pure arithmetic on a bounded sample, robust to rounding and to a small share of rows that break the equation. What an
equation means for a model is the business of `ml_platform.data.splits.arithmetic`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Kind = Literal["linear", "product", "ratio"]

SHARE_AT_LEAST = 0.99  # of the rows, that keep an equation
UNUSUAL_AT_LEAST = 0.98  # of the rows whose value is not the most frequent one
UNUSUAL_ROWS_AT_LEAST = 20
ROWS_AT_LEAST = 50
PRESENT_AT_LEAST = 0.1  # of the rows, that have a value of each column
SLACK, SLACK_AT_MOST = 0.002, 0.1  # of the spread: allowed beyond rounding, and allowed for rounding
DECIMALS = range(7)
_RELATIVE = 1e-6  # what a 32-bit float keeps


@dataclass(frozen=True)
class Column:
    """Values of one column, with the step that they are rounded to (0 if they are not)."""

    values: Floats
    step: float

    @classmethod
    def of(cls, values: Floats) -> "Column":
        """Measure the step of some values."""
        return cls(values, decimal_step(values[np.isfinite(values)]))


@dataclass(frozen=True)
class Equation:
    """How a column is made of others.

    Parameters
    ----------
    kind : str
        `linear`: the sum of coefficients times columns, and the constant; `product` and `ratio`: of two columns, times
        the first coefficient.
    terms : tuple of (float, str)
        Coefficient and column.
    share : float
        Of the rows with all values, that keep it within rounding.
    rows : int
        So many have all values.
    """

    kind: Kind
    terms: tuple[tuple[float, str], ...]
    constant: float = 0.0
    share: float = 1.0
    rows: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is made of."""
        return tuple(name for _, name in self.terms)

    @property
    def right_side(self) -> str:
        """What stands to the right of the sign of equality."""
        if self.kind == "linear":
            return _sum_text(self.terms, self.constant)
        factor = "" if abs(self.terms[0][0] - 1) < _RELATIVE else f"{self.terms[0][0]:.6g} * "
        return f"{factor}{f' {_SIGNS[self.kind]} '.join(self.columns)}"

    def values(self, columns: Mapping[str, Column]) -> tuple[Floats, Floats]:
        """Compute the right side for each row, and how far rounding may have moved it."""
        parts = [columns[name] for name in self.columns]
        if self.kind == "linear":
            weights = [coefficient for coefficient, _ in self.terms]
            made = sum((w * part.values for w, part in zip(weights, parts, strict=True)), np.float64(self.constant))
            step = sum(abs(w) * part.step for w, part in zip(weights, parts, strict=True))
            return np.asarray(made), np.full_like(parts[0].values, step)
        return combine(self.kind, self.terms[0][0], *parts)


_SIGNS: dict[Kind, str] = {"product": "*", "ratio": "/"}


def combine(kind: Kind, factor: float | Floats, one: Column, other: Column) -> tuple[Floats, Floats]:
    """Compute a product or ratio of columns, and how far rounding of the columns may have moved it."""
    first, second = one.values, other.values
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if kind == "product":
            made, moved = first * second, np.abs(second) * one.step + np.abs(first) * other.step
        else:
            made = np.where(second != 0, first / second, np.nan)
            moved = np.where(second != 0, (one.step + np.abs(made) * other.step) / np.abs(second), np.nan)
        return factor * made, np.abs(factor) * moved


def decimal_step(values: Floats) -> float:
    """Return the decimal step that nearly all values are multiples of: 1 of counts, 0.01 of cents, else 0."""
    for decimals in DECIMALS:
        scaled = values * 10.0**decimals
        is_multiple = np.abs(scaled - np.round(scaled)) <= 1e-6 * np.maximum(1, np.abs(scaled) * 1e-6)
        if len(values) and is_multiple.mean() >= SHARE_AT_LEAST:
            return 10.0**-decimals
    return 0.0


def spread_of(values: Floats) -> float:
    """Return the standard deviation without the half percent at either end; all values if nothing is left."""
    low, high = np.quantile(values, [0.005, 0.995])
    return float(np.clip(values, low, high).std() or values.std())


def tolerance(target: Column, made: Floats, moved: Floats, spread: float) -> Floats:
    """Return how far each row may lie from an equation: half a step of each rounded column, and very little more."""
    rounding = 0.51 * (target.step + moved) + _RELATIVE * (np.abs(target.values) + np.abs(made))
    return np.clip(rounding, SLACK * spread, SLACK_AT_MOST * spread)


def verify(target: Column, columns: Mapping[str, Column], equation: Equation) -> Equation | None:
    """Return the equation with its share of rows if nearly all rows keep it, those with unusual values among them."""
    made, moved = equation.values(columns)
    is_present = np.isfinite(target.values) & np.isfinite(made)
    rows = int(is_present.sum())
    if rows < max(ROWS_AT_LEAST, PRESENT_AT_LEAST * np.isfinite(target.values).sum()):
        return None
    asked = Column(target.values[is_present], target.step)
    allowed = tolerance(
        asked, made[is_present], moved[is_present], spread_of(target.values[np.isfinite(target.values)])
    )
    is_kept = np.abs(asked.values - made[is_present]) <= allowed
    is_unusual = unusual(asked.values)
    if is_kept.mean() < SHARE_AT_LEAST or is_unusual.sum() < UNUSUAL_ROWS_AT_LEAST:
        return None
    if is_kept[is_unusual].mean() < UNUSUAL_AT_LEAST:
        return None
    return Equation(equation.kind, equation.terms, equation.constant, float(is_kept.mean()), rows)


def unusual(values: Floats) -> Bools:
    """Check of each row whether its value is another than the most frequent one."""
    distinct, counts = np.unique(values, return_counts=True)
    return values != distinct[counts.argmax()] if len(distinct) else np.zeros(0, dtype=bool)


def balanced_rows(values: Floats, at_most: int, seed: int = 0) -> NDArray[np.intp]:
    """Draw rows with a value, no more of the most frequent value than of all others."""
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(np.isfinite(values))
    is_unusual = unusual(values[known])
    rest, usual = rng.permutation(known[is_unusual]), rng.permutation(known[~is_unusual])
    rest = rest[: max(at_most - len(usual), at_most // 2)]
    usual = usual[: min(at_most - len(rest), max(len(rest), 1))]
    return rng.permutation(np.concatenate([rest, usual]))


def _sum_text(terms: Sequence[tuple[float, str]], constant: float) -> str:
    ordered = sorted(terms, key=lambda term: term[0] < 0)
    parts = [_term_text(coefficient, name) for coefficient, name in ordered]
    parts += [(constant < 0, f"{abs(constant):.6g}")] if abs(constant) > _RELATIVE else []
    first, *rest = parts
    return ("-" if first[0] else "") + first[1] + "".join(f" {'-' if minus else '+'} {text}" for minus, text in rest)


def _term_text(coefficient: float, name: str) -> tuple[bool, str]:
    size = abs(coefficient)
    return coefficient < 0, name if abs(size - 1) < _RELATIVE else f"{size:.6g} * {name}"
