"""Least squares on the rows that agree: a sum of columns found though a few rows break it, and the columns it needs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

STARTS, STEPS = 10, 3
KEPT_SHARE = 0.9  # of the rows, that a fit is drawn to
AGREE_AT_LEAST = 0.97  # of the rows, for a fit to be taken
MISSING_AT_MOST = (0.02, 0.2, 0.5)  # of a column's rows, for it to enter a group
ROWS_PER_COLUMN, ROWS_MORE = 3, 30
_RIDGE = 1e-10


@dataclass(frozen=True)
class TrimmedFit:
    """Coefficients and constant, and the places of the rows that agree with them."""

    coefficients: Floats
    constant: float
    rows: Places


def complete_groups(columns: Mapping[str, Floats]) -> Iterator[list[str]]:
    """Yield groups of columns with many rows in which none is missing; larger groups have fewer such rows."""
    missing = {name: float((~np.isfinite(values)).mean()) for name, values in columns.items()}
    seen = 0
    for limit in MISSING_AT_MOST:
        names = [name for name in columns if missing[name] <= limit]
        if len(names) > seen:
            seen = len(names)
            yield names


def trimmed_fit(matrix: Floats, target: Floats, off_at_most: float) -> TrimmedFit | None:
    """Fit a sum of columns that nearly all rows agree with; None if there is none.

    Parameters
    ----------
    matrix : (n_rows, n_columns) array
        Rows with a NaN take no part; with few rows for the columns, only those most like the target are fitted.
    target : (n_rows,) array
    off_at_most : float
        How far a row that agrees may lie from the sum.

    Notes
    -----
    Source: Rousseeuw and Van Driessen, Computing LTS Regression for Large Data Sets (2006): random starts, each drawn
    to the rows with the smallest residuals by a few concentration steps.
    """
    complete = np.flatnonzero(np.isfinite(matrix).all(axis=1) & np.isfinite(target))
    if len(complete) < ROWS_PER_COLUMN + ROWS_MORE:
        return None
    sides, wanted = matrix[complete], target[complete]
    middle, scale = sides.mean(axis=0), sides.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    design = np.column_stack([(sides - middle) / scale, np.ones(len(sides))])
    used = _most_alike(design, wanted)
    rng = np.random.default_rng(0)
    for start in range(STARTS):
        size = len(wanted) if not start else min(len(wanted), 2 * len(used) + 8)
        weights = _concentrated(design[:, used], wanted, rng.permutation(len(wanted))[:size])
        off = np.abs(wanted - design[:, used] @ weights)
        if np.quantile(off, AGREE_AT_LEAST) <= off_at_most:
            all_weights = np.zeros(design.shape[1])
            all_weights[used] = weights
            coefficients = all_weights[:-1] / scale
            rows = complete[off <= off_at_most]
            return TrimmedFit(coefficients, float(all_weights[-1] - coefficients @ middle), rows)
    return None


def eliminate(matrix: Floats, target: Floats, off: float) -> list[int]:
    """Return the places of the columns that a sum needs, taking away what adds the least until something is missed.

    Parameters
    ----------
    off : float
        Root mean squared error that does not count.
    """
    complete = np.isfinite(matrix).all(axis=1)
    sides, wanted = matrix[complete], target[complete] - target[complete].mean()
    sides = sides - sides.mean(axis=0)
    scale = sides.std(axis=0)
    kept = [int(place) for place in np.flatnonzero(scale > 0)]
    sides = sides / np.where(scale > 0, scale, 1.0)
    gram, cross, total = sides.T @ sides, sides.T @ wanted, float(wanted @ wanted)
    limit: float | None = None
    while kept:
        inverse = np.linalg.inv(gram[np.ix_(kept, kept)] + _RIDGE * len(sides) * np.eye(len(kept)))
        weights = inverse @ cross[kept]
        error = max(total - float(weights @ cross[kept]), 0.0)
        limit = 4 * error + len(sides) * off**2 if limit is None else limit
        added = weights**2 / np.diag(inverse)
        if error + added.min() > limit:
            break
        kept.pop(int(added.argmin()))
    return kept


def _most_alike(design: Floats, target: Floats) -> list[int]:
    """Return the places of as many columns as the rows can tell apart, and of the constant."""
    room = max(1, (len(target) - ROWS_MORE) // ROWS_PER_COLUMN)
    alike = np.abs(design[:, :-1].T @ (target - target.mean()))
    return [*sorted(np.argsort(-alike, kind="stable")[:room].tolist()), design.shape[1] - 1]


def _concentrated(design: Floats, target: Floats, rows: Places) -> Floats:
    weights: Floats = np.zeros(design.shape[1])
    for _ in range(STEPS + 1):
        part = design[rows]
        gram = part.T @ part + _RIDGE * len(rows) * np.eye(part.shape[1])
        weights = np.asarray(np.linalg.solve(gram, part.T @ target[rows]), dtype=np.float64)
        off = np.abs(target - design @ weights)
        rows = np.argpartition(off, int(KEPT_SHARE * len(off)) - 1)[: int(KEPT_SHARE * len(off))]
    return weights
