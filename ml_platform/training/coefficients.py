"""How much each member of an ensemble counts: convex weights, or the linear model of a stack.

Pure arithmetic on predictions and labels. Which rows they are of is the business of `ml_platform.training.ensembles`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml_platform.contracts.metrics import Task
from ml_platform.scoring.ensemble import LINKS
from ml_platform.training.losses import loss_of

FloatArray = NDArray[np.float64]
Predictions = Mapping[str, FloatArray]

_TOO_SMALL = 1e-3  # a weight that changes nothing but costs a member's time in each request


def convex_weights(
    labels: FloatArray, predictions: Predictions, task: Task, quantile: float | None = None
) -> dict[str, float]:
    """Give the weights, not negative and with sum 1, whose weighted mean of the predictions has the least loss.

    The loss of a mean is convex in the weights, so there is one least value; no member alone and no plain average does
    better on these rows.

    Parameters
    ----------
    labels : (n_rows,) array
        0 or 1, the number of the class, or the value.
    predictions : mapping of str to (n_rows,) or (n_rows, n_classes) array
        Of each member.
    task : Task
        With `quantile`, says which loss: see `losses.loss_of`.

    Notes
    -----
    Source: van der Laan, Polley and Hubbard, Super Learner (2007): of all convex combinations the one of least risk.
    """
    from scipy.optimize import minimize

    stack = np.stack(list(predictions.values()))
    count = len(stack)

    def risk(weights: FloatArray) -> float:
        return loss_of(labels, np.tensordot(weights, stack, axes=1), task, quantile)

    equal = np.full(count, 1 / count)
    found = minimize(
        risk, equal, method="SLSQP", bounds=[(0.0, 1.0)] * count, options={"ftol": 1e-10, "maxiter": 200},
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
    )  # fmt: skip
    tried = [_simplex(found.x), equal, *np.eye(count)]  # the search may stop early on a loss with kinks
    best = min(tried, key=risk)
    return dict(zip(predictions, best.tolist(), strict=True))


def stack_coefficients(
    labels: FloatArray, predictions: Predictions, task: Task
) -> tuple[dict[str, float], float | list[float]]:
    """Fit the linear model of a stack: its coefficients, none negative, and its intercept.

    For classes it is a logistic regression on the members' log odds (the logarithms of several classes' shares), with
    one coefficient for each member; for values a linear regression. A ridge of one row's weight draws it to the plain
    average, so that members that say the same share alike.

    Parameters
    ----------
    labels, predictions, task
        As in `convex_weights`.

    Returns
    -------
    coefficients : dict of str to float
    intercept : float, or list of float
        One for each of several classes.

    Notes
    -----
    Sources: Wolpert, Stacked Generalization (1992): a second model on predictions of rows left out. Breiman, Stacked
    Regressions (1996): coefficients that are not negative, as members are alike and signed ones do not generalize.
    """
    from scipy.optimize import minimize

    link, inverse = LINKS[task]
    labels = _columns(labels, predictions) if task == "multiclass" else labels
    inputs = np.stack([link(each) for each in predictions.values()])
    unit = _unit(inputs, labels) if task == "regression" else _Unit(np.zeros(len(inputs)), 0.0, 1.0)
    inputs = (inputs - unit.inputs.reshape(-1, *[1] * labels.ndim)) / unit.scale
    wanted, (rows, members) = (labels - unit.label) / unit.scale, (len(labels), len(inputs))
    even = np.full(members, 1 / members)
    intercepts = 1 if labels.ndim == 1 else labels.shape[1]

    def objective(place: FloatArray) -> tuple[float, FloatArray]:
        coefficients, intercept = place[:members], place[members:]
        linear = np.tensordot(coefficients, inputs, axes=1) + (intercept if labels.ndim > 1 else intercept[0])
        left = inverse(linear) - wanted  # the gradient of the deviance under its own link
        from_even = coefficients - even
        ridge = 0.5 * (from_even @ from_even + intercept @ intercept)
        slope = np.concatenate(
            [np.tensordot(inputs, left, axes=left.ndim) + from_even, np.atleast_1d(left.sum(axis=0)) + intercept]
        )
        return float(_deviance(task, wanted, linear) + ridge) / rows, slope / rows

    found = minimize(
        objective, np.concatenate([even, np.zeros(intercepts)]), jac=True, method="L-BFGS-B",
        bounds=[(0.0, None)] * members + [(None, None)] * intercepts,
        options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000},
    )  # fmt: skip
    intercept = (found.x[members:] * unit.scale + unit.label - found.x[:members] @ unit.inputs).tolist()
    coefficients = dict(zip(predictions, found.x[:members].tolist(), strict=True))
    return coefficients, intercept if labels.ndim > 1 else intercept[0]


def _columns(labels: FloatArray, predictions: Predictions) -> FloatArray:
    """Give a column for each class: 1 where a row is of it."""
    first = next(iter(predictions.values()))
    return np.eye(first.shape[1])[labels.astype(np.intp)]


class _Unit(NamedTuple):
    """In what unit, and from where, a stack is fitted; so that the ridge weighs the same whatever the label's unit."""

    inputs: FloatArray
    label: float
    scale: float


def _unit(inputs: FloatArray, labels: FloatArray) -> _Unit:
    """Measure from the middle of each, by how far the plain average is off: then a row has a row's weight."""
    off = labels - inputs.mean(axis=0)
    return _Unit(inputs.mean(axis=1), float(labels.mean()), float(off.std()) or 1.0)


def _deviance(task: Task, labels: FloatArray, linear: FloatArray) -> float:
    """Give minus the logarithm of the likelihood, summed over rows, up to a constant."""
    if task == "regression":
        return float(0.5 * np.sum((labels - linear) ** 2))
    if task == "binary":
        return float(np.sum(np.logaddexp(0.0, linear) - labels * linear))
    highest = linear.max(axis=1)
    spread = highest + np.log(np.exp(linear - highest[:, None]).sum(axis=1))
    return float(np.sum(spread - (labels * linear).sum(axis=1)))


def _simplex(weights: FloatArray) -> FloatArray:
    """Give weights that are not negative and sum to 1, without those that are next to nothing."""
    kept = np.where(weights < _TOO_SMALL, 0.0, weights)
    return kept / kept.sum()
