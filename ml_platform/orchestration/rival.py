"""The champion as the candidate's rival: its predictions on the holdout, or why there are none any more."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import polars as pl

from ml_platform.contracts.errors import PlatformError
from ml_platform.contracts.ports import ModelStore
from ml_platform.ledger.folds import Champion
from ml_platform.orchestration.outcomes import Outcomes
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.registry.bundle import open_bundle
from ml_platform.validation.evaluation import ChampionScores

if TYPE_CHECKING:
    from ml_platform.serving.predictor import Predictor

T = TypeVar("T")


@dataclass(frozen=True)
class Rival:
    """A champion, opened as far as that is possible: without a predictor, `because` says why."""

    champion: Champion
    predictor: "Predictor | None" = None
    threshold: float | None = None
    because: str = ""

    def scores(self, pipeline: Pipeline, holdout: pl.DataFrame, happened: Outcomes) -> ChampionScores:
        """Score the holdout; features that are no more are told, and the evaluation goes on."""
        at = holdout[pipeline.spec.event_time] >= pipeline.calendar.as_of(self.champion.as_of)
        is_unseen, version = np.asarray(at.to_numpy(), dtype=bool), self.champion.version
        if self.predictor is None:
            return ChampionScores(version, None, is_unseen, because=self.because)
        if self.predictor.task != happened.task:
            because = f"its task is {self.predictor.task}, the candidate's {happened.task}"
            return ChampionScores(version, None, is_unseen, because=because)
        predictor = self.predictor
        # A table keeps the columns of features that are no more, without values: a champion of nulls is no rival.
        features = holdout.select(pipeline.spec.features.columns)
        predictions, because = _tried(lambda: happened.said_by(predictor, features))
        return ChampionScores(version, predictions, is_unseen, self.threshold, because)


def open_rival(pipeline: Pipeline, champion: Champion, models: ModelStore) -> Rival:
    """Open a champion; a version or bundle that is gone or damaged is told, and the evaluation goes on."""

    def opened() -> tuple["Predictor", float | None]:
        from ml_platform.serving.predictor import Predictor

        version = models.version(pipeline.name, champion.version)
        bundle = open_bundle(models.bundle(version), version.digest)
        predictor = Predictor.load(bundle)
        return predictor, predictor.threshold

    found, because = _tried(opened)
    return Rival(champion, because=because) if found is None else Rival(champion, *found)


def _tried(work: Callable[[], T]) -> tuple[T | None, str]:
    from mlflow.exceptions import MlflowException

    try:
        return work(), ""
    except (PlatformError, MlflowException, OSError, pl.exceptions.PolarsError) as error:
        return None, f"{type(error).__name__}: {error}"[:500]
