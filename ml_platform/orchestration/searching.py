"""Searching the models of a pipeline before they are fitted: rows of the folds, the study, its runs and pictures."""

import hashlib
import json
import math
import os
import socket
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from ml_platform.contracts.spec import Model
from ml_platform.data.lake.tables import Lake
from ml_platform.data.splits.folds import fold_rows, rolling_folds
from ml_platform.data.splits.parts import DAY, KNOWN_AT, LABEL, PART
from ml_platform.orchestration.code_versions import code_version
from ml_platform.orchestration.dead_runs import is_alive
from ml_platform.orchestration.executing import open_executor
from ml_platform.orchestration.metadata import picture, preview
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.search_runs import TrialRuns
from ml_platform.training.claims import Owner
from ml_platform.training.searched import How, Searched, Searching, searched_model
from ml_platform.training.studies import Place, Studies
from ml_platform.training.trials import Question, Trial, written

BUDGET = {"trials", "timeout", "parallel", "every", "warm_start", "pruning"}


class CandidateConfig(dg.Config):
    """What a person may choose when materializing the candidate."""

    search: How = Field(
        default="auto",
        description="Whether the models that ask for a search are searched: auto, as the spec says; always, whatever "
        "`every` says; never, with the best parameters of the last study, or the spec's own if there is none.",
    )


def begin_searching(
    context: dg.AssetExecutionContext, config: CandidateConfig, pipeline: Pipeline, studies: Studies
) -> Searching:
    """Give what the searches of a step work with."""
    return Searching(
        studies=studies,
        owner=Owner(f"{socket.gethostname()} {os.getpid()} {context.run.run_id}", partial(_is_dead, context.instance)),
        executor=partial(open_executor, pipeline),
        how=config.search,
    )


def searched_models(
    pipeline: Pipeline, lake: Lake, rows: pl.DataFrame, as_of: str, mlflow: Any, searching: Searching
) -> dict[str, Searched]:
    """Give each model of the spec as it is to be fitted, searched first where it asks for that.

    Parameters
    ----------
    rows : (n_rows, ...)
        The training set as of the partition; its holdout is not looked at.
    mlflow : MlFlow
        The dagster-mlflow resource; each trial becomes a run nested under its run.

    Raises
    ------
    SearchFailed
        If no trial of a search finished.
    """
    spec, models = pipeline.spec, pipeline.spec.models
    wanted = {name: model for name, model in models.items() if model.search is not None}
    if not wanted:
        return {name: Searched(model, "") for name, model in models.items()}
    folds = _folds(pipeline, rows, as_of)
    written = lake.written(pipeline.table("training_set"))[as_of].hash
    searched: dict[str, Searched] = {}
    for name, model in wanted.items():
        question = Question(folds, spec.features.columns, model, spec.label.task, spec.event_time)
        place = _place(pipeline, name, as_of, written)
        telling = _Telling(mlflow, place, model.search.trials if model.search else 0)
        searched[name] = searched_model(question, place, searching, telling)
        telling.finish(model, searched[name])
    return {name: searched.get(name) or Searched(model, "") for name, model in models.items()}


def search_metadata(pipeline: Pipeline, searched: Mapping[str, Searched]) -> dict[str, Any]:
    """Show the searches in the UI."""
    shown: dict[str, Any] = {f"search/{name}": each.note for name, each in searched.items() if each.note}
    for name, each in searched.items():
        if each.note:
            found = _found(pipeline.spec.models[name], each)
            shown |= {f"search/{name}/{part}": value for part, value in found.items()}
    return shown


def _found(model: Model, searched: Searched) -> dict[str, Any]:
    """Show the best parameters; and of a search how it came to them."""
    from ml_platform.training import search_plots as plots

    outcome = searched.outcome
    importance = {} if outcome is None else plots.importance_of(model, outcome.trials)
    best = plots.best_table(model, searched.model.params, importance)
    found: dict[str, Any] = {} if best.is_empty() else {"best": dg.MetadataValue.md(preview(best, best.height))}
    if outcome is None:
        return found
    trials = preview(plots.trial_table(outcome.trials), plots.TABLE_ROWS)
    found |= {"resumed_trials": outcome.resumed, "trials": dg.MetadataValue.md(trials)}
    if not (failed := plots.failure_table(outcome.trials)).is_empty():
        found["failed"] = dg.MetadataValue.md(preview(failed))
    found["history"] = picture(plots.history_plot(outcome), "history")
    if importance:
        found["importance"] = picture(plots.importance_plot(importance), "importance")
    return found


