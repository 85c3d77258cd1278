"""Model stages over the as-ofs of a run: one after another, each in an MLflow run of its own if there are several."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from ml_platform.orchestration.checks import report_per_partition
from ml_platform.orchestration.mlflow_run import as_of_run
from ml_platform.orchestration.partition_events import ALREADY_LOGGED, log_materializations
from ml_platform.orchestration.resolution import Pipeline


def for_each_as_of(
    context: dg.AssetExecutionContext,
    make: Callable[[str], dg.MaterializeResult],
    *,
    pipeline: Pipeline,
    mlflow: Any = None,
) -> dg.MaterializeResult:
    """Make each as-of partition of the run, oldest first, and report on all of them.

    Parameters
    ----------
    make : callable
        Makes one as-of and returns what Dagster shows of it.
    mlflow : MlFlow, optional
        The dagster-mlflow resource, of a stage that logs to it.
    """
    keys, results = list(context.partition_keys), dict[str, dg.MaterializeResult]()
    for key in keys:
        if mlflow is None:
            results[key] = make(key)
        else:
            with as_of_run(mlflow, pipeline.name, key, is_nested=len(keys) > 1):
                results[key] = make(key)
    return results[keys[0]] if len(keys) == 1 else _joined(context, results)


def moves_endpoint(context: dg.AssetExecutionContext, pipeline: Pipeline) -> bool:
    """Check whether the run goes on to the endpoint: only then a gate has something to stop."""
    return dg.AssetKey([pipeline.name, "endpoint"]) in context.job_def.asset_layer.selected_asset_keys


def _joined(context: dg.AssetExecutionContext, results: Mapping[str, dg.MaterializeResult]) -> dg.MaterializeResult:
    """Report each partition's metadata, data version and checks; Dagster itself keeps one for a whole range."""
    checks = [_check(context, name, results) for name in _check_names(results)]
    versions = {key: result.data_version.value for key, result in results.items() if result.data_version}
    metadata = {key: result.metadata or {} for key, result in results.items()}
    if versions.keys() == results.keys():
        log_materializations(context, versions, metadata)
        return dg.MaterializeResult(metadata=ALREADY_LOGGED, check_results=checks)
    for key, shown in metadata.items():
        context.add_asset_metadata(shown, partition_key=key)
    return dg.MaterializeResult(check_results=checks)


def _check_names(results: Mapping[str, dg.MaterializeResult]) -> list[str]:
    names = [check.check_name for result in results.values() for check in result.check_results or ()]
    return [name for name in dict.fromkeys(names) if name is not None]


def _check(
    context: dg.AssetExecutionContext, name: str, results: Mapping[str, dg.MaterializeResult]
) -> dg.AssetCheckResult:
    checks = {
        key: check
        for key, result in results.items()
        for check in result.check_results or ()
        if check.check_name == name
    }
    shown = {
        key: (check.passed, {**(check.metadata or {}), **({"says": check.description} if check.description else {})})
        for key, check in checks.items()
    }
    return report_per_partition(context, name, shown, next(iter(checks.values())).severity)
