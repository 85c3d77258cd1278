"""Workers as actors on a Ray cluster: all of them or none, ended when the context ends."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ml_platform.contracts.errors import ClusterUnreachable
from ml_platform.training.executor import Item, Result
from ml_platform.training.ray_cluster import connected, lost

FREE_SECONDS = 600


class Worker:
    """What runs in an actor's process."""

    def run(self, function: Callable[[Item], Result], item: Item) -> Result:
        """Run one item."""
        return function(item)


@dataclass(frozen=True)
class RayWorkers:
    """Implements `Workers`; the actors have a process each."""

    ray: Any
    actors: Sequence[Any]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.actors)

    def each(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Run the function on every worker; see `Workers`."""
        shared = self.ray.put(function)
        asked = [actor.run.remote(shared, item) for actor, item in zip(self.actors, items, strict=True)]
        waiting = asked
        while waiting:
            ready, waiting = self.ray.wait(waiting)
            for each in ready:
                self._result(each, asked.index(each))
        return [self._result(each, number) for number, each in enumerate(asked)]

    def _result(self, asked: Any, number: int) -> Any:
        try:
            return self.ray.get(asked)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self.ray.exceptions.RayError as error:
            raise lost(f"worker {number + 1} of {self.count}", error) from error


@contextmanager
def ray_workers(address: str | None, count: int, threads: int) -> Iterator[RayWorkers]:
    """Start workers on the cluster at an address, or on one of this machine.

    Parameters
    ----------
    threads : int
        CPUs that each worker is given.

    Raises
    ------
    ClusterUnreachable
        If there is none, it is too small, or its CPUs do not get free for ten minutes.
    """
    with connected(address, count * threads, at_least=count * threads) as ray:
        from ray.util.placement_group import placement_group, remove_placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        group = placement_group([{"CPU": threads}] * count)  # all at once: half the workers would wait for ever
        actors: list[Any] = []
        try:
            _await(group, count * threads)
            make = ray.remote(num_cpus=threads, max_restarts=0, max_task_retries=0)(Worker)
            for place in range(count):
                where = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=place)
                actors.append(make.options(scheduling_strategy=where).remote())
            yield RayWorkers(ray, actors)
        finally:
            for actor in actors:
                ray.kill(actor)
            remove_placement_group(group)


def _await(group: Any, cpus: int) -> None:
    if not group.wait(FREE_SECONDS):
        raise ClusterUnreachable.because(
            "Ray cluster", got=f"no {cpus} CPUs free for {FREE_SECONDS} s", expected="them free at the same time",
            hint="wait for what runs there, or ask for fewer workers",
        )  # fmt: skip
