"""XGBoost on native categories, seeded, stopped early on the validation part. An extra: the package may be missing."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import XGBoostModel
from ml_platform.training.lightgbm import directions
from ml_platform.training.parts import Part, Parts
from ml_platform.training.threads import threads_of_a_fit
from ml_platform.training.trainer import Learned, Watch

if TYPE_CHECKING:
    import xgboost as xgb

FILE = "model.xgboost.json"  # XGBoost's native JSON
# By task: the objective and the metric to stop by, in XGBoost's words; the two are the same loss.
OBJECTIVES: dict[Task, tuple[str, str]] = {
    "binary": ("binary:logistic", "logloss"),
    "multiclass": ("multi:softprob", "mlogloss"),
    "regression": ("reg:squarederror", "rmse"),
}
QUANTILE = ("reg:quantileerror", "quantile")


def fit_xgboost(parts: Parts, model: XGBoostModel, watch: Watch | None = None) -> Learned:
    """Fit gradient-boosted trees; see `Trainer`.

    Raises
    ------
    SpecError
        If XGBoost is not installed.
    """
    xgb = _require_xgboost()
    params = params_of(parts, model)
    history: dict[str, dict[str, list[float]]] = {}
    callbacks = (
        [] if watch is None else [_watching(watch, params["eval_metric"])]
    )  # first: one that stops ends the list
    if parts.validation is None:
        booster = xgb.train(params, _matrix(parts, parts.train), num_boost_round=model.rounds)
        return _learned(booster, parts, model.rounds)
    callbacks.append(xgb.callback.EarlyStopping(rounds=model.patience, save_best=True))
    booster = xgb.train(
        params,
        _matrix(parts, parts.train),
        num_boost_round=model.rounds,
        evals=[(_matrix(parts, parts.validation), "validation")],
        evals_result=history,
        callbacks=callbacks,
        verbose_eval=False,
    )
    losses = history["validation"][params["eval_metric"]]
    loss = losses[booster.best_iteration] if parts.validation.weights is None else None
    return _learned(booster, parts, booster.best_iteration + 1, loss, losses)


def _learned(
    booster: "xgb.Booster", parts: Parts, rounds: int, loss: float | None = None, history: list[float] | None = None
) -> Learned:
    gains = booster.get_score(importance_type="total_gain")
    return Learned(
        files={FILE: bytes(booster.save_raw("json"))},
        description={"kind": "xgboost", "file": FILE},
        importance=np.array([gains.get(f"f{place}", 0.0) for place in range(len(parts.encoder.columns))]),
        loss=loss,
        rounds=rounds,
        history=history or [],
    )


def params_of(parts: Parts, model: XGBoostModel) -> dict[str, Any]:
    """Give the parameters of a fit: the author's, and over them what the platform decides."""
    objective, metric = OBJECTIVES[parts.task] if model.quantile is None else QUANTILE
    decided: dict[str, Any] = {"objective": objective, "eval_metric": metric, "seed": model.seed, "tree_method": "hist"}
    if parts.classes:
        decided["num_class"] = len(parts.classes)
    if model.quantile is not None:
        decided["quantile_alpha"] = model.quantile
    if model.monotone:
        decided["monotone_constraints"] = tuple(directions(parts, model))
    return {"nthread": threads_of_a_fit(), "verbosity": 0, **model.params, **decided}


def _require_xgboost() -> Any:
    try:
        import xgboost as xgb
    except ModuleNotFoundError as error:
        raise SpecError.because(
            "models of kind xgboost", got="no package xgboost", expected="it installed",
            hint="pip install 'ml-platform[xgboost]'",
        ) from error  # fmt: skip
    return xgb


def _matrix(parts: Parts, part: Part) -> "xgb.DMatrix":
    import xgboost as xgb

    categorical = set(parts.encoder.categorical)
    types = ["c" if name in categorical else "q" for name in parts.encoder.columns]
    return xgb.DMatrix(
        part.features, label=part.labels, weight=part.weights, feature_types=types, enable_categorical=True
    )


def _watching(watch: Watch, metric: str) -> Any:
    from xgboost.callback import TrainingCallback

    class Watching(TrainingCallback):
        """Tells each round; the loss is of the validation part."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            """Go on, unless the one who watches raises."""
            del model
            watch(epoch + 1, evals_log["validation"][metric][-1])
            return False

    return Watching()
