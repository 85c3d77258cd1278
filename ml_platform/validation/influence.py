"""Intervals of metrics that cost next to nothing: from the influence of each row instead of resamples."""

import math
from collections.abc import Mapping

import numpy as np

from ml_platform.contracts.evaluations import Bounds
from ml_platform.validation.bootstrap import CONFIDENCE
from ml_platform.validation.quantiles import t_quantile
from ml_platform.validation.weighted import Weighted

# Metrics that may be less than nothing.
_SIGNED = frozenset({"cost"})
_SHARES = frozenset({"roc_auc", "average_precision", "calibration_error", "f1", "accuracy"})


def influence_intervals(
    metrics: Mapping[str, tuple[float, Weighted]], confidence: float = CONFIDENCE
) -> dict[str, Bounds]:
    """Give the two-sided interval of each metric; one whose error is not defined is left out.

    Parameters
    ----------
    metrics : mapping of str to pair
        The value, and the metric as a function of weights.
    confidence : float
        Of the interval, between 0 and 1.

    Notes
    -----
    Source: B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982 (the infinitesimal jackknife):
    the variance is the sum of the squared influences, here times n / (n - 1). The width is that of a t
    interval with n - 1 degrees of freedom, cut off where the metric ends.
    """
    found = {name: _interval(name, value, each.influence(), confidence) for name, (value, each) in metrics.items()}
    return {name: bounds for name, bounds in found.items() if bounds is not None}


def _interval(name: str, value: float, influence: np.ndarray, confidence: float) -> Bounds | None:
    rows = len(influence)
    if rows < 2:
        return None
    error = math.sqrt(float(np.square(influence).sum()) * rows / (rows - 1))
    half = t_quantile((1 + confidence) / 2, rows - 1) * error
    return clipped(name, value, half) if math.isfinite(half) else None


def clipped(name: str, value: float, half: float) -> Bounds:
    """Return the interval around a value, cut off where the metric ends."""
    least, most = -math.inf if name in _SIGNED else 0.0, 1.0 if name in _SHARES else math.inf
    return Bounds(low=max(value - half, least), high=min(value + half, most))
