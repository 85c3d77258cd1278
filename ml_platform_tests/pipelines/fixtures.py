"""Fixtures over the tiny pipeline. Loading and training once is dear, so each test works on a copy."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from ml_platform.contracts.home import Home
from ml_platform_tests.pipelines.world import AS_OF, FIRST, LAST, InProcessTarget, World, copy_home, definitions

__all__ = ["loaded_home", "trained_home", "world"]


def make_world(home: Home, instance: dg.DagsterInstance) -> World:
    """Give a world that scores in process; the caller sets `$ML_PLATFORM_HOME`."""
    return World(home, instance, definitions(target=InProcessTarget(home)))


@pytest.fixture(scope="session")
def loaded_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Give a home with features of every day from FIRST to LAST. Do not change it."""
    home = Home(tmp_path_factory.mktemp("loaded"))
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        patched.setenv("ML_PLATFORM_HOME", str(home.root))
        patched.setenv("DAGSTER_EVENT_BATCH_SIZE", "500")
        assert make_world(home, instance).run("data", FIRST, LAST).success
        yield home


@pytest.fixture(scope="session")
def trained_home(loaded_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a loaded home whose champion is version 1, as of AS_OF. Do not change it."""
    home = Home(tmp_path_factory.mktemp("trained") / "home")
    shutil.copytree(loaded_home.root, home.root)
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        patched.setenv("ML_PLATFORM_HOME", str(home.root))
        assert make_world(home, instance).run("retrain", AS_OF).success
    return home


@pytest.fixture
def world(trained_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give a world of its own: data loaded, version 1 champion."""
    home = copy_home(trained_home, tmp_path / "home")
    monkeypatch.setenv("ML_PLATFORM_HOME", str(home.root))
    with dg.DagsterInstance.ephemeral() as instance:
        yield make_world(home, instance)