class _Telling:
    """Tells of each trial as it ends: a line in Dagster's log, and a run in MLflow."""

    def __init__(self, mlflow: Any, place: Place, trials: int) -> None:
        self._mlflow, self._place, self._trials = mlflow, place, trials

    def begin(self, ended: Sequence[Trial], start: Mapping[str, Any] | None) -> None:
        if ended:
            self._say(f"goes on with its search after {len(ended)} of {self._trials} trials, done by an earlier run")
        elif start:
            self._say(f"is searched, {self._trials} trials; the first has the best parameters of the study before")
        else:
            self._say(f"is searched, {self._trials} trials")

    def tell(self, trial: Trial, best: Trial | None) -> None:
        ended = f"trial {trial.slot + 1} of {self._trials} {trial.state} in {trial.seconds:.1f} s"
        loss = "" if math.isnan(trial.loss) else f", loss {trial.loss:.6g}"
        least = "none complete yet" if best is None else f"best {best.loss:.6g} in trial {best.slot + 1}"
        reason = f": {trial.reason}" if trial.reason else ""
        self._say(f"{ended}{loss} with {written(trial.params)}{reason}; {least}")
        self._runs.log(trial)

    def finish(self, model: Model, searched: Searched) -> None:
        """Tell how the search ended, and of the trials that an earlier run could not tell of any more."""
        self._mlflow.set_tags({f"search.{self._place.model}": searched.note})
        self._say(searched.note)
        if searched.outcome is None:
            return
        if searched.outcome.resumed:
            logged = self._runs.logged()
            for trial in searched.outcome.trials:
                if trial.slot not in logged:
                    self._runs.log(trial)
        from ml_platform.training.search_plots import importance_of, page

        importance = importance_of(model, searched.outcome.trials)
        place = self._place
        title = f"{place.pipeline}: search of {place.model} as of {place.as_of}"
        self._mlflow.log_text(page(title, model, searched.outcome, importance), f"search/{place.model}.html")

    def _say(self, told: str) -> None:
        dg.get_dagster_logger().info(f"{self._place.model}: {told}")

    @cached_property
    def _runs(self) -> TrialRuns:
        client, place = self._mlflow.MlflowClient(), self._place
        parent = client.get_run(self._mlflow.active_run().info.run_id)
        told = {"pipeline": place.pipeline, "model": place.model, "as_of": place.as_of, "study": place.name}
        return TrialRuns(client, parent, told)


def _folds(pipeline: Pipeline, rows: pl.DataFrame, as_of: str) -> tuple[pl.DataFrame, ...]:
    """Give the training set of each fold; the one pair of train and validation, if the split has no folds."""
    spec = pipeline.spec
    folds = rolling_folds(spec.split, pipeline.calendar, as_of) if spec.split.folds else ()
    needed = rows.select(*spec.features.columns, LABEL, PART, KNOWN_AT, DAY, spec.event_time)
    cut = tuple(fold_rows(needed, fold, spec.event_time) for fold in folds)
    return cut or (needed.filter(pl.col(PART).is_in(["train", "validation"])),)


def _place(pipeline: Pipeline, name: str, as_of: str, written: str) -> Place:
    spec = pipeline.spec
    model = spec.models[name].model_dump(mode="json")
    asks = {**model, "search": {key: value for key, value in model["search"].items() if key not in BUDGET}}
    asked = _digest(asks, spec.label.task, spec.features.columns)
    alike = [model["search"][key] for key in ("parallel", "pruning", "warm_start")]
    split = spec.split.model_dump(mode="json")
    return Place(pipeline.name, name, as_of, asked, _digest(asked, alike, split, written, code_version()))


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _is_dead(instance: dg.DagsterInstance, owner: str) -> bool:
    """Tell whether the process or the run that an owner names is gone."""
    host, pid, run_id = owner.split(" ")
    if host == socket.gethostname() and (int(pid) == os.getpid() or not is_alive(int(pid))):
        return True
    run = instance.get_run_by_id(run_id)
    return run is None or run.is_finished
