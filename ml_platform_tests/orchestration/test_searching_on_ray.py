"""Searches and members on a Ray cluster of two workers: what they give, and what is left when workers go away."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import dagster as dg
import pytest

from ml_platform.contracts.home import Home
from ml_platform.orchestration.member_files import MEMBERS, OUT_OF_FOLD
from ml_platform.registry.bundle import FIT, Bundle, open_bundle
from ml_platform.training import members
from ml_platform.training import search as search_module
from ml_platform_tests.pipelines import worker_faults
from ml_platform_tests.pipelines.ensembles import OF, tiny_ensemble
from ml_platform_tests.pipelines.fixtures import enter
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.ray_nodes import RayNodes, ray_nodes
from ml_platform_tests.pipelines.searching import search_world
from ml_platform_tests.pipelines.world import AS_OF, LATER, InProcessTarget, World, copy_home, definitions, error_of

__all__ = ["ray_nodes"]

pytestmark = [pytest.mark.slow, *DAGSTER]

ROOT = Path(__file__).parents[2]
ON_RAY = {"executor": "ray"}
NAMING_THE_SPEC = {FIT, MEMBERS}  # and so where it was fitted
# Wide enough for trials so bad that they are pruned.
SPACE = {"learning_rate": {"low": 0.002, "high": 0.3, "log": True}, "num_leaves": {"low": 2, "high": 15}}
SEARCH: dict[str, Any] = {"trials": 10, "parallel": 2, "space": SPACE}


@pytest.fixture(autouse=True)
def cluster(ray_nodes: RayNodes, monkeypatch: pytest.MonkeyPatch) -> RayNodes:
    """Let the pipelines use the cluster."""
    monkeypatch.setenv("ML_PLATFORM_RAY_ADDRESS", ray_nodes.address)
    return ray_nodes


def _candidate(world: World) -> dg.ExecuteInProcessResult:
    return world.materialize("training_set", "candidate", key=LATER)


def _shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    assert result.success, error_of(result)
    [made] = result.asset_materializations_for_node("tiny__candidate")
    return {name: each.value for name, each in made.metadata.items() if name.startswith("search/")}


def _bundle(world: World, name: str = "tiny") -> Bundle:
    version = world.models.newest(name)
    assert version is not None
    return open_bundle(world.models.bundle(version), version.digest)


def _trials(world: World) -> list[dict[str, Any]]:
    """Give what MLflow has of the trials, by number."""
    runs = [run.data for run in world.mlflow_runs() if "trial" in run.data.tags]
    told = [
        {"trial": int(run.tags["trial"]), "state": run.tags["state"], "reason": run.tags.get("reason")}
        | run.params
        | run.metrics
        for run in runs
    ]
    return sorted(told, key=lambda each: each["trial"])


def _elsewhere(source: Home, folder: Path, patched: pytest.MonkeyPatch) -> Home:
    """Give a copy of a home with a Dagster that outlives its process, and enter it."""
    home = copy_home(source, folder)
    home.dagster.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home.dagster)
    enter(home, patched)
    return home


@pytest.fixture(scope="module")
def local_end(loaded_home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give what the same search comes to in one process."""
    home = copy_home(loaded_home, tmp_path_factory.mktemp("local") / "home")
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        enter(home, patched)
        world = search_world(home, instance, **SEARCH)
        assert _candidate(world).success
        return _end(world)


def _end(world: World) -> dict[str, Any]:
    """Give the model and the trials; where they ran is part of the spec, and not of this."""
    bundle = _bundle(world)
    fit = bundle.read_json(FIT)
    kept = {"models": fit["models"], "notes": fit["notes"], "text": bundle.read_bytes("model.txt")}
    return kept | {"trials": _trials(world)}


def test_a_search_on_a_cluster_ends_as_one_in_this_process(loaded: World, local_end: dict[str, Any]) -> None:
    """The same trials with the same losses, one of them pruned, and the same model to the byte."""
    world = search_world(loaded.home, loaded.instance, training=ON_RAY, **SEARCH)
    assert _candidate(world).success
    assert _end(world) == local_end
    states = [trial["state"] for trial in local_end["trials"]]
    assert (len(states), states.count("pruned") > 0, states.count("failed")) == (10, True, 0)


