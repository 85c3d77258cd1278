"""What is trained: the kinds of model with their options, how they are searched, joined and spread over machines."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ml_platform.contracts.lightgbm_params import LightGBMParams
from ml_platform.contracts.linear_params import LinearParams
from ml_platform.contracts.spec.parts import NAME, Names, SomeDays, SomeTime, SpecPart
from ml_platform.contracts.xgboost_params import XGBoostParams

Positive = Annotated[float, Field(gt=0)]


def _label(value: object) -> object:
    """Write a label as YAML reads it (`true`, `3`) as the word that names it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


LabelName = Annotated[str, BeforeValidator(_label)]


class Range(SpecPart):
    """Numbers from `low` to `high`, both included, on a logarithmic scale with `log`; whole where the parameter is."""

    low: float | int
    high: float | int
    log: bool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"expected low below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"expected low above 0 with log, got {self.low}")
        return self


class Choices(SpecPart):
    """One of several values."""

    choices: Annotated[list[bool | int | float | str], Field(min_length=2)]


class Search(SpecPart):
    """Looks for better parameters before a fit: `trials` on the rolling-origin folds of the split, seeded.

    `space` names parameters of the model; the loss is the mean over the folds, or that of the one validation part if
    the split has none. `pruning` ends a trial that is worse after a fold than the median of those before. `timeout`
    ends the search, which then takes the best so far. With `every`, the parameters of a study serve all as-ofs until it
    is so old; without it each as-of is searched. A new study starts from the best parameters of the one before, unless
    `warm_start` is off.
    """

    trials: Annotated[int, Field(ge=1, le=10_000)]
    timeout: SomeTime | None = None
    space: Annotated[dict[str, Range | Choices], Field(min_length=1)]
    pruning: bool = True
    parallel: Annotated[int, Field(ge=1, le=64)] = 1
    every: SomeDays | None = None
    warm_start: bool = True


class ModelPart(SpecPart):
    """Options that every kind of model has.

    `class_weights` make rows of rare classes count more, in the fit and where it stops: `balanced`, or a weight by
    label, 1 for those left out. With `recency_half_life` a row counts half as much for each such span that it is older
    than the newest of train. `calibration` of a binary model is fitted on the validation part.
    """

    seed: Annotated[int, Field(ge=0)] = 7
    class_weights: Literal["balanced"] | Annotated[dict[LabelName, Positive], Field(min_length=1)] | None = None
    recency_half_life: SomeDays | None = None
    calibration: Literal["isotonic", "platt"] | None = None
    search: Search | None = None


class TreeModel(ModelPart):
    """Options of boosted trees: at most `rounds`, stopped when `patience` of them brought nothing.

    `monotone` holds the prediction to rise or fall with a feature. `quantile` predicts that quantile of a regression's
    label instead of its mean.
    """

    rounds: Annotated[int, Field(ge=1, le=100_000)] = 2000
    patience: Annotated[int, Field(ge=1)] = 50
    monotone: dict[str, Literal["increasing", "decreasing"]] = {}
    quantile: Annotated[float, Field(gt=0, lt=1)] | None = None


class LightGBMModel(TreeModel):
    """LightGBM; `params` go to it beside what the trainer sets."""

    kind: Literal["lightgbm"]
    params: LightGBMParams = {}


class XGBoostModel(TreeModel):
    """XGBoost, extra `xgboost`; `params` go to it beside what the trainer sets."""

    kind: Literal["xgboost"]
    params: XGBoostParams = {}


class LinearModel(ModelPart):
    """Logistic or linear regression on scaled numbers and one column for each category."""

    kind: Literal["linear"]
    params: LinearParams = {}


Model = Annotated[LightGBMModel | LinearModel | XGBoostModel, Field(discriminator="kind")]
ModelName = Annotated[str, Field(pattern=NAME)]


class Ensemble(SpecPart):
    """Several models that answer as one.

    `average` of their predictions; `weighted`: the mean with the weights that make the validation loss least;
    `stacked`: a linear model on their out-of-fold predictions; `best`: the one with the least validation loss.
    """

    kind: Literal["average", "weighted", "stacked", "best"]
    of: Annotated[Names, Field(min_length=2)]


def member_stage(name: str) -> str:
    """Name the stage, and so the asset, that fits a member of an ensemble."""
    return f"member_{name}"


class Distributed(SpecPart):
    """One LightGBM trained by several workers, each on its share of the rows, by LightGBM's own interface.

    The engine starts the workers, each with so many `threads`; without a cluster, on this machine.
    """

    engine: Literal["dask", "ray"]
    workers: Annotated[int, Field(ge=2, le=256)]
    threads: Annotated[int, Field(ge=1, le=256)] = 1


class Training(SpecPart):
    """Where fits run: trials and members in this process or on a Ray cluster; one LightGBM alone or over workers.

    A fit computes with at most so many `threads`; left out, with what its process was given: the CPUs of its affinity
    and quota, `OMP_NUM_THREADS`, and at most eight. On a cluster each fit is given so many CPUs, one if left out.
    `stale` feature partitions, made from rows or lookups that changed since, are refused by name, or rebuilt by
    `training_set` before it reads them.
    """

    executor: Literal["local", "ray"] = "local"
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    distributed: Distributed | None = None
    stale: Literal["refuse", "rebuild"] = "refuse"


class Approval(SpecPart):
    """Who lets a version that passed its gates serve: nobody need (`automatic`), or a person (`manual`).

    A person may approve `within` so long of the evaluation that passed, and the approval holds for as long again.
    """

    mode: Literal["automatic", "manual"] = "automatic"
    within: SomeDays = timedelta(days=7)
