"""The tasks, the metrics of each, and which way each is better. Computing them is validation's work."""

from collections.abc import Set
from typing import Literal, get_args

Task = Literal["binary", "multiclass", "regression"]
BinaryMetric = Literal["log_loss", "brier", "roc_auc", "average_precision", "calibration_error", "f1", "cost"]
MulticlassMetric = Literal["log_loss", "brier", "roc_auc", "calibration_error", "f1", "accuracy"]
RegressionMetric = Literal["rmse", "mae", "mape", "pinball"]
MetricName = Literal[BinaryMetric, MulticlassMetric, RegressionMetric]

METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)
METRICS_OF: dict[Task, tuple[MetricName, ...]] = {
    "binary": get_args(BinaryMetric),
    "multiclass": get_args(MulticlassMetric),
    "regression": get_args(RegressionMetric),
}
# What a fit makes small.
LOSS_OF: dict[Task, MetricName] = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}
HIGHER_IS_BETTER: frozenset[str] = frozenset({"roc_auc", "average_precision", "f1", "accuracy"})


def worse_by(metric: str, value: float, reference: float, higher_is_better: Set[str] = HIGHER_IS_BETTER) -> float:
    """Give how much `value` is worse than `reference`, in the metric's own unit; negative when it is better."""
    return reference - value if metric in higher_is_better else value - reference
