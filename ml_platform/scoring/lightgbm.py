"""LightGBM's native text as a scorer."""

import lightgbm as lgb
import numpy as np

from ml_platform.scoring.processors import threads_here
from ml_platform.scoring.scorer import FloatArray, Scorer

# A small batch is done before a second thread has started, and a server has other requests for its cores.
_ROWS_FOR_ONE_THREAD = 10_000


def load_lightgbm(text: str) -> Scorer:
    """Load a booster; the scorer may be shared between threads."""
    booster = lgb.Booster(model_str=text)

    def score(matrix: FloatArray) -> FloatArray:
        threads = 1 if len(matrix) <= _ROWS_FOR_ONE_THREAD else threads_here()
        return np.asarray(booster.predict(matrix, num_threads=threads), dtype=np.float64)

    return score
