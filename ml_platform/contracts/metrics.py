"""The tasks, the metrics of each, and which way each is better. Computing them is validation's work."""

from typing import Literal, get_args

Task = Literal["binary", "regression"]
BinaryMetric = Literal["log_loss", "brier", "roc_auc", "average_precision", "calibration_error"]
RegressionMetric = Literal["rmse", "mae"]
MetricName = Literal[BinaryMetric, RegressionMetric]

METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)
METRICS_OF: dict[Task, tuple[MetricName, ...]] = {
    "binary": get_args(BinaryMetric),
    "regression": get_args(RegressionMetric),
}
LOSS_OF: dict[Task, MetricName] = {"binary": "log_loss", "regression": "rmse"}  # what a fit makes small
HIGHER_IS_BETTER: frozenset[str] = frozenset({"roc_auc", "average_precision"})


def worse_by(metric: MetricName, value: float, reference: float) -> float:
    """Give how much `value` is worse than `reference`, in the metric's own unit; negative when it is better."""
    return reference - value if metric in HIGHER_IS_BETTER else value - reference
