"""The champion as the candidate's rival: its predictions on the holdout, or why there are none any more."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.errors import PlatformError
from ml_platform.contracts.evaluations import FitComparison
from ml_platform.contracts.ports import ModelStore
from ml_platform.contracts.records import ModelVersion
from ml_platform.ledger.folds import Champion
from ml_platform.orchestration.deployed_bundle import champion_bundle
from ml_platform.orchestration.outcomes import Outcomes
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.validation.evaluation import ChampionScores
from ml_platform.validation.gates import ROWS_AT_LEAST
from ml_platform.validation.measure import Measure
from ml_platform.validation.served_fit import compare_fits

if TYPE_CHECKING:
    from ml_platform.serving.predictor import Predictor

T = TypeVar("T")


@dataclass(frozen=True)
class Rival:
    """A champion, opened as far as that is possible: without a predictor, `because` says why.

    `predictor` is the fit that serves, `judged` the one that its gates looked at; None where they are the same.
    """

    champion: Champion
    predictor: "Predictor | None" = None
    judged: "Predictor | None" = None
    because: str = ""

    @property
    def predictors(self) -> "list[Predictor]":
        """Its fits, as far as they could be opened."""
        return [each for each in (self.predictor, self.judged) if each is not None]

    def scores(self, pipeline: Pipeline, holdout: pl.DataFrame, happened: Outcomes) -> ChampionScores:
        """Score the holdout; features that are no more are told, and the evaluation goes on."""
        is_unseen, version = self.is_unseen(pipeline, holdout), self.champion.version
        if self.predictor is None:
            return ChampionScores(version, None, is_unseen, because=self.because)
        if self.predictor.task != happened.task:
            because = f"its task is {self.predictor.task}, the candidate's {happened.task}"
            return ChampionScores(version, None, is_unseen, because=because)
        predictor = self.predictor
        # A table keeps the columns of features that are no more, without values: a champion of nulls is no rival.
        features = holdout.select(pipeline.spec.features.columns)
        predictions, because = _tried(lambda: happened.said_by(predictor, features))
        return ChampionScores(version, predictions, is_unseen, predictor.threshold, because)

    def is_unseen(self, pipeline: Pipeline, rows: pl.DataFrame) -> NDArray[np.bool_]:
        """Return which rows the champion has not learnt from: those at or after the instant that its bundle names."""
        known = None if self.predictor is None else self.predictor.manifest.learnt_until
        until = known or pipeline.calendar.as_of(self.champion.as_of)
        return np.asarray((rows[pipeline.spec.event_time] >= until).to_numpy(), dtype=bool)

    def fits_on_new_rows(
        self, pipeline: Pipeline, holdout: pl.DataFrame, happened: Outcomes, measure: Measure
    ) -> FitComparison | None:
        """Compare the champion's two fits on the rows new to both; None where it has one, or there are too few rows."""
        served, judged, mask = self.predictor, self.judged, self.is_unseen(pipeline, holdout)
        if served is None or judged is None or served.task != happened.task or mask.sum() < ROWS_AT_LEAST:
            return None
        rows = holdout.filter(pl.Series(mask)).select(pipeline.spec.features.columns)
        said, because = _tried(lambda: [happened.said_by(each, rows) for each in (judged, served)])
        if said is None or because:
            return None
        version = ModelVersion(
            pipeline=pipeline.name, version=self.champion.version, digest=self.champion.digest,
            as_of=self.champion.as_of, run_id="",
        )  # fmt: skip
        threshold = measure.threshold if served.threshold is None else served.threshold
        how = replace(measure, threshold=threshold)
        return compare_fits(version, pipeline.spec.loss, happened.labels[mask], said[0], said[1], how)


def open_rival(pipeline: Pipeline, champion: Champion, models: ModelStore) -> Rival:
    """Open a champion by its digest; a bundle that is gone or damaged is reported, and the evaluation goes on."""

    def opened() -> tuple["Predictor", "Predictor | None"]:
        from ml_platform.serving.predictor import Predictor

        bundle = champion_bundle(pipeline.name, champion, models)
        return Predictor.load(bundle), Predictor.load(bundle, "judged") if bundle.is_refit else None

    found, because = _tried(opened)
    return Rival(champion, because=because) if found is None else Rival(champion, *found)


def _tried(work: Callable[[], T]) -> tuple[T | None, str]:
    from mlflow.exceptions import MlflowException

    try:
        return work(), ""
    except (PlatformError, MlflowException, OSError, pl.exceptions.PolarsError) as error:
        return None, f"{type(error).__name__}: {error}"[:500]
