"""XGBoost's native JSON as a scorer."""

from collections.abc import Sequence

import numpy as np

from ml_platform.contracts.errors import RegistryError
from ml_platform.scoring.processors import threads_here
from ml_platform.scoring.scorer import FloatArray, Scorer

# A small batch is done before a second thread has started, and a server has other requests for its cores.
_ROWS_FOR_ONE_THREAD = 10_000


def load_xgboost(content: bytes, stand_ins: Sequence[float | None] = ()) -> Scorer:
    """Load a booster; the scorer may be shared between threads.

    Parameters
    ----------
    stand_ins : sequence of float or None
        For each column the code that stands in for NaN, see `fill_unseen`.

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

    alone, together = load(1), load(threads_here())

    def score(matrix: FloatArray) -> FloatArray:
        booster = alone if len(matrix) <= _ROWS_FOR_ONE_THREAD else together
        return np.asarray(booster.inplace_predict(fill_unseen(matrix, stand_ins)), dtype=np.float64)

    return score


def fill_unseen(matrix: FloatArray, stand_ins: Sequence[float | None]) -> FloatArray:
    """Return the matrix with NaN replaced where the column has a stand-in.

    XGBoost sends a value that it cannot find always to the same side of a split, which adds up to an answer beyond that
    of any word it knows. A column of words that was never missing in training therefore has a word that stands in.
    """
    codes = np.array([np.nan if code is None else code for code in stand_ins], dtype=np.float64)
    return matrix if np.isnan(codes).all() else np.where(np.isnan(matrix), codes, matrix)
