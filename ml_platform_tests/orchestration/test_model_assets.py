"""The model stages run: candidate, verdicts, endpoint; and the endpoint follows nothing that its gates did not pass."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import pytest
from dagster import DagsterInvalidSubsetError

from ml_platform.contracts.spec import Costs, Decide, Gate
from ml_platform.features.online import OnlineStore
from ml_platform.ledger import champion
from ml_platform.orchestration.housekeeping import housekeeping_sensors
from ml_platform.orchestration.mlflow_run import EXPERIMENT, end_abandoned, experiment_name, open_experiment, owner_tags
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.tiny.source import FAULTS
from ml_platform_tests.pipelines.world import (
    AS_OF,
    LAST,
    LATER,
    LATEST,
    InProcessTarget,
    World,
    definitions,
    error_of,
    faults,
    tiny,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

pytestmark = [pytest.mark.slow, *DAGSTER]

GATES = ["log_loss_at_most_0_68", "not_worse_than_champion", "beats_baselines"]
SERVED = "serves_offline_predictions"
CERTIFIED = "no_leakage"
ALWAYS = [CERTIFIED, "features_are_fresh", "fit_is_stable", "champion_beats_baselines"]  # beside the gates
JANUARY = [f"2020-01-{day:02d}" for day in range(1, 32)]
EARLIER = "2020-01-20"


def _checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}


def _steps(result: dg.ExecuteInProcessResult) -> list[str]:
    return sorted(event.step_key or "" for event in result.all_events if event.is_step_success)


def _client(world: World) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=world.home.mlflow_url)


def _run_of(world: World, result: dg.ExecuteInProcessResult) -> "Run":
    """Give the one MLflow run of a Dagster run."""
    [run] = [each for each in world.mlflow_runs() if each.data.tags["dagster_run_id"] == result.run_id]
    return run


def _running(world: World) -> "list[Run]":
    return [each for each in world.mlflow_runs() if each.info.status == "RUNNING"]


def test_a_retrain_ends_in_a_new_champion(world: World) -> None:
    """Candidate, a check for each gate, endpoint, and the check of what it serves."""
    result = world.run("retrain", LATER)
    assert result.success
    assert _checks(result) == dict.fromkeys([*ALWAYS, *GATES, SERVED], True)
    assert {each.partition for each in result.get_asset_check_evaluations() if each.check_name in GATES} == {LATER}
    assert world.promoted() == [1, 2]
    present = champion(world.decisions())
    assert present is not None
    assert (present.version, present.as_of) == (2, LATER)
    assert world.models.aliases("tiny") == {"champion": 2}
    assert (world.home.bundles / "tiny" / present.digest / "manifest.json").exists()
    assert world.decisions("promoted")[-1].actor == f"dagster run {result.run_id}"
    [endpoint] = result.asset_materializations_for_node("tiny__endpoint")
    assert {name: endpoint.metadata[name].value for name in ("version", "as_of")} == {"version": 2, "as_of": LATER}


def test_the_same_retrain_again_changes_nothing(world: World) -> None:
    """Same version, verdicts it had, no second promotion; a third of its kind would be the same again."""
    before = world.decisions("evaluated")[-1].payload
    result = world.run("retrain", AS_OF)
    assert result.success
    assert _checks(result) == dict.fromkeys([*ALWAYS, *GATES, SERVED], True)
    assert world.promoted() == [1]
    assert world.decisions("evaluated")[-1].payload == before
    newest = world.models.newest("tiny")
    assert newest is not None
    assert newest.version == 1


def test_mlflow_has_one_finished_run_with_what_was_done(world: World) -> None:
    """Params, metrics of every model, tags that lead to the data and the code, artifacts."""
    result = world.run("retrain", LATER)
    run = _run_of(world, result)
    assert run.info.status == "FINISHED"
    assert run.data.params["as_of"] == LATER
    assert run.data.params["split.holdout"] == "5d"
    assert run.data.params["model.num_leaves"] == "7"
    assert {"rounds", "train_rows", "validation_log_loss"} <= run.data.metrics.keys()
    for model in ("candidate", "champion", "prior", "last_value"):
        assert 0 < run.data.metrics[f"{model}.log_loss"] < 1
    newest = world.models.newest("tiny")
    assert newest is not None
    assert newest.run_id == run.info.run_id
    tags = run.data.tags
    assert (tags["gates"], tags["bundle_digest"], tags["as_of"]) == ("pass", newest.digest, LATER)
    assert int(tags["data.tiny/features"]) == world.lake.version("tiny/features")
    assert {"code_version", "spec_digest", "data.tiny/validated"} <= tags.keys()
    artifacts = {each.path for each in _client(world).list_artifacts(run.info.run_id)}
    assert {"environment.json", "spec.json", "importance.json", "evaluation.json"} <= artifacts
    assert not _running(world)


def test_a_failed_run_is_failed_in_mlflow_too(world: World) -> None:
    """There are too few days before this partition to train on."""
    result = world.run("retrain", "2020-01-05")
    assert not result.success
    assert "training set as of 2020-01-05" in error_of(result)
    assert _run_of(world, result).info.status == "FAILED"
    assert not _running(world)


@pytest.mark.parametrize("name", [experiment_name("tiny"), EXPERIMENT])
def test_an_abandoned_mlflow_run_is_ended_by_whoever_comes_next(world: World, name: str) -> None:
    """By the next run, also in the one experiment of older homes; one whose Dagster run still runs is left alone."""
    open_experiment(world.home.mlflow_url, world.home.mlflow_artifacts)
    client, experiment = _client(world), _client(world).get_experiment_by_name(name)
    assert experiment is not None
    left = {}
    for status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.STARTED):
        dagster_run = world.instance.add_run(
            dg.DagsterRun(job_name="tiny_retrain", run_id=f"run-{status}", status=status)
        )
        tags = {"dagster_run_id": dagster_run.run_id, **owner_tags(world.instance)}
        left[status.value] = client.create_run(experiment.experiment_id, tags=tags).info.run_id
    foreign = client.create_run(experiment.experiment_id).info.run_id
    others = {"dagster_run_id": "of another installation", "dagster_instance": "another"}
    foreign_too = client.create_run(experiment.experiment_id, tags=others).info.run_id
    assert world.materialize("candidate", key=AS_OF).success
    found = {name: client.get_run(run_id).info.status for name, run_id in left.items()}
    assert found == {"FAILURE": "FAILED", "CANCELED": "KILLED", "STARTED": "RUNNING"}
    assert [client.get_run(each).info.status for each in (foreign, foreign_too)] == ["RUNNING", "RUNNING"]


def test_the_sensor_ends_an_abandoned_mlflow_run(world: World) -> None:
    """Without any further run, when Dagster learns that a run has failed."""
    client, experiment = _client(world), _client(world).get_experiment_by_name(experiment_name("tiny"))
    assert experiment is not None
    dagster_run = world.instance.create_run_for_job(world.definitions.resolve_job_def("tiny_retrain"))
    tags = {"dagster_run_id": dagster_run.run_id, **owner_tags(world.instance)}
    run_id = client.create_run(experiment.experiment_id, tags=tags).info.run_id
    assert end_abandoned(client, world.instance) == []
    world.instance.report_run_failed(dagster_run)
    [sensor] = [each for each in housekeeping_sensors() if each.name == "mlflow_runs_after_failure"]
    failed = world.instance.get_run_by_id(dagster_run.run_id)
    assert failed is not None
    [event] = [log.dagster_event for log in world.instance.all_logs(failed.run_id, dg.DagsterEventType.RUN_FAILURE)]
    assert event is not None
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name, dagster_instance=world.instance, dagster_run=failed, dagster_event=event
    )
    sensor(context)
    assert client.get_run(run_id).info.status == "FAILED"
    assert not _running(world)


def test_a_candidate_of_shuffled_labels_is_stopped_by_its_gates(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It learned nothing: the run fails at the evaluation and the endpoint does not run."""
    monkeypatch.setenv(FAULTS, faults(shuffled_labels=JANUARY))
    assert world.run("data", "2020-01-06", LAST).success
    result = world.run("retrain", LATER)
    assert not result.success
    assert _checks(result)["beats_baselines"] is False
    assert _steps(result) == ["tiny__candidate", "tiny__training_set"]
    assert world.promoted() == [1]
    assert world.models.aliases("tiny") == {"champion": 1}
    run = _run_of(world, result)  # it did not crash, which would be FAILED
    assert (run.info.status, run.data.tags["gates"]) == ("FINISHED", "fail")
    alone = world.materialize("endpoint")
    assert not alone.success
    assert "Gate beats_baselines says fail" in error_of(alone)
    assert world.promoted() == [1]
    assert "Gate beats_baselines says fail: roc_auc" in world.decisions("promotion_refused")[-1].because


