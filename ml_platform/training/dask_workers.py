"""Workers of a Dask cluster: the one at an address, or one started here and ended again."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ml_platform.contracts.errors import ClusterUnreachable
from ml_platform.training.executor import Item, Result
from ml_platform.training.ray_cluster import CONNECT_SECONDS, import_engine, lost, require_answer

LOOK_SECONDS = 1  # how often it is seen to that all workers are still there


@dataclass(frozen=True)
class DaskWorkers:
    """Implements `Workers`; each address is a process."""

    client: Any
    addresses: Sequence[str]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.addresses)

    def each(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Run the function on every worker; see `Workers`."""
        shared = self.client.scatter(function, broadcast=True, hash=False)
        asked = [
            self.client.submit(
                _run, shared, self.client.scatter(item, workers=[address], hash=False),
                workers=[address], pure=False, retries=0,
            )
            for address, item in zip(self.addresses, items, strict=True)
        ]  # fmt: skip
        try:
            self._await(asked)
            return self.client.gather(asked)
        finally:
            self.client.cancel(asked)

    def _await(self, asked: list[Any]) -> None:
        """Wait for all; a task whose worker is gone would wait for it to come back, and for ever."""
        from distributed import wait
        from distributed.scheduler import KilledWorker

        waiting = set(asked)
        while waiting:
            try:
                state: Any = wait(list(waiting), timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED")
                waiting = set(state.not_done)
                for each in state.done:
                    each.result()
            except TimeoutError:
                self._require_all()
            except (CancelledError, KilledWorker) as error:
                self._require_all()
                raise lost(f"one of {self.count} workers", error) from error

    def _require_all(self) -> None:
        there = self.client.scheduler_info(n_workers=-1)["workers"]
        for number, address in enumerate(self.addresses):
            if address not in there:
                raise lost(f"worker {number + 1} of {self.count}", f"{address} is gone")


@contextmanager
def dask_workers(address: str | None, count: int, threads: int) -> Iterator[DaskWorkers]:
    """Take workers of the cluster at an address, or start them on this machine.

    Parameters
    ----------
    address : str or None
        The scheduler's, as `tcp://host:port`.
    threads : int
        What each worker started here is given.

    Raises
    ------
    ClusterUnreachable
        If nothing answers, or it has fewer workers.
    """
    distributed = import_engine("distributed", "dask")
    with _cluster(distributed, address, count, threads) as client:
        try:
            client.wait_for_workers(count, timeout=CONNECT_SECONDS * 6)
        except TimeoutError:
            there = len(client.scheduler_info(n_workers=-1)["workers"])
            raise ClusterUnreachable.because(
                "Dask cluster", got=f"{there} workers", expected=f"at least {count}",
                hint="ask for fewer workers, or grow it",
            ) from None  # fmt: skip
        yield DaskWorkers(client, sorted(client.scheduler_info(n_workers=-1)["workers"])[:count])


@contextmanager
def _cluster(distributed: Any, address: str | None, count: int, threads: int) -> Iterator[Any]:
    if address is not None:
        require_answer(address, "ML_PLATFORM_DASK_ADDRESS")
        with distributed.Client(address, timeout=CONNECT_SECONDS) as client:
            yield client
        return
    started = distributed.LocalCluster(
        n_workers=count, threads_per_worker=threads, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    )
    with started as cluster, distributed.Client(cluster) as client:
        yield client


def _run(function: Callable[[Item], Result], item: Item) -> Result:
    return function(item)
