"""How well one feature alone tells the label: fitted on train, asked on the parts after it.

A feature is cut into its values, or for numbers into quantiles of train; null is a value of its own. Its strength is
that of the mean label of each value as a score, so a band in the middle tells as much as a threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.metrics import Task
from ml_platform.data.splits.parts import LABEL, PART

BINS = 200
CLASSES_AT_MOST = 10  # of several, that are looked at
CLASS_AT_LEAST = 30  # rows of each class, without which nothing is said of a feature
PRESENT_AT_LEAST = 0.1  # of the rows, for a feature to be judged where it is not null
PURE_ROWS_AT_LEAST = 50

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class PureValue:
    """A value of a feature with which only the rarer class comes, and its share of that class."""

    feature: str
    value: str
    rows: int
    class_share: float


def strengths(rows: pl.DataFrame, columns: Sequence[str], task: Task) -> dict[str, float | None]:
    """Measure each feature by itself: area under the curve for classes, rank correlation for numbers.

    Of several classes each is held against the others, the most frequent ones, and the strongest counts.

    Parameters
    ----------
    rows : (n_rows, ...)
        A training set: the columns, `label` and `part`.

    Returns
    -------
    dict of str to float or None
        The strength over all rows or over those where the feature is not null, whichever is larger; None where there
        are too few rows to tell.
    """
    is_train = (rows[PART] == "train").to_numpy()
    labels = _targets(rows[LABEL], task)
    found: dict[str, float | None] = {}
    for name in columns:
        codes, null = _codes(rows[name], is_train)
        is_present = codes != null
        asked = [np.ones_like(is_train)] + [is_present] * bool(PRESENT_AT_LEAST <= is_present.mean() < 1)
        told = [_strength(codes[some], is_train[some], label[some], task) for some in asked for label in labels]
        found[name] = max((each for each in told if each is not None), default=None)
    return found


def order(scores: Floats, label: Floats, task: Task) -> float | None:
    """Measure how well scores order labels, as `strengths` measures a feature; None where that is not defined.

    Parameters
    ----------
    label : (n_rows,) array
        Numbers, or for classes whether it is the one that the scores are of.
    """
    if task == "regression":
        return _rank_correlation(scores, label)
    ranks, place = np.unique(scores, return_inverse=True)
    return _area(place, label, len(ranks)) if 0 < label.sum() < len(label) else None


def _targets(label: pl.Series, task: Task) -> list[Floats]:
    """Give the label as numbers, or for each of several classes whether it is that."""
    if task != "multiclass":
        return [label.cast(pl.Float64).to_numpy()]
    frequent = label.value_counts().sort("count", label.name, descending=[True, False])[label.name][:CLASSES_AT_MOST]
    return [(label == each).cast(pl.Float64).to_numpy() for each in frequent]


def pure_values(rows: pl.DataFrame, columns: Sequence[str], share_at_least: float) -> list[PureValue]:
    """Find categories, nulls and the absence of nulls with which only the rarer class comes, often enough to matter.

    Parameters
    ----------
    share_at_least : float
        Of the rows of the rarer class, for a value to be named.
    """
    label = pl.col(LABEL).cast(pl.Boolean)
    positives = int(rows.select(label.sum()).item())
    is_rare = label if 2 * positives <= len(rows) else ~label
    total = min(positives, len(rows) - positives)
    wanted = max(PURE_ROWS_AT_LEAST, share_at_least * total)
    found: list[PureValue] = []
    for name in columns:
        for value in _named_values(rows[name]):
            counts = rows.select(value, is_rare.alias("is_rare")).group_by(name).agg(pl.len(), pl.col("is_rare").sum())
            is_pure = (pl.col("len") == pl.col("is_rare")) & (pl.col("len") >= wanted) & pl.col(name).is_not_null()
            pure = counts.filter(is_pure).sort(name)
            found += [PureValue(name, str(each), count, count / total) for each, count, _ in pure.iter_rows()]
    return found


def _named_values(feature: pl.Series) -> list[pl.Series]:
    """Give the feature itself where it names things, and whether it is null where that differs between rows."""
    named = [feature] if feature.dtype in (pl.String, pl.Boolean) else []
    is_null = feature.is_null()
    if is_null.any() and not is_null.all():
        words = pl.DataFrame({"is_null": is_null}).select(
            pl.when("is_null").then(pl.lit("null")).otherwise(pl.lit("not null")).alias(feature.name)
        )
        named.append(words.to_series())
    return named


def _codes(feature: pl.Series, is_train: Bools) -> tuple[Codes, int]:
    """Give each value of a feature a number, and say which number is null."""
    if feature.dtype == pl.String:
        values = feature.drop_nulls().unique()
        codes = feature.replace_strict(values, range(len(values)), default=len(values), return_dtype=pl.Int64)
        return codes.to_numpy(), len(values)
    numbers = feature.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    known = np.sort(numbers[is_train & ~np.isnan(numbers)])
    edges = np.unique(known[np.linspace(0, len(known) - 1, BINS + 1).astype(int)]) if len(known) else known
    codes = np.searchsorted(edges, numbers, side="right")
    return np.where(np.isnan(numbers), len(edges) + 1, codes), len(edges) + 1


def _strength(codes: Codes, is_train: Bools, label: Floats, task: Task) -> float | None:
    asked = label[~is_train]
    size = int(codes.max(initial=0)) + 1
    counts = np.bincount(codes[is_train], minlength=size)
    if task != "regression":
        positives = asked.sum()
        if min(positives, len(asked) - positives) < CLASS_AT_LEAST or not is_train.any():
            return None
    elif len(asked) < CLASS_AT_LEAST or not is_train.any():
        return None
    sums = np.bincount(codes[is_train], weights=label[is_train], minlength=size)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), label[is_train].mean())
    ranks, place = np.unique(means, return_inverse=True)
    scores = place[codes[~is_train]]
    return _area(scores, asked, len(ranks)) if task != "regression" else _rank_correlation(scores, asked)


def _area(scores: Codes, label: Floats, size: int) -> float:
    """Give the share of pairs of a positive and a negative that the scores order rightly, ties counting half."""
    positives = np.bincount(scores, weights=label, minlength=size)
    negatives = np.bincount(scores, minlength=size) - positives
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / (positives.sum() * negatives.sum()))


def _rank_correlation(scores: Codes | Floats, label: Floats) -> float | None:
    ranks = [pl.Series(values).rank("average").to_numpy() for values in (scores, label)]
    if any(rank.min() == rank.max() for rank in ranks):
        return None
    return float(np.corrcoef(np.stack(ranks))[0, 1])
