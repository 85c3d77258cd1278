"""Independent fits on a Ray cluster."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_platform.training.executor import Failure, Item, Result, attempted
from ml_platform.training.ray_cluster import lost
from ml_platform.training.threads import computing_with

GRACE_SECONDS = 30  # for what ends by itself when its time is up, before it is ended from here


@dataclass
class RayExecutor:
    """Runs each item as a task; the cluster is the one that Ray is connected to.

    Parameters
    ----------
    ray : module
        Connected, as `ray_cluster.connected` gives it.
    parallel : int
        How many items run at a time.
    threads : int
        CPUs that each item is given, and computes with.
    """

    ray: Any
    parallel: int = 1
    threads: int = 1
    _put: tuple[object, Any] = field(default=(None, None), init=False, repr=False)

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], seconds: float | None = None
    ) -> list[Result | Failure]:
        """Give the result or the failure of each item; see `Executor`. A task that lost its worker is not repeated."""
        task = self.ray.remote(max_retries=0, num_cpus=self.threads)(_attempted)
        until = None if seconds is None else time.monotonic() + seconds + GRACE_SECONDS
        shared = self._shared(function)
        asked: list[Any] = []
        running: list[Any] = []
        try:
            for item in items:
                if len(running) == self.parallel:
                    running = self._wait(running, until, all_but=self.parallel - 1)
                asked.append(task.remote(self.threads, shared, item))
                running.append(asked[-1])
            late = set(self._wait(running, until))
            self._cancel(late)
            return [
                _too_late() if each in late else self._outcome(each, item)
                for each, item in zip(asked, items, strict=True)
            ]
        except BaseException:
            self._cancel(running)  # an interrupt must not leave fits behind on somebody's cluster
            raise

    def _wait(self, running: list[Any], until: float | None, all_but: int = 0) -> list[Any]:
        """Give what still runs when all but so many have ended, or the time is up."""
        left = None if until is None else max(0.0, until - time.monotonic())
        wanted = len(running) - all_but
        return self.ray.wait(running, num_returns=wanted, timeout=left)[1] if running else []

    def _cancel(self, running: Iterable[Any]) -> None:
        for each in running:
            self.ray.cancel(each, force=True)

    def _shared(self, function: object) -> Any:
        if self._put[0] is not function:
            self._put = (function, self.ray.put(function))
        return self._put[1]

    def _outcome(self, asked: Any, item: object) -> Any:
        try:
            return self.ray.get(asked)
        except self.ray.exceptions.RayError as error:
            return Failure(lost(f"worker of {item}", error))


def _attempted(threads: int, function: Callable[[Item], Result], item: Item) -> Result | Failure:
    with computing_with(threads):
        return attempted(function, item)


def _too_late() -> Failure:
    return Failure(TimeoutError("the timeout came, and its worker had not ended"))
