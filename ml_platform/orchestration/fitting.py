"""Fitting a candidate: from a training set to a registered version, logged to the MLflow run it belongs to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import dagster as dg
import polars as pl

from ml_platform.contracts.errors import NotEnoughRows, examples
from ml_platform.contracts.ports import ModelStore
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Ensemble, Fit, Model, PipelineSpec
from ml_platform.data.lake.tables import Lake
from ml_platform.orchestration.certifying import require_no_leakage
from ml_platform.orchestration.executing import open_boost
from ml_platform.orchestration.members import folds_of, join_versions
from ml_platform.orchestration.metadata import member_links, picture, version_links
from ml_platform.orchestration.packaging import package
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.searching import search_metadata, searched_models
from ml_platform.orchestration.tracking import log_fit, require_sinks
from ml_platform.orchestration.training_rows import read_training_set
from ml_platform.training.boosting import Boost, boost
from ml_platform.training.searched import Searched, Searching
from ml_platform.training.trainer import Trained


@dataclass(frozen=True)
class Fitted:
    """A registered candidate, the fit it came from, and where the sinks beside MLflow show it.

    Of an ensemble also the versions of its members.
    """

    version: ModelVersion
    experiment_id: str
    trained: Trained
    searched: Mapping[str, Searched]
    tracked: Mapping[str, Any]
    members: Mapping[str, ModelVersion]

    def metadata(self, pipeline: Pipeline) -> dict[str, Any]:
        """Show the candidate in the UI."""
        from ml_platform.validation.plots import importance_plot

        notes = self.trained.notes
        return {
            **version_links(self.version, self.experiment_id),
            **self.tracked,
            **({} if self.trained.rounds is None else {"rounds": self.trained.rounds}),
            **({"notes": dg.MetadataValue.md("\n".join(f"- {note}" for note in notes))} if notes else {}),
            **member_links(self.members, self.trained.params),
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
    require_values(pipeline, rows, as_of)
    made = (
        _searched(pipeline, lake, rows, as_of, mlflow, searching)
        if (ensemble := pipeline.spec.ensemble) is None
        else _joined(pipeline, ensemble, lake, models, rows, as_of)
    )
    with TemporaryDirectory() as folder:
        bundle = package(pipeline, lake, as_of, rows, made.fit, made.trained, Path(folder))
        tracked = log_fit(mlflow, pipeline, as_of, rows, made.trained, bundle)
        version = models.register(pipeline.name, bundle.root, as_of=as_of, digest=bundle.digest, run_id=run.run_id)
    return Fitted(version, run.experiment_id, made.trained, made.searched, tracked, made.members)


def fit_models(rows: pl.DataFrame, spec: PipelineSpec, fit: Fit, as_of: str) -> Trained:
    """Fit the models of a fit, and join them if there are several: the same rows and fit give the same files."""
    from ml_platform.training.ensembles import fit_member, join_members

    if fit.ensemble is None:
        [model] = fit.models.values()
        with open_boost(spec.training) as run:
            return fitter(spec, model, run)(rows)
    folds = folds_of(spec, rows, as_of)
    members = {name: fit_member(rows, fitter(spec, model), folds) for name, model in fit.models.items()}
    return join_members(rows, members, fit.ensemble, spec.label.task, folds, quantile=spec.quantile)


def fitter(spec: PipelineSpec, model: Model, run: Boost = boost) -> Callable[[pl.DataFrame], Trained]:
    """Give the function that fits a model of a pipeline on a training set; `run` runs LightGBM."""
    from ml_platform.training.fitting import fit_model

    columns, task = spec.features.columns, spec.label.task
    return partial(fit_model, columns=columns, model=model, task=task, event_time=spec.event_time, run=run)


def require_values(pipeline: Pipeline, rows: pl.DataFrame, as_of: str) -> None:
    """Refuse a feature that no row to fit on knows: the model would be asked with values it has never seen.

    Raises
    ------
    NotEnoughRows
        Names the features.
    """
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


def fit_of(spec: PipelineSpec, searched: Mapping[str, Searched]) -> Fit:
    """Give what is to be fitted for a spec, its models searched."""
    return Fit(
        models={name: each.model for name, each in searched.items()},
        ensemble=spec.ensemble,
        notes=tuple(f"{name}: {each.note}" for name, each in searched.items() if each.note),
        spec=spec.model_dump(mode="json", by_alias=True),
    )


class _Made(NamedTuple):
    fit: Fit
    trained: Trained
    searched: Mapping[str, Searched]
    members: Mapping[str, ModelVersion]


def _searched(
    pipeline: Pipeline, lake: Lake, rows: pl.DataFrame, as_of: str, mlflow: Any, searching: Searching
) -> _Made:
    """Search the one model where it asks for that, and fit it."""
    searched = searched_models(pipeline, lake, rows, as_of, mlflow, searching)
    fit = fit_of(pipeline.spec, searched)
    return _Made(fit, fit_models(rows, pipeline.spec, fit, as_of), searched, {})


def _joined(
    pipeline: Pipeline, ensemble: Ensemble, lake: Lake, models: ModelStore, rows: pl.DataFrame, as_of: str
) -> _Made:
    """Join the versions of the members, which are searched and fitted already."""
    joined = join_versions(pipeline, ensemble, lake, models, rows, as_of)
    fit = fit_of(pipeline.spec, {name: Searched(model, "") for name, model in joined.models.items()})
    return _Made(fit.model_copy(update={"notes": joined.notes}), joined.trained, {}, joined.versions)
