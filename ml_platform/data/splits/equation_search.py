"""The search for an equation of one column: two columns first, by every operation, then a sum of any number of them.

Seeded and bounded: a few thousand rows are looked at, each pair of columns on a hundred of them. What looks like an
equation is then verified on all rows that are given.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ml_platform.data.splits.equations import (
    SLACK,
    SLACK_AT_MOST,
    Bools,
    Column,
    Equation,
    Floats,
    Kind,
    balanced_rows,
    combine,
    spread_of,
    tolerance,
    verify,
)
from ml_platform.data.splits.robust_fit import complete_groups, eliminate, trimmed_fit

PAIR_ROWS, FIT_ROWS = 96, 2000
PAIR_SHARE = 0.85  # of the rows of a pair, for it to be verified
PAIR_ROWS_AT_LEAST = 20
LIKE_AT_LEAST = 0.9  # rank correlation, for one column alone to be verified
TERMS_AT_MOST = 12
ORDER_AT_LEAST = 0.995  # rank correlation, from which on one column rises or falls with another
DIGITS = (2, 3, 4, 6)

Columns = Mapping[str, Column]


def find_equation(target: Column, columns: Columns, features: Sequence[str]) -> Equation | None:
    """Find an equation between a column and others, at least one of which is a feature.

    Parameters
    ----------
    target : Column
        NaN where it is not known.
    columns : mapping of str to Column
        What it may be made of; a column that never varies takes no part.
    features : sequence of str
        Names of `columns` that a model sees.

    Returns
    -------
    Equation or None
        The first that holds, with as few columns as keep it.
    """
    rows = balanced_rows(target.values, FIT_ROWS)
    if not len(rows) or not spread_of(target.values[np.isfinite(target.values)]):
        return None
    varying = {name: column for name, column in columns.items() if _varies(column.values[rows])}
    for candidate in _candidates(target, varying, set(features), rows):
        if (found := _settled(target, columns, candidate)) is not None and set(found.columns) & set(features):
            return found
    return None


def ordered_with(target: Column, columns: Columns) -> dict[str, float]:
    """Return the rank correlation of each column with the target, on the rows where both are known."""
    rows = balanced_rows(target.values, FIT_ROWS)
    return {name: _rank_correlation(target.values[rows], column.values[rows]) for name, column in columns.items()}


def _varies(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return len(known) >= PAIR_ROWS_AT_LEAST and known.min() < known.max()


def _candidates(target: Column, columns: Columns, features: set[str], rows: NDArray[np.intp]) -> Iterator[Equation]:
    sample = {name: Column(column.values[rows], column.step) for name, column in columns.items()}
    wanted = Column(target.values[rows], target.step)
    for name in sorted(features & columns.keys()):
        if abs(_rank_correlation(wanted.values, sample[name].values)) >= LIKE_AT_LEAST:
            yield from _fitted(wanted, sample, [name])
    yield from _pairs(wanted, sample, features)
    for names in complete_groups({name: column.values for name, column in sample.items()}):
        yield from _fitted(wanted, sample, names)


def _fitted(target: Column, columns: Columns, names: Sequence[str]) -> Iterator[Equation]:
    """Fit a sum of columns, keep as few of them as it needs, and yield it if nearly nothing is left over."""
    spread = spread_of(target.values)
    matrix = np.column_stack([columns[name].values for name in names])
    fit = trimmed_fit(matrix, target.values, SLACK_AT_MOST * spread)
    if fit is None:
        return
    kept = eliminate(matrix[fit.rows], target.values[fit.rows], SLACK * spread / 2)
    if not 0 < len(kept) <= TERMS_AT_MOST:
        return
    again = trimmed_fit(matrix[:, kept], target.values, SLACK_AT_MOST * spread)
    if again is not None:
        terms = tuple((float(c), names[place]) for c, place in zip(again.coefficients, kept, strict=True))
        yield Equation("linear", terms, again.constant)


def _settled(target: Column, columns: Columns, candidate: Equation) -> Equation | None:
    """Verify a candidate on all rows, with the roundest numbers that keep as many rows."""
    exact = verify(target, columns, _refined(target, columns, candidate))
    if exact is None:
        return None
    for digits in DIGITS:
        rounder = verify(target, columns, _rounded(exact, digits, target.step))
        if rounder is not None and rounder.share >= exact.share - 0.001:
            return rounder
    return exact


def _refined(target: Column, columns: Columns, candidate: Equation) -> Equation:
    """Fit the numbers of a linear candidate again, on all rows that keep it."""
    if candidate.kind != "linear":
        return candidate
    for _ in range(2):
        made, moved = candidate.values(columns)
        is_present = np.isfinite(target.values) & np.isfinite(made)
        spread = spread_of(target.values[np.isfinite(target.values)])
        allowed = np.maximum(tolerance(target, made, moved, spread), 0.02 * spread)
        is_kept = is_present & (np.abs(target.values - made) <= allowed)
        if is_kept.sum() <= 2 * len(candidate.terms) + 2:
            return candidate
        sides = np.column_stack(
            [*(columns[name].values[is_kept] for name in candidate.columns), np.ones(is_kept.sum())]
        )
        numbers = np.linalg.lstsq(sides, target.values[is_kept], rcond=None)[0]
        terms = tuple((float(c), name) for c, name in zip(numbers[:-1], candidate.columns, strict=True))
        candidate = replace(candidate, terms=terms, constant=float(numbers[-1]))
    return candidate


def _rounded(equation: Equation, digits: int, step: float) -> Equation:
    """Write the numbers with so many digits; a constant within the rounding of the target goes."""
    terms = tuple((float(f"{coefficient:.{digits}g}"), name) for coefficient, name in equation.terms)
    constant = float(f"{equation.constant:.{digits}g}")
    return replace(equation, terms=terms, constant=constant if abs(constant) > step else 0.0)


def _pairs(target: Column, columns: Columns, features: set[str]) -> Iterator[Equation]:
    """Yield the sums, differences, products and ratios of two columns that most of a hundred rows keep."""
    names = list(columns)
    few = slice(0, PAIR_ROWS)
    wanted = Column(target.values[few, None], target.step)
    steps = np.array([columns[name].step for name in names])
    others = Column(np.column_stack([columns[name].values[few] for name in names]), 0.0) if names else None
    spread = spread_of(target.values)
    for place, name in enumerate(names):
        assert others is not None  # noqa: S101 - there is a name
        one = Column(others.values[:, [place]], columns[name].step)
        for kind, sign in _OPERATIONS:
            for other in _matching(wanted, one, others.values, steps, spread, kind, sign):
                is_twice = other == place or (kind != "ratio" and sign >= 0 and other < place)
                if not is_twice and {name, names[other]} & features:
                    yield _pair(target, columns, (name, names[other]), kind, sign)


_OPERATIONS: tuple[tuple[Kind, int], ...] = (("linear", 1), ("linear", -1), ("product", 0), ("ratio", 0))


def _matching(
    target: Column, one: Column, others: Floats, steps: Floats, spread: float, kind: Kind, sign: int
) -> list[int]:
    """Return the places of the columns that make the target with another one, but for a constant or a factor."""
    if kind == "linear":
        made, moved = one.values + sign * others, np.broadcast_to(one.step + steps, others.shape)
        made = made + _medians(target.values - made)
    else:
        made, moved = _combined(kind, one, others, steps)
        with np.errstate(divide="ignore", invalid="ignore"):
            is_asked = (target.values != 0) & (made != 0)
            factor = _medians(np.where(is_asked, target.values / made, np.nan))
        made, moved = factor * made, np.abs(factor) * moved
    is_present = np.isfinite(target.values) & np.isfinite(made)
    off = np.abs(target.values - made)
    is_kept = is_present & (off <= tolerance(target, np.where(is_present, made, 0), np.nan_to_num(moved), spread))
    counts = is_present.sum(axis=0)
    return np.flatnonzero((counts >= PAIR_ROWS_AT_LEAST) & (is_kept.sum(axis=0) >= PAIR_SHARE * counts)).tolist()


def _combined(kind: Kind, one: Column, others: Floats, steps: Floats) -> tuple[Floats, Floats]:
    exact, _ = combine(kind, 1.0, one, Column(others, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == "product":
            return exact, np.abs(others) * one.step + np.abs(one.values) * steps
        return exact, (one.step + np.abs(exact) * steps) / np.abs(others)


def _pair(target: Column, columns: Columns, names: tuple[str, str], kind: Kind, sign: int) -> Equation:
    if kind == "linear":
        left = target.values - columns[names[0]].values - sign * columns[names[1]].values
        return Equation(kind, ((1.0, names[0]), (float(sign), names[1])), float(np.nanmedian(left)))
    made, _ = combine(kind, 1.0, columns[names[0]], columns[names[1]])
    is_asked = np.isfinite(made) & (made != 0) & (target.values != 0)
    factor = float(np.median(target.values[is_asked] / made[is_asked]))
    return Equation(kind, ((factor, names[0]), (1.0, names[1])))


def _medians(values: Floats) -> Floats:
    """Return the lower median of each column; NaN where it has no value."""
    is_known: Bools = np.isfinite(values)
    ordered = np.sort(np.where(is_known, values, np.nan), axis=0)  # NaN comes last
    middle = np.maximum(is_known.astype(np.intp).sum(axis=0, keepdims=True) - 1, 0) // 2
    return np.take_along_axis(ordered, middle, axis=0)[0]


def _rank_correlation(one: Floats, other: Floats) -> float:
    is_present = np.isfinite(one) & np.isfinite(other)
    if is_present.sum() < PAIR_ROWS_AT_LEAST:
        return 0.0
    first, second = (_ranks(values[is_present]) for values in (one, other))
    if first.min() == first.max() or second.min() == second.max():
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Floats) -> Floats:
    """Return the rank of each value, the mean rank of equal ones."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.take(ends - (counts - 1) / 2, place)
