"""The names of the metrics a gate may speak of, and which way each is better. Computing them is validation's work."""

from typing import Literal, get_args

MetricName = Literal["log_loss", "brier", "roc_auc", "average_precision", "calibration_error"]

METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)
HIGHER_IS_BETTER: frozenset[str] = frozenset({"roc_auc", "average_precision"})


def worse_by(metric: MetricName, value: float, reference: float) -> float:
    """Give how much `value` is worse than `reference`, in the metric's own unit; negative when it is better."""
    return reference - value if metric in HIGHER_IS_BETTER else value - reference
