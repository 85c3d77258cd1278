"""Metrics agree with scikit-learn's, do not depend on the order of rows, and are left out where not defined."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn

from ml_platform.contracts.errors import ContractError, ShapeMismatch
from ml_platform.contracts.metrics import LOSS_OF, METRICS_OF, Task
from ml_platform.contracts.spec import Costs
from ml_platform.validation.calibration import calibration_curve
from ml_platform.validation.measure import Measure, Own
from ml_platform.validation.metrics import score

SKLEARN = {
    "log_loss": sklearn.log_loss,
    "brier": sklearn.brier_score_loss,
    "roc_auc": sklearn.roc_auc_score,
    "average_precision": sklearn.average_precision_score,
}
REGRESSION = {
    "rmse": sklearn.root_mean_squared_error,
    "mae": sklearn.mean_absolute_error,
    "mape": sklearn.mean_absolute_percentage_error,
    "pinball": partial(sklearn.mean_pinball_loss, alpha=0.9),
}
MULTICLASS = {
    "log_loss": sklearn.log_loss,
    "brier": sklearn.brier_score_loss,
    "roc_auc": partial(sklearn.roc_auc_score, multi_class="ovr", average="macro"),
    "f1": lambda labels, predictions: sklearn.f1_score(labels, predictions.argmax(axis=1), average="macro"),
    "accuracy": lambda labels, predictions: sklearn.accuracy_score(labels, predictions.argmax(axis=1)),
}
COSTS = Costs(false_positive=1, false_negative=5, true_positive=-2, true_negative=0.5)
MEASURES: dict[Task, Measure] = {
    "binary": Measure("binary", threshold=0.3, costs=COSTS),
    "multiclass": Measure("multiclass"),
    "regression": Measure("regression", quantile=0.9),
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
    assert set(score([1, 1], [0.7, 0.9], "binary")) == {"log_loss", "brier", "calibration_error", "f1"}
    assert set(score([0, 0], [0.1, 0.2], "binary")) == {"log_loss", "brier", "calibration_error"}


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_leaves_out_everything(strange: float) -> None:
    """So that a gate becomes inconclusive."""
    assert score([0, 1], [0.1, strange], "binary") == {}


def test_no_rows_have_no_metrics() -> None:
    """An empty holdout gives an empty dict."""
    assert score([], [], "binary") == {}


def _of(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Give labels and predictions of a task."""
    rng = np.random.default_rng(4)
    if task == "binary":
        return _rows()
    if task == "regression":
        labels = rng.exponential(40, 2000) - 30
        return labels, labels / 2 + rng.normal(size=2000)
    predictions = rng.dirichlet([3, 1, 1, 1], 2000)
    return np.array([rng.choice(4, p=each) for each in predictions]), predictions


@pytest.mark.parametrize("task", METRICS_OF)
def test_a_task_has_its_own_metrics(task: Task) -> None:
    """All of them where everything that they need is there, and no other; without costs no cost, and so on."""
    assert tuple(score(*_of(task), MEASURES[task])) == METRICS_OF[task]
    left_out = {"binary": {"cost"}, "regression": {"pinball"}}.get(task, set())
    assert {*METRICS_OF[task]} - {*score(*_of(task), task)} == left_out


@pytest.mark.parametrize("name", REGRESSION)
def test_a_metric_of_a_regression_is_that_of_scikit_learn(name: str) -> None:
    """On delays, early and late ones."""
    labels, predictions = _of("regression")
    expected = REGRESSION[name](labels, predictions)
    assert score(labels, predictions, MEASURES["regression"])[name] == pytest.approx(expected)


@pytest.mark.parametrize("name", MULTICLASS)
def test_a_metric_of_several_classes_is_that_of_scikit_learn(name: str) -> None:
    """From a probability for each class."""
    labels, predictions = _of("multiclass")
    assert score(labels, predictions, "multiclass")[name] == pytest.approx(MULTICLASS[name](labels, predictions))


