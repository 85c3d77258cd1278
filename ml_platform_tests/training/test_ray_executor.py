"""Fits on a Ray cluster give what they give here; a worker that dies fails its own item and no other."""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import polars as pl
import psutil
import pytest

from ml_platform.contracts.errors import ClusterUnreachable, NotEnoughRows, WorkerLost
from ml_platform.scoring.processors import available_processors
from ml_platform.training import ray_executor
from ml_platform.training.executor import Failure, LocalExecutor, results
from ml_platform.training.ray_cluster import connected
from ml_platform.training.ray_executor import RayExecutor
from ml_platform_tests.training.clusters import RAY_QUIET
from ml_platform_tests.training.faults import (
    die_of_three,
    halve,
    hang_unless_first,
    process_of,
    raise_unsendable,
    threads_of,
)

pytestmark = [pytest.mark.slow, *RAY_QUIET]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Start one cluster for all tests here: it is slow to start."""
    with connected(None, cpus=2) as found:
        yield found


def test_results_and_failures_are_those_of_this_process_in_order(ray: Any) -> None:
    there, here = (executor.map(halve, [8, 3, 4, 0]) for executor in (RayExecutor(ray, 2), LocalExecutor()))
    assert [each for each in there if not isinstance(each, Failure)] == [4, 2, 0]
    assert isinstance(there[1], Failure)
    assert isinstance(there[1].error, NotEnoughRows)
    assert isinstance(here[1], Failure)
    assert there[1].reason == here[1].reason == "NotEnoughRows: train: got 3 rows, expected an even number. Hint: wait"


def test_items_run_in_other_processes_so_many_at_a_time(ray: Any) -> None:
    pids = set(results(RayExecutor(ray, 2).map(process_of, range(4))))
    assert os.getpid() not in pids
    assert len(set(results(RayExecutor(ray, 1).map(process_of, range(3))))) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_a_fit_computes_with_the_cpus_that_it_is_given(ray: Any, threads: int) -> None:
    """More threads than these would wait for one another; here it has the machine's own."""
    assert results(RayExecutor(ray, 2, threads).map(threads_of, range(2))) == [threads] * 2
    assert threads_of(0) == min(available_processors(), 8)


def test_what_has_not_ended_when_the_time_is_up_is_ended(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what still waits for a CPU; what has ended counts."""
    monkeypatch.setattr(ray_executor, "GRACE_SECONDS", 2)
    outcomes = RayExecutor(ray, 4).map(hang_unless_first, range(4), seconds=1)
    assert outcomes[0] == 0
    assert [each.reason for each in outcomes[1:] if isinstance(each, Failure)] == [
        "TimeoutError: the timeout came, and its worker had not ended"
    ] * 3
    assert results(RayExecutor(ray, 2).map(halve, [2, 4])) == [1, 2]  # the CPUs are free again


def test_a_worker_that_dies_fails_its_item_alone(ray: Any) -> None:
    """It is not tried again, and the reason is told."""
    outcomes = RayExecutor(ray, 1).map(die_of_three, range(5))
    assert [each for each in outcomes if not isinstance(each, Failure)] == [0, 1, 2, 4]
    failure = outcomes[3]
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, WorkerLost)
    assert failure.reason.startswith("WorkerLost: worker of 3: got The worker died unexpectedly")


def test_an_error_that_cannot_travel_is_a_failure_too(ray: Any) -> None:
    [failure] = RayExecutor(ray, 1).map(raise_unsendable, [1])
    assert isinstance(failure, Failure)
    assert "worker of 1" in failure.reason


def test_rows_are_put_once_for_a_function_that_is_used_again(ray: Any) -> None:
    """Two maps over the same bound rows put them into the cluster's store a single time."""
    puts: list[object] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(ray, name)

        def put(self, value: object) -> Any:
            puts.append(value)
            return ray.put(value)

    executor = RayExecutor(Counting(), 2)
    height = partial(_height, pl.DataFrame({"a": range(10_000)}))
    assert results(executor.map(height, [0, 1])) == results(executor.map(height, [0, 1])) == [10_000, 10_001]
    assert puts == [height]


def _height(rows: pl.DataFrame, more: int) -> int:
    return rows.height + more


def test_a_connection_that_was_there_stays(ray: Any) -> None:
    with connected(None, cpus=1):
        pass
    assert ray.is_initialized()


def test_a_cluster_with_too_few_cpus_is_refused(ray: Any) -> None:
    assert ray.is_initialized()
    with pytest.raises(ClusterUnreachable, match="Ray cluster: got 2 CPUs, expected at least 3"), connected(None, 3, 3):
        pass


def test_children_of_the_cluster_are_of_this_process(ray: Any) -> None:
    """So that whoever ends this process knows what to end."""
    assert ray.is_initialized()
    assert any("raylet" in each.name() for each in psutil.Process().children(recursive=True))