def test_the_endpoint_refuses_a_version_that_was_never_evaluated(world: World) -> None:
    """Materialized alone in a later run, for its partition or for the newest, with or without its own check."""
    assert world.materialize("training_set", "candidate", key=LATER).success
    for key in (LATER, None):
        result = world.materialize("endpoint", key=key)
        assert not result.success
        assert "Version 2 with digest" in error_of(result)
        assert "was never evaluated" in error_of(result)
    job = world.definitions.resolve_job_def("tiny_retrain")
    unticked = job.get_subset(asset_selection={dg.AssetKey(["tiny", "endpoint"])}, asset_check_selection=set())
    assert not world.execute(unticked, LATER).success
    assert world.promoted() == [1]
    assert len(world.decisions("promotion_refused")) == 3


def test_a_later_evaluation_lets_the_endpoint_follow(world: World) -> None:
    """Each stage in a run of its own comes to the same end as the job."""
    for stages in (("training_set",), ("candidate",), ("evaluation",), ("endpoint",)):
        assert world.materialize(*stages, key=None if stages == ("endpoint",) else LATER).success
    assert world.promoted() == [1, 2]


def test_gates_cannot_be_unticked(world: World) -> None:
    """An evaluation without its checks is not offered by Dagster."""
    job = world.definitions.resolve_job_def("tiny_retrain")
    with pytest.raises(DagsterInvalidSubsetError, match="evaluation"):
        job.get_subset(asset_selection={dg.AssetKey(["tiny", "evaluation"])}, asset_check_selection=set())


