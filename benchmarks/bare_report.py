"""What the bare retrain tells of its candidate beyond its metrics: intervals, contributions, pictures, in MLflow."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

# matplotlib leaves its **kwargs without types.
# pyright: reportUnknownMemberType=false

if TYPE_CHECKING:
    import lightgbm as lgb

FloatArray = NDArray[np.float64]
Weights = NDArray[np.float32]
BINS, EXPLAINED, LEAVES_AT_MOST = 10, 1000, 2_000_000


def tell(
    labels: FloatArray,
    predictions: dict[str, FloatArray],
    weights: Weights,
    booster: "lgb.Booster",
    matrix: FloatArray,
) -> None:
    """Log to the active run what a reader of the evaluation wants to see.

    Parameters
    ----------
    labels, predictions : (n_rows,) arrays
        Of the holdout; candidate and champion are told.
    weights : (n_resamples, n_rows) array
        The resamples.
    matrix : (n_rows, n_columns) array
        Encoded features of the holdout.
    """
    import mlflow

    shown = {name: predictions[name] for name in ("candidate", "champion") if name in predictions}
    bounds = {name: intervals(labels, predicted, weights) for name, predicted in shown.items()}
    mlflow.log_dict(bounds, "intervals.json")
    moved = _contributions(booster, matrix)
    mlflow.log_figure(_pictures(labels, shown, moved, booster.feature_name()), "report.png")


def intervals(labels: FloatArray, predicted: FloatArray, weights: Weights) -> dict[str, tuple[float, float]]:
    """Give the 95 % interval of each metric, by percentiles of the resamples."""
    total = weights.sum(axis=1)
    chosen = np.where(labels == 1, predicted, 1 - predicted)
    order = np.argsort(predicted, kind="stable")
    ordered, late = weights[:, order], labels[order].astype(np.float32)
    hits, misses = np.cumsum(ordered * late, axis=1), np.cumsum(ordered * (1 - late), axis=1)
    above = hits[:, -1:] - hits + ordered * late
    flagged = above + misses[:, -1:] - misses + ordered * (1 - late)
    found = {
        "log_loss": weights @ -np.log(chosen).astype(np.float32) / total,
        "brier": weights @ np.square(labels - predicted).astype(np.float32) / total,
        "roc_auc": (ordered * late * misses).sum(axis=1) / (hits[:, -1] * misses[:, -1]),
        "average_precision": (ordered * late * above / np.maximum(flagged, 1)).sum(axis=1) / hits[:, -1],
        "calibration_error": _calibration_errors(labels, predicted, weights) / total,
    }
    return {name: (float(low), float(high)) for name, (low, high) in _ends(found).items()}


def _ends(found: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: tuple(np.quantile(values, (0.025, 0.975))) for name, values in found.items()}


def _calibration_errors(labels: FloatArray, predicted: FloatArray, weights: Weights) -> NDArray[np.float32]:
    gap = (labels - predicted).astype(np.float32)
    bins = np.array_split(np.argsort(predicted, kind="stable"), BINS)
    return np.sum([np.abs(weights[:, rows] @ gap[rows]) for rows in bins], axis=0)


def _contributions(booster: "lgb.Booster", matrix: FloatArray) -> FloatArray:
    leaves = booster.num_trees() * int(booster.params.get("num_leaves", 31))
    count = min(len(matrix), EXPLAINED, max(50, LEAVES_AT_MOST // leaves))
    rows = matrix[np.linspace(0, len(matrix) - 1, count).astype(int)]
    return np.asarray(booster.predict(rows, pred_contrib=True))[:, :-1]


def _pictures(labels: FloatArray, shown: dict[str, FloatArray], moved: FloatArray, names: list[str]) -> Any:
    from matplotlib.figure import Figure
    from sklearn.metrics import precision_recall_curve, roc_curve

    figure = Figure(figsize=(10, 8))
    (calibration, roc), (recall, features) = figure.subplots(2, 2)
    for name, predicted in shown.items():
        bins = np.array_split(np.argsort(predicted, kind="stable"), BINS)
        calibration.plot([predicted[b].mean() for b in bins], [labels[b].mean() for b in bins], "o-", label=name)
        roc.plot(*roc_curve(labels, predicted)[:2], label=name)
        precise, found, _ = precision_recall_curve(labels, predicted)
        recall.plot(found, precise, label=name)
    strength = np.abs(moved).mean(axis=0)
    order = np.argsort(strength)[-15:]
    features.barh([names[place] for place in order], strength[order])
    for axes, title in ((calibration, "calibration"), (roc, "ROC"), (recall, "precision and recall")):
        axes.set_title(title)
        axes.legend()
    features.set_title("mean contribution")
    figure.tight_layout()
    return figure
