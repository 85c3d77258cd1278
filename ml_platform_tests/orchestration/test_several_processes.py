"""Members and candidate in processes of their own: one MLflow run for all of them, and each version once."""

from collections.abc import Sequence

import dagster as dg
import pytest

from ml_platform.orchestration.mlflow_run import end_abandoned, open_experiment
from ml_platform_tests.pipelines.ensembles import OF, tiny_ensemble
from ml_platform_tests.pipelines.fixtures import as_pipeline
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.several_processes import DIES, stacked_retrain
from ml_platform_tests.pipelines.world import AS_OF, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), *DAGSTER]

MEMBERS = [f"member_{name}" for name in OF]


@pytest.fixture
def prepared(loaded: World) -> World:
    """Give a world with a training set and no model, whose Dagster instance other processes can open."""
    world = as_pipeline(loaded, tiny_ensemble("stacked"))
    assert world.materialize("training_set", key=AS_OF).success
    world.home.dagster.mkdir()
    return world


def _execute(instance: dg.DagsterInstance, stages: Sequence[str]) -> dg.JobExecutionResult:
    return dg.execute_job(
        dg.reconstructable(stacked_retrain),
        instance,
        tags={"dagster/partition": AS_OF},
        asset_selection=[dg.AssetKey(["tiny", stage]) for stage in stages],
    )


def _pids(instance: dg.DagsterInstance, run_id: str) -> dict[str | None, int | None]:
    started = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_START)
    return {entry.step_key: entry.get_dagster_event().pid for entry in started}


def test_members_at_work_together_share_one_mlflow_run_and_are_registered_once(prepared: World) -> None:
    """Also where MLflow's store is new: they begin at once, and both would make it."""
    assert not (prepared.home.root / "mlflow.db").exists()
    with dg.DagsterInstance.get() as instance:
        assert _execute(instance, [*MEMBERS, "candidate"]).success
        [record] = instance.get_run_records()
        assert len(set(_pids(instance, record.dagster_run.run_id).values())) == 3
    [run] = prepared.mlflow_runs()
    assert (run.info.status, run.data.tags["dagster_run_id"]) == ("FINISHED", record.dagster_run.run_id)
    assert {f"{name}.holdout.log_loss" for name in OF} | {"validation_loss"} <= run.data.metrics.keys()
    assert sorted((each.pipeline, each.version, each.run_id) for each in prepared.models.registered()) == [
        (name, 1, run.info.run_id) for name in ("tiny", "tiny.linear", "tiny.trees")
    ]


def test_a_member_whose_process_is_killed_leaves_nothing_half_done(
    prepared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fellow is registered or not, no ensemble is; MLflow does not say that it went well, and again it does."""
    monkeypatch.setenv(DIES, "tiny.linear")
    with dg.DagsterInstance.get() as instance:
        killed = _execute(instance, [*MEMBERS, "candidate"])
        assert not killed.success
        assert {each.pipeline for each in prepared.models.registered()} <= {"tiny.trees"}
        end_abandoned(open_experiment(prepared.home.mlflow_url, prepared.home.mlflow_artifacts), instance)
        status = {run.data.tags["dagster_run_id"]: run.info.status for run in prepared.mlflow_runs()}
        assert status[killed.run_id] == "FAILED"
    assert prepared.materialize(*MEMBERS, "candidate", key=AS_OF).success
    assert sorted((each.pipeline, each.version) for each in prepared.models.registered()) == [
        ("tiny", 1), ("tiny.linear", 1), ("tiny.trees", 1),
    ]  # fmt: skip
