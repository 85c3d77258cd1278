"""The model stages as assets: candidate and evaluation, read as of their partition, and the endpoint."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import dagster as dg
from pydantic import Field

from ml_platform.contracts.ports import Ledger, ModelStore, Target
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import member_stage
from ml_platform.data.lake.tables import Lake
from ml_platform.deployment.controller import promote
from ml_platform.orchestration.as_ofs import for_each_as_of, moves_endpoint
from ml_platform.orchestration.candidates import asked_version, candidate_of
from ml_platform.orchestration.demands import demands
from ml_platform.orchestration.endpoint_events import follow
from ml_platform.orchestration.fitting import fit_candidate, stability_check, stability_check_spec
from ml_platform.orchestration.judging import Judged, champion_check_spec, judge_candidate, record_evaluation
from ml_platform.orchestration.metadata import version_links
from ml_platform.orchestration.mlflow_run import experiment_of
from ml_platform.orchestration.partitions import partitions_def, stage_asset
from ml_platform.orchestration.registry_faults import report_faults
from ml_platform.orchestration.reporting import report_candidate
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.searching import CandidateConfig, begin_searching
from ml_platform.orchestration.tracking import log_evaluation
from ml_platform.orchestration.training_rows import read_training_set
from ml_platform.training.studies import Studies

TRAINED_BY = {"lightgbm": "lightgbm", "linear": "scikitlearn", "xgboost": "xgboost"}


class EndpointConfig(dg.Config):
    """What a person may choose when materializing the endpoint."""

    version: int | None = Field(
        default=None,
        description="Promote this very version, also one that was champion before. Left out: the newest candidate.",
    )


def model_assets(pipeline: Pipeline) -> list[dg.AssetsDefinition]:
    """Make the model stages of a pipeline."""
    return [_candidate(pipeline), _evaluation(pipeline), _endpoint(pipeline)]


def _candidate(pipeline: Pipeline) -> dg.AssetsDefinition:
    @stage_asset(
        pipeline,
        "candidate",
        kinds=_kinds(pipeline),
        description="A model trained on what was known before the as-of, registered and not gated yet.",
        partitions_def=partitions_def(pipeline),
        deps=[[pipeline.name, stage] for stage in ("training_set", *map(member_stage, pipeline.spec.members))],
        check_specs=[stability_check_spec(pipeline)],
    )
    def candidate(
        context: dg.AssetExecutionContext,
        config: CandidateConfig,
        lake: dg.ResourceParam[Lake],
        models: dg.ResourceParam[ModelStore],
        ledger: dg.ResourceParam[Ledger],
        studies: dg.ResourceParam[Studies],
        mlflow: dg.ResourceParam[Any],
    ) -> dg.MaterializeResult:
        searching = begin_searching(context, config, pipeline, studies)
        faults = report_faults(context, pipeline.name, ledger, models)

        def fit(as_of: str) -> dg.MaterializeResult:
            fitted = fit_candidate(pipeline, lake, models, ledger, mlflow, as_of, searching)
            metadata = fitted.metadata(pipeline) | faults
            return dg.MaterializeResult(metadata=metadata, check_results=[stability_check(fitted)])

        return for_each_as_of(context, fit, pipeline=pipeline, mlflow=mlflow)

    return candidate


def _kinds(pipeline: Pipeline) -> set[str]:
    """Name what trains the one model; an ensemble's members say it themselves."""
    return {"mlflow"} if pipeline.spec.ensemble else {"mlflow", TRAINED_BY[pipeline.spec.kind]}


def _evaluation(pipeline: Pipeline) -> dg.AssetsDefinition:
    gates = pipeline.spec.all_gates

    @stage_asset(
        pipeline,
        "evaluation",
        kinds={"scikitlearn", "mlflow"},
        description="The candidate on its holdout, beside champion and baselines, and each gate's verdict.",
        partitions_def=partitions_def(pipeline),
        deps=[[pipeline.name, "candidate"], [pipeline.name, "training_set"]],
        check_specs=[
            dg.AssetCheckSpec(
                gate.name,
                asset=[pipeline.name, "evaluation"],
                partitions_def=partitions_def(pipeline),
                blocking=True,
                description="A gate: the endpoint follows only versions that pass it.",
            )
            for gate in gates
        ]
        + [champion_check_spec(pipeline)],
    )
    def evaluation(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        models: dg.ResourceParam[ModelStore],
        ledger: dg.ResourceParam[Ledger],
        mlflow: dg.ResourceParam[Any],
    ) -> dg.MaterializeResult:
        actor, is_blocking = f"dagster run {context.run.run_id}", moves_endpoint(context, pipeline)
        faults = report_faults(context, pipeline.name, ledger, models)

        def evaluate(as_of: str) -> dg.MaterializeResult:
            version = candidate_of(models, ledger.read(pipeline.name), pipeline.name, as_of)
            rows = read_training_set(pipeline, lake, as_of)
            judged = judge_candidate(pipeline, version, rows, lake, models, ledger)
            record_evaluation(judged.evaluation, version, ledger, models, actor=actor)
            links = _logged(mlflow, pipeline, version, judged)
            report = report_candidate(pipeline, judged, version, rows, lake, models, ledger, mlflow)
            checks = judged.check_results(is_blocking=is_blocking)
            return dg.MaterializeResult(metadata=links | judged.metadata() | report | faults, check_results=checks)

        return for_each_as_of(context, evaluate, pipeline=pipeline, mlflow=mlflow)

    return evaluation


def _logged(mlflow: Any, pipeline: Pipeline, version: ModelVersion, judged: Judged) -> dict[str, Any]:
    """Log an evaluation to MLflow and the other sinks, and return where people find it."""
    links = version_links(version, experiment_of(mlflow, version))
    return links | log_evaluation(mlflow, pipeline, judged.evaluation)


def _endpoint(pipeline: Pipeline) -> dg.AssetsDefinition:
    gates = demands(pipeline.spec, pipeline.metrics)

    @stage_asset(
        pipeline,
        "endpoint",
        kinds={"litestar", "mlflow"},
        description="The version that serves. It follows a candidate only if every gate passed for that version.",
        deps=[[pipeline.name, "evaluation"]],
        output_required=False,  # while a version waits for its approval, what serves stays as it is
    )
    def endpoint(
        context: dg.AssetExecutionContext,
        config: EndpointConfig,
        models: dg.ResourceParam[ModelStore],
        ledger: dg.ResourceParam[Ledger],
        target: dg.ResourceParam[Target],
    ) -> Iterator[dg.MaterializeResult | dg.AssetObservation]:
        run, faults = context.run, report_faults(context, pipeline.name, ledger, models)
        decisions, as_of = ledger.read(pipeline.name), run.tags.get("dagster/partition")
        version = asked_version(models, decisions, pipeline.name, config.version, as_of)
        asked: dict[str, Any] = {"is_named": config.version is not None, "is_backfill": "dagster/backfill" in run.tags}
        actor = f"dagster run {run.run_id}"
        asked |= {"gates": gates, "approval": pipeline.spec.approval}
        following = partial(promote, version, ledger=ledger, store=models, target=target, actor=actor, **asked)
        yield follow(context, pipeline, version, following, ledger, faults)

    return endpoint
