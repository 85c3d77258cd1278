"""Memory that really runs out: in a worker that may not have more, and on a machine whose Ray ends what takes most."""

import os
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from ml_platform.contracts.errors import OutOfMemory, WorkerLost
from ml_platform.training.executor import Failure
from ml_platform.training.ray_cluster import connected
from ml_platform.training.ray_executor import RayExecutor
from ml_platform_tests.training.faults import eat_on_two, starve_on_two

pytestmark = pytest.mark.slow

GB = 2**30


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start a cluster that ends workers when this machine has 1.5 GB less than now."""
    memory = psutil.virtual_memory()
    threshold = (memory.total - memory.available + 1.5 * GB) / memory.total
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{threshold:.4f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    with connected(None, cpus=1) as ray:
        yield ray


def test_a_worker_that_takes_the_machines_memory_is_ended_and_told_with_how_much(watched: Any) -> None:
    """By Ray's own monitor; the words are Ray's, with where and how much, and the items beside it are spared."""
    [before, eaten, after] = RayExecutor(watched).map(eat_on_two, [1, 2, 3])
    assert (before, after) == (1, 3)
    assert isinstance(eaten, Failure)
    assert isinstance(eaten.error, WorkerLost)
    assert "WorkerLost: worker of 2: got 1 worker(s) were killed due to the node running low on memory" in eaten.reason
    assert "GB used / " in eaten.reason
    assert "if memory ran out, run fewer fits at a time or train on fewer rows" in eaten.reason


def test_a_worker_that_may_not_have_more_memory_tells_what_it_asked_for() -> None:
    """Its process lives on."""
    with connected(None, cpus=1) as ray:
        [before, starved, after] = RayExecutor(ray).map(starve_on_two, [1, 2, 3])
    assert before == after != os.getpid()
    assert isinstance(starved, Failure)
    assert isinstance(starved.error, OutOfMemory)
    assert starved.reason.startswith("OutOfMemory: 2: got Unable to allocate")
