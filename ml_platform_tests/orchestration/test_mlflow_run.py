"""How an MLflow run stands when one of the processes that share it ends."""

from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from ml_platform.orchestration.mlflow_run import _status
from ml_platform_tests.pipelines.marks import DAGSTER

pytestmark = DAGSTER

Event = dg.DagsterEventType
BEGUN, DONE, FAILED, CANCELING = Event.STEP_START, Event.STEP_SUCCESS, Event.STEP_FAILURE, Event.PIPELINE_CANCELING


def _context(*told: tuple[dg.DagsterEventType, str | None]) -> Any:
    """Give the context of a resource whose run's event log holds this."""

    def all_logs(run_id: str, of_type: set[dg.DagsterEventType]) -> list[Any]:
        assert run_id == "r"
        events = [SimpleNamespace(event_type=kind, step_key=step) for kind, step in told if kind in of_type]
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
