"""Fixtures over the tiny pipeline. Loading and training once is dear, so each test works on a copy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from ml_platform.contracts.home import Home
from ml_platform.orchestration.resolution import Pipeline
from ml_platform_tests.pipelines.ensembles import tiny_ensemble
from ml_platform_tests.pipelines.world import (
    AS_OF,
    FIRST,
    LAST,
    InProcessTarget,
    World,
    copy_home,
    definitions,
    error_of,
)

__all__ = ["loaded", "loaded_home", "stacked", "stacked_home", "trained_home", "world"]


def make_world(home: Home, instance: dg.DagsterInstance) -> World:
    """Give a world that scores in process; the caller sets `$ML_PLATFORM_HOME`."""
    return World(home, instance, definitions(target=InProcessTarget(home)))


def as_pipeline(world: World, pipeline: Pipeline) -> World:
    """Give the world with another form of its pipeline."""
    return replace(world, definitions=definitions(pipeline, target=InProcessTarget(world.home)))


def environment(home: Home) -> dict[str, str]:
    """Give the variables that make this the platform's home."""
    return {
        "ML_PLATFORM_HOME": str(home.root),
        "DAGSTER_HOME": str(home.dagster),
        "MLFLOW_TRACKING_URI": home.mlflow_url,  # MLflow sets it itself, and would leave it to the next test
    }


def enter(home: Home, patched: pytest.MonkeyPatch) -> None:
    """Make this the platform's home, until the patch is undone."""
    for name, value in environment(home).items():
        patched.setenv(name, value)


@pytest.fixture(scope="session")
def loaded_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a home with features of every day from FIRST to LAST. Do not change it."""
    home = Home(tmp_path_factory.mktemp("loaded"))
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        enter(home, patched)
        assert make_world(home, instance).run("data", FIRST, LAST).success
    return home


@pytest.fixture(scope="session")
def trained_home(loaded_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a loaded home whose champion is version 1, as of AS_OF. Do not change it."""
    home = copy_home(loaded_home, tmp_path_factory.mktemp("trained") / "home")
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        enter(home, patched)
        assert make_world(home, instance).run("retrain", AS_OF).success
    return home


@pytest.fixture(scope="session")
def stacked_home(loaded_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a home whose champion is version 1 of the stack, as of AS_OF. Do not change it."""
    home = copy_home(loaded_home, tmp_path_factory.mktemp("stacked") / "home")
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        enter(home, patched)
        result = as_pipeline(make_world(home, instance), tiny_ensemble("stacked")).run("retrain", AS_OF)
        assert result.success, error_of(result)
    return home


@pytest.fixture
def loaded(loaded_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give a world of its own: data loaded, nothing trained."""
    with _moved_to(loaded_home, tmp_path, monkeypatch) as world:
        yield world


@pytest.fixture
def world(trained_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give a world of its own: data loaded, version 1 champion."""
    with _moved_to(trained_home, tmp_path, monkeypatch) as world:
        yield world


@pytest.fixture
def stacked(stacked_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give a world of its own with the stack as champion."""
    with _moved_to(stacked_home, tmp_path, monkeypatch) as world:
        yield as_pipeline(world, tiny_ensemble("stacked"))


@contextmanager
def _moved_to(source: Home, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    home = copy_home(source, folder / "home")
    enter(home, monkeypatch)
    with dg.DagsterInstance.ephemeral() as instance:
        yield make_world(home, instance)
