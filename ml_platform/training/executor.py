"""Where independent fits run: the trials of a search, the members of an ensemble. In this process, or on a Ray cluster.

An item that fails gives a `Failure` and lets the others finish; whoever asked decides what that means.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ml_platform.contracts.errors import OutOfMemory

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """What stands for the result of an item that failed.

    Parameters
    ----------
    error : Exception
        What was raised, or what became of the worker.
    """

    error: Exception

    @property
    def reason(self) -> str:
        """One line that a person can read."""
        said = " ".join(str(self.error).split())
        return f"{type(self.error).__name__}: {said}" if said else type(self.error).__name__


class Executor(Protocol):
    """Runs a function over items, so many of them at a time."""

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], seconds: float | None = None
    ) -> list[Result | Failure]:
        """Give the result or the failure of each item, in the order of the items.

        Parameters
        ----------
        function : function
            Must not depend on which items ran before or beside it. On a cluster it travels with all that it holds, as
            rows bound to it by `functools.partial`, once for each function: bind what is large, and use the same
            function again.
        items : sequence
            `str` of one names it where its worker is lost.
        seconds : float, optional
            After so long the function ends by itself. A cluster also ends what waits there for a CPU, or hangs.
        """
        ...


@dataclass(frozen=True)
class LocalExecutor:
    """Runs in this process: one after another, or in threads, as LightGBM and polars do their work outside the GIL.

    Parameters
    ----------
    parallel : int
        How many items run at a time.
    """

    parallel: int = 1

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], seconds: float | None = None
    ) -> list[Result | Failure]:
        """Give the result or the failure of each item; see `Executor`. Nothing ends a thread from outside."""
        del seconds

        def attempt(item: Item) -> Result | Failure:
            return attempted(function, item)

        if self.parallel == 1:
            return [attempt(item) for item in items]
        with ThreadPoolExecutor(self.parallel, thread_name_prefix="fit") as pool:
            contexts = [copy_context() for _ in items]  # a thread has none of what was said in this one
            return list(pool.map(lambda context, item: context.run(attempt, item), contexts, items))


def attempted(function: Callable[[Item], Result], item: Item) -> Result | Failure:
    """Give the result of one item, or its failure."""
    try:
        return function(item)
    except Exception as error:  # the edge of an item: whatever is wrong with it is told, and spares the others
        return Failure(_out_of_memory(item, error) if _is_about_memory(error) else error)


def _is_about_memory(error: Exception) -> bool:
    """Tell whether memory ran out; libraries in C++ say so in their own errors."""
    return isinstance(error, MemoryError) or "bad_alloc" in str(error)


def _out_of_memory(item: object, error: Exception) -> OutOfMemory:
    return OutOfMemory.because(
        str(item), got=error, expected="memory for its rows and trees",
        hint="train on fewer rows or run fewer fits at a time; in a search bound what makes trees large, as num_leaves",
    )  # fmt: skip


def results(outcomes: Sequence[Result | Failure]) -> list[Result]:
    """Give the results of items that all must succeed, or raise what the first failed with."""
    found: list[Result] = []
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            raise outcome.error
        found.append(outcome)
    return found
