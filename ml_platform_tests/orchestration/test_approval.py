"""A pipeline that asks a person: the retrain ends parked, the command answers, the sensor promotes."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from ml_platform.cli import app
from ml_platform.contracts.errors import ApprovalRefused, SpecError
from ml_platform.contracts.spec.models import Approval
from ml_platform.orchestration.graph import pipeline_definitions
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import (
    FOLDER,
    LATER,
    LATEST,
    InProcessTarget,
    World,
    definitions,
    error_of,
    tiny,
)

pytestmark = [pytest.mark.slow, *DAGSTER]

MANUAL = replace(tiny(), spec=tiny().spec.model_copy(update={"approval": Approval(mode="manual")}))
SENSOR = "tiny_approval"


@pytest.fixture
def asked(world: World) -> World:
    """Give the world with version 1 champion, whose next versions a person approves."""
    return replace(world, definitions=definitions(MANUAL, target=InProcessTarget(world.home)))


@pytest.fixture
def defs(tmp_path: Path) -> Path:
    """Give a folder of definitions with the same pipeline, as the command reads it."""
    folder = tmp_path / "defs" / "tiny"
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text((FOLDER / "defs.yaml").read_text() + "  approval: manual\n")
    return folder.parent


def _say(world: World, verb: str, version: int, *options: str) -> str:
    """Run `ml-platform approve` or `reject`; raises what it refuses with."""
    command = [verb, "tiny", str(version), "--by", "ann", "--because", "it is good", "--home", str(world.home.root)]
    result = CliRunner().invoke(app, [*command, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def _tick(world: World, cursor: str | None = None) -> tuple[list[dg.RunRequest], str | None]:
    """Evaluate the sensor; gives its requests and the cursor that Dagster would keep."""
    repository = world.definitions.get_repository_def()
    context = dg.build_sensor_context(
        instance=world.instance,
        cursor=cursor,
        repository_def=repository,
        resources={"ledger": world.ledger},
        sensor_name=SENSOR,
    )
    evaluated = repository.get_sensor_def(SENSOR).evaluate_tick(context)
    return list(evaluated.run_requests or []), evaluated.cursor


def _launch(world: World, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    return world.materialize("endpoint", run_config=dict(request.run_config), tags=dict(request.tags))


def test_a_retrain_ends_parked_and_an_approval_lets_it_serve(asked: World, defs: Path) -> None:
    """The run succeeds, shows what it waits for and moves nothing; then the command, the sensor, the champion."""
    result = asked.run("retrain", LATER)
    assert result.success
    assert asked.promoted() == [1]
    assert asked.models.aliases("tiny") == {"champion": 1, "challenger": 2}
    assert not result.asset_materializations_for_node("tiny__endpoint")
    [observed] = [event.asset_observation_data for event in result.all_events if event.is_asset_observation]
    shown = observed.asset_observation.metadata
    assert "Version 2 passed its gates and waits for an approval until" in str(shown["waiting"].value)
    assert "ml-platform approve tiny 2 --by NAME" in str(shown["how"].value)
    requests, cursor = _tick(asked)
    assert requests == []
    said = _say(asked, "approve", 2, "--defs", str(defs))
    assert "tiny v2 approved by ann, until" in said
    assert SENSOR in said
    [request], cursor = _tick(asked, cursor)
    assert request.tags["ml_platform/reason"] == "ann approved version 2"
    assert _tick(asked)[0][0].run_key == request.run_key  # a tick that died is repeated, Dagster launches it once
    assert _tick(asked, cursor)[0] == []
    launched = _launch(asked, request)
    assert launched.success
    assert asked.promoted() == [1, 2]
    [shown] = [each.metadata for each in launched.asset_materializations_for_node("tiny__endpoint")]
    [answer] = asked.decisions("approved")
    assert (shown["approved_by"].value, shown["approved_because"].value) == ("ann", "it is good")
    assert shown["approved_at"].value == answer.at.timestamp()
    assert [each.version for each in asked.decisions("approved")] == [2]
    assert _tick(asked)[0] == []


def test_a_rejected_version_stays_out(asked: World, defs: Path) -> None:
    """The endpoint fails with name and reason, and the sensor launches nothing for an approval that was taken back."""
    assert asked.run("retrain", LATER).success
    _say(asked, "approve", 2, "--defs", str(defs))
    assert "It will not serve" in _say(asked, "reject", 2)
    assert _tick(asked)[0] == []
    refused = asked.materialize("endpoint")
    assert not refused.success
    assert "ann rejected version 2: it is good" in error_of(refused)
    with pytest.raises(ApprovalRefused, match="a rejection is final"):
        _say(asked, "approve", 2, "--defs", str(defs))
    assert asked.promoted() == [1]


def test_a_later_version_is_parked_beside_the_one_before(asked: World, defs: Path) -> None:
    """Both wait; the one that is approved serves, and the other has to meet it first."""
    assert asked.run("retrain", LATER).success
    assert asked.run("retrain", LATEST).success
    _say(asked, "approve", 3, "--defs", str(defs))
    [request], _ = _tick(asked)
    assert _launch(asked, request).success
    assert asked.promoted() == [1, 3]
    with pytest.raises(ApprovalRefused, match="the champion is now version 3"):
        _say(asked, "approve", 2, "--defs", str(defs))


def test_a_backfill_is_refused_and_parks_nothing(asked: World) -> None:
    """As in a pipeline that asks nobody."""
    result = asked.run("retrain", LATER, tags={"dagster/backfill": "walk"})
    assert result.success
    [observed] = [event.asset_observation_data for event in result.all_events if event.is_asset_observation]
    assert "A backfill never moves traffic" in str(observed.asset_observation.metadata["refused"].value)
    assert not result.asset_materializations_for_node("tiny__endpoint")
    assert asked.promoted() == [1]


def test_the_champion_of_before_comes_back_without_a_question(asked: World, defs: Path) -> None:
    """By its number."""
    assert asked.run("retrain", LATER).success
    _say(asked, "approve", 2, "--defs", str(defs))
    assert asked.materialize("endpoint").success
    back = {"ops": {"tiny__endpoint": {"config": {"version": 1}}}}
    assert asked.materialize("endpoint", run_config=back).success
    assert asked.promoted() == [1, 2, 1]


def test_the_command_knows_its_pipeline(defs: Path) -> None:
    """A name that stands nowhere is told, with those that do."""
    with pytest.raises(SpecError, match="got trains, expected tiny"):
        CliRunner().invoke(
            app,
            ["approve", "trains", "1", "--by", "a", "--because", "b", "--defs", str(defs)],
            catch_exceptions=False,
        )


def test_only_a_pipeline_that_asks_has_the_sensor() -> None:
    """It is on, since it does what a person has said."""
    [sensor] = [each for each in pipeline_definitions(MANUAL).sensors or [] if each.name == SENSOR]
    assert isinstance(sensor, dg.SensorDefinition)
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert SENSOR not in [each.name for each in pipeline_definitions(tiny()).sensors or []]
