"""Metrics agree with scikit-learn's, do not depend on the order of rows, and are left out where not defined."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from ml_platform.contracts.errors import ContractError, ShapeMismatch
from ml_platform.contracts.metrics import LOSS_OF, METRICS_OF, Task
from ml_platform.validation.metrics import calibration_curve, score

SKLEARN = {
    "log_loss": sklearn.log_loss,
    "brier": sklearn.brier_score_loss,
    "roc_auc": sklearn.roc_auc_score,
    "average_precision": sklearn.average_precision_score,
}
REGRESSION = {"rmse": sklearn.root_mean_squared_error, "mae": sklearn.mean_absolute_error}


def _rows(rows: int = 2000, decimals: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    predictions = rng.beta(2, 5, rows).round(decimals)
    return (rng.random(rows) < predictions).astype(int), predictions


@pytest.mark.parametrize("decimals", [6, 1, 0], ids=["distinct", "tied", "certain"])
@pytest.mark.parametrize("name", SKLEARN)
def test_a_metric_is_that_of_scikit_learn(name: str, decimals: int) -> None:
    """Also with many ties, and with predictions of exactly 0 and 1 that turn out wrong."""
    labels, predictions = _rows(decimals=decimals)
    labels[:5] = 1 - labels[:5]
    assert score(labels, predictions, "binary")[name] == pytest.approx(SKLEARN[name](labels, predictions), rel=1e-12)


def test_calibration_error_is_small_for_a_calibrated_model_and_its_bias_for_a_biased_one() -> None:
    """Predictions that are all 0.1 too high are off by 0.1."""
    labels, predictions = _rows(50_000)
    assert score(labels, predictions, "binary")["calibration_error"] < 0.01
    shifted = score(labels, np.clip(predictions + 0.1, 0, 1), "binary")["calibration_error"]
    assert shifted == pytest.approx(0.1, abs=0.01)


def test_calibration_error_by_hand() -> None:
    """Two predictions, two bins: 0.2 happened half the time, 0.8 always."""
    labels, predictions = [0, 1, 1, 1], [0.2, 0.2, 0.8, 0.8]
    assert score(labels, predictions, "binary")["calibration_error"] == pytest.approx((2 * 0.3 + 2 * 0.2) / 4)


def test_a_constant_prediction_has_one_calibration_bin() -> None:
    """A prior as a baseline is one point of the curve."""
    rows, predicted, happened = calibration_curve(np.array([0.0, 1.0, 0.0, 0.0]), np.full(4, 0.25))
    assert (rows.tolist(), predicted.tolist(), happened.tolist()) == ([4.0], [0.25], [0.25])


def test_the_order_of_rows_does_not_matter() -> None:
    """Ties would show a dependence."""
    labels, predictions = _rows(decimals=2)
    order = np.random.default_rng(0).permutation(labels.size)
    assert score(labels[order], predictions[order], "binary") == pytest.approx(
        score(labels, predictions, "binary"), rel=1e-12
    )


def test_one_class_leaves_out_what_ranks() -> None:
    """The other metrics stay."""
    assert set(score([1, 1], [0.7, 0.9], "binary")) == {"log_loss", "brier", "calibration_error"}


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_leaves_out_everything(strange: float) -> None:
    """So that a gate becomes inconclusive."""
    assert score([0, 1], [0.1, strange], "binary") == {}


def test_no_rows_have_no_metrics() -> None:
    """An empty holdout gives an empty dict."""
    assert score([], [], "binary") == {}


@pytest.mark.parametrize("task", METRICS_OF)
def test_a_task_has_its_own_metrics(task: Task) -> None:
    """All of them where both classes occur, and no other."""
    labels, predictions = _rows()
    assert tuple(score(labels, predictions, task)) == METRICS_OF[task]


@pytest.mark.parametrize("name", REGRESSION)
def test_a_metric_of_a_regression_is_that_of_scikit_learn(name: str) -> None:
    """On delays, early and late ones."""
    rng = np.random.default_rng(4)
    labels = rng.exponential(40, 2000) - 30
    predictions = labels / 2 + rng.normal(size=2000)
    assert score(labels, predictions, "regression")[name] == pytest.approx(REGRESSION[name](labels, predictions))


@pytest.mark.parametrize("task", METRICS_OF)
def test_a_perfect_prediction_has_no_loss(task: Task) -> None:
    """To the rounding of a logarithm."""
    assert score([0, 1, 1], [0, 1, 1], task)[LOSS_OF[task]] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("labels", "predictions", "task", "error", "message"),
    [
        ([0, 1], [0.5], "binary", ShapeMismatch, "Hint"),
        ([[0], [1]], [[0.5], [0.5]], "regression", ShapeMismatch, "Hint"),
        ([0, 2], [0.5, 0.5], "binary", ContractError, "labels: got 2.0, expected 0 or 1"),
        ([0, np.nan], [0.5, 0.5], "binary", ContractError, "labels: got nan, expected 0 or 1"),
        ([0, 1], [0.5, 1.5], "binary", ContractError, "predictions: got 1.5, expected probabilities"),
        ([0, np.inf], [0.5, 1.5], "regression", ContractError, "labels: got inf, expected finite numbers"),
        ([0, np.nan], [0.5, 1.5], "regression", ContractError, "labels: got nan, expected finite numbers"),
    ],
)
def test_bad_input_is_refused(
    labels: list, predictions: list, task: Task, error: type[Exception], message: str
) -> None:
    """The message says what was got and what was expected."""
    with pytest.raises(error, match=message):
        score(labels, predictions, task)
