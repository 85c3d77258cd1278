"""A metric that the author wrote: called with copies, its result checked, its faults told instead of raised."""

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from ml_platform.validation.measure import FloatArray, OwnFunction


@dataclass(frozen=True)
class OwnWeighted:
    """An author's function as a function of weights: a row of weight 3 is there three times."""

    function: OwnFunction
    labels: FloatArray
    predictions: FloatArray

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Call the function on each resample; NaN where it cannot be computed."""
        counts = np.rint(weights).astype(np.intp)
        return np.array([self._once(np.repeat(np.arange(len(self.labels)), each))[0] for each in counts])

    def influence(self) -> FloatArray:
        """Give NaN: nothing is known of the function's derivative."""
        return np.full(len(self.labels), np.nan)

    def fault(self) -> str | None:
        """Say why the function gives no number on all rows; None if it does."""
        return self._once(np.arange(len(self.labels)))[1]

    def _once(self, rows: np.ndarray) -> tuple[float, str | None]:
        labels, predictions = self.labels[rows], self.predictions[rows]
        try:
            got = cast("object", self.function(labels, predictions))
            value = float(cast("float", got))
        except Exception as error:  # the author's function runs here, and may raise anything
            return math.nan, f"its function raised {type(error).__name__}: {error}"[:300]
        return (value, None) if math.isfinite(value) else (math.nan, f"its function gave {value}")
