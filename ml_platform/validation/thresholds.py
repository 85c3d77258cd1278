"""At which probability a binary model says yes: chosen on the validation part, never on the holdout."""

import numpy as np

from ml_platform.contracts.errors import ContractError
from ml_platform.contracts.spec import Decide
from ml_platform.validation.measure import THRESHOLD, FloatArray
from ml_platform.validation.weighted import ratio


def choose_threshold(labels: FloatArray, predictions: FloatArray, decide: Decide) -> float:
    """Choose the threshold as a spec says: the fixed one, or the best for these rows; 0.5 where it says nothing.

    Parameters
    ----------
    labels, predictions : (n_rows,) array
        Of the validation part: 0 or 1, and the probabilities of 1.
    decide : Decide
        With `best: f1` the largest F1 counts, with `costs` the least mean cost.

    Returns
    -------
    float
        Halfway between two predictions, no row stands on it unless all have 0; above all if no is always the
        best answer. Of equally good ones the highest.

    Raises
    ------
    ContractError
        If a prediction is not finite.
    """
    if decide.threshold is not None:
        return decide.threshold
    if not decide.decides or not len(labels):
        return THRESHOLD
    if not np.isfinite(predictions).all():
        raise ContractError.because(
            "predictions of the validation part", got="numbers that are not finite", expected="probabilities",
            hint="see what the model was fitted on",
        )  # fmt: skip
    values, place = np.unique(predictions, return_inverse=True)
    # At cut k the k highest distinct predictions say yes.
    said = np.append(0.0, np.cumsum(np.bincount(place)[::-1]))
    right = np.append(0.0, np.cumsum(np.bincount(place, weights=labels)[::-1]))
    cut = int(np.argmin(_badness(said, right, float(labels.sum()), len(labels), decide)))
    return _between(values[::-1], cut)


def _badness(said: FloatArray, right: FloatArray, positives: float, rows: int, decide: Decide) -> FloatArray:
    if decide.best == "f1" or decide.costs is None:
        return -ratio(2 * right, said + positives, empty=0.0)
    costs = decide.costs
    wrong, missed = said - right, positives - right
    rejected = rows - said - missed
    total = costs.true_positive * right + costs.false_positive * wrong
    return np.round((total + costs.false_negative * missed + costs.true_negative * rejected) / rows, 12)


def _between(falling: FloatArray, cut: int) -> float:
    """Give a number that exactly the first `cut` of the falling values reach."""
    if cut == len(falling):
        return float(falling[-1]) / 2
    if cut == 0:
        return float(np.nextafter(1.0, 2.0)) if falling[0] >= 1 else (1 + float(falling[0])) / 2
    above, below = float(falling[cut - 1]), float(falling[cut])
    middle = (above + below) / 2
    return middle if below < middle <= above else above
