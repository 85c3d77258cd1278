"""A year of retraining: a backfill of ten partitions, launched by Dagster's daemon, gives ten gated versions.

Flights of one airport, to be quick; the spec is the shipped one. What is asked is that every version is judged by every
gate and told in full, and that none of it moves traffic; whether a month's version passes is the gates' own affair.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import PartitionBackfill

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.home import Home
from ml_platform.deployment.processes import background, tail
from ml_platform.deployment.services import dagster_env, prepare_dagster_home
from ml_platform_tests.pipelines.fixtures import enter
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.one_origin import NAME, WORKSPACE, one_origin
from ml_platform_tests.pipelines.project import ROOT
from ml_platform_tests.pipelines.world import InProcessTarget, World, definitions, error_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    # Dagster calls a deprecated function of its own when a backfill is asked for.
    pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources` is deprecated"),
    *DAGSTER,
]

DAYS = ("2013-01-01", "2013-11-30")
AS_OFS = [f"2013-{month:02d}-01" for month in range(3, 13)]
STAGES = ("training_set", "candidate", "evaluation")
BACKFILL = "walkforward"
WITHIN_S = 1300.0


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Load the year, make the version as of March champion, and let the daemon run the backfill."""
    home = Home(tmp_path_factory.mktemp("walk"))
    prepare_dagster_home(home, ROOT)
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        enter(home, patched)
        first = World(home, instance, definitions(one_origin(), target=InProcessTarget(home)), NAME)
        for done in (first.run("data", *DAYS), first.run("retrain", AS_OFS[0])):
            assert done.success, error_of(done)
        with dg.DagsterInstance.get() as kept:
            world = World(home, kept, first.definitions, NAME)
            _backfill(world)
            yield world


def _backfill(world: World) -> None:
    """Ask for it as the UI does, and wait until the daemon has seen every run end."""
    log, workspace = world.home.root / "daemon.log", world.home.root / "workspace.yaml"
    workspace.write_text(WORKSPACE)
    asked = PartitionBackfill.from_asset_partitions(
        BACKFILL,
        asset_graph=world.definitions.resolve_asset_graph(),
        partition_names=AS_OFS,
        asset_selection=[dg.AssetKey([NAME, stage]) for stage in STAGES],
        backfill_timestamp=time.time(),
        tags={},
        dynamic_partitions_store=world.instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    world.instance.add_backfill(asked)
    command = [str(Path(sys.executable).parent / "dagster-daemon"), "run", "-w", str(workspace)]
    with background(command, log, dagster_env(world.home)):
        until = time.monotonic() + WITHIN_S
        while len(runs := _runs(world)) < len(AS_OFS) or not all(run.is_finished for run in runs):
            assert time.monotonic() < until, f"{[run.status for run in runs]}\n{tail(log)}"
            time.sleep(1)


def _runs(world: World) -> Sequence[dg.DagsterRun]:
    return world.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": BACKFILL}))


def _evaluations(world: World) -> dict[str, Evaluation]:
    """Give the newest evaluation of each as-of."""
    found = [Evaluation.model_validate(each.payload) for each in world.decisions("evaluated")]
    return {each.as_of: each for each in found}


def test_each_month_has_a_version_and_a_run_of_its_own(walked: World) -> None:
    """Ten of each; the version that March had already is found again and not made twice."""
    assert sorted(run.tags["dagster/partition"] for run in _runs(walked)) == AS_OFS
    versions = walked.models.registered()
    assert sorted(each.as_of for each in versions) == AS_OFS
    assert {each.version for each in versions} == set(range(1, len(AS_OFS) + 1))
    assert {each.version: each.as_of for each in versions}[1] == AS_OFS[0]


def test_each_version_is_judged_by_every_gate(walked: World) -> None:
    """In the order of the spec, with its numbers and a sentence, from March on against the champion."""
    names, evaluations = [gate.name for gate in one_origin().spec.gates], _evaluations(walked)
    assert sorted(evaluations) == AS_OFS
    for as_of, each in evaluations.items():
        assert [verdict.gate for verdict in each.verdicts] == names
        assert all(verdict.sentence and verdict.rows for verdict in each.verdicts)
        assert each.rows > 1000
        assert each.champion == (None if as_of == AS_OFS[0] else 1)
        assert ("champion" in each.metrics) == (as_of != AS_OFS[0])


def test_every_run_did_what_was_asked(walked: World) -> None:
    """Whatever its gates said; most of them pass: what a gate stops is told, and never the whole year."""
    assert {run.status for run in _runs(walked)} == {dg.DagsterRunStatus.SUCCESS}
    outcomes = {as_of: each.outcome for as_of, each in _evaluations(walked).items()}
    assert sum(outcome == "pass" for outcome in outcomes.values()) > len(AS_OFS) / 2, outcomes


def test_each_version_has_its_report_and_its_card(walked: World) -> None:
    """In the MLflow run that made it, under the version that they tell of."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=walked.home.mlflow_url)
    for version in walked.models.registered():
        assert {"report.html", "model_card.md"} <= {each.path for each in client.list_artifacts(version.run_id)}
        report = Path(client.download_artifacts(version.run_id, "report.html")).read_text()
        card = Path(client.download_artifacts(version.run_id, "model_card.md")).read_text()
        for text in (report, card):
            assert version.as_of in text
            assert all(gate.name in text for gate in one_origin().spec.gates)


def test_no_traffic_has_moved_and_the_ledger_verifies(walked: World) -> None:
    """The version of March serves on; ten runs, two at a time, have written one chain."""
    assert walked.promoted() == [1]
    walked.ledger.verify(NAME)
    assert len(walked.decisions("evaluated")) == len(AS_OFS) + 1
