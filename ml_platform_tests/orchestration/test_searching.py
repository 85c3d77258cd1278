"""A candidate that is searched: its study, its MLflow runs, what the UI shows, and what a broken search leaves."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from ml_platform.contracts.home import Home
from ml_platform.orchestration.mlflow_run import end_abandoned, open_experiment
from ml_platform.orchestration.search_runs import PARENT, TrialRuns
from ml_platform.registry.bundle import FIT, open_bundle
from ml_platform.training import trials
from ml_platform.training.studies import Best, Studies
from ml_platform_tests.pipelines.fixtures import enter
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.searching import SPACE, TRIALS, search_world
from ml_platform_tests.pipelines.world import AS_OF, LATER, World, copy_home, error_of

if TYPE_CHECKING:
    from mlflow.entities import Run

pytestmark = [pytest.mark.slow, *DAGSTER]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def search(loaded: World) -> World:
    """Give a world whose model is searched; data loaded, nothing trained."""
    return search_world(loaded.home, loaded.instance)


def _candidate(world: World, as_of: str, how: str = "auto") -> dg.ExecuteInProcessResult:
    config = {"ops": {"tiny__candidate": {"config": {"search": how}}}}
    return world.materialize("training_set", "candidate", key=as_of, run_config=config)


def _shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    assert result.success, error_of(result)
    [made] = result.asset_materializations_for_node("tiny__candidate")
    return {name: each.value for name, each in made.metadata.items() if name.startswith("search/")}


def _children(world: World) -> "list[Run]":
    return [run for run in world.mlflow_runs() if "mlflow.parentRunId" in run.data.tags]


def _fit(world: World, as_of: str) -> dict[str, Any]:
    """Give what the bundle of an as-of says of its fit."""
    version = world.models.newest("tiny", as_of)
    assert version is not None
    return json.loads(open_bundle(world.models.bundle(version)).read_bytes(FIT))


def _studies(world: World) -> Studies:
    return Studies(world.home.studies_url)


def _best(world: World, until: str = "9999-12-31") -> list[Best]:
    return list(_studies(world).found("tiny", "gbm", until))


def test_a_searched_candidate_is_fitted_with_the_best_parameters(search: World) -> None:
    """They stand in the bundle, in the UI and in MLflow; each trial is a run nested under the run of the retrain."""
    result = search.run("retrain", LATER)
    shown = _shown(result)
    [best] = _best(search)
    fit = _fit(search, LATER)
    assert best.params.keys() == SPACE.keys()
    assert fit["models"]["gbm"]["params"] == {"min_data_in_leaf": 20, "num_threads": 1, **best.params}
    assert fit["models"]["gbm"]["search"] is None
    assert fit["notes"] == [f"gbm: {shown['search/gbm']}"]
    assert shown["search/gbm"].startswith(
        f"searched: {TRIALS} trials on 2 folds (4 complete, 0 pruned, 0 failed); loss"
    )
    assert shown["search/gbm/trials"].count("\n") == TRIALS + 1
    assert shown["search/gbm/best"].splitlines()[0] == "| parameter | value | space | importance |"
    assert f"| num_leaves | {best.params['num_leaves']} | 3 to 15 | " in shown["search/gbm/best"]
    assert "| 0.05 to 0.3, by logarithm | " in shown["search/gbm/best"]
    assert shown["search/gbm/history"].startswith("![history](data:image/png;base64,")
    assert shown["search/gbm/importance"].startswith("![importance](data:image/png;base64,")
    [parent] = [run for run in search.mlflow_runs() if run.data.tags.get("dagster_run_id") == result.run_id]
    children = _children(search)
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert sorted(run.data.tags["trial"] for run in children) == ["1", "2", "3", "4"]
    assert {run.info.status for run in [parent, *children]} == {"FINISHED"}
    assert all({"loss", "fold_loss"} <= run.data.metrics.keys() for run in children)
    assert all(run.data.params.keys() == {f"model.{name}" for name in SPACE} for run in children)
    assert min(run.data.metrics["loss"] for run in children) == pytest.approx(best.loss)
    assert parent.data.tags["search.gbm"] == shown["search/gbm"]
    assert "gates" in parent.data.tags  # the evaluation went to the parent, not to a trial
    assert float(parent.data.params["model.learning_rate"]) == best.params["learning_rate"]
    client = open_experiment(search.home.mlflow_url, search.home.mlflow_artifacts)
    assert [each.path for each in client.list_artifacts(parent.info.run_id, "search")] == ["search/gbm.html"]


def test_the_same_candidate_again_repeats_no_trial_and_registers_nothing_new(
    search: World, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its bundle is the same to the byte; the log of the first has a line for each trial."""
    assert _candidate(search, LATER).success
    told = capfd.readouterr().err
    assert f"gbm: is searched, {TRIALS} trials" in told
    assert re.search(
        r"trial 4 of 4 complete in [0-9.]+ s, loss 0.[0-9]+ with learning_rate 0.[0-9]+, .*; best 0.[0-9]+ in trial",
        told,
    )
    assert [told.count(f"trial {number} of {TRIALS} complete in") for number in range(1, 5)] == [1] * 4
    again = _candidate(search, LATER)
    assert _shown(again)["search/gbm/resumed_trials"] == TRIALS
    told = capfd.readouterr().err
    assert f"gbm: goes on with its search after {TRIALS} of {TRIALS} trials, done by an earlier run" in told
    assert "complete in" not in told
    assert len(_children(search)) == TRIALS
    newest = search.models.newest("tiny")
    assert newest is not None
    assert newest.version == 1