def test_an_older_version_is_promoted_only_by_its_number(world: World) -> None:
    """A person may name it; nobody else moves back in time. The gate against the champion is left out here."""
    spec = tiny().spec.model_copy(update={"gates": tiny().spec.gates[:1]})
    pipeline = replace(tiny(), spec=spec)
    world = replace(world, definitions=definitions(pipeline, target=InProcessTarget(world.home)))
    refused = world.run("retrain", EARLIER)
    assert _checks(refused) == dict.fromkeys([*ALWAYS, GATES[0]], True)
    assert f"is as of {EARLIER}, not newer than the champion's {AS_OF}: name the version" in _refused(refused)
    assert world.promoted() == [1]
    named = world.materialize("endpoint", run_config={"ops": {"tiny__endpoint": {"config": {"version": 2}}}})
    assert named.success
    assert world.promoted() == [1, 2]


def _naming(version: int) -> dict[str, Any]:
    return {"run_config": {"ops": {"tiny__endpoint": {"config": {"version": version}}}}}


def test_a_named_version_still_needs_its_verdicts(world: World) -> None:
    """A candidate that was never evaluated does not serve, whoever names it."""
    assert world.materialize("training_set", "candidate", key=LATER).success
    named = world.materialize("endpoint", **_naming(2))
    assert not named.success
    assert "was never evaluated" in error_of(named)
    assert world.promoted() == [1]


def test_a_former_champion_comes_back_by_its_number(world: World) -> None:
    """A rollback: on the verdicts that it was promoted on."""
    assert world.run("retrain", LATER).success
    assert world.materialize("endpoint", **_naming(1)).success
    assert world.promoted() == [1, 2, 1]


def test_a_verdict_at_another_bound_does_not_count(world: World) -> None:
    """A lax gate passes; with the strict one back in the spec, the verdict on the lax one promotes nothing."""
    lax = [*tiny().spec.gates[:-1], tiny().spec.gates[-1].model_copy(update={"better_by": 0.0})]
    spec = tiny().spec.model_copy(update={"gates": lax})
    target = InProcessTarget(world.home)
    loose = replace(world, definitions=definitions(replace(tiny(), spec=spec), target=target))
    assert loose.materialize("training_set", "candidate", "evaluation", key=LATER).success
    refused = world.materialize("endpoint")
    assert not refused.success
    assert "was judged at 0.0, the spec says" in error_of(refused)
    assert world.promoted() == [1]


def _costing(world: World, false_negative: float) -> World:
    """Give the world with a gate on what decisions cost."""
    gates = [*tiny().spec.gates, Gate(metric="cost", at_most=5)]
    decide = Decide(costs=Costs(false_positive=1, false_negative=false_negative))
    spec = tiny().spec.model_copy(update={"gates": gates, "decide": decide})
    return replace(world, definitions=definitions(replace(tiny(), spec=spec), target=InProcessTarget(world.home)))


