"""Decisions as served beside those taken offline: yes or no, or the likeliest of several classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_platform.serving.predictor import Predictor
from ml_platform.validation.served import DIFFERENCE_AT_MOST


def other_decisions(
    answers: Sequence[Mapping[str, Any]], predictor: Predictor, offline: NDArray[np.float64]
) -> int | None:
    """Count the rows that are decided otherwise than offline.

    A row may fall either way if it is no further from its limit than a served value may be from the offline one.

    Parameters
    ----------
    answers : sequence of mapping
        The bodies of plain answers, which together are about all rows.
    offline : (n_rows,) array, or (n_rows, n_classes) of a multiclass model
        What was predicted of the rows.

    Returns
    -------
    int or None
        All rows if decisions are missing, or made at another threshold; None of a model that decides nothing.
    """
    name = "predictions" if predictor.classes else "decisions"
    served = [each for answer in answers for each in answer.get(name, [])]
    if predictor.threshold is None and not predictor.classes:
        return len(served) or None
    expected = predictor.classes_of(offline) if predictor.classes else predictor.decisions_of(offline)
    if len(served) != len(expected) or any(answer.get("threshold") != predictor.threshold for answer in answers):
        return len(expected)
    is_other = np.array([said != meant for said, meant in zip(served, expected, strict=True)])
    return int((is_other & _is_clear(predictor, offline)).sum())


def _is_clear(predictor: Predictor, offline: NDArray[np.float64]) -> NDArray[np.bool_]:
    if predictor.threshold is not None:
        return np.abs(offline - predictor.threshold) > DIFFERENCE_AT_MOST
    second, first = np.sort(offline, axis=1)[:, -2:].T
    return first - second > 2 * DIFFERENCE_AT_MOST  # either may be off
