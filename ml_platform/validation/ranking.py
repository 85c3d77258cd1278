"""The metrics that rank rows, as functions of weights: the area under the ROC curve and the average precision."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_platform.validation.measure import FloatArray
from ml_platform.validation.weighted import Sums, ratio


def weighted_auc(labels: FloatArray, predictions: FloatArray) -> Sums:
    """Give the chance that a row with label 1 is ranked above one with label 0; a tie counts one half.

    Linear in each row's weight about its value for equal weights.

    Notes
    -----
    Source: J. A. Hanley and B. J. McNeil, The meaning and use of the area under a ROC curve, Radiology 143, 1982: the
    area is the Mann-Whitney statistic divided by the number of pairs. E. R. DeLong et al., Comparing the Areas under
    Two or More Correlated ROC Curves, Biometrics 44, 1988: it is the mean of the placements of either class, which
    carry its variance up to terms of order 1/n.
    """
    place = placements(labels, predictions)
    columns = np.column_stack([place * labels, labels, place * (1 - labels), 1 - labels])
    center = float(ratio(columns[:, :1].sum(axis=0), columns[:, 1:2].sum(axis=0))[0])
    return Sums(
        columns, lambda sums: ratio(sums[:, 0], sums[:, 1]) + ratio(sums[:, 2], sums[:, 3]) - center
    )  # fmt: skip


def placements(labels: FloatArray, predictions: FloatArray) -> FloatArray:
    """Give, for each row, the share of the other class that it is ranked rightly against; a tie counts one half."""
    values, place = np.unique(predictions, return_inverse=True)
    positives = np.bincount(place, weights=labels, minlength=len(values))
    negatives = np.bincount(place, weights=1 - labels, minlength=len(values))
    below = np.cumsum(negatives) - negatives / 2
    above = positives.sum() - np.cumsum(positives) + positives / 2
    return np.where(labels == 1, ratio(below, negatives.sum())[place], ratio(above, positives.sum())[place])


@dataclass(frozen=True)
class AveragePrecision:
    """The mean of the precisions at each threshold, weighted by the gain in recall.

    Parameters
    ----------
    order : (n_rows,) array of int
        The rows by their prediction, highest first.
    ends : (n_distinct,) array of int
        Where in this order the last row of each distinct prediction stands.
    positive : (n_rows,) array
        The labels in this order.

    Notes
    -----
    Source: scikit-learn, `sklearn.metrics.average_precision_score`: sum of (R_n - R_(n-1)) P_n, not interpolated.
    """

    order: NDArray[np.intp]
    ends: NDArray[np.intp]
    positive: FloatArray

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Give the metric for each row of weights."""
        ranked = weights[:, self.order]
        rows = np.cumsum(ranked, axis=1)[:, self.ends]
        hits = np.cumsum(ranked * self.positive, axis=1)[:, self.ends]
        if not self.ends.size:
            return np.full(len(weights), np.nan)
        gains = np.diff(hits, axis=1, prepend=0.0)
        found = ratio((gains * ratio(hits, rows, empty=0.0)).sum(axis=1), hits[:, -1])
        return np.where(hits[:, -1] < rows[:, -1], found, np.nan)

    def influence(self) -> FloatArray:
        """Give how fast the metric changes with each row's weight, at equal weights; NaN with one class."""
        if not 0 < self.positive.sum() < len(self.positive):
            return np.full(len(self.positive), np.nan)
        rows, hits = (self.ends + 1).astype(np.float64), np.cumsum(self.positive)[self.ends]
        gains = np.diff(hits, prepend=0.0)
        precision, total = hits / rows, float(self.positive.sum())
        value = float(gains @ precision) / total
        # A row counts in the precision at its own prediction and at each lower one.
        joined, shared = (np.cumsum(each[::-1])[::-1] for each in (gains / rows, gains * hits / np.square(rows)))
        place = np.searchsorted(self.ends, np.arange(len(self.order)))
        influence = np.empty(len(self.order))
        influence[self.order] = (self.positive * (precision - value + joined)[place] - shared[place]) / total
        return influence


def weighted_average_precision(labels: FloatArray, predictions: FloatArray) -> AveragePrecision:
    """Give the average precision as a function of weights."""
    order = np.argsort(-predictions, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(predictions[order]) != 0, True)) if len(order) else np.empty(0, np.intp)
    return AveragePrecision(order, ends, labels[order])
