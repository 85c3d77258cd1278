"""Several models that answer as one: a weighted mean of their predictions, or a linear model on them.

The members take one matrix and stand with their files in a folder each, `member_<name>/`. What a stack does is told
here once, for whoever fits it and for whoever serves it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ml_platform.contracts.metrics import Task
from ml_platform.scoring.scorer import FloatArray, Read, Scorer, scorer_of

KIND = "ensemble"
_SURE = 1e-9  # a member that is surer than this counts as this sure: the logarithm of 0 would drown all others


def member_file(member: str, name: str) -> str:
    """Name the place of a member's file among those of the ensemble."""
    return f"member_{member}/{name}"


def load_members(description: Mapping[str, Any], read: Read) -> dict[str, Scorer]:
    """Load every member of an ensemble, by name.

    Parameters
    ----------
    description : mapping
        Of kind `ensemble`: `members` maps a name to the description of a model.
    read : function
        Gives the content of a file by its name.
    """

    def reading(member: str) -> Read:
        return lambda name: read(member_file(member, name))

    return {name: scorer_of(each, reading(name)) for name, each in description["members"].items()}


def load_ensemble(description: Mapping[str, Any], read: Read) -> Scorer:
    """Load an ensemble; a member that does not count is not loaded."""
    coefficients = {name: value for name, value in description["coefficients"].items() if value != 0.0}
    counting = {**description, "members": {name: description["members"][name] for name in coefficients}}
    scorers = load_members(counting, read)

    def score(matrix: FloatArray) -> FloatArray:
        return join({name: scorer(matrix) for name, scorer in scorers.items()}, description)

    return score


def join(predictions: Mapping[str, FloatArray], description: Mapping[str, Any]) -> FloatArray:
    """Give the ensemble's predictions from its members'.

    Parameters
    ----------
    predictions : mapping of str to (n_rows,) or (n_rows, n_classes) array
        Of each member whose coefficient is not 0.
    description : mapping
        With `how`, `task`, `coefficients` and, of a stack, `intercept`: a number, or one for each class.
    """
    coefficients: Mapping[str, float] = description["coefficients"]
    if description["how"] != "stacked":
        return _sum({name: coefficients[name] * each for name, each in predictions.items()})
    link, inverse = LINKS[description["task"]]
    added = _sum({name: coefficients[name] * link(each) for name, each in predictions.items()})
    return inverse(added + np.asarray(description["intercept"]))


def _sum(terms: Mapping[str, FloatArray]) -> FloatArray:
    """Add up in the order of the names: a sum of floats depends on its order, and a mapping may come in any."""
    first, *others = (terms[name] for name in sorted(terms))
    for each in others:
        first = first + each
    return first


def _logit(share: FloatArray) -> FloatArray:
    sure = np.clip(share, _SURE, 1 - _SURE)
    return np.log(sure) - np.log1p(-sure)


def _expit(value: FloatArray) -> FloatArray:
    return 1.0 / (1.0 + np.exp(-np.clip(value, -500.0, 500.0)))


def _log(shares: FloatArray) -> FloatArray:
    return np.log(np.clip(shares, _SURE, 1.0))


def _softmax(values: FloatArray) -> FloatArray:
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _same(values: FloatArray) -> FloatArray:
    return values


# By task: from a prediction to the scale on which a stack is linear, and back.
LINKS: dict[Task, tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]]] = {
    "binary": (_logit, _expit),
    "multiclass": (_log, _softmax),
    "regression": (_same, _same),
}
