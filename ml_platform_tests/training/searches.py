"""Made-up searches: trials whose loss is a formula of their parameters, and processes that die in the middle."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from ml_platform.contracts.spec import LightGBMModel
from ml_platform.training.claims import Owner
from ml_platform.training.executor import Failure
from ml_platform.training.studies import Place, Studies, Study
from ml_platform.training.trials import Asked, Question, Trial

SPACE = {"learning_rate": {"low": 0.01, "high": 0.5, "log": True}, "num_leaves": {"low": 4, "high": 64}}
ME = Owner("me", lambda _: True)


class Silent:
    """Hears how a search gets on, and keeps it to itself."""

    def begin(self, ended: Sequence[Trial], start: Any) -> None:
        """Hear of a search that begins."""

    def tell(self, trial: Trial, best: Trial | None) -> None:
        """Hear of a trial."""


class Killed(BaseException):
    """Ends a search as a kill does: nothing after it runs."""


def model_of(trials: int = 12, **search: Any) -> LightGBMModel:
    """Give a searched model."""
    return LightGBMModel.model_validate(
        {"kind": "lightgbm", "search": {"trials": trials, "space": SPACE, **search}, "params": {"min_data_in_leaf": 5}}
    )


def question_of(folds: int = 2, **search: Any) -> Question:
    """Give a question with empty folds, for an executor that looks at none."""
    return Question((pl.DataFrame(),) * folds, ["x"], model_of(**search), "binary")


def place_of(as_of: str = "2020-02-01", asks: str = "asks", digest: str = "digest") -> Place:
    """Give a place of the model gbm in the pipeline made_up."""
    return Place("made_up", "gbm", as_of, asks, digest)


def open_study(studies: Studies, owner: Owner = ME, **place: str) -> AbstractContextManager[Study]:
    """Give a study of that model."""
    return studies.open(place_of(**place), owner)


def bowl(asked: Asked) -> Trial:
    """Give a trial whose loss is least at a learning rate of 0.1 and 20 leaves."""
    loss = (asked.params["learning_rate"] - 0.1) ** 2 + (asked.params["num_leaves"] - 20) ** 2 / 1e4
    return Trial(asked.slot, asked.params, (loss, loss), "complete", "", 0.0, datetime(2020, 2, 1, tzinfo=UTC))


@dataclass
class Formula:
    """An executor that asks a formula, keeps what it was asked, and dies at some trial if told to."""

    formula: Callable[[Asked], Trial] = bowl
    dies_at: int | None = None
    asked: list[Asked] = field(default_factory=list)

    def map(self, function: Callable[[Any], Any], items: Sequence[Any], seconds: float | None = None) -> list[Any]:
        """Give what the formula gives, or its failure."""
        del function, seconds
        return [self._one(item) for item in items]

    def _one(self, item: Asked) -> Trial | Failure:
        if item.slot == self.dies_at:
            raise Killed
        self.asked.append(item)
        try:
            return self.formula(item)
        except ValueError as error:
            return Failure(error)
