"""Fitting a candidate: from a training set to a registered version, logged to the MLflow run it belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import dagster as dg

from ml_platform.contracts.ports import Ledger, ModelStore
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Ensemble, Fit, PipelineSpec
from ml_platform.data.lake.tables import Lake
from ml_platform.data.splits.parts import learnt_until
from ml_platform.orchestration.candidates import register_candidate
from ml_platform.orchestration.certifying import require_no_leakage
from ml_platform.orchestration.code_versions import model_spec
from ml_platform.orchestration.freshness import require_current_training_set
from ml_platform.orchestration.members import join_versions
from ml_platform.orchestration.metadata import member_links, picture, version_links
from ml_platform.orchestration.packaging import package
from ml_platform.orchestration.partitions import partitions_def
from ml_platform.orchestration.recipes import fit_models
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.searching import search_metadata, searched_models
from ml_platform.orchestration.tracking import log_fit, require_sinks
from ml_platform.orchestration.training_rows import FitRows, read_fit_rows
from ml_platform.training.searched import Searched, Searching
from ml_platform.training.trainer import FitSet

STABILITY = "fit_is_stable"


@dataclass(frozen=True)
class Fitted:
    """A registered candidate, the fits it came from, and where the sinks beside MLflow show it.

    Of an ensemble also the versions of its members.
    """

    version: ModelVersion
    experiment_id: str
    fits: FitSet
    searched: Mapping[str, Searched]
    tracked: Mapping[str, Any]
    members: Mapping[str, ModelVersion]
    learnt_rows: int
    learnt_until: datetime

    def metadata(self, pipeline: Pipeline) -> dict[str, Any]:
        """Show the candidate in the UI."""
        from ml_platform.validation.plots import importance_plot

        trained, notes = self.fits.tuning, self.fits.notes
        return {
            **version_links(self.version, self.experiment_id),
            **self.tracked,
            **({} if trained.rounds is None else {"rounds": trained.rounds}),
            **({"notes": _listed(notes)} if notes else {}),
            **({"warnings": _listed(warnings)} if (warnings := self.fits.warnings) else {}),
            "learnt_from": f"{self.learnt_rows:,} rows before {self.learnt_until:%Y-%m-%d %H:%M} UTC",
            **member_links(self.members, trained.params),
            "importance": picture(importance_plot(self.fits.judged.importance), "importance"),
            **search_metadata(pipeline, self.searched),
        }


def _listed(sentences: Sequence[str]) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in sentences))


def stability_check_spec(pipeline: Pipeline) -> dg.AssetCheckSpec:
    """Declare the check on how steady a fit was."""
    return dg.AssetCheckSpec(
        STABILITY,
        asset=[pipeline.name, "candidate"],
        partitions_def=partitions_def(pipeline),
        description="The fit did not stop at once, another seed gives as good a model, each feature has values. Warns.",
    )


def stability_check(fitted: Fitted) -> dg.AssetCheckResult:
    """Show what makes a fit doubtful."""
    warnings = fitted.fits.warnings
    return dg.AssetCheckResult(
        check_name=STABILITY,
        passed=not warnings,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(warnings) or "Nothing makes the fit doubtful.",
    )


def fit_candidate(
    pipeline: Pipeline, lake: Lake, models: ModelStore, ledger: Ledger, mlflow: Any, as_of: str, searching: Searching
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
        If all labels of a part are the same.
    SearchFailed
        If a model is searched and no trial finished.
    RegistryError
        If MLflow or another sink cannot be told of the fit; then nothing is registered.
    """
    require_sinks(pipeline)
    run = mlflow.active_run().info
    rows = read_fit_rows(pipeline, lake, as_of)
    require_current_training_set(pipeline, lake, as_of)
    require_no_leakage(pipeline, rows.parts, as_of)
    made = (
        _searched(pipeline, lake, rows, as_of, mlflow, searching)
        if (ensemble := pipeline.spec.ensemble) is None
        else _joined(pipeline, ensemble, lake, models, rows, as_of)
    )
    with TemporaryDirectory() as folder:
        bundle = package(pipeline, lake, as_of, rows, made.fit, made.fits, Path(folder))
        tracked = log_fit(mlflow, pipeline, as_of, rows.parts, made.fits, bundle)
        actor = f"MLflow run {run.run_id}"
        version = register_candidate(pipeline.name, bundle, models, ledger, run_id=run.run_id, actor=actor)
    learnt = learnt_until(pipeline.spec.split, pipeline.calendar, as_of, is_refit=made.fits.is_refit)
    return Fitted(version, run.experiment_id, made.fits, made.searched, tracked, made.members, len(rows.learnt), learnt)


def fit_of(spec: PipelineSpec, searched: Mapping[str, Searched]) -> Fit:
    """Give what is to be fitted for a spec, its models searched."""
    return Fit(
        models={name: each.model for name, each in searched.items()},
        ensemble=spec.ensemble,
        notes=tuple(f"{name}: {each.note}" for name, each in searched.items() if each.note),
        spec=model_spec(spec),
    )


class _Made(NamedTuple):
    fit: Fit
    fits: FitSet
    searched: Mapping[str, Searched]
    members: Mapping[str, ModelVersion]


def _searched(pipeline: Pipeline, lake: Lake, rows: FitRows, as_of: str, mlflow: Any, searching: Searching) -> _Made:
    """Search the one model where it asks for that, and fit it."""
    searched = searched_models(pipeline, lake, rows.parts, as_of, mlflow, searching)
    fit = fit_of(pipeline.spec, searched)
    return _Made(fit, fit_models(rows, pipeline.spec, fit, as_of), searched, {})


def _joined(pipeline: Pipeline, ensemble: Ensemble, lake: Lake, models: ModelStore, rows: FitRows, as_of: str) -> _Made:
    """Join the versions of the members, which are searched and fitted already."""
    joined = join_versions(pipeline, ensemble, lake, models, rows.parts, as_of)
    fit = fit_of(pipeline.spec, {name: Searched(model, "") for name, model in joined.models.items()})
    return _Made(fit.model_copy(update={"notes": joined.notes}), joined.fits, {}, joined.versions)
