"""One pipeline as its author writes it, from a source to an endpoint."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ml_platform.contracts.metrics import LOSS_OF, METRIC_NAMES, MetricName
from ml_platform.contracts.spec.features import STAGES, TABLES, Features
from ml_platform.contracts.spec.gates import AnyGate, Decide, Gate, OwnMetric, ServedFitGate, with_distinct_names
from ml_platform.contracts.spec.models import Approval, Ensemble, Model, ModelName, Training, TreeModel
from ml_platform.contracts.spec.partitions import Label, Partitions, Split
from ml_platform.contracts.spec.parts import NAME, Names, Owner, PythonPath, SpecPart
from ml_platform.contracts.spec.sources import Quality, Source
from ml_platform.contracts.spec.watching import COOL_DOWN, Monitoring, Retrain, Serving

__all__ = ["STAGES", "TABLES", "PipelineSpec"]


def _mode(value: Any) -> Any:
    return {"mode": value} if isinstance(value, str) else value


class PipelineSpec(SpecPart):
    """One pipeline, from a source to an endpoint.

    Several `models` answer as the `ensemble` says. With `refit: all` the version that serves has learnt from every row
    whose label was known at its as-of, by the rounds, calibration, threshold and weights that validation chose; gates
    judge the same recipe fitted without the holdout. `approval: manual` is short for `{mode: manual}`. `tracking`
    names the sinks that get what MLflow gets.
    """

    name: Annotated[str, Field(pattern=NAME)]
    description: str
    owners: list[Owner] = []
    partitions: Partitions
    source: Source
    key: Names
    event_time: str
    label: Label
    schema_: Annotated[PythonPath | None, Field(alias="schema")] = None
    quality: Quality = Quality()
    features: Features
    split: Split
    models: Annotated[dict[ModelName, Model], Field(min_length=1)]
    ensemble: Ensemble | None = None
    training: Training = Training()
    refit: Literal["none", "all"] = "none"
    decide: Decide = Decide()
    metrics: dict[Annotated[str, Field(pattern=NAME)], OwnMetric] = {}
    gates: Annotated[list[AnyGate], Field(min_length=1)]
    approval: Annotated[Approval, BeforeValidator(_mode)] = Approval()
    tracking: list[Literal["tensorboard", "wandb"]] = []
    monitoring: Monitoring = Monitoring()
    retrain: Retrain = Retrain()
    serving: Serving = Serving()

    @field_validator("gates", mode="after")
    @classmethod
    def _gates_are_distinct(cls, gates: list[AnyGate]) -> list[AnyGate]:
        return with_distinct_names(gates)

    @model_validator(mode="after")
    def _metrics_have_names_of_their_own(self) -> Self:
        if taken := [name for name in self.metrics if name in METRIC_NAMES]:
            raise ValueError(f"expected metrics under names of their own, got {', '.join(taken)}")
        return self

    @model_validator(mode="after")
    def _champion_has_not_seen_the_holdout(self) -> Self:
        cool_down, holdout = self.retrain.cool_down, self.split.holdout
        if self.refit == "all" and self.retrain.when and cool_down is not None and cool_down < holdout:
            raise ValueError(
                f"expected retrain.cool_down of at least split.holdout ({holdout.days}d) with refit: all, got "
                f"{cool_down.days}d: a champion that has learnt from the holdout cannot be compared on it"
            )
        return self

    @property
    def retraining(self) -> Retrain:
        """The retrain policy with its cool-down: 7 days, or the holdout where that is longer."""
        cool_down = self.retrain.cool_down
        if cool_down is None:
            cool_down = max(COOL_DOWN, self.split.holdout) if self.refit == "all" else COOL_DOWN
        return self.retrain.model_copy(update={"cool_down": cool_down})

    @property
    def loss_margin(self) -> float | None:
        """By how much a candidate's loss may be worse than the champion's; None if no gate says so."""
        margins = (
            gate.worse_by_at_most
            for gate in self.gates
            if isinstance(gate, Gate) and gate.metric == self.loss and gate.versus == "champion" and gate.per is None
        )
        return min((margin for margin in margins if margin is not None), default=None)

    @property
    def all_gates(self) -> list[AnyGate | ServedFitGate]:
        """The gates of the spec, and the one that `refit: all` brings."""
        implied = [ServedFitGate(metric=self.loss, worse_by_at_most=self.loss_margin)] if self.refit == "all" else []
        return [*self.gates, *implied]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; other gates get distinct names as when a spec is loaded."""
        named = {"gates": with_distinct_names(update["gates"])} if update and "gates" in update else {}
        return super().model_copy(update={**(update or {}), **named}, deep=deep)

    @property
    def members(self) -> list[str]:
        """The models that are members of an ensemble; none of a pipeline with one model."""
        return [] if self.ensemble is None else self.ensemble.of

    @property
    def kind(self) -> str:
        """What is trained: the kind of the one model, or `ensemble`."""
        return next(iter(self.models.values())).kind if self.ensemble is None else "ensemble"

    @property
    def quantile(self) -> float | None:
        """The quantile that its models predict instead of the mean, one for all of them; None if they do not."""
        quantiles = (model.quantile for model in self.models.values() if isinstance(model, TreeModel))
        return next((quantile for quantile in quantiles if quantile is not None), None)

    @property
    def loss(self) -> MetricName:
        """What a fit makes small."""
        return "pinball" if self.quantile is not None else LOSS_OF[self.label.task]