def test_a_class_that_does_not_occur_leaves_out_what_ranks_each() -> None:
    """The other metrics stay; F1 is the mean over the classes that occur or are predicted."""
    predictions = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.6, 0.3, 0.1]])
    found = score([0, 1, 1], predictions, "multiclass")
    assert "roc_auc" not in found
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_the_error_of_calibration_of_several_classes_is_that_of_the_likeliest() -> None:
    """Sure of it by 0.9 and right half the time: off by 0.4."""
    predictions = np.array([[0.9, 0.05, 0.05]] * 4)
    assert score([0, 0, 1, 2], predictions, "multiclass")["calibration_error"] == pytest.approx(0.4)


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.5])
def test_f1_is_taken_at_the_threshold(threshold: float) -> None:
    """A prediction that stands on it says yes."""
    labels, predictions = _rows(decimals=2)
    found = score(labels, predictions, Measure("binary", threshold=threshold))["f1"]
    assert found == pytest.approx(sklearn.f1_score(labels, predictions >= threshold))


def test_cost_is_the_mean_of_what_each_decision_costs() -> None:
    """One row of each kind: a gain, a false alarm, a miss, and a rightful no."""
    found = score([1, 0, 1, 0], [0.3, 0.9, 0.29, 0.1], MEASURES["binary"])["cost"]
    assert found == pytest.approx((-2 + 1 + 5 + 0.5) / 4)


def test_mape_is_left_out_where_a_label_is_zero() -> None:
    """Its share would be without bound."""
    assert "mape" in score([-1.0, 2.0], [1.0, 2.0], "regression")
    assert "mape" not in score([0.0, 2.0], [1.0, 2.0], "regression")


def test_an_own_metric_is_measured_beside_the_others() -> None:
    """It gets both arrays, and no array of ours to write on."""

    def money_lost(labels: np.ndarray, predictions: np.ndarray) -> float:
        lost = float(np.abs(labels - predictions).sum())
        predictions[:] = labels
        return lost

    labels, predictions = _rows()
    measure = Measure("binary", own={"money_lost": Own(money_lost, is_higher_better=False)})
    found = score(labels, predictions, measure)
    assert found.pop("money_lost") == pytest.approx(np.abs(labels - predictions).sum())
    assert found == score(labels, predictions, "binary")


@pytest.mark.parametrize("gives", [np.nan, np.inf, None, "much"])
def test_an_own_metric_that_gives_no_number_is_left_out(gives: Any) -> None:
    """So that a gate becomes inconclusive."""
    measure = Measure("binary", own={"mine": Own(lambda *_: gives, is_higher_better=True)})
    assert "mine" not in score([0, 1], [0.1, 0.9], measure)


@pytest.mark.parametrize("task", METRICS_OF)
def test_a_perfect_prediction_has_no_loss(task: Task) -> None:
    """To the rounding of a logarithm."""
    labels = np.array([0, 1, 1])
    predictions = np.eye(2)[labels] if task == "multiclass" else labels
    assert score(labels, predictions, task)[LOSS_OF[task]] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("labels", "predictions", "task", "error", "message"),
    [
        ([0, 1], [0.5], "binary", ShapeMismatch, "Hint"),
        ([[0], [1]], [[0.5], [0.5]], "regression", ShapeMismatch, "Hint"),
        ([0, 2], [0.5, 0.5], "binary", ContractError, "labels: got 2.0, expected 0 or 1"),
        ([0, np.nan], [0.5, 0.5], "binary", ContractError, "labels: got nan, expected 0 or 1"),
        ([0, 1], [0.5, 1.5], "binary", ContractError, "predictions: got 1.5, expected probabilities"),
        ([0, 1], [0.5, 0.5], "multiclass", ShapeMismatch, "and a column for each class"),
        (
            [0, 2],
            [[0.5, 0.5], [1.0, 0.0]],
            "multiclass",
            ContractError,
            "labels: got 2.0, expected whole numbers",
        ),
        ([0, 0.5], [[0.5, 0.5], [1.0, 0.0]], "multiclass", ContractError, "labels: got 0.5"),
        ([0, 1], [[0.5, 0.5], [1.1, -0.1]], "multiclass", ContractError, "predictions: got -0.1, 1.1, expected prob"),
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
