"""A retrain of an ensemble is killed at its members, or before its candidate; run again, it doubles nothing."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from ml_platform.contracts.home import Home
from ml_platform_tests.lifecycle.test_kill_and_relaunch import kill
from ml_platform_tests.pipelines.ensembles import OF, tiny_ensemble
from ml_platform_tests.pipelines.fixtures import enter, make_world
from ml_platform_tests.pipelines.killed import ENSEMBLE
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import AS_OF, InProcessTarget, World, copy_home, definitions, error_of

pytestmark = [pytest.mark.slow, *DAGSTER]

PLACES = {
    "call:ml_platform.registry.store:MlflowStore.register": 0,  # a member is fitted and logged, not registered
    "after:tiny__member_linear": None,  # one member or both, as the executor took them
    "call:ml_platform.orchestration.fitting:join_versions": len(OF),
}


def _retrained(home: Home, instance: dg.DagsterInstance) -> World:
    world = make_world(home, instance)
    stack = definitions(tiny_ensemble("stacked"), target=InProcessTarget(home))
    world = replace(world, definitions=stack)
    result = world.run("retrain", AS_OF)
    assert result.success, error_of(result)
    return world


def _versions(world: World) -> list[tuple[str, int, str]]:
    return sorted((each.pipeline, each.version, each.digest) for each in world.models.registered())


@pytest.fixture(scope="module")
def killed(loaded_home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Home]:
    """Give, for each place, the home of a retrain that was killed there."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(ENSEMBLE, "stacked")
        return kill(loaded_home, tmp_path_factory.mktemp("killed_ensemble"), "retrain", AS_OF, list(PLACES))


@pytest.fixture(scope="module")
def undisturbed(loaded_home: Home, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int, str]]:
    """Give the versions of a retrain that nobody killed."""
    home = copy_home(loaded_home, tmp_path_factory.mktemp("undisturbed_ensemble") / "home")
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        enter(home, patched)
        return _versions(_retrained(home, instance))


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_ensemble_launched_again_has_the_same_versions_and_no_others(
    place: str,
    killed: dict[str, Home],
    undisturbed: list[tuple[str, int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Members that were registered before are taken as they are; the ensemble has the digest it would have had."""
    home = copy_home(killed[place], tmp_path / "home")
    enter(home, monkeypatch)
    with dg.DagsterInstance.get() as instance:
        [dead] = instance.get_runs()
        instance.report_run_failed(dead)
        before = make_world(home, instance).models.registered()
        assert "tiny" not in {each.pipeline for each in before}
        assert PLACES[place] in (None, len(before))
        world = _retrained(home, instance)
        assert {run.info.status for run in world.mlflow_runs()} == {"FINISHED", "FAILED"}
    assert [name for name, _, _ in undisturbed] == ["tiny", *(f"tiny.{name}" for name in sorted(OF))]
    assert _versions(world) == undisturbed
    assert world.promoted() == [1]
