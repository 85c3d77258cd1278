"""A candidate is told of wherever its pipeline says, and is registered only when all of them have taken it."""

from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from ml_platform.contracts.spec import PipelineSpec
from ml_platform.registry.bundle import open_bundle
from ml_platform.registry.sinks.record import Record
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import AS_OF, World, definitions, error_of, tiny
from ml_platform_tests.registry.sink_files import read_tensorboard, read_wandb

pytestmark = [pytest.mark.slow, *DAGSTER]
STAGES = ("training_set", "candidate")


def _with(world: World, **changes: Any) -> World:
    spec = PipelineSpec.model_validate(tiny().spec.model_dump(mode="json", by_alias=True) | changes)
    return replace(world, definitions=definitions(replace(tiny(), spec=spec)))


def _last(record: Record) -> dict[str, float]:
    return {point.name: point.value for point in sorted(record.points, key=attrgetter("step"))}


def _status(world: World) -> str:
    [run] = world.mlflow_runs()
    return run.info.status


def test_every_sink_is_told_the_same_and_the_ui_says_where(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.teardown()
    world = _with(loaded, tracking=["wandb", "tensorboard"])
    result = world.materialize(*STAGES, "evaluation", key=AS_OF)
    [run] = world.mlflow_runs()
    boards: set[str] = set()
    told: dict[str, float] = {}
    for stage in ("candidate", "evaluation"):
        [made] = result.asset_materializations_for_node(f"tiny__{stage}")
        board, folder = (str(made.metadata[f"{name}/{stage}"].value) for name in ("tensorboard", "wandb"))
        assert Path(folder).is_relative_to(world.home.root / "wandb")
        told |= _last(read_wandb(Path(folder)))
        boards.add(board)
    assert boards == {str(world.home.tensorboard / "tiny" / AS_OF / run.info.run_id)}
    assert told == run.data.metrics
    shown = _last(read_tensorboard(Path(boards.pop())))
    assert shown == pytest.approx(run.data.metrics, rel=1e-6)
    assert {"candidate.log_loss", "validation_log_loss", "train_rows"} <= shown.keys()


@pytest.mark.parametrize("call", ["log_batch", "log_text", "create_model_version"])
def test_an_mlflow_that_goes_away_leaves_no_version(loaded: World, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Wherever it happens after the fit; with MLflow back, the same stage registers version 1."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    real = getattr(MlflowClient, call)

    def gone(self: MlflowClient, *args: Any, **options: Any) -> None:
        if call == "log_batch" and len(args) < 2:  # tags, as the run begins
            return real(self, *args, **options)
        raise MlflowException("no route to host")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, call, gone)
        result = loaded.materialize(*STAGES, key=AS_OF)
    assert not result.success
    assert "no route to host" in error_of(result)
    assert loaded.models.registered() == []
    assert _status(loaded) == "FAILED"
    assert loaded.materialize(*STAGES, key=AS_OF).success
    assert [version.version for version in loaded.models.registered()] == [1]


def test_a_sink_that_cannot_be_written_leaves_no_version(loaded: World) -> None:
    (loaded.home.root / "tensorboard").write_text("a file where the folder should be")
    result = _with(loaded, tracking=["tensorboard"]).materialize(*STAGES, key=AS_OF)
    assert "expected event files written there" in error_of(result)
    assert loaded.models.registered() == []


def test_one_lightgbm_of_two_workers_is_a_version_like_any_other(loaded: World) -> None:
    world = _with(loaded, training={"distributed": {"engine": "dask", "workers": 2}})
    assert world.materialize(*STAGES, key=AS_OF).success
    version = world.models.newest("tiny")
    assert version is not None
    bundle = open_bundle(world.models.bundle(version), version.digest)
    assert b"[num_machines: 2]" in bundle.read_bytes("model.txt")


@pytest.mark.parametrize("engine", ["ray", "dask"])
def test_a_cluster_that_is_not_there_leaves_no_version(
    loaded: World, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setenv(f"ML_PLATFORM_{engine.upper()}_ADDRESS", "127.0.0.1:9")
    result = _with(loaded, training={"distributed": {"engine": engine, "workers": 2}}).materialize(*STAGES, key=AS_OF)
    assert "cluster at 127.0.0.1:9: got" in error_of(result)
    assert loaded.models.registered() == []


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_the_executor_is_the_one_that_the_spec_names(executor: str) -> None:
    """On Ray in other processes."""
    import os

    from ml_platform.orchestration.executing import open_executor
    from ml_platform_tests.training.faults import process_of

    spec = tiny().spec.model_copy(update={"training": tiny().spec.training.model_copy(update={"executor": executor})})
    tell: Callable[[int], int] = process_of
    with open_executor(replace(tiny(), spec=spec), 2) as opened:
        [pid] = opened.map(tell, [1])
    assert (pid == os.getpid()) == (executor == "local")
