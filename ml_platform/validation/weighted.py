"""The metrics as functions of weights: one value for each row of weights, all of them at once.

A resample of the rows is a row of weights. Most metrics are a function of a few weighted sums, so many resamples are
one matrix product, and the influence of a single row is a derivative by these sums. With equal weights a metric is what
`ml_platform.validation.metrics.score` gives.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ml_platform.contracts.spec import Costs
from ml_platform.validation.calibration import calibration_bins
from ml_platform.validation.measure import FloatArray, Measure

_STEP = 1e-6


class Weighted(Protocol):
    """One metric of one model on fixed rows."""

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Give the metric for each row of weights.

        Parameters
        ----------
        weights : (n_resamples, n_rows) array
            Not negative.

        Returns
        -------
        (n_resamples,) array
            NaN where the metric is not defined.
        """
        ...

    def influence(self) -> FloatArray:
        """Give how fast the metric changes with the weight of each row, at equal weights; shape (n_rows,).

        Notes
        -----
        Source: B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982 (the infinitesimal jackknife):
        the empirical influence of a row is this derivative, up to the number of rows.
        """
        ...


@dataclass(frozen=True)
class Sums:
    """A metric that depends on weighted sums alone.

    Parameters
    ----------
    columns : (n_rows, n_sums) array
        What is summed.
    combine : function
        From sums, shape (n_resamples, n_sums), to values, shape (n_resamples,).
    """

    columns: FloatArray
    combine: Callable[[FloatArray], FloatArray]

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Give the metric for each row of weights."""
        return self.combine(weights @ self.columns)

    def influence(self) -> FloatArray:
        """Give how fast the metric changes with each row's weight, by central differences in the sums."""
        sums = self.columns.sum(axis=0)
        steps = np.diag(_STEP * np.maximum(1.0, np.abs(sums)))
        slopes = (self.combine(sums + steps) - self.combine(sums - steps)) / (2 * np.diag(steps))
        return self.columns @ slopes


def weighted_mean(values: FloatArray) -> Sums:
    """Give the mean of a value of each row, as of a loss."""
    return Sums(np.column_stack([values, np.ones(len(values))]), lambda sums: ratio(sums[:, 0], sums[:, 1]))


def weighted_rmse(labels: FloatArray, predictions: FloatArray) -> Sums:
    """Give the root of the mean squared error, in the label's unit."""
    squared = weighted_mean(np.square(predictions - labels))
    return Sums(squared.columns, lambda sums: np.sqrt(np.maximum(squared.combine(sums), 0.0)))


def weighted_f1(labels: FloatArray, predictions: FloatArray, threshold: float) -> Sums:
    """Give the harmonic mean of precision and recall of saying yes from the threshold on.

    Notes
    -----
    Source: scikit-learn, `sklearn.metrics.f1_score`: 2 TP / (2 TP + FP + FN).
    """
    yes = (predictions >= threshold).astype(np.float64)
    columns = np.column_stack([yes * labels, yes, labels])
    return Sums(columns, lambda sums: ratio(2 * sums[:, 0], sums[:, 1] + sums[:, 2]))


def weighted_calibration_error(labels: FloatArray, predictions: FloatArray) -> Sums:
    """Give the expected calibration error over ten bins of about equally many rows, 0 to 1.

    Notes
    -----
    Source: C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3, after M. P. Naeini et al.,
    Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015. Bins of equal mass instead of equal
    width, for the probability of 1: rare events leave most bins of equal width empty. The bins are those of equal
    weights.
    """
    bins = calibration_bins(predictions) if len(predictions) else np.empty(0, dtype=np.intp)
    gaps = np.zeros((len(labels), int(bins.max(initial=0)) + 2))
    gaps[np.arange(len(labels)), bins] = labels - predictions
    gaps[:, -1] = 1.0
    return Sums(gaps, lambda sums: ratio(np.abs(sums[:, :-1]).sum(axis=1), sums[:, -1]))


def log_loss_of_rows(chances: FloatArray) -> FloatArray:
    """Give the negative log-likelihood of each row in nats, from the probability of what happened.

    Notes
    -----
    Source: scikit-learn, `sklearn.metrics.log_loss` (formula, and clipping by the machine epsilon), after C. M. Bishop,
    Pattern Recognition and Machine Learning, 2006, p. 209.
    """
    epsilon = np.finfo(np.float64).eps
    return -np.log(np.clip(chances, epsilon, 1 - epsilon))


def cost_of_rows(labels: FloatArray, predictions: FloatArray, threshold: float, costs: Costs) -> FloatArray:
    """Give what the decision on each row costs."""
    yes = predictions >= threshold
    of_yes = np.where(labels == 1, costs.true_positive, costs.false_positive)
    return np.where(yes, of_yes, np.where(labels == 1, costs.false_negative, costs.true_negative))


def pinball_of_rows(labels: FloatArray, predictions: FloatArray, quantile: float) -> FloatArray:
    """Give the loss that a quantile makes small: an error counts `quantile` above the prediction, the rest below it.

    Notes
    -----
    Source: scikit-learn, `sklearn.metrics.mean_pinball_loss`, after R. Koenker and G. Bassett, Regression Quantiles,
    Econometrica 46, 1978.
    """
    above = labels - predictions
    return np.maximum(quantile * above, (quantile - 1) * above)


def mape_of_rows(labels: FloatArray, predictions: FloatArray) -> FloatArray:
    """Give the absolute error as a share of the label; NaN for all rows where a label is zero.

    Notes
    -----
    Source: scikit-learn, `sklearn.metrics.mean_absolute_percentage_error`, which gives a huge number for a zero.
    """
    if not labels.all():
        return np.full(len(labels), np.nan)
    return np.abs((predictions - labels) / labels)


def plain_metrics(
    labels: FloatArray, predictions: FloatArray, measure: Measure
) -> Mapping[str, Callable[[], Weighted]]:
    """Give the metrics of a binary task and a regression that do not rank, each ready to be made."""
    costs, quantile = measure.costs or Costs(false_positive=0, false_negative=0), measure.quantile or 0.5
    return {
        "log_loss": lambda: weighted_mean(log_loss_of_rows(np.where(labels == 1, predictions, 1 - predictions))),
        "brier": lambda: weighted_mean(np.square(predictions - labels)),
        "calibration_error": lambda: weighted_calibration_error(labels, predictions),
        "f1": lambda: weighted_f1(labels, predictions, measure.threshold),
        "cost": lambda: weighted_mean(cost_of_rows(labels, predictions, measure.threshold, costs)),
        "rmse": lambda: weighted_rmse(labels, predictions),
        "mae": lambda: weighted_mean(np.abs(predictions - labels)),
        "mape": lambda: weighted_mean(mape_of_rows(labels, predictions)),
        "pinball": lambda: weighted_mean(pinball_of_rows(labels, predictions, quantile)),
    }


def ratio(above: FloatArray, below: FloatArray, empty: float = float("nan")) -> FloatArray:
    """Divide where the divisor is above zero."""
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, empty), where=np.asarray(below) > 0)
