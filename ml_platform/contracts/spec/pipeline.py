"""One pipeline as its author writes it, from a source to an endpoint."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from ml_platform.contracts.spec.features import STAGES, TABLES, Features
from ml_platform.contracts.spec.models import Gate, LightGBMModel, Monitoring, Retrain, Serving
from ml_platform.contracts.spec.partitions import Label, Partitions, Split
from ml_platform.contracts.spec.parts import NAME, Names, Owner, PythonPath, SpecPart
from ml_platform.contracts.spec.sources import Quality, Source

__all__ = ["STAGES", "TABLES", "PipelineSpec"]


class PipelineSpec(SpecPart):
    """One pipeline, from a source to an endpoint."""

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
    models: Annotated[dict[Annotated[str, Field(pattern=NAME)], LightGBMModel], Field(min_length=1, max_length=1)]
    gates: Annotated[list[Gate], Field(min_length=1)]
    monitoring: Monitoring = Monitoring()
    retrain: Retrain = Retrain()
    serving: Serving = Serving()

    @model_validator(mode="after")
    def _gates_are_distinct(self) -> Self:
        names = [gate.name for gate in self.gates]
        if len(set(names)) < len(names):
            raise ValueError(f"expected distinct gates, got {', '.join(names)}")
        return self

    @property
    def model_name(self) -> str:
        """The name the author gave the model."""
        return next(iter(self.models))

    @property
    def model(self) -> LightGBMModel:
        """The model to train."""
        return self.models[self.model_name]
