"""What goes to MLflow of a fit and of an evaluation: params, metrics, data versions, code version and environment."""

from typing import Any

import polars as pl

from ml_platform.contracts.records import Evaluation
from ml_platform.orchestration.packaging import environment
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.registry.bundle import Bundle
from ml_platform.training.trainer import Trained

HISTORY_POINTS = 100


def log_fit(mlflow: Any, pipeline: Pipeline, as_of: str, rows: pl.DataFrame, trained: Trained, bundle: Bundle) -> None:
    """Log a fit to the active MLflow run.

    Parameters
    ----------
    mlflow : MlFlow
        The dagster-mlflow resource.
    """
    spec, manifest = pipeline.spec, bundle.manifest
    split = spec.split.model_dump(mode="json")
    params: dict[str, Any] = {"pipeline": pipeline.name, "as_of": as_of, "model": ", ".join(spec.models)}
    params |= {f"split.{name}": value for name, value in split.items()}
    params |= {f"model.{name}": value for name, value in trained.params.items()}
    _log_new_params(mlflow, params)
    tags = {
        "pipeline": pipeline.name,
        "as_of": as_of,
        "bundle_digest": bundle.digest,
        "code_version": manifest.code_version,
    }
    mlflow.set_tags(
        tags | {"spec_digest": manifest.spec_digest} | {f"data.{each.table}": each.version for each in manifest.data}
    )
    counts = dict(rows.group_by("part").len().iter_rows())
    metrics = {"validation_loss": trained.loss, **{f"{part}_rows": count for part, count in counts.items()}}
    mlflow.log_metrics(metrics | ({} if trained.rounds is None else {"rounds": trained.rounds}))
    step = max(1, len(trained.history) // HISTORY_POINTS)
    for at in range(0, len(trained.history), step):
        mlflow.log_metric(f"validation_{spec.loss}", trained.history[at], step=at + 1)
    mlflow.log_dict(environment(), "environment.json")
    mlflow.log_dict(spec.model_dump(mode="json", by_alias=True), "spec.json")
    mlflow.log_dict(trained.importance, "importance.json")


def log_evaluation(mlflow: Any, evaluation: Evaluation) -> None:
    """Log metrics and verdicts to the active MLflow run."""
    mlflow.log_metrics(
        {f"{model}.{name}": value for model, metrics in evaluation.metrics.items() for name, value in metrics.items()}
    )
    mlflow.log_dict(evaluation.model_dump(mode="json"), "evaluation.json")
    mlflow.set_tags({"gates": evaluation.outcome})


def _log_new_params(mlflow: Any, params: dict[str, Any]) -> None:
    """Log what the run does not hold yet: MLflow refuses a changed param, and a resumed run logs them again."""
    known = mlflow.active_run().data.params
    mlflow.log_params({name: value for name, value in params.items() if name not in known})
