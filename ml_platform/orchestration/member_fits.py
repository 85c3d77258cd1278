"""Fitting a member of an ensemble by itself, as if the pipeline had its model alone, and registering its version."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from ml_platform.contracts.ports import ModelStore
from ml_platform.contracts.records import ModelVersion
from ml_platform.data.lake.tables import Lake
from ml_platform.orchestration.certifying import require_no_leakage
from ml_platform.orchestration.executing import open_executor
from ml_platform.orchestration.fitting import fit_of
from ml_platform.orchestration.freshness import require_current_training_set
from ml_platform.orchestration.measuring import measure_of
from ml_platform.orchestration.member_files import member_fit_set
from ml_platform.orchestration.members import as_if_alone, folds_of, registered_name
from ml_platform.orchestration.metadata import picture, version_links
from ml_platform.orchestration.outcomes import outcomes
from ml_platform.orchestration.packaging import package
from ml_platform.orchestration.recipes import fit_one_member
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.searching import search_metadata, searched_models
from ml_platform.orchestration.tracking import log_member, require_sinks
from ml_platform.orchestration.training_rows import read_fit_rows
from ml_platform.training.executor import Executor
from ml_platform.training.searched import Searched, Searching
from ml_platform.training.trainer import FitSet, Trained

Metrics = dict[str, dict[str, float]]


@dataclass(frozen=True)
class FittedMember:
    """A registered member, its fit, and its metrics on the validation and the holdout part."""

    version: ModelVersion
    experiment_id: str
    trained: Trained
    metrics: Metrics
    searched: Mapping[str, Searched]
    tracked: Mapping[str, Any]

    def metadata(self, pipeline: Pipeline) -> dict[str, Any]:
        """Show the member in the UI."""
        from ml_platform.validation.plots import importance_plot

        measured = {f"{part}/{name}": value for part, each in self.metrics.items() for name, value in each.items()}
        return {
            **version_links(self.version, self.experiment_id),
            **self.tracked,
            **({} if self.trained.rounds is None else {"rounds": self.trained.rounds}),
            **measured,
            "importance": picture(importance_plot(self.trained.importance), "importance"),
            **search_metadata(pipeline, self.searched),
        }


def fit_member_version(
    pipeline: Pipeline, lake: Lake, models: ModelStore, mlflow: Any, as_of: str, member: str, searching: Searching
) -> FittedMember:
    """Search one member where it asks for that, fit it on the training set of an as-of partition, and register it.

    Raises
    ------
    LeakageFound
        If the rows do not keep their leakage certificate.
    """
    require_sinks(pipeline)
    run, alone = mlflow.active_run().info, as_if_alone(pipeline, member)
    rows = read_fit_rows(pipeline, lake, as_of)
    require_current_training_set(pipeline, lake, as_of)
    require_no_leakage(pipeline, rows.parts, as_of)
    searched = searched_models(alone, lake, rows.parts, as_of, mlflow, searching)
    fit, folds = fit_of(alone.spec, searched), folds_of(pipeline.spec, rows.parts, as_of)
    with _executor(pipeline, fits=1 + len(folds)) as executor:
        fitted = fit_one_member(alone.spec, fit.models[member], rows, folds, executor)
    with TemporaryDirectory() as folder:
        fits = member_fit_set(fitted)
        bundle = package(alone, lake, as_of, rows, fit, fits, Path(folder))
        metrics = _metrics(rows.parts, fits, pipeline)
        tracked = log_member(mlflow, pipeline, as_of, member, fitted.trained, metrics, bundle)
        name = registered_name(pipeline, member)
        version = models.register(name, bundle.root, as_of=as_of, digest=bundle.digest, run_id=run.run_id)
    return FittedMember(version, run.experiment_id, fitted.trained, metrics, searched, tracked)


def _executor(pipeline: Pipeline, fits: int) -> AbstractContextManager[Executor]:
    """Open where a member and its folds are fitted: all at once on a cluster, one by one here with every core each."""
    return open_executor(pipeline, parallel=1 if pipeline.spec.training.executor == "local" else fits)


def _metrics(rows: pl.DataFrame, fits: FitSet, pipeline: Pipeline) -> Metrics:
    """Measure each part by a fit that has not learnt from it."""
    from ml_platform.validation.measure import THRESHOLD
    from ml_platform.validation.metrics import score

    metrics: Metrics = {}
    for part, trained in (("validation", fits.tuning), ("holdout", fits.judged)):
        happened = outcomes(rows, part, pipeline.spec.label.task, trained)
        said = happened.said_by(trained, rows.filter(pl.col("part") == part))
        metrics[part] = score(happened.labels, said, measure_of(pipeline, THRESHOLD))
    return metrics
