"""What is trained, judged, watched and served: models, gates, monitoring, retraining, serving."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ml_platform.contracts.lightgbm_params import LightGBMParams
from ml_platform.contracts.metrics import MetricName
from ml_platform.contracts.spec.parts import Days, Names, SomeDays, SpecPart


class LightGBMModel(SpecPart):
    """Gradient boosting; `params` go to LightGBM beside what the trainer sets."""

    kind: Literal["lightgbm"]
    params: LightGBMParams = {}
    rounds: Annotated[int, Field(ge=1, le=100_000)] = 2000
    patience: Annotated[int, Field(ge=1)] = 50
    seed: Annotated[int, Field(ge=0)] = 7


class Gate(SpecPart):
    """One condition for promotion: a bound on a metric, or a comparison with the champion or the best baseline.

    A comparison with `confidence` passes only if the margin is kept for certain, by the one-sided bound of a paired
    bootstrap on the same rows; between certain and refuted it is inconclusive. With `per`, columns of the features, it
    fails if the candidate is surely worse by more than the margin on any value of any of them.
    """

    metric: MetricName
    at_most: float | None = None
    at_least: float | None = None
    versus: Literal["champion", "baseline"] | None = None
    worse_by_at_most: Annotated[float, Field(ge=0)] | None = None
    better_by: Annotated[float, Field(ge=0)] | None = None
    confidence: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    per: Names | None = None

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        bounds = [self.at_most, self.at_least]
        margins = [self.worse_by_at_most, self.better_by]
        allowed, banned = (bounds, margins) if self.versus is None else (margins, bounds)
        if sum(value is not None for value in allowed) != 1 or any(value is not None for value in banned):
            names = "at_most or at_least" if self.versus is None else "worse_by_at_most or better_by"
            raise ValueError(
                f"expected exactly one of {names}" + (f" with versus: {self.versus}" if self.versus else "")
            )
        if self.confidence is not None and self.versus is None:
            raise ValueError("expected confidence only with versus: a bound is compared as it stands")
        if self.per is not None and self.worse_by_at_most is None:
            raise ValueError("expected per only with versus and worse_by_at_most: it looks for slices that are worse")
        return self

    @property
    def bound(self) -> float:
        """The one number that the gate names."""
        numbers = (self.at_most, self.at_least, self.worse_by_at_most, self.better_by)
        return next(number for number in numbers if number is not None)

    @property
    def name(self) -> str:
        """A statement that is true when the gate passes; names the asset check."""
        if self.versus is None:
            word = "at_least" if self.at_most is None else "at_most"
            return f"{self.metric}_{word}_{self.bound}".replace(".", "_").replace("-", "minus_")
        certainly = "" if self.confidence is None else f"_with_confidence_{self.confidence}".replace(".", "_")
        per = f"_per_{'_'.join(self.per)}" if self.per else ""
        return f"{self.metric}_{'not_worse' if self.better_by is None else 'better'}_than_{self.versus}{per}{certainly}"


class Monitoring(SpecPart):
    """How the deployed model's inputs are watched: window, and the index beyond which a column has drifted.

    Profiles are of whole partitions, so `window` is rounded up to those that it touches.
    """

    window: SomeDays = timedelta(days=7)
    psi_at_most: Annotated[float, Field(gt=0)] = 0.2
    drifted_columns_at_least: Annotated[int, Field(ge=1)] = 1
    rows_at_least: Annotated[int, Field(ge=1)] = 100


class Retrain(SpecPart):
    """When drift asks for a new model: never within `cool_down` of another request's as-of."""

    when: list[Literal["drift"]] = ["drift"]
    cool_down: Days = timedelta(days=7)


class Serving(SpecPart):
    """Limits of the endpoint: rows of one request, and how far back of the newest row the server knows the past.

    Windows look at `history`, however short, for as long as they reach. More of it lets the server answer for rows of
    the past too, as the endpoint's check and a replay do.
    """

    history: Days = timedelta(days=180)
    batch_at_most: Annotated[int, Field(ge=1, le=100_000)] = 1000
