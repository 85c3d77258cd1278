"""Bins of predictions: what was predicted beside what happened."""

import numpy as np
from numpy.typing import NDArray

from ml_platform.validation.measure import FloatArray

CALIBRATION_BINS = 10


def calibration_curve(
    labels: FloatArray, predictions: FloatArray, bins: int = CALIBRATION_BINS
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compare, bin by bin, what was predicted with what happened.

    Parameters
    ----------
    labels, predictions : (n_rows,) array
        Of a binary task or a regression, as in `ml_platform.validation.metrics.score`; at least one row.
    bins : int
        Bins are cut at the quantiles of the predictions; equal predictions share a bin, so there may be fewer.

    Returns
    -------
    rows, predicted, happened : (n_bins,) arrays
        Rows in the bin, their mean prediction and their mean label (of a binary task the share of label 1), from the
        lowest prediction up.
    """
    place = calibration_bins(predictions, bins)
    rows = np.bincount(place).astype(np.float64)
    filled = rows > 0
    predicted, happened = (
        np.bincount(place, weights=values)[filled] / rows[filled] for values in (predictions, labels)
    )
    return rows[filled], predicted, happened


def calibration_bins(predictions: FloatArray, bins: int = CALIBRATION_BINS) -> NDArray[np.intp]:
    """Give the bin of each prediction, counted from the lowest; a bin may be empty."""
    edges = np.unique(np.quantile(predictions, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, predictions, side="left")
