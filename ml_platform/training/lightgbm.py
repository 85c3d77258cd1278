"""LightGBM on native categories, seeded and deterministic, stopped early on the validation part."""

import json
import os

import numpy as np
import polars as pl

from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import LightGBMModel
from ml_platform.features.encoding import Encoder
from ml_platform.scoring.scorer import DESCRIPTION
from ml_platform.training.trainer import Trained, Watch

FILE = "model.txt"  # LightGBM's native text
# By task: the objective and the metric to stop by, in LightGBM's words; the two are the same loss.
OBJECTIVES: dict[Task, tuple[str, str]] = {"binary": ("binary", "binary_logloss"), "regression": ("regression", "rmse")}


def fit_lightgbm(
    rows: pl.DataFrame, columns: list[str], model: LightGBMModel, task: Task, watch: Watch | None = None
) -> Trained:
    """Fit gradient-boosted trees; see `Trainer`.

    Raises
    ------
    NotEnoughRows
        If all labels of a part are the same: then nothing can be learned or stopped.
    """
    import lightgbm as lgb

    train, validation = (rows.filter(pl.col("part") == part) for part in ("train", "validation"))
    for name, part in (("train", train), ("validation", validation)):
        _refuse_one_label(name, part, task)
    encoder = Encoder.fit(train, columns)
    labels = (train["label"].to_numpy().astype(float), validation["label"].to_numpy().astype(float))
    fitting = lgb.Dataset(
        encoder.encode(train),
        labels[0],
        feature_name=list(columns),
        categorical_feature=encoder.categorical,
        free_raw_data=True,
    )
    stopping = lgb.Dataset(encoder.encode(validation), labels[1], reference=fitting)
    history: dict[str, dict[str, list[float]]] = {}
    callbacks = [lgb.early_stopping(model.patience, verbose=False), lgb.record_evaluation(history)]
    if watch is not None:
        callbacks.append(lambda env: watch(env.iteration + 1, env.evaluation_result_list[0][2]))
    booster = lgb.train(
        _params(model, task),
        fitting,
        num_boost_round=model.rounds,
        valid_sets=[stopping],
        valid_names=["validation"],
        callbacks=callbacks,
    )
    gains = booster.feature_importance("gain", iteration=booster.best_iteration)
    order = np.argsort(-gains, kind="stable")
    losses = history["validation"][OBJECTIVES[task][1]]
    description = {"kind": "lightgbm", "task": task, "file": FILE}
    return Trained(
        files={
            FILE: booster.model_to_string(num_iteration=booster.best_iteration).encode(),
            DESCRIPTION: json.dumps(description, sort_keys=True).encode(),
        },
        encoder=encoder,
        importance={columns[index]: float(gains[index]) for index in order},
        loss=losses[booster.best_iteration - 1],
        rounds=booster.best_iteration,
        history=losses,
        params=model.params,
    )


def _params(model: LightGBMModel, task: Task) -> dict[str, object]:
    objective, metric = OBJECTIVES[task]
    return {
        "num_threads": min(os.cpu_count() or 1, 8),
        **model.params,
        "objective": objective,
        "metric": metric,
        "seed": model.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def _refuse_one_label(name: str, part: pl.DataFrame, task: Task) -> None:
    different = part["label"].n_unique()
    if different < 2:
        one = "class" if task == "binary" else "value"
        raise NotEnoughRows.because(
            f"training set: {name}",
            got=f"{len(part)} rows with {different} {one}",
            expected="rows of both classes" if task == "binary" else "labels that differ",
            hint="choose a longer window, or an as-of partition with several outcomes before it",
        )
