"""Calibration: how the probabilities of a binary model are mapped to what happened on the validation part.

The validation part has chosen the number of rounds already, so it flatters a little; what a calibrated model loses is
therefore measured on rows that its calibration was not fitted on.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ml_platform.scoring.calibration import calibrate, log_odds
from ml_platform.training.losses import loss_of

FloatArray = NDArray[np.float64]
FOLDS = 5


@dataclass(frozen=True)
class Calibrated:
    """A calibration as `model.json` holds it, the loss with it, and a sentence about both."""

    calibration: dict[str, Any]
    loss: float
    note: str


def calibrated(
    kind: Literal["isotonic", "platt"], labels: FloatArray, predictions: FloatArray, loss_before: float
) -> Calibrated:
    """Fit a calibration, and measure it.

    Parameters
    ----------
    labels, predictions : (n_validation,) arrays
        0 or 1, and finite probabilities.
    loss_before : float
        The log loss of the predictions.

    Returns
    -------
    Calibrated
        Its loss is the log loss of all rows, each mapped by a calibration fitted on the other four fifths.
    """
    fold = np.arange(len(labels)) % FOLDS
    mapped = np.empty(len(labels))
    for each in range(min(FOLDS, len(labels))):
        fitted = fit_calibration(kind, labels[fold != each], predictions[fold != each])
        mapped[fold == each] = calibrate(predictions[fold == each], fitted)
    loss = loss_of(labels, mapped, "binary")
    note = (
        f"Calibrated ({kind}) on the {len(labels)} validation rows, which also chose when to stop: log loss {loss:.4f} "
        f"on rows that a calibration did not see, {loss_before:.4f} without one."
    )
    return Calibrated(fit_calibration(kind, labels, predictions), loss, note)


def fit_calibration(kind: Literal["isotonic", "platt"], labels: FloatArray, predictions: FloatArray) -> dict[str, Any]:
    """Give a calibration, as `ml_platform.scoring.calibration.calibrate` takes it.

    Notes
    -----
    Both keep off 0 and 1 by Platt's targets, (positives + 1) / (positives + 2) and 1 / (negatives + 2). Source:
    scikit-learn, `sklearn.calibration._sigmoid_calibration`, after J. Platt, Probabilistic Outputs for Support Vector
    Machines, 1999; `sklearn.isotonic.IsotonicRegression`.
    """
    positives = float(labels.sum())
    low, high = 1 / (len(labels) - positives + 2), (positives + 1) / (positives + 2)
    return (_isotonic if kind == "isotonic" else _platt)(labels, predictions, low, high)


def _isotonic(labels: FloatArray, predictions: FloatArray, low: float, high: float) -> dict[str, Any]:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip").fit(predictions, labels)
    return {"kind": "isotonic", "x": fitted.X_thresholds_.tolist(), "y": fitted.y_thresholds_.tolist()}


def _platt(labels: FloatArray, predictions: FloatArray, low: float, high: float) -> dict[str, Any]:
    from scipy.optimize import minimize

    odds, targets = log_odds(predictions), np.where(labels == 1, high, low)

    def loss(asked: FloatArray) -> tuple[float, FloatArray]:
        scores = asked[0] * odds + asked[1]
        missed = 1 / (1 + np.exp(-np.clip(scores, -500, 500))) - targets
        value = float((np.logaddexp(0, scores) - targets * scores).mean())
        return value, np.array([(missed * odds).mean(), missed.mean()])

    # A slope below zero would turn the order of the predictions round.
    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    return {"kind": "platt", "slope": float(found.x[0]), "intercept": float(found.x[1])}
