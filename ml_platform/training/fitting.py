"""One model of any kind fitted: the trainer of its kind, and around it what all kinds have."""

import json
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import Model, TreeModel
from ml_platform.scoring.scorer import DESCRIPTION, scorer_of
from ml_platform.training.boosting import Boost, boost
from ml_platform.training.calibration import calibrated
from ml_platform.training.losses import loss_of
from ml_platform.training.parts import Parts, prepare, prepare_whole
from ml_platform.training.trainer import Learned, Trained, Trainer, Watch


def fit_model(
    rows: pl.DataFrame,
    columns: list[str],
    model: Model,
    task: Task,
    watch: Watch | None = None,
    *,
    event_time: str | None = None,
    run: Boost = boost,
) -> Trained:
    """Fit a model on the train part, stop and calibrate it on the validation part; the holdout is never looked at.

    Parameters
    ----------
    rows : (n_rows, ...)
        A training set: the columns, `label` and `part`.
    columns : list of str
        The features.
    model : Model
        Its kind and options.
    task : Task
        What the label is, and so which loss is made small.
    watch : function, optional
        Told of each round, where the kind has rounds.
    event_time : str, optional
        The column that tells the age of a row; needed with `recency_half_life`.
    run : function
        Runs LightGBM: in this process, or over several workers.

    Raises
    ------
    NotEnoughRows
        If all labels of a part are the same.
    ContractError
        If the rows do not fit the model's options, or the model gives no finite predictions.
    """
    parts = prepare(rows, columns, model, task, event_time)
    fit = _trainer(model.kind, run)(parts, model, watch)
    description, validation = _description(fit, parts), parts.validation
    assert validation is not None  # noqa: S101 - `prepare` makes both parts
    loss, notes = fit.loss, (*parts.notes, *fit.notes, *_stopped(fit, model))
    if model.calibration is not None or loss is None:
        predicted = scorer_of(description, fit.files.__getitem__)(validation.features)
        loss = loss_of(validation.labels, predicted, task, getattr(model, "quantile", None))
        if model.calibration is not None:
            found = calibrated(model.calibration, validation.labels, predicted, loss)
            description["calibration"], loss, notes = found.calibration, found.loss, (*notes, found.note)
    return _trained(fit, parts, model, description, loss, notes)


def refit_model(
    rows: pl.DataFrame,
    columns: list[str],
    model: Model,
    task: Task,
    tuning: Trained,
    *,
    event_time: str | None = None,
    run: Boost = boost,
) -> Trained:
    """Fit the same recipe on more rows, with what the tuning fit chose held fixed: its rounds and its calibration.

    Parameters
    ----------
    rows : (n_rows, ...)
        All rows to learn from, whatever their part: the columns and `label`.
    tuning : Trained
        The fit that chose.
    columns, model, task, event_time, run
        As in `fit_model`.

    Raises
    ------
    NotEnoughRows
        If all labels are the same.
    ContractError
        If the rows do not fit the model's options, or a prediction for them is not finite.
    """
    parts = prepare_whole(rows, columns, model, task, event_time)
    fixed = model.model_copy(update={"rounds": tuning.rounds}) if isinstance(model, TreeModel) else model
    fit = _trainer(model.kind, run)(parts, fixed, None)
    description = _description(fit, parts)
    predicted = scorer_of(description, fit.files.__getitem__)(parts.train.features)
    loss_of(parts.train.labels, predicted, task, getattr(model, "quantile", None))  # raises if one is not finite
    if (calibration := json.loads(tuning.files[DESCRIPTION]).get("calibration")) is not None:
        description["calibration"] = calibration
    return _trained(fit, parts, model, description, tuning.loss, (*parts.notes, *fit.notes))


def _description(fit: Learned, parts: Parts) -> dict[str, Any]:
    classes = {"classes": list(parts.classes)} if parts.classes else {}
    return {**fit.description, "task": parts.task, **classes}


def _trained(
    fit: Learned, parts: Parts, model: Model, description: dict[str, Any], loss: float, notes: tuple[str, ...]
) -> Trained:
    order, columns = np.argsort(-fit.importance, kind="stable"), parts.encoder.columns
    return Trained(
        files={**fit.files, DESCRIPTION: json.dumps(description, sort_keys=True).encode()},
        encoder=parts.encoder,
        importance={columns[place]: float(fit.importance[place]) for place in order},
        loss=loss,
        rounds=fit.rounds,
        history=fit.history,
        params=_shown(model),
        notes=notes,
        warnings=parts.warnings,
        classes=parts.classes,
    )


def _stopped(fit: Learned, model: Model) -> tuple[str, ...]:
    """Say at which round a fit stopped, or that it never did."""
    if fit.rounds is None:
        return ()
    if fit.rounds < len(fit.history):
        return (f"Of {len(fit.history)} rounds the first {fit.rounds} are kept: none after them had a smaller loss.",)
    if fit.rounds == getattr(model, "rounds", None):
        return (f"All {fit.rounds} rounds are kept, the last had the smallest loss: more of them may be better.",)
    return ()


def _shown(model: Model) -> dict[str, Any]:
    """Give the options that decide a fit, the parameters among them by their own names."""
    options = model.model_dump(mode="json", exclude={"params", "search"}, exclude_none=True)
    return {**{name: value for name, value in options.items() if value != {}}, **model.params}


def _trainer(kind: str, run: Boost) -> Trainer:
    from ml_platform.training.lightgbm import fit_lightgbm
    from ml_platform.training.linear import fit_linear
    from ml_platform.training.xgboost import fit_xgboost

    return {"lightgbm": partial(fit_lightgbm, run=run), "linear": fit_linear, "xgboost": fit_xgboost}[kind]
