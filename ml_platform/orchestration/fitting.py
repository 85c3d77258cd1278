"""Fitting a candidate: from a training set to a registered version, logged to the MLflow run it belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import polars as pl

from ml_platform.contracts.errors import NotEnoughRows, examples
from ml_platform.contracts.ports import ModelStore
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Fit, PipelineSpec
from ml_platform.data.lake.tables import Lake
from ml_platform.orchestration.certifying import require_no_leakage
from ml_platform.orchestration.executing import open_boost
from ml_platform.orchestration.metadata import picture, version_links
from ml_platform.orchestration.packaging import package
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.searching import search_metadata, searched_models
from ml_platform.orchestration.tracking import log_fit, require_sinks
from ml_platform.orchestration.training_rows import read_training_set
from ml_platform.training.searched import Searched, Searching
from ml_platform.training.trainer import Trained


@dataclass(frozen=True)
class Fitted:
    """A registered candidate, the fit it came from, and where the sinks beside MLflow show it."""

    version: ModelVersion
    experiment_id: str
    trained: Trained
    searched: Mapping[str, Searched]
    tracked: Mapping[str, Any]

    def metadata(self, pipeline: Pipeline) -> dict[str, Any]:
        """Show the candidate in the UI."""
        from ml_platform.validation.plots import importance_plot

        notes = self.trained.notes
        return {
            **version_links(self.version, self.experiment_id),
            **self.tracked,
            **({} if self.trained.rounds is None else {"rounds": self.trained.rounds}),
            **({"notes": dg.MetadataValue.md("\n".join(f"- {note}" for note in notes))} if notes else {}),
            "importance": picture(importance_plot(self.trained.importance), "importance"),
            **search_metadata(pipeline, self.searched),
        }


def fit_candidate(
    pipeline: Pipeline, lake: Lake, models: ModelStore, mlflow: Any, as_of: str, searching: Searching
) -> Fitted:
    """Fit on the training set of an as-of partition, and register the bundle.

    Parameters
    ----------
    mlflow : MlFlow
        The dagster-mlflow resource.
    searching : Searching
        How models that ask for a search are searched first.

    Raises
    ------
    LeakageFound
        If the rows do not keep their leakage certificate.
    NotEnoughRows
        If no row to fit on has a value of some feature.
    SearchFailed
        If a model is searched and no trial finished.
    RegistryError
        If MLflow or another sink cannot be told of the fit; then nothing is registered.
    """
    require_sinks(pipeline)
    run = mlflow.active_run().info
    rows = read_training_set(pipeline, lake, as_of)
    require_no_leakage(pipeline, rows, as_of)
    _require_values(pipeline, rows, as_of)
    searched = searched_models(pipeline, lake, rows, as_of, mlflow, searching)
    fit = _fit_of(pipeline.spec, searched)
    trained = fit_models(rows, pipeline.spec, fit)
    with TemporaryDirectory() as folder:
        bundle = package(pipeline, lake, as_of, rows, fit, trained, Path(folder))
        tracked = log_fit(mlflow, pipeline, as_of, rows, trained, bundle)
        version = models.register(pipeline.name, bundle.root, as_of=as_of, digest=bundle.digest, run_id=run.run_id)
    return Fitted(version, run.experiment_id, trained, searched, tracked)


def fit_models(rows: pl.DataFrame, spec: PipelineSpec, fit: Fit) -> Trained:
    """Fit the models of a fit: the same rows and the same fit give the same files."""
    from ml_platform.training.fitting import fit_model

    [model] = fit.models.values()
    with open_boost(spec.training) as run:
        return fit_model(rows, spec.features.columns, model, spec.label.task, event_time=spec.event_time, run=run)


def _require_values(pipeline: Pipeline, rows: pl.DataFrame, as_of: str) -> None:
    """Refuse a feature that no row to fit on knows: the model would be asked with values it has never seen."""
    train = rows.filter(pl.col("part") == "train")
    empty = [name for name in pipeline.spec.features.columns if train[name].null_count() == len(train)]
    if empty:
        raise NotEnoughRows.because(
            f"{pipeline.name}: training set as of {as_of}",
            got=f"no value of {examples(empty)} in train",
            expected="some of each feature",
            hint="mend the source or the lookup and materialize features and training_set again, or take the feature "
            "out of features.columns",
        )


def _fit_of(spec: PipelineSpec, searched: Mapping[str, Searched]) -> Fit:
    return Fit(
        models={name: each.model for name, each in searched.items()},
        ensemble=spec.ensemble,
        notes=tuple(f"{name}: {each.note}" for name, each in searched.items() if each.note),
        spec=spec.model_dump(mode="json", by_alias=True),
    )
