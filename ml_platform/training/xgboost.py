"""XGBoost on native categories, seeded, stopped early on the validation part. An extra: the package may be missing."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import XGBoostModel
from ml_platform.scoring.xgboost import fill_unseen
from ml_platform.training.lightgbm import directions
from ml_platform.training.parts import FloatArray, Part, Parts, refuse_infinite
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
    ContractError
        If a feature is infinite.
    """
    xgb = _require_xgboost()
    refuse_infinite(parts, model.kind)
    params, unseen = params_of(parts, model), stand_ins(parts)
    threads = params["nthread"]
    history: dict[str, dict[str, list[float]]] = {}
    callbacks = (
        [] if watch is None else [_watching(watch, params["eval_metric"])]
    )  # first: one that stops ends the list
    if parts.validation is None:
        booster = xgb.train(params, _matrix(parts, parts.train, unseen, threads), num_boost_round=model.rounds)
        return _learned(booster, parts, unseen, model.rounds)
    callbacks.append(xgb.callback.EarlyStopping(rounds=model.patience, save_best=True))
    booster = xgb.train(
        params,
        _matrix(parts, parts.train, unseen, threads),
        num_boost_round=model.rounds,
        evals=[(_matrix(parts, parts.validation, unseen, threads), "validation")],
        evals_result=history,
        callbacks=callbacks,
        verbose_eval=False,
    )
    losses = history["validation"][params["eval_metric"]]
    loss = losses[booster.best_iteration] if parts.validation.weights is None else None
    return _learned(booster, parts, unseen, booster.best_iteration + 1, loss, losses)


def _learned(
    booster: "xgb.Booster",
    parts: Parts,
    unseen: list[float | None],
    rounds: int,
    loss: float | None = None,
    history: list[float] | None = None,
) -> Learned:
    gains = booster.get_score(importance_type="total_gain")
    return Learned(
        files={FILE: bytes(booster.save_raw("json"))},
        description={"kind": "xgboost", "file": FILE, "stand_ins": unseen},
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
    threads = threads_of_a_fit(model.params.get("nthread", 0))
    return {"verbosity": 0, **model.params, **decided, "nthread": threads}


def stand_ins(parts: Parts) -> list[float | None]:
    """Return for each column the code that stands in for an unseen word; None of numbers and where words were missing.

    Of the words with at least the average number of rows it is the one whose mean label is nearest to that of all rows.
    """
    labels = parts.train.labels[:, None]
    targets = labels == np.arange(len(parts.classes)) if parts.classes else labels
    return [
        _neutral_code(parts.train.features[:, place], targets.astype(np.float64)) if name in words else None
        for words in [parts.encoder.vocabularies.keys() & parts.encoder.fills.keys()]
        for place, name in enumerate(parts.encoder.columns)
    ]


def _neutral_code(codes: FloatArray, targets: FloatArray) -> float:
    words, places, counts = np.unique(codes, return_inverse=True, return_counts=True)
    sums = np.zeros((len(words), targets.shape[1]))
    np.add.at(sums, places, targets)
    distance = ((sums / counts[:, None] - targets.mean(axis=0)) ** 2).sum(axis=1)
    return float(words[np.where(counts >= counts.mean(), distance, np.inf).argmin()])


def _require_xgboost() -> Any:
    try:
        import xgboost as xgb
    except ModuleNotFoundError as error:
        raise SpecError.because(
            "models of kind xgboost", got="no package xgboost", expected="it installed",
            hint="pip install 'ml-platform[xgboost]'",
        ) from error  # fmt: skip
    return xgb


def _matrix(parts: Parts, part: Part, unseen: list[float | None], threads: int) -> "xgb.DMatrix":
    import xgboost as xgb

    categorical = set(parts.encoder.categorical)
    types = ["c" if name in categorical else "q" for name in parts.encoder.columns]
    return xgb.DMatrix(
        fill_unseen(part.features, unseen),
        label=part.labels,
        weight=part.weights,
        feature_types=types,
        enable_categorical=True,
        nthread=threads,
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