def test_a_search_on_a_cluster_whose_driver_was_killed_goes_on_and_ends_the_same(
    loaded_home: Home, local_end: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the trial of which both had begun; it runs no trial twice that had ended."""
    home = _elsewhere(loaded_home, tmp_path / "killed", monkeypatch)
    command = [sys.executable, "-W", "ignore", "-m", "ml_platform_tests.pipelines.searching"]
    options = json.dumps({"training": ON_RAY, **SEARCH})
    done = subprocess.run([*command, str(home.root), LATER, "3", options], cwd=ROOT, env=os.environ, check=False)
    assert done.returncode == -9
    with dg.DagsterInstance.get() as instance:
        world = search_world(home, instance, training=ON_RAY, **SEARCH)
        for dead in instance.get_runs():
            instance.report_run_failed(dead)  # as Dagster's daemon does
        assert _shown(_candidate(world))["search/gbm/resumed_trials"] == 3
        assert _end(world) == local_end
        assert not [run for run in world.mlflow_runs() if run.info.status == "RUNNING"]


def test_trials_that_crash_die_or_run_out_of_memory_are_told_and_the_others_decide(
    loaded: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each by its number, in words, in Dagster's log, in MLflow and in the UI; the model is that of the others."""
    monkeypatch.setattr(search_module, "try_parameters", worker_faults.one_of_each_fault)
    world = search_world(loaded.home, loaded.instance, training=ON_RAY, **SEARCH)
    shown = _shown(_candidate(world))
    trials = _trials(world)
    reasons = {each["trial"]: each["reason"] for each in trials if each["state"] == "failed"}
    assert reasons.keys() == {2, 3, 4}
    assert reasons[2] == "ZeroDivisionError: no leaf is left"
    assert re.match(r"WorkerLost: worker of trial 3: got The worker died .*; if memory ran out, run fewer", reasons[3])
    assert re.match(r"OutOfMemory: trial 4: got Unable to allocate 32.0 MiB .* Hint: train on fewer rows", reasons[4])
    log = capfd.readouterr().err
    for reason in reasons.values():
        assert reason in log
        assert reason[:100] in shown["search/gbm/failed"]
    assert "3 failed" in shown["search/gbm"]
    best = min((each for each in trials if each["state"] == "complete"), key=lambda each: each["loss"])
    fitted = _bundle(world).read_json(FIT)["models"]["gbm"]["params"]
    assert str(fitted["num_leaves"]) == best["model.num_leaves"]


def test_a_search_whose_every_worker_dies_registers_nothing(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No version, no verdict, no promotion; the next run searches anew."""
    with monkeypatch.context() as patched:
        patched.setattr(search_module, "try_parameters", worker_faults.always_die)
        world = search_world(loaded.home, loaded.instance, training=ON_RAY, trials=2, parallel=2)
        result = world.run("retrain", LATER)
    assert not result.success
    assert re.search(r"got 2 trials and none that finished \(1 x WorkerLost: worker of trial 1: got", error_of(result))
    assert world.models.registered() == []
    assert world.decisions() == []
    assert {run.info.status for run in world.mlflow_runs()} == {"FAILED"}
    assert _shown(_candidate(world))["search/gbm/resumed_trials"] == 0


def test_a_node_that_dies_fails_what_ran_on_it_and_the_other_goes_on(
    loaded: World, cluster: RayNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of three nodes, in the middle of a batch."""
    extra = cluster.add()
    here = os.fspath(loaded.home.root / "extra")
    monkeypatch.setattr(search_module, "try_parameters", partial(worker_faults.wait_on_node, here, extra.node_id))
    killing = Thread(target=_kill_when_there, args=(cluster, extra, Path(here)))
    killing.start()
    world = search_world(loaded.home, loaded.instance, training=ON_RAY, trials=3, parallel=3)
    shown = _shown(_candidate(world))
    killing.join()
    assert "2 complete, 0 pruned, 1 failed" in shown["search/gbm"]
    [failed] = [each for each in _trials(world) if each["state"] == "failed"]
    assert re.match(rf"WorkerLost: worker of trial {failed['trial']}: got .*node", failed["reason"])


def _kill_when_there(cluster: RayNodes, node: Any, file: Path) -> None:
    until = monotonic() + 60
    while not file.exists() and monotonic() < until:
        sleep(0.05)
    cluster.kill(node)


def _stacked(world: World, **training: Any) -> World:
    stack = tiny_ensemble("stacked", training=training)
    return replace(world, definitions=definitions(stack, target=InProcessTarget(world.home)))


def test_members_on_a_cluster_are_those_of_this_process(loaded: World, tmp_path: Path) -> None:
    """With their folds, each in a worker: the same files, and so the same stack, promoted as one."""
    ends, pids = [], []
    for training in ({}, ON_RAY):
        home = copy_home(loaded.home, tmp_path / training.get("executor", "local"))
        with pytest.MonkeyPatch.context() as patched:
            enter(home, patched)
            told = home.root / "told"
            told.mkdir()
            patched.setattr(members, "_fit", partial(worker_faults.fit_and_tell_where, str(told)))
            world = _stacked(replace(loaded, home=home), **training)
            result = world.run("retrain", AS_OF)
            assert result.success, error_of(result)
        bundles = {name: _bundle(world, name) for name in ("tiny", *(f"tiny.{member}" for member in OF))}
        ends.append(
            {
                name: {file: digest for file, digest in bundle.manifest.files.items() if file not in NAMING_THE_SPEC}
                for name, bundle in bundles.items()
            }
        )
        assert world.promoted() == [1]
        pids.append({each.name: int(each.read_text()) for each in told.iterdir()})
    assert pids[0] == dict.fromkeys(["the fit", "fold 1", "fold 2"], os.getpid())
    assert pids[1].keys() == pids[0].keys()
    assert os.getpid() not in pids[1].values()
    assert all(OUT_OF_FOLD in ends[0][f"tiny.{member}"] for member in OF)
    assert ends[0] == ends[1]


def test_a_worker_lost_with_a_fold_registers_neither_member_nor_candidate(
    loaded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is lost is named with its fold; nothing is decided."""
    monkeypatch.setattr(members, "_fit", worker_faults.die_on_a_fold)
    world = _stacked(loaded, **ON_RAY)
    result = world.run("retrain", AS_OF)
    assert not result.success
    assert "WorkerLost: worker of fold 2: got The worker died unexpectedly" in error_of(result)
    assert world.models.registered() == []
    assert world.decisions() == []
    assert {run.info.status for run in world.mlflow_runs()} == {"FAILED"}