def test_a_verdict_at_other_costs_does_not_count(world: World) -> None:
    """The gate and its bound are the same; evaluated again at the new costs, the version is promoted."""
    cheap, dear = _costing(world, 2), _costing(world, 3)
    assert cheap.materialize("training_set", "candidate", "evaluation", key=LATER).success
    refused = dear.materialize("endpoint")
    assert not refused.success
    assert "What gate cost_at_most_5_0 hangs on has changed since its verdict" in error_of(refused)
    assert world.promoted() == [1]
    assert dear.materialize("evaluation", key=LATER).success
    assert dear.materialize("endpoint").success
    assert world.promoted() == [1, 2]


def test_a_verdict_at_the_same_costs_stands(world: World) -> None:
    before, same = _costing(world, 2), _costing(world, 2)
    assert before.materialize("training_set", "candidate", "evaluation", key=LATER).success
    assert same.materialize("endpoint").success
    assert world.promoted() == [1, 2]


def test_a_training_set_that_was_cut_anew_judges_no_one(world: World) -> None:
    """A longer holdout holds rows that the candidate was fitted on."""
    assert world.materialize("training_set", "candidate", key=LATER).success
    split = tiny().spec.split
    longer = split.model_copy(update={"holdout": split.holdout + timedelta(days=3)})
    spec = tiny().spec.model_copy(update={"split": longer})
    other = replace(world, definitions=definitions(replace(tiny(), spec=spec)))
    assert other.materialize("training_set", key=LATER).success
    result = world.materialize("evaluation", key=LATER)
    assert not result.success
    assert "the training set was made again since" in error_of(result)
    assert world.promoted() == [1]


def _verdicts(world: World) -> dict[str, str]:
    return {each["gate"]: each["outcome"] for each in world.decisions("evaluated")[-1].payload["verdicts"]}


def test_a_walk_forward_in_one_run_over_a_range(world: World) -> None:
    """Each as-of has its version, its verdicts, its checks and its MLflow run; the champion stays, all is green."""
    before = champion(world.decisions())
    result = world.run("walk_forward", "2020-01-29", "2020-01-31")
    assert result.success, error_of(result)
    days = ["2020-01-29", "2020-01-30", "2020-01-31"]
    assert [each.payload["as_of"] for each in world.decisions("evaluated")[-3:]] == days
    assert champion(world.decisions()) == before
    for stage in ("training_set", "candidate", "evaluation"):
        made = world.materializations(stage, result.run_id)
        assert [each.partition for each in made] == days
        assert len({str(each.metadata[_own(stage)].value) for each in made}) == len(days)
    for gate in GATES:
        assert {each.partition for each in world.evaluations("evaluation", gate, result.run_id)} == {*days, None}
    runs = {each.info.run_name: each for each in world.mlflow_runs()}
    parent = runs["tiny as of 2020-01-29 to 2020-01-31"]
    for day in days:
        run = runs[f"tiny as of {day}"]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.status == "FINISHED"
        assert (run.data.params["as_of"], run.data.tags["gates"]) == (day, "pass")
        assert "candidate.log_loss" in run.data.metrics
        assert [each.run_id for each in world.models.versions("tiny", day)] == [run.info.run_id]
    assert "as_of" not in parent.data.params
    assert not _running(world)


def _own(stage: str) -> str:
    return {"training_set": "manifest_digest", "candidate": "model/version", "evaluation": "model/version"}[stage]


