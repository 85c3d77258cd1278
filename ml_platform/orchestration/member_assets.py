"""The members of an ensemble as assets between training set and candidate: fitted alone, or beside one another."""

from typing import Any

import dagster as dg

from ml_platform.contracts.ports import ModelStore
from ml_platform.contracts.spec import member_stage
from ml_platform.data.lake.tables import Lake
from ml_platform.orchestration.as_ofs import for_each_as_of
from ml_platform.orchestration.member_fits import fit_member_version
from ml_platform.orchestration.model_assets import TRAINED_BY
from ml_platform.orchestration.partitions import partitions_def, stage_asset
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.searching import CandidateConfig, begin_searching
from ml_platform.training.studies import Studies


def member_assets(pipeline: Pipeline) -> list[dg.AssetsDefinition]:
    """Make an asset for each member; none where the pipeline has one model."""
    return [_member(pipeline, name) for name in pipeline.spec.members]


def _member(pipeline: Pipeline, name: str) -> dg.AssetsDefinition:
    @stage_asset(
        pipeline,
        member_stage(name),
        kinds={TRAINED_BY[pipeline.spec.models[name].kind], "mlflow"},
        description=f"The model {name} by itself: a version of its own, and a member of the ensemble.",
        partitions_def=partitions_def(pipeline),
        deps=[[pipeline.name, "training_set"]],
    )
    def member(
        context: dg.AssetExecutionContext,
        config: CandidateConfig,
        lake: dg.ResourceParam[Lake],
        models: dg.ResourceParam[ModelStore],
        studies: dg.ResourceParam[Studies],
        mlflow: dg.ResourceParam[Any],
    ) -> dg.MaterializeResult:
        searching = begin_searching(context, config, pipeline, studies)

        def fit(as_of: str) -> dg.MaterializeResult:
            fitted = fit_member_version(pipeline, lake, models, mlflow, as_of, name, searching)
            return dg.MaterializeResult(metadata=fitted.metadata(pipeline))

        return for_each_as_of(context, fit, pipeline=pipeline, mlflow=mlflow)

    return member
