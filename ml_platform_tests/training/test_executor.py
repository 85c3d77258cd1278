"""Items run in order, each by itself: one that fails tells why, and spares the others."""

import re
from threading import Barrier

import pytest

from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.training.executor import Executor, Failure, LocalExecutor, results

ERROR = NotEnoughRows.because("train", got="2 rows", expected="3", hint="wait")


def halve(number: int) -> int:
    """Refuse odd numbers."""
    if number % 2:
        raise ERROR
    return number // 2


@pytest.mark.parametrize("executor", [LocalExecutor(), LocalExecutor(3)])
def test_results_and_failures_come_in_the_order_of_the_items(executor: Executor) -> None:
    outcomes = executor.map(halve, [8, 3, 4, 0])
    assert outcomes == [4, Failure(ERROR), 2, 0]
    assert executor.map(halve, []) == []


def test_as_many_items_run_at_a_time_as_asked_for() -> None:
    """Three that wait for each other get through together; any that were held back would break the barrier."""
    meeting = Barrier(3, timeout=20)
    assert sorted(results(LocalExecutor(3).map(lambda _: meeting.wait(), range(3)))) == [0, 1, 2]


def test_one_at_a_time_runs_in_the_order_of_the_items() -> None:
    seen: list[int] = []
    LocalExecutor(1).map(seen.append, range(5))
    assert seen == [0, 1, 2, 3, 4]


def test_a_failure_says_why_in_one_line() -> None:
    assert Failure(ERROR).reason == "NotEnoughRows: train: got 2 rows, expected 3. Hint: wait"
    assert Failure(ValueError("one\n two")).reason == "ValueError: one two"
    assert Failure(MemoryError()).reason == "MemoryError"


@pytest.mark.parametrize("error", [MemoryError("no room"), RuntimeError("std::bad_alloc")])
def test_memory_that_ran_out_is_told_with_what_to_do(error: Exception) -> None:
    """A library in C++ has a name of its own for it."""

    def fit(_: str) -> None:
        raise error

    [failure] = LocalExecutor().map(fit, ["fold 2"])
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, MemoryError)
    told = rf"OutOfMemory: fold 2: got {error}, expected memory for its rows and trees\. Hint: train on fewer rows"
    assert re.match(told, failure.reason)


def test_results_that_must_all_be_there_raise_the_first_failure() -> None:
    assert results([1, 2]) == [1, 2]
    with pytest.raises(NotEnoughRows, match="got 2 rows, expected 3"):
        results([1, Failure(ERROR), Failure(ValueError("later"))])
