"""Whole runs on a registry that somebody damaged: the champion is its digest, and what is wrong is explained."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from ml_platform.cli import app
from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.spec import Gate, PipelineSpec
from ml_platform.ledger.identity import known_versions
from ml_platform.orchestration.mlflow_run import experiment_name
from ml_platform_tests.pipelines.fixtures import as_pipeline
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import AS_OF, FOLDER, LATER, NAME, World, error_of, tiny

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = [pytest.mark.slow, *DAGSTER]


def _client(world: World) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=world.home.mlflow_url, registry_uri=world.home.mlflow_url)


def _spec(**changed: Any) -> PipelineSpec:
    return PipelineSpec.model_validate(tiny().spec.model_dump(mode="json", by_alias=True) | changed)


def _weak(world: World) -> World:
    """Give the world with a model that learns next to nothing; it passes every gate but that on the champion."""
    model = tiny().spec.models["gbm"].model_dump(mode="json")
    model |= {"params": {**model["params"], "learning_rate": 0.02}, "rounds": 4}
    return as_pipeline(world, replace(tiny(), spec=_spec(models={"gbm": model})))


def _said(world: World, command: str) -> str:
    given = ["--home", str(world.home.root), *(["--defs", str(FOLDER.parent)] if command == "versions" else [])]
    result = CliRunner().invoke(app, [command, NAME, *given])
    assert result.exit_code == 0, result.output
    return result.stderr


@pytest.mark.parametrize("damage", ["lost registry", "edited tag"])
def test_a_weak_candidate_is_compared_with_the_champion_and_not_with_itself(world: World, damage: str) -> None:
    client = _client(world)
    if damage == "lost registry":
        client.delete_registered_model(NAME)
    assert _weak(world).materialize("training_set", "candidate", key=LATER).success
    if damage == "edited tag":
        weak = next(each for each in world.models.listed(NAME) if each.as_of == LATER)
        client.set_model_version_tag(NAME, "1", "digest", weak.digest)
    _weak(world).materialize("evaluation", key=LATER)
    evaluation = Evaluation.model_validate(world.decisions("evaluated")[-1].payload)
    metrics = evaluation.metrics
    assert evaluation.champion == 1
    assert metrics["candidate"]["log_loss"] > metrics["champion"]["log_loss"] + 0.05
    assert {each.gate for each in evaluation.verdicts if each.outcome != "pass"} == {"not_worse_than_champion"}
    assert not _weak(world).materialize("endpoint").success
    assert world.promoted() == [1]

    assert world.run("retrain", LATER).success  # an honest one still can be promoted
    assert world.promoted() == [1, 3]
    assert [each.version for each in known_versions(world.decisions())] == [1, 2, 3]
    assert world.models.aliases(NAME)["champion"] == 3


def test_a_champion_deleted_in_mlflow_blocks_nothing(world: World) -> None:
    """Its bundle is deployed: the endpoint stays green and says so, and the same retrain registers it again."""
    _client(world).delete_registered_model(NAME)
    result = world.materialize("endpoint")
    assert result.success, error_of(result)
    [endpoint] = result.asset_materializations_for_node("tiny__endpoint")
    assert "The champion, version 1 of digest" in str(endpoint.metadata["registry"].value)
    assert world.run("retrain", AS_OF).success
    assert (world.promoted(), world.models.aliases(NAME)) == ([1], {"champion": 1})
    assert _said(world, "versions") == ""


def test_a_vacuum_after_a_lost_registry_keeps_what_the_champion_was_trained_from(world: World) -> None:
    """Its bundle is deployed, and names the table versions."""
    rows = world.lake.read(f"{NAME}/features", ["2020-01-15"])
    world.lake.write(f"{NAME}/features", rows.head(10), ["2020-01-15"])
    version = world.lake.version(f"{NAME}/features") - 1
    _client(world).delete_registered_model(NAME)
    given = ["--home", str(world.home.root), "--keep", "0", "--dry-run", "--table", f"{NAME}/features"]
    result = CliRunner().invoke(app, ["lake", "vacuum", *given])
    assert result.exit_code == 0, result.output
    assert f"kept for models: v{version}" in result.stdout


def test_other_gates_and_another_description_make_no_new_version(world: World) -> None:
    """The model is the same: it is judged by the new gates, and a retrain of the champion's day ends green."""
    gates = [Gate(metric="log_loss", at_most=0.69).model_dump(mode="json", by_alias=True)]
    other = as_pipeline(world, replace(tiny(), spec=_spec(gates=gates, description="Other words.")))
    result = other.run("retrain", AS_OF)
    assert result.success, error_of(result)
    assert [each.version for each in world.models.listed(NAME)] == [1]
    assert world.promoted() == [1]


def test_a_deleted_experiment_is_explained_before_anything_runs(world: World) -> None:
    client, name = _client(world), experiment_name(NAME)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    for command in ("versions", "ledger"):
        assert f"MLflow experiment {name}: got deleted" in _said(world, command)
    result = world.materialize("candidate", key=LATER)
    assert not result.success
    hint = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
    assert hint in error_of(result) + "".join(str(each.event_specific_data) for each in result.all_events)
    client.restore_experiment(experiment.experiment_id)
    assert _said(world, "versions") == ""
    assert world.materialize("training_set", "candidate", key=LATER).success


def test_a_foreign_version_and_a_moved_alias_are_explained_and_the_alias_is_put_back(world: World) -> None:
    client = _client(world)
    source = client.get_model_version_download_uri(NAME, "1")
    tags = {"as_of": "2031-01-01", "digest": "f" * 64}
    foreign = int(client.create_model_version(NAME, source, tags=tags).version)
    client.set_registered_model_alias(NAME, "champion", str(foreign))
    for command in ("versions", "ledger"):
        said = _said(world, command)
        assert f"alias champion points at version {foreign}; by the ledger version 1 is champion" in said
        assert f"version {foreign} (as of 2031-01-01) is not in the ledger: it is ignored" in said
    assert world.models.aliases(NAME) == {"champion": foreign}  # to look changes nothing
    assert world.materialize("endpoint").success
    assert world.models.aliases(NAME) == {"champion": 1}
    assert world.run("retrain", LATER).success
    assert world.promoted() == [1, foreign + 1]
