"""The Dagster Component `MLPipeline`: one YAML file becomes the asset graph, checks, jobs and sensors of a pipeline."""

from typing import Any

import dagster as dg
from dagster.components.core.context import ComponentLoadContext
from pydantic import BaseModel, GetJsonSchemaHandler, RootModel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ml_platform.contracts.spec import PipelineSpec
from ml_platform.orchestration.graph import pipeline_definitions
from ml_platform.orchestration.new_pipeline import PipelineScaffolder
from ml_platform.orchestration.resolution import Pipeline, resolve


class _Attributes(RootModel[dict[str, Any]]):
    """Takes any mapping, so that faults are found and told by `resolve`; shows editors the schema of the spec."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        del core_schema
        return handler.resolve_ref_schema(handler(PipelineSpec.__pydantic_core_schema__))


@dg.scaffold_with(PipelineScaffolder)
class MLPipeline(dg.Component):
    """A machine-learning pipeline, from a source to an endpoint that is watched."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Give the model that Dagster reads `attributes` with."""
        return _Attributes

    @classmethod
    def load(cls, attributes: BaseModel | None, context: ComponentLoadContext) -> "MLPipeline":
        """Resolve the attributes; raises SpecError with file and line of every fault."""
        given = attributes.root if isinstance(attributes, _Attributes) else {}
        package = context.defs_relative_module_name(context.path)
        return cls(resolve(given, context.path / "defs.yaml", package))

    def build_defs(self, context: ComponentLoadContext) -> dg.Definitions:
        """Give the pipeline's definitions."""
        del context
        return pipeline_definitions(self.pipeline)
