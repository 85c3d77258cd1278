"""A pipeline whose studies lie in PostgreSQL: searched, begun from the last one, and its password told nowhere."""

import dagster as dg
import pytest

from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.postgres import PASSWORD, Postgres, postgres
from ml_platform_tests.pipelines.searching import search_world
from ml_platform_tests.pipelines.world import AS_OF, LATER, World, error_of

__all__ = ["postgres"]

pytestmark = [pytest.mark.slow, *DAGSTER]

SECRET = PASSWORD.split(" ")[0]


def _candidate(world: World, as_of: str) -> dg.ExecuteInProcessResult:
    return world.materialize("training_set", "candidate", key=as_of)


def _everything_told(world: World, capfd: pytest.CaptureFixture[str]) -> str:
    """Give all that Dagster stored, printed, and sent to MLflow."""
    runs = world.instance.get_runs()
    stored = [repr(entry) for run in runs for entry in world.instance.all_logs(run.run_id)]
    mlflow = [repr(run.to_dictionary()) for run in world.mlflow_runs()]
    return "\n".join([*stored, *mlflow, *capfd.readouterr()])


def test_studies_in_postgres_serve_the_next_as_of_and_their_password_is_nowhere(
    loaded: World, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ML_PLATFORM_STUDIES", postgres.url())
    world = search_world(loaded.home, loaded.instance)
    assert _candidate(world, AS_OF).success
    result = _candidate(world, LATER)
    assert result.success, error_of(result)
    [made] = result.asset_materializations_for_node("tiny__candidate")
    assert "it began with the best parameters of the study before" in str(made.metadata["search/gbm"].value)
    assert not (world.home.root / "studies.db").exists()
    told = _everything_told(world, capfd)
    assert "trial 4 of 4 complete" in told
    assert SECRET not in told


def test_a_password_that_is_refused_leaves_no_version_and_is_told_nowhere(
    loaded: World, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ML_PLATFORM_STUDIES", postgres.url("battery staple"))
    world = search_world(loaded.home, loaded.instance)
    result = world.run("retrain", LATER)
    assert not result.success
    assert "studies at postgresql://suite:***@127.0.0.1" in error_of(result)
    assert world.models.registered() == []
    assert world.decisions() == []
    told = _everything_told(world, capfd)
    assert "password authentication failed" in told
    assert "battery" not in told
