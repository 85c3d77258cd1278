"""How an MLflow run stands when one of the processes that share it ends."""

from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from ml_platform.orchestration.mlflow_run import _status, pipeline_of
from ml_platform_tests.pipelines.marks import DAGSTER

pytestmark = DAGSTER

Event = dg.DagsterEventType
BEGUN, DONE, FAILED, CANCELING = Event.STEP_START, Event.STEP_SUCCESS, Event.STEP_FAILURE, Event.PIPELINE_CANCELING


def _context(*told: tuple[dg.DagsterEventType, str | None], error: str = "ValueError") -> Any:
    """Give the context of a resource whose run's event log holds this."""

    def all_logs(run_id: str, of_type: set[dg.DagsterEventType]) -> list[Any]:
        assert run_id == "r"
        failure = SimpleNamespace(error=SimpleNamespace(cls_name=error))
        events = [
            SimpleNamespace(event_type=kind, step_key=step, step_failure_data=failure)
            for kind, step in told
            if kind in of_type
        ]
        return [SimpleNamespace(get_dagster_event=lambda event=event: event) for event in events]

    return SimpleNamespace(instance=SimpleNamespace(all_logs=all_logs), run=SimpleNamespace(run_id="r"))


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([], "FINISHED"),
        ([(BEGUN, "a"), (DONE, "a"), (BEGUN, "b"), (DONE, "b")], "FINISHED"),
        ([(BEGUN, "a"), (BEGUN, "b"), (DONE, "a")], "RUNNING"),  # b is at work elsewhere, and ends the run
        ([(BEGUN, "a"), (BEGUN, "b"), (FAILED, "a")], "FAILED"),
        ([(BEGUN, "a"), (DONE, "a"), (BEGUN, "b"), (FAILED, "b")], "FAILED"),
        ([(BEGUN, "a"), (CANCELING, None)], "FAILED"),
    ],
)
def test_the_last_process_ends_the_run(told: list[Any], status: str) -> None:
    assert _status(_context(*told)) == status


def test_without_an_instance_nothing_is_known_of_other_processes() -> None:
    bare: Any = SimpleNamespace(instance=None, run=None)
    assert _status(bare) == "FINISHED"


@pytest.mark.parametrize(
    ("step", "error", "status"),
    [
        ("tiny__evaluation", "DagsterAssetCheckFailedError", "FINISHED"),  # its gates said no
        ("tiny__evaluation", "ValueError", "FAILED"),
        ("tiny__training_set", "DagsterAssetCheckFailedError", "FAILED"),  # a leak: nothing was evaluated
    ],
)
def test_a_refused_candidate_is_no_crash(step: str, error: str, status: str) -> None:
    assert _status(_context((BEGUN, step), (FAILED, step), error=error)) == status


def _run(selection: list[list[str]] | None = None, **tags: str) -> dg.DagsterRun:
    keys = None if selection is None else frozenset(dg.AssetKey(key) for key in selection)
    return dg.DagsterRun(job_name="__ASSET_JOB", asset_selection=keys, tags=tags)


@pytest.mark.parametrize(
    ("run", "pipeline"),
    [
        (None, None),
        (_run(), None),
        (_run(None, **{"ml_platform/pipeline": "tiny"}), "tiny"),
        (_run([["tiny", "candidate"], ["tiny", "evaluation"]]), "tiny"),
        (_run([["tiny", "candidate"], ["other", "candidate"]]), None),
    ],
)
def test_a_run_belongs_to_the_one_pipeline_whose_assets_it_makes(
    run: dg.DagsterRun | None, pipeline: str | None
) -> None:
    assert pipeline_of(run) == pipeline
