"""The three fits of a recipe: one that chooses rounds and calibration, one that is judged, one that serves.

What chooses is fitted on train and looks at validation; what is judged has learnt from both and is measured on the
holdout; what serves has learnt from every row known at the as-of. Nothing is fitted after the gates.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from ml_platform.contracts.spec import Fit, Model, PipelineSpec
from ml_platform.orchestration.executing import limited, open_boost
from ml_platform.orchestration.members import folds_of, join_fits
from ml_platform.orchestration.training_rows import FitRows
from ml_platform.training.boosting import Boost, boost
from ml_platform.training.executor import Executor
from ml_platform.training.stability import depends_on_seed, twin_of, with_warnings
from ml_platform.training.trainer import FitSet, Trained

if TYPE_CHECKING:
    from ml_platform.training.members import Member, Refits


def fit_models(rows: FitRows, spec: PipelineSpec, fit: Fit, as_of: str) -> FitSet:
    """Fit the models of a fit, and join them if there are several: the same rows and fit give the same files."""
    if fit.ensemble is None:
        [model] = fit.models.values()
        with open_boost(spec.training) as run:
            tuning = _tuning_fit(spec, model, rows.parts, run)
            refits = [refitter(spec, model, run)(each, tuning=tuning) for each in refit_on(rows)]
        return fit_set(tuning, refits)
    folds = folds_of(spec, rows.parts, as_of)
    members = {name: fit_one_member(spec, model, rows, folds) for name, model in fit.models.items()}
    return join_fits(rows.parts, members, fit.ensemble, spec, folds)


def fit_one_member(
    spec: PipelineSpec, model: Model, rows: FitRows, folds: Sequence[pl.DataFrame], executor: Executor | None = None
) -> "Member":
    """Fit a member of an ensemble, and again on the rows of the refits."""
    from ml_platform.training.members import fit_member

    refit = {"refit": refitter(spec, model), "refit_on": refit_on(rows)}
    twin = fitter(spec, twin_of(model)) if depends_on_seed(model) else None
    member = fit_member(rows.parts, fitter(spec, model), folds, executor, twin=twin, **refit)
    return replace(member, trained=with_warnings(member.trained, model, member.twin, spec.loss_margin))


def refit_on(rows: FitRows) -> list[pl.DataFrame]:
    """Return the rows of the judged and of the served fit; nothing without a refit."""
    if rows.known is None:
        return []
    return [rows.parts.filter(pl.col("part") != "holdout"), rows.known]


def fit_set(tuning: Trained, refits: Sequence[Trained]) -> FitSet:
    """Return the three fits of a recipe, or the one of it that is not refitted."""
    return FitSet(tuning, *refits) if refits else FitSet.of_one(tuning)


def fitter(spec: PipelineSpec, model: Model, run: Boost = boost) -> Callable[[pl.DataFrame], Trained]:
    """Give the function that fits a model of a pipeline on a training set; `run` runs LightGBM."""
    from ml_platform.training.fitting import fit_model

    columns, task = spec.features.columns, spec.label.task
    fit = partial(fit_model, columns=columns, model=model, task=task, event_time=spec.event_time, run=run)
    return limited(spec.training, fit)


def refitter(spec: PipelineSpec, model: Model, run: Boost = boost) -> "Refits":
    """Return the function that fits a model again on other rows, with what its tuning fit chose held fixed."""
    from ml_platform.training.fitting import refit_model

    columns, task = spec.features.columns, spec.label.task
    fit = partial(refit_model, columns=columns, model=model, task=task, event_time=spec.event_time, run=run)
    return limited(spec.training, fit)


def _tuning_fit(spec: PipelineSpec, model: Model, rows: pl.DataFrame, run: Boost) -> Trained:
    """Fit on train, and warn where the fit stopped at once or its seed twin differs."""
    trained = fitter(spec, model, run)(rows)
    twin = fitter(spec, twin_of(model), run)(rows) if depends_on_seed(model) else None
    return with_warnings(trained, model, twin, spec.loss_margin)
