"""A member of an ensemble: one recipe fitted on a training set, on its folds, with another seed, and on more rows.

Put here what is fitted for one member; joining several is the business of `ml_platform.training.ensembles`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.scoring.classes import Class, ordered, spread
from ml_platform.training.executor import Executor, LocalExecutor, results
from ml_platform.training.out_of_fold import predicted_rows
from ml_platform.training.trainer import Trained

FloatArray = NDArray[np.float64]
Fits = Callable[[pl.DataFrame], Trained]


class Refits(Protocol):
    """Fits a recipe again on other rows."""

    def __call__(self, rows: pl.DataFrame, /, *, tuning: Trained) -> Trained:
        """Fit with what the tuning fit chose held fixed."""
        ...


@dataclass(frozen=True)
class Member:
    """A fitted member of an ensemble.

    Parameters
    ----------
    trained : Trained
        The fit on the training set's own parts.
    refits : tuple of Trained
        The judged fit and the served fit; none where the pipeline does not refit.
    twin : Trained or None
        The fit with another seed, where one was asked for.
    out_of_fold : (n_predicted,) or (n_predicted, n_classes) array or None
        What fits in the folds said of the rows they did not see, in the folds' order; only a stack needs it.
    """

    trained: Trained
    out_of_fold: FloatArray | None = None
    refits: tuple[Trained, ...] = ()
    twin: Trained | None = None


def fit_member(
    rows: pl.DataFrame,
    fit: Fits,
    folds: Sequence[pl.DataFrame] = (),
    executor: Executor | None = None,
    *,
    twin: Fits | None = None,
    refit: Refits | None = None,
    refit_on: Sequence[pl.DataFrame] = (),
) -> Member:
    """Fit one member, and its seed twin where one is asked for.

    Parameters
    ----------
    rows : (n_rows, ...)
        A training set.
    fit : function
        From a training set to a fitted model, as `fit_model` with all else bound.
    folds : sequence of (n_fold_rows, ...)
        As `out_of_fold.fold_sets` gives them; none where no stack asks for them.
    executor : Executor, optional
        Where the member and its folds are fitted; one after another in this process without one.
    twin : function, optional
        As `fit`, with another seed.
    refit : function, optional
        From rows and the fit on `rows` to a fit with what that one chose held fixed, as `refit_model`.
    refit_on : sequence of (n_rows, ...)
        The rows of each refit.
    """
    runs = executor or LocalExecutor()
    asked = [_Asked("the fit", rows, is_fold=False)]
    asked += [_Asked(f"fold {number}", fold, is_fold=True) for number, fold in enumerate(folds, 1)]
    whole, *in_folds = results(runs.map(partial(_fit, fit=fit), asked))
    classes = whole.trained.classes
    said = [_over(each.out_of_fold, each.trained.classes, classes) for each in in_folds if each.out_of_fold is not None]
    again: list[Member] = []
    if refit is not None and refit_on:
        wanted = [_Asked(f"refit {number}", each, is_fold=False) for number, each in enumerate(refit_on, 1)]
        again = results(runs.map(partial(_fit, fit=partial(refit, tuning=whole.trained)), wanted))
    refits = tuple(each.trained for each in again)
    other = None
    if twin is not None:
        [other] = results(runs.map(partial(_fit, fit=twin), [_Asked("the seed twin", rows, is_fold=False)]))
    return Member(whole.trained, np.concatenate(said) if said else None, refits, other and other.trained)


@dataclass(frozen=True)
class _Asked:
    """One of the fits that a member takes."""

    name: str
    rows: pl.DataFrame
    is_fold: bool

    def __str__(self) -> str:
        return self.name


def _fit(asked: _Asked, fit: Fits) -> Member:
    """Fit on the rows; of a fold also predict what the fit did not see."""
    trained = fit(asked.rows)
    if not asked.is_fold:
        return Member(trained)
    loaded = replace(trained)  # keeps the model that it scores with; what travels back has the files alone
    return Member(trained, loaded.predict(predicted_rows(asked.rows)))


def _over(said: FloatArray, its_own: Sequence[Class], classes: Sequence[Class]) -> FloatArray:
    """Give what a fit in a fold said of its own classes, over those that the member itself knows."""
    if not classes:
        return said
    known = ordered([*classes, *its_own])
    return spread(said, its_own, known)[:, [known.index(label) for label in classes]]
