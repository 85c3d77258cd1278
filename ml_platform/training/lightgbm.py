"""LightGBM on native categories, seeded and deterministic, stopped early on the validation part."""

import numpy as np

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import LightGBMModel, TreeModel
from ml_platform.training.boosting import Boost, Boosting, boost
from ml_platform.training.parts import Parts
from ml_platform.training.threads import threads_of_a_fit
from ml_platform.training.trainer import Learned, Watch

FILE = "model.txt"  # LightGBM's native text
# By task: the objective and the metric to stop by, in LightGBM's words; the two are the same loss.
OBJECTIVES: dict[Task, tuple[str, str]] = {
    "binary": ("binary", "binary_logloss"),
    "multiclass": ("multiclass", "multi_logloss"),
    "regression": ("regression", "rmse"),
}
QUANTILE = ("quantile", "quantile")


def fit_lightgbm(parts: Parts, model: LightGBMModel, watch: Watch | None = None, run: Boost = boost) -> Learned:
    """Fit gradient-boosted trees; see `Trainer`.

    Parameters
    ----------
    run : function
        Runs LightGBM: here, or over several workers.
    """
    encoder = parts.encoder
    params = params_of(parts, model)
    boosting = Boosting(params, list(encoder.columns), encoder.categorical, model.rounds, model.patience)
    boosted = run(boosting, parts.train, parts.validation, watch)
    return Learned(
        files={FILE: boosted.text.encode()},
        description={"kind": "lightgbm", "file": FILE},
        importance=boosted.booster.feature_importance("gain", iteration=boosted.rounds).astype(np.float64),
        loss=boosted.loss if parts.validation is not None and parts.validation.weights is None else None,
        rounds=boosted.rounds,
        history=boosted.history,
    )


def objective_of(task: Task, model: TreeModel) -> tuple[str, str]:
    """Give LightGBM's words for the loss to fit and to stop by."""
    return OBJECTIVES[task] if model.quantile is None else QUANTILE


def params_of(parts: Parts, model: LightGBMModel) -> dict[str, object]:
    """Give the parameters of a fit: the author's, and over them what the platform decides."""
    objective, metric = objective_of(parts.task, model)
    decided: dict[str, object] = {
        "objective": objective,
        "metric": metric,
        "seed": model.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    if parts.classes:
        decided["num_class"] = len(parts.classes)
    if model.quantile is not None:
        decided["alpha"] = model.quantile
    if model.monotone:
        decided["monotone_constraints"] = directions(parts, model)
    threads = threads_of_a_fit(model.params.get("num_threads", 0))
    return {**model.params, **decided, "num_threads": threads}


def directions(parts: Parts, model: TreeModel) -> list[int]:
    """Give 1 for each column in which the prediction may only rise, -1 where it may only fall, else 0."""
    signs = {"increasing": 1, "decreasing": -1}
    return [signs[model.monotone[name]] if name in model.monotone else 0 for name in parts.encoder.columns]
