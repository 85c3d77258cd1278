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
from ml_platform.training.boosting import Boost, Boosting, Part, boost
from ml_platform.training.trainer import Trained, Watch

FILE = "model.txt"  # LightGBM's native text
# By task: the objective and the metric to stop by, in LightGBM's words; the two are the same loss.
OBJECTIVES: dict[Task, tuple[str, str]] = {"binary": ("binary", "binary_logloss"), "regression": ("regression", "rmse")}


def fit_lightgbm(
    rows: pl.DataFrame,
    columns: list[str],
    model: LightGBMModel,
    task: Task,
    watch: Watch | None = None,
    run: Boost = boost,
) -> Trained:
    """Fit gradient-boosted trees; see `Trainer`.

    Parameters
    ----------
    run : function
        Runs LightGBM: here, or over several workers.

    Raises
    ------
    NotEnoughRows
        If all labels of a part are the same: then nothing can be learned or stopped.
    """
    train, validation = (rows.filter(pl.col("part") == part) for part in ("train", "validation"))
    for name, part in (("train", train), ("validation", validation)):
        _refuse_one_label(name, part, task)
    encoder = Encoder.fit(train, columns)
    boosting = Boosting(_params(model, task), list(columns), encoder.categorical, model.rounds, model.patience)
    boosted = run(boosting, _part(train, encoder), _part(validation, encoder), watch)
    gains = boosted.booster.feature_importance("gain", iteration=boosted.rounds)
    order = np.argsort(-gains, kind="stable")
    description = {"kind": "lightgbm", "task": task, "file": FILE}
    return Trained(
        files={FILE: boosted.text.encode(), DESCRIPTION: json.dumps(description, sort_keys=True).encode()},
        encoder=encoder,
        importance={columns[index]: float(gains[index]) for index in order},
        loss=boosted.loss,
        rounds=boosted.rounds,
        history=boosted.history,
        params=model.params,
    )


def _part(rows: pl.DataFrame, encoder: Encoder) -> Part:
    return Part(encoder.encode(rows), rows["label"].to_numpy().astype(float))


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