def test_a_study_serves_later_as_ofs_until_it_is_as_old_as_every(loaded: World) -> None:
    """AS_OF and LATER are five days apart: within six the parameters are used again, from five on there is a search."""
    within = search_world(loaded.home, loaded.instance, every="6d")
    assert _candidate(within, AS_OF).success
    [study] = _best(within)
    shown = _shown(_candidate(within, LATER))
    reused = f"no search: the best parameters of the study as of {AS_OF} (loss {study.loss:.6g}): learning_rate 0."
    assert shown["search/gbm"].startswith(reused)
    assert shown.keys() == {"search/gbm", "search/gbm/best"}
    assert _fit(within, LATER)["models"]["gbm"]["params"].items() >= study.params.items()
    limit = search_world(loaded.home, loaded.instance, every="5d")
    assert _shown(_candidate(limit, LATER))["search/gbm"].startswith("searched: 4 trials")
    assert [each.as_of for each in _best(limit)] == [LATER, AS_OF]


def test_a_new_study_begins_with_the_best_of_the_earlier_one_and_never_of_a_later(search: World) -> None:
    """A backfill of an old partition knows nothing of studies that came after it."""
    _candidate(search, LATER)
    assert "began with" not in _shown(_candidate(search, AS_OF))["search/gbm"]
    earlier = _best(search, AS_OF)[0].params
    warm = search_world(search.home, search.instance, space={**SPACE, "num_leaves": {"low": 2, "high": 15}})
    assert "it began with the best parameters of the study before" in _shown(_candidate(warm, LATER))["search/gbm"]
    first = next(run for run in _children(warm) if run.data.tags["trial"] == "1")
    assert int(first.data.params["model.num_leaves"]) == earlier["num_leaves"]
    cold = search_world(search.home, search.instance, warm_start=False)
    assert "began with" not in _shown(_candidate(cold, LATER))["search/gbm"]


def test_never_takes_the_last_best_parameters_or_the_specs_own_and_says_so(search: World) -> None:
    own = _shown(_candidate(search, AS_OF, "never"))
    assert own == {"search/gbm": "no search: no earlier study has parameters for this space, so the spec's own"}
    assert _fit(search, AS_OF)["models"]["gbm"]["params"] == {"min_data_in_leaf": 20, "num_threads": 1}
    assert _candidate(search, LATER).success
    assert _shown(_candidate(search, AS_OF, "never")) == own  # the study of a later as-of is not looked at
    told = _shown(_candidate(search, LATER, "never"))["search/gbm"]
    assert told.startswith(f"no search: the best parameters of the study as of {LATER}")
    assert _fit(search, LATER)["notes"] == [f"gbm: {told}"]
    assert search.mlflow_runs()[0].data.tags["search.gbm"] == told


