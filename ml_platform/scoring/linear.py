"""A linear model as a scorer: numbers in `model.json`, and numpy alone to apply them.

Each column of the encoded matrix adds to the scores by itself: a number by its scaled distance from the training mean,
a category by a row of its table.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_platform.scoring.scorer import FloatArray, Scorer

_LINKS = {"identity", "logit", "softmax"}


def load_linear(description: Mapping[str, Any]) -> Scorer:
    """Load a linear model; the scorer may be shared between threads.

    Parameters
    ----------
    description : mapping
        `link`, `intercepts` (one for each score) and for each column of the matrix in `columns` either
        `{mean, scale, coefficients, missing}` or `{categories}`: its row of coefficients for each code, and last the
        one for a value that is missing or unseen. `missing` is what a missing number adds.
    """
    link, columns = description["link"], description["columns"]
    if link not in _LINKS:
        raise ValueError(f"link {link}")
    intercepts = np.asarray(description["intercepts"], dtype=np.float64)
    places = [place for place, column in enumerate(columns) if "categories" not in column]
    numbers = [columns[place] for place in places]
    means = np.array([column["mean"] for column in numbers])
    scales = np.array([column["scale"] for column in numbers])
    coefficients = _table([column["coefficients"] for column in numbers], len(intercepts))
    missing = _table([column["missing"] for column in numbers], len(intercepts))
    tables = [
        (place, np.asarray(column["categories"], dtype=np.float64))
        for place, column in enumerate(columns)
        if "categories" in column
    ]

    def score(matrix: FloatArray) -> FloatArray:
        values = matrix[:, places]
        is_missing = np.isnan(values)
        scores = intercepts + np.where(is_missing, 0.0, (values - means) / scales) @ coefficients
        if is_missing.any():
            scores += is_missing @ missing
        for place, table in tables:
            scores += table[_rows_of(matrix[:, place], len(table) - 1)]
        return _linked(scores, link)

    return score


def _table(rows: list[list[float]], width: int) -> NDArray[np.float64]:
    return np.asarray(rows, dtype=np.float64).reshape(len(rows), width)


def _rows_of(codes: FloatArray, unknown: int) -> NDArray[np.intp]:
    return np.where(np.isnan(codes), unknown, codes).astype(np.intp)


def _linked(scores: FloatArray, link: str) -> FloatArray:
    if link == "softmax":
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    flat = scores[:, 0]
    return flat if link == "identity" else np.exp(-np.logaddexp(0.0, -flat))
