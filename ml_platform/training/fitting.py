"""One model of any kind fitted: finds the trainer of its kind."""

import polars as pl

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import Model
from ml_platform.training.trainer import Trained, Trainer, Watch


def fit_model(rows: pl.DataFrame, columns: list[str], model: Model, task: Task, watch: Watch | None = None) -> Trained:
    """Fit a model; see `Trainer`."""
    return _trainer(model.kind)(rows, columns, model, task, watch)


def _trainer(kind: str) -> Trainer:
    from ml_platform.training.lightgbm import fit_lightgbm

    return {"lightgbm": fit_lightgbm}[kind]