def test_a_walk_forward_whose_gates_say_no_did_what_was_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It warns, and is green."""
    monkeypatch.setenv(FAULTS, faults(shuffled_labels=JANUARY))
    assert world.run("data", "2020-01-06", LAST).success
    result = world.run("walk_forward", LATER)
    assert result.success
    failed = [each for each in result.get_asset_check_evaluations() if not each.passed]
    assert GATES[2] in [each.check_name for each in failed]
    assert {each.severity for each in failed} == {dg.AssetCheckSeverity.WARN}
    assert _verdicts(world)[GATES[2]] == "fail"
    assert world.promoted() == [1]


@pytest.mark.parametrize("job", ["walk_forward", "retrain"])
def test_a_champion_that_has_seen_every_row_is_not_applicable(world: World, job: str) -> None:
    """Not red; yet the verdict is inconclusive, and nothing is promoted, and the endpoint is not painted as failed."""
    result = world.run(job, EARLIER)
    assert result.success, error_of(result)
    [check] = [each for each in result.get_asset_check_evaluations() if each.check_name == GATES[1]]
    assert check.passed
    assert (check.description or "").startswith("Not applicable: ")
    assert _verdicts(world)[GATES[1]] == "inconclusive"
    assert world.promoted() == [1]
    assert world.materializations("endpoint", result.run_id) == []
    alone = world.materialize("endpoint", **_naming(2))
    assert f"Gate {GATES[1]} says inconclusive" in error_of(alone)


def test_a_backfill_of_models_gives_candidates_and_verdicts(world: World) -> None:
    """From the asset graph too: what is not applicable stops nothing, and the champion stays."""
    before = champion(world.decisions())
    stages = ("training_set", "candidate", "evaluation")
    assert [world.materialize(*stages, key=key).success for key in (EARLIER, LATEST)] == [True, True]
    assert champion(world.decisions()) == before
    newest = world.models.newest("tiny")
    assert newest is not None
    assert (newest.version, newest.as_of) == (3, LATEST)


def _refused(result: dg.ExecuteInProcessResult) -> str:
    """Give why the endpoint did not follow."""
    [observed] = [event.asset_observation_data for event in result.all_events if event.is_asset_observation]
    return str(observed.asset_observation.metadata["refused"].value)


def test_a_backfill_of_the_whole_job_never_moves_the_endpoint(world: World) -> None:
    """It shows why, though every gate passed, and does not fail; materialized by itself afterwards, it follows."""
    result = world.run("retrain", LATER, tags={"dagster/backfill": "walk"})
    assert result.success
    assert all(_checks(result).values())
    assert "A backfill never moves traffic" in _refused(result)
    assert world.materializations("endpoint", result.run_id) == []
    assert world.promoted() == [1]
    assert world.materialize("endpoint").success
    assert world.promoted() == [1, 2]


def test_the_endpoint_links_to_its_address_its_report_and_its_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the configured addresses, also where the version was evaluated in an earlier run; others as they are there."""
    monkeypatch.setenv("ML_PLATFORM_MLFLOW_UI", "https://mlflow.example/")
    monkeypatch.setenv("ML_PLATFORM_SERVER", "https://models.example")
    assert world.run("walk_forward", LATER).success
    result = world.materialize("endpoint")
    assert result.success
    [made] = result.asset_materializations_for_node("tiny__endpoint")
    links = {name: str(made.metadata[name].value) for name in ("url", "report", "mlflow/run", "mlflow/version")}
    version = world.models.version("tiny", 2)
    run = _client(world).get_run(version.run_id).info
    page = f"https://mlflow.example/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    assert links == {
        "url": "https://models.example/predict/tiny",
        "report": f"{page}/artifacts/report.html",
        "mlflow/run": page,
        "mlflow/version": "https://mlflow.example/#/models/tiny/versions/2",
    }
    described = _client(world).get_model_version("tiny", "2").description
    assert (described or "").startswith(
        f"[Report](#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/report.html)"
    )


def test_each_pipeline_has_an_experiment_of_its_own(world: World) -> None:
    """It opens in the view of trainings; its runs are named by pipeline and as-of and list what they were made from."""
    result = world.run("retrain", LATER)
    run = _run_of(world, result)
    experiment = _client(world).get_experiment(run.info.experiment_id)
    assert experiment.name == "ml_platform/tiny"
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert run.info.run_name == f"tiny as of {LATER}"
    inputs = _client(world).get_run(run.info.run_id).inputs
    assert inputs is not None
    logged = {each.dataset.name: each for each in inputs.dataset_inputs}
    assert {"tiny/training_set", "tiny/features", "tiny/validated"} <= logged.keys()
    training_set = logged["tiny/training_set"]
    assert training_set.tags[0].value == f"training as of {LATER}"
    assert json.loads(training_set.dataset.profile or "") == {"num_rows": run.data.metrics["train_rows"] + _others(run)}
    import mlflow.data

    source: Any = mlflow.data.get_source(training_set)
    assert source.path == f"{world.home.lake}/tiny/training_set"
    assert source.delta_table_version == world.lake.version("tiny/training_set")
    columns = {each["name"]: each["type"] for each in json.loads(training_set.dataset.schema or "")["mlflow_colspec"]}
    assert (columns["passengers"], columns["line"], columns["departs_at"]) == ("double", "string", "datetime")


def _others(run: "Run") -> float:
    return run.data.metrics["validation_rows"] + run.data.metrics["holdout_rows"]


