"""How far one column's counts left those of the reference: the index that judges, and the distance that people know.

Pure arithmetic on two columns with the same bins. Which columns are compared, and what counts as drift, is decided in
`ml_platform.monitoring.drift`.
"""

import numpy as np

from ml_platform.contracts.errors import ShapeMismatch
from ml_platform.monitoring.profiles import CategoryColumn, NumericColumn
from ml_platform.validation.metrics import FloatArray

BINS = 10
DISTINCT_AT_MOST = 20

ProfileColumn = NumericColumn | CategoryColumn


def population_stability(reference: ProfileColumn, current: ProfileColumn) -> float:
    """Measure how far the current window's distribution left the reference window's.

    Parameters
    ----------
    reference, current : NumericColumn or CategoryColumn
        The same column in two profiles of one reference.

    Returns
    -------
    float
        Index in nats; 0 when the shares are equal or a window has no rows.

    Raises
    ------
    ShapeMismatch
        If the two have different bins.

    Notes
    -----
    Sum over bins of `(p - q) ln(p / q)`, the symmetrized Kullback-Leibler or Jeffreys divergence. Source: M. R. Haas
    and L. Sibbald, Measuring data drift with the unstable population indicator, Data Science 7(1), 2024, who also add
    the same share to each bin of both windows so that an empty bin stays finite. Ours is `0.5 / n`, with `n` the rows
    of the smaller window: half a row, the pseudocount of Jeffreys' prior (K. Strimmer, R package `entropy`,
    `freqs.Dirichlet`). A bin that is empty in both then counts for nothing, and so does a different number of rows at
    equal shares.

    Bins: numeric ones are collapsed from the fine bins at the reference's deciles; a value that alone holds a tenth of
    the rows keeps its own bin, as do all values where 20 or fewer are distinct, and values below and above the
    reference's range. Strings have the reference's 20 most frequent categories, its rarer ones, and those that it never
    saw. Null is one more bin of either kind. So one extreme row weighs as one row, wherever it lies.
    """
    expected, got = _coarse_counts(reference, current)
    rows = min(expected.sum(), got.sum())
    if not rows:
        return 0.0
    p, q = (counts / counts.sum() + 0.5 / rows for counts in (expected, got))
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((p - q) * np.log(p / q)))


def ks_statistic(reference: NumericColumn, current: NumericColumn) -> float | None:
    """Measure the largest distance between the two windows' distribution functions, nulls left out.

    Parameters
    ----------
    reference, current : NumericColumn
        The same column in two profiles of one reference.

    Returns
    -------
    float or None
        0 to 1, taken at the fine edges, so at most one fine bin's share below the exact value; None when a window has
        no values.

    Raises
    ------
    ShapeMismatch
        If the two have different bins.

    Notes
    -----
    Source: scipy, `scipy.stats.ks_2samp` (two-sided statistic), after J. L. Hodges, The significance probability of the
    Smirnov two-sample test, Arkiv foer Matematik 3, 1958.
    """
    _require_same_bins(reference, current)
    totals = [sum(reference.counts), sum(current.counts)]
    if not all(totals):
        return None
    below = [np.cumsum(column.counts) / total for column, total in zip((reference, current), totals, strict=True)]
    return float(np.abs(below[0] - below[1]).max())


def _coarse_counts(reference: ProfileColumn, current: ProfileColumn) -> tuple[FloatArray, FloatArray]:
    """Collapse both windows' counts to the coarse bins of the reference, and append their nulls."""
    _require_same_bins(reference, current)
    collapse = _collapse_numbers if reference.kind == "numeric" else _collapse_categories
    fine = np.array([reference.counts, current.counts], dtype=np.float64)
    coarse = np.column_stack([collapse(fine), [reference.nulls, current.nulls]])
    return coarse[0], coarse[1]


def _collapse_numbers(fine: FloatArray) -> FloatArray:
    """Sum the columns of `fine` (reference, current) between the starts of the coarse bins."""
    expected = fine[0]
    last = expected.size - 1
    if np.count_nonzero(expected) <= DISTINCT_AT_MOST:
        return fine
    total, heavy = expected.sum(), np.flatnonzero(expected * BINS >= expected.sum())
    deciles = np.searchsorted(np.cumsum(expected) * BINS, np.arange(1, BINS) * total)
    starts = np.unique(np.concatenate([[0, 1, last], heavy, np.minimum(deciles + 1, last)]))
    return np.add.reduceat(fine, starts, axis=1)


def _collapse_categories(fine: FloatArray) -> FloatArray:
    """Keep the reference's most frequent categories and the unseen ones, and sum its rarer ones."""
    known, unseen = fine[:, :-1], fine[:, -1:]
    by_frequency = known[:, np.argsort(-known[0], kind="stable")]
    frequent, rare = by_frequency[:, :DISTINCT_AT_MOST], by_frequency[:, DISTINCT_AT_MOST:]
    return np.column_stack([frequent, rare.sum(axis=1), unseen])


def _require_same_bins(reference: ProfileColumn, current: ProfileColumn) -> None:
    bins = [column.edges if column.kind == "numeric" else column.categories for column in (reference, current)]
    if bins[0] != bins[1]:
        raise ShapeMismatch.because(
            "bins of the current window",
            got=f"{len(current.counts)} of kind {current.kind}",
            expected=f"the {len(reference.counts)} {reference.kind} bins of the reference",
            hint="profile the window with reference.profile(frame)",
        )
