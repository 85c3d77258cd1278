"""Independent fits on a Ray cluster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_platform.training.executor import Failure, Item, Result, attempted
from ml_platform.training.ray_cluster import lost


@dataclass
class RayExecutor:
    """Runs each item as a task of one CPU; the cluster is the one that Ray is connected to.

    Parameters
    ----------
    ray : module
        Connected, as `ray_cluster.connected` gives it.
    parallel : int
        How many items run at a time.
    """

    ray: Any
    parallel: int = 1
    _put: tuple[object, Any] = field(default=(None, None), init=False, repr=False)

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | Failure]:
        """Give the result or the failure of each item; see `Executor`. A task that lost its worker is not repeated."""
        task = self.ray.remote(max_retries=0, num_cpus=1)(attempted)
        shared = self._shared(function)
        asked: list[Any] = []
        running: list[Any] = []
        try:
            for item in items:
                if len(running) == self.parallel:
                    _, running = self.ray.wait(running)
                asked.append(task.remote(shared, item))
                running.append(asked[-1])
            return [self._outcome(each, number) for number, each in enumerate(asked)]
        except BaseException:
            for each in running:  # an interrupt must not leave fits behind on somebody's cluster
                self.ray.cancel(each, force=True)
            raise

    def _shared(self, function: object) -> Any:
        if self._put[0] is not function:
            self._put = (function, self.ray.put(function))
        return self._put[1]

    def _outcome(self, asked: Any, number: int) -> Any:
        try:
            return self.ray.get(asked)
        except self.ray.exceptions.RayError as error:
            return Failure(lost(f"worker of item {number + 1}", error))
