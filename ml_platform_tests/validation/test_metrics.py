"""Metrics agree with scikit-learn's, do not depend on the order of rows, and are left out where not defined."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from ml_platform.contracts.errors import ContractError, ShapeMismatch
from ml_platform.contracts.metrics import METRIC_NAMES
from ml_platform.validation.metrics import calibration_curve, score

SKLEARN = {
    "log_loss": sklearn.log_loss,
    "brier": sklearn.brier_score_loss,
    "roc_auc": sklearn.roc_auc_score,
    "average_precision": sklearn.average_precision_score,
}


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
    assert score(labels, predictions)[name] == pytest.approx(SKLEARN[name](labels, predictions), rel=1e-12)


def test_calibration_error_is_small_for_a_calibrated_model_and_its_bias_for_a_biased_one() -> None:
    """Predictions that are all 0.1 too high are off by 0.1."""
    labels, predictions = _rows(50_000)
    assert score(labels, predictions)["calibration_error"] < 0.01
    shifted = score(labels, np.clip(predictions + 0.1, 0, 1))["calibration_error"]
    assert shifted == pytest.approx(0.1, abs=0.01)


def test_calibration_error_by_hand() -> None:
    """Two predictions, two bins: 0.2 happened half the time, 0.8 always."""
    labels, predictions = [0, 1, 1, 1], [0.2, 0.2, 0.8, 0.8]
    assert score(labels, predictions)["calibration_error"] == pytest.approx((2 * 0.3 + 2 * 0.2) / 4)


def test_a_constant_prediction_has_one_calibration_bin() -> None:
    """A prior as a baseline is one point of the curve."""
    rows, predicted, happened = calibration_curve(np.array([0.0, 1.0, 0.0, 0.0]), np.full(4, 0.25))
    assert (rows.tolist(), predicted.tolist(), happened.tolist()) == ([4.0], [0.25], [0.25])


def test_the_order_of_rows_does_not_matter() -> None:
    """Ties would show a dependence."""
    labels, predictions = _rows(decimals=2)
    order = np.random.default_rng(0).permutation(labels.size)
    assert score(labels[order], predictions[order]) == pytest.approx(score(labels, predictions), rel=1e-12)


def test_one_class_leaves_out_what_ranks() -> None:
    """The other metrics stay."""
    assert set(score([1, 1], [0.7, 0.9])) == {"log_loss", "brier", "calibration_error"}


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_leaves_out_everything(strange: float) -> None:
    """So that a gate becomes inconclusive."""
    assert score([0, 1], [0.1, strange]) == {}


def test_no_rows_have_no_metrics() -> None:
    """An empty holdout gives an empty dict."""
    assert score([], []) == {}


def test_only_the_metrics_asked_for_are_computed() -> None:
    """In the order asked for."""
    labels, predictions = _rows()
    assert list(score(labels, predictions, ["roc_auc", "brier"])) == ["roc_auc", "brier"]
    assert tuple(score(labels, predictions)) == METRIC_NAMES


@pytest.mark.parametrize(
    ("labels", "predictions", "error", "message"),
    [
        ([0, 1], [0.5], ShapeMismatch, "Hint"),
        ([[0], [1]], [[0.5], [0.5]], ShapeMismatch, "Hint"),
        ([0, 2], [0.5, 0.5], ContractError, "labels: got 2.0, expected 0 or 1"),
        ([0, np.nan], [0.5, 0.5], ContractError, "labels: got nan, expected 0 or 1"),
        ([0, 1], [0.5, 1.5], ContractError, "predictions: got 1.5, expected probabilities"),
    ],
)
def test_bad_input_is_refused(labels: list, predictions: list, error: type[Exception], message: str) -> None:
    """The message says what was got and what was expected."""
    with pytest.raises(error, match=message):
        score(labels, predictions)