def test_always_searches_whatever_every_says(loaded: World) -> None:
    world = search_world(loaded.home, loaded.instance, every="30d")
    assert _candidate(world, AS_OF).success
    assert _shown(_candidate(world, LATER, "always"))["search/gbm"].startswith("searched: 4 trials")


def test_a_search_without_a_finished_trial_registers_nothing(search: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the reasons; its trials stand failed in MLflow; the next run searches anew."""

    def crash(*_: Any, **__: Any) -> None:
        raise MemoryError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(trials, "fit_model", crash)
        result = _candidate(search, LATER)
    assert not result.success
    assert "got 4 trials and none that finished (1 x OutOfMemory: trial 1: got no room, expected" in error_of(result)
    assert search.models.newest("tiny") is None
    assert {run.info.status for run in search.mlflow_runs()} == {"FAILED"}
    reasons = sorted(run.data.tags["reason"].partition(", expected")[0] for run in _children(search))
    assert reasons == [f"OutOfMemory: trial {number}: got no room" for number in range(1, 5)]
    assert _shown(_candidate(search, LATER))["search/gbm"].startswith("searched: 4 trials on 2 folds (4 complete")


def test_mlflow_unreachable_in_mid_search_loses_no_trial(search: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run fails and registers nothing; the next one goes on, and tells of the trial that was not told of."""
    from mlflow.exceptions import MlflowException

    real = TrialRuns.log

    def log(self: TrialRuns, trial: trials.Trial) -> None:
        if trial.slot == 1:
            raise MlflowException("connection refused")
        real(self, trial)

    with monkeypatch.context() as patched:
        patched.setattr(TrialRuns, "log", log)
        result = _candidate(search, LATER)
    assert not result.success
    assert "connection refused" in error_of(result)
    assert search.models.newest("tiny") is None
    assert _shown(_candidate(search, LATER))["search/gbm/resumed_trials"] == 2
    assert sorted(run.data.tags["trial"] for run in _children(search)) == ["1", "2", "3", "4"]
    assert not [run for run in search.mlflow_runs() if run.info.status == "RUNNING"]


def test_a_run_of_a_trial_that_was_cut_off_is_ended_with_its_parent(search: World) -> None:
    client = open_experiment(search.home.mlflow_url, search.home.mlflow_artifacts)
    result = _candidate(search, LATER)
    parent = next(run for run in search.mlflow_runs() if run.data.tags.get("dagster_run_id") == result.run_id)
    tags = {name: parent.data.tags[name] for name in ("dagster_instance",) if name in parent.data.tags}
    left = client.create_run(parent.info.experiment_id, tags={**tags, PARENT: result.run_id})
    assert end_abandoned(client, search.instance, but=result.run_id) == []
    assert end_abandoned(client, search.instance) == [left.info.run_id]


def test_a_search_whose_process_was_killed_goes_on_and_ends_the_same(
    loaded_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same version to the byte as that of a search nobody killed; no finished trial is done again."""
    digests = []
    for name in ("killed", "undisturbed"):
        home = copy_home(loaded_home, tmp_path / name)
        home.dagster.mkdir()
        shutil.copy(ROOT / "dagster.yaml", home.dagster)
        enter(home, monkeypatch)
        if name == "killed":
            command = [sys.executable, "-W", "ignore", "-m", "ml_platform_tests.pipelines.searching"]
            done = subprocess.run([*command, str(home.root), LATER, "2"], cwd=ROOT, env=os.environ, check=False)
            assert done.returncode == -9
        with dg.DagsterInstance.get() as instance:
            world = search_world(home, instance)
            for dead in instance.get_runs():
                instance.report_run_failed(dead)  # as Dagster's daemon does
            shown = _shown(_candidate(world, LATER))
            version = world.models.newest("tiny")
            assert version is not None
            digests.append(version.digest)
            assert shown["search/gbm/resumed_trials"] == (2 if name == "killed" else 0)
            assert sorted(run.data.tags["trial"] for run in _children(world)) == ["1", "2", "3", "4"]
            assert not [run for run in world.mlflow_runs() if run.info.status == "RUNNING"]
    assert digests[0] == digests[1]
