"""Workers that run together: one process each, all at the same time, as LightGBM's sockets need them."""

from collections.abc import Callable, Sequence
from typing import Protocol

from ml_platform.training.executor import Item, Result


class Workers(Protocol):
    """A number of processes, maybe on several machines."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def each(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Run the function on every worker at the same time, the first item on the first one.

        Parameters
        ----------
        items : sequence
            One for each worker.

        Raises
        ------
        WorkerLost
            As soon as one of them dies; what one raises is raised here. The others may not have ended then: the
            workers are of no use any more.
        """
        ...
