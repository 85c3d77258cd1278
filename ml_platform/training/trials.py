"""One trial of a search: a model with the parameters in question, fitted and judged on each fold in turn.

This is what travels to a worker; it sees no study. Whoever asked keeps the books, in `ml_platform.training.studies`.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import Model
from ml_platform.training.executor import Failure
from ml_platform.training.fitting import fit_model

State = Literal["complete", "pruned", "failed"]
TIME_IS_UP = "the timeout came"


@dataclass(frozen=True)
class Question:
    """What all trials of a search are asked: how small a model gets the loss on these folds.

    Parameters
    ----------
    folds : tuple of (n_rows, ...)
        Training sets with the parts train and validation, oldest first.
    columns : list of str
        The features.
    model : Model
        With the parameters that are not searched.
    task : Task
        What the label is.
    event_time : str or None
        The column that tells the age of a row.
    threads : mapping
        Parameters that say how many threads a fit may use beside its neighbours.
    """

    folds: tuple[pl.DataFrame, ...] = field(repr=False)
    columns: list[str]
    model: Model
    task: Task
    event_time: str | None = None
    threads: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """One trial.

    Parameters
    ----------
    slot : int
        Its place in the search, from 0.
    params : mapping
        Values of the searched parameters.
    bars : tuple of float
        After each fold, the mean loss so far beyond which the trial is pruned.
    seconds : float or None
        After how long it is ended.
    """

    slot: int
    params: Mapping[str, Any]
    bars: tuple[float, ...] = ()
    seconds: float | None = None

    def __str__(self) -> str:
        """Name the trial."""
        return f"trial {self.slot + 1}"


@dataclass(frozen=True)
class Trial:
    """What became of one trial; `losses` has one number for each fold that was judged."""

    slot: int
    params: Mapping[str, Any]
    losses: tuple[float, ...]
    state: State
    reason: str
    seconds: float
    ended_at: datetime

    @property
    def loss(self) -> float:
        """The mean over the folds that were judged."""
        return math.fsum(self.losses) / len(self.losses) if self.losses else math.nan


class _Ended(Exception):
    """Ends a trial before its last fold."""

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state: State = state
        self.reason = reason


def try_parameters(question: Question, asked: Asked) -> Trial:
    """Fit and judge on each fold, as long as the trial is worth it and the time is not up."""
    began = time.monotonic()
    losses: list[float] = []
    deadline = math.inf if asked.seconds is None else began + asked.seconds
    params = {**question.threads, **question.model.params, **asked.params}
    model = question.model.model_copy(update={"params": params, "search": None})
    ending = _Ended("complete", "")
    try:
        for number, rows in enumerate(question.folds):
            losses.append(_loss(question, model, rows, deadline))
            _refuse_worse(losses, asked.bars[number : number + 1])
    except _Ended as ended:
        fold = len(losses) + (ended.state == "failed")
        ending = _Ended(ended.state, f"fold {fold}: {ended.reason}")
    return _trial(asked, tuple(losses), ending.state, ending.reason, time.monotonic() - began)


def written(params: Mapping[str, Any]) -> str:
    """Write parameters in a line, numbers to four digits."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in params.items()
    )


def lost(asked: Asked, failure: Failure) -> Trial:
    """Give the trial whose fit crashed, or whose worker died."""
    return _trial(asked, (), "failed", failure.reason, 0.0)


def _trial(asked: Asked, losses: tuple[float, ...], state: State, reason: str, seconds: float) -> Trial:
    return Trial(asked.slot, asked.params, losses, state, reason, seconds, datetime.now(UTC))


def _loss(question: Question, model: Model, rows: pl.DataFrame, deadline: float) -> float:
    def watch(_round: int, _loss: float) -> None:
        if time.monotonic() >= deadline:
            raise _Ended("failed", TIME_IS_UP)

    watch(0, math.nan)
    told = None if math.isinf(deadline) else watch
    loss = fit_model(rows, question.columns, model, question.task, told, event_time=question.event_time).loss
    if not math.isfinite(loss):
        raise _Ended("failed", f"the loss is {loss}")
    return loss


def _refuse_worse(losses: list[float], bar: tuple[float, ...]) -> None:
    if bar and math.fsum(losses) / len(losses) > bar[0]:
        raise _Ended("pruned", "worse than the median of the trials before")
