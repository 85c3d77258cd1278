"""XGBoost's native JSON as a scorer."""

import numpy as np

from ml_platform.contracts.errors import RegistryError
from ml_platform.scoring.scorer import FloatArray, Scorer

# A small batch is done before a second thread has started, and a server has other requests for its cores.
_ROWS_FOR_ONE_THREAD = 10_000


def load_xgboost(content: bytes) -> Scorer:
    """Load a booster; the scorer may be shared between threads.

    Raises
    ------
    RegistryError
        If XGBoost is not installed.
    """
    try:
        import xgboost as xgb
    except ModuleNotFoundError as error:
        raise RegistryError.because(
            "model of kind xgboost", got="no package xgboost", expected="it installed",
            hint="pip install 'ml-platform[xgboost]'",
        ) from error  # fmt: skip

    def load(threads: int) -> xgb.Booster:
        booster = xgb.Booster({"nthread": threads})
        booster.load_model(bytearray(content))
        return booster

    alone, together = load(1), load(0)

    def score(matrix: FloatArray) -> FloatArray:
        booster = alone if len(matrix) <= _ROWS_FOR_ONE_THREAD else together
        return np.asarray(booster.inplace_predict(matrix), dtype=np.float64)

    return score
