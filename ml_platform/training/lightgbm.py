"""LightGBM on native categories, seeded and deterministic, stopped early on the validation part."""

import os

import numpy as np
import polars as pl

from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.contracts.spec import LightGBMModel
from ml_platform.features.encoding import Encoder
from ml_platform.training.trainer import Trained

OBJECTIVE = "binary"
LOSS = "binary_logloss"


def fit_lightgbm(rows: pl.DataFrame, columns: list[str], model: LightGBMModel) -> Trained:
    """Fit gradient-boosted trees; see `Trainer`.

    Raises
    ------
    NotEnoughRows
        If a part has one class only: then nothing can be learned or stopped.
    """
    import lightgbm as lgb

    train, validation = (rows.filter(pl.col("part") == part) for part in ("train", "validation"))
    for name, part in (("train", train), ("validation", validation)):
        _refuse_one_class(name, part)
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
    booster = lgb.train(
        _params(model),
        fitting,
        num_boost_round=model.rounds,
        valid_sets=[stopping],
        valid_names=["validation"],
        callbacks=[lgb.early_stopping(model.patience, verbose=False), lgb.record_evaluation(history)],
    )
    gains = booster.feature_importance("gain", iteration=booster.best_iteration)
    order = np.argsort(-gains, kind="stable")
    return Trained(
        files={"model.txt": booster.model_to_string(num_iteration=booster.best_iteration).encode()},
        encoder=encoder,
        rounds=booster.best_iteration,
        importance={columns[index]: float(gains[index]) for index in order},
        history=history["validation"][LOSS],
    )


def _params(model: LightGBMModel) -> dict[str, object]:
    return {
        "num_threads": min(os.cpu_count() or 1, 8),
        **model.params,
        "objective": OBJECTIVE,
        "metric": LOSS,
        "seed": model.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def _refuse_one_class(name: str, part: pl.DataFrame) -> None:
    classes = part["label"].n_unique()
    if classes < 2:
        raise NotEnoughRows.because(
            f"training set: {name}",
            got=f"{len(part)} rows with {classes} class(es)",
            expected="rows of both classes",
            hint="choose a longer window, or an as-of partition with both outcomes before it",
        )