@pytest.fixture
def served(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a world whose target is the real one, with no server running: it starts one for each call."""
    monkeypatch.setenv("ML_PLATFORM_SERVER", "http://127.0.0.1:9")
    return World(world.home, world.instance, definitions())


def _served(world: World) -> dg.AssetCheckEvaluation:
    """Run the check alone."""
    job = world.definitions.resolve_job_def("tiny_retrain")
    key = dg.AssetCheckKey(dg.AssetKey(["tiny", "endpoint"]), SERVED)
    result = world.execute(job.get_subset(asset_selection=set(), asset_check_selection={key}), AS_OF)
    assert result.success
    [evaluation] = result.get_asset_check_evaluations()
    return evaluation


def test_what_is_served_is_what_was_predicted_offline(served: World) -> None:
    """Over HTTP, by the real server; and the check is red when the server's lookups are not those of the lake."""
    evaluation = _served(served)
    assert evaluation.passed
    assert evaluation.metadata["rows"].value == 200
    store = OnlineStore(served.home.online)
    road = store.read("tiny", "road")
    assert road is not None
    store.publish("tiny", "road", road.with_columns(ice=1 - pl.col("ice")))
    evaluation = _served(served)
    assert not evaluation.passed
    assert float(str(evaluation.metadata["largest_difference"].value)) > 0.01


def test_drift_is_measured_against_the_champion(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The days before the shift are stable, those after it are not, in one run over a range; the check only warns."""
    monkeypatch.setenv(FAULTS, faults(drifted=JANUARY[25:]))
    assert world.run("data", "2020-01-26", LAST).success
    result = world.run("monitor", "2020-01-24", "2020-02-01")
    assert result.success
    evaluations = world.evaluations("drift", "inputs_not_drifted", result.run_id)
    passed = {each.partition: each.passed for each in evaluations}
    assert passed["2020-01-24"]
    assert not passed["2020-02-01"]
    assert {each.severity for each in evaluations} == {dg.AssetCheckSeverity.WARN}
    found = {each.partition: each.metadata for each in world.materializations("drift", result.run_id)}
    assert found["2020-02-01"]["outcome"].value == "drifted"
    assert "passengers" in str(found["2020-02-01"]["finding"].value)
    assert {"table", "plot"} <= found["2020-02-01"].keys()


def _promote(world: World, version: int, as_of: str) -> None:
    """Write a promotion of the bundle that version 1 has: a later champion, trained on the same rows."""
    digest = world.decisions("promoted")[0].payload["digest"]
    payload = {"digest": digest, "as_of": as_of, "previous": None}
    seq = len(world.decisions()) + 1
    world.ledger.append(
        "tiny", "promoted", expected_seq=seq, actor="test", because="a test", version=version, payload=payload
    )


def test_drift_is_measured_against_the_champion_of_that_time(world: World) -> None:
    """In a range and alone; before the first champion there is no report, and the check is not red."""
    _promote(world, 7, LATER)
    result = world.run("monitor", "2020-01-21", "2020-01-30")
    assert result.success
    found = {each.partition: each.metadata["report"].value for each in world.materializations("drift", result.run_id)}
    champions = {str(key): report["champion"] for key, report in found.items() if isinstance(report, dict)}
    expected = {f"2020-01-{day}": 1 if f"2020-01-{day}" <= LATER else 7 for day in range(24, 31)}
    assert champions == expected
    evaluations = world.evaluations("drift", "inputs_not_drifted", result.run_id)
    assert {each.partition for each in evaluations} == {*expected, None}
    assert "3 partitions" in str(evaluations[0].metadata["no_report"].value)
    alone = world.run("monitor", AS_OF)
    assert alone.success
    assert world.materializations("drift", alone.run_id) == []
    [check] = alone.get_asset_check_evaluations()
    assert (check.passed, check.partition) == (True, AS_OF)
    assert AS_OF in str(check.metadata["no_report"].value)


def test_without_any_champion_the_data_job_reports_no_drift(loaded: World) -> None:
    result = loaded.run("data", "2020-01-30", LAST)
    assert result.success
    assert loaded.materializations("drift", result.run_id) == []
    assert [each.passed for each in loaded.evaluations("drift", "inputs_not_drifted", result.run_id)] == [True]


def test_loading_a_day_carries_on_to_its_drift(world: World) -> None:
    """By the job of the schedule, in the same run, against the window before the day."""
    result = world.run("data", "2020-02-01")
    assert result.success
    [made] = world.materializations("drift", result.run_id)
    assert (made.partition, made.metadata["outcome"].value) == ("2020-02-01", "stable")
