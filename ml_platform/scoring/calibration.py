"""A fitted calibration, as it stands in `model.json`, applied to the probabilities of a binary model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.errors import RegistryError

FloatArray = NDArray[np.float64]


def calibrate(probabilities: FloatArray, calibration: Mapping[str, Any]) -> FloatArray:
    """Map each probability to what happened where it was predicted.

    Parameters
    ----------
    probabilities : (n_rows,) array
        Of the model itself.
    calibration : mapping
        `isotonic` with the points `x` and `y` of a line that never falls, or `platt` with `slope` and `intercept`
        over the logarithm of the odds.

    Raises
    ------
    RegistryError
        If it is of a kind that this version of the platform does not know.
    """
    match calibration["kind"]:
        case "isotonic":
            return np.interp(probabilities, calibration["x"], calibration["y"])
        case "platt":
            scores = calibration["slope"] * log_odds(probabilities) + calibration["intercept"]
            return np.exp(-np.logaddexp(0.0, -scores))
        case kind:
            raise RegistryError.because(
                "calibration", got=f"kind {kind}", expected="isotonic or platt",
                hint="serve it with the version of ml_platform that wrote it",
            )  # fmt: skip


def log_odds(probabilities: FloatArray) -> FloatArray:
    """Give the logarithm of the odds; probabilities are clipped by the machine epsilon."""
    epsilon = np.finfo(np.float64).eps
    clipped = np.clip(probabilities, epsilon, 1 - epsilon)
    return np.log(clipped) - np.log1p(-clipped)
