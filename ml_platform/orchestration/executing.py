"""Where the fits of a pipeline run: what its spec says under `training`, with what the environment adds."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from ml_platform.contracts.spec import Distributed, Training
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.resources import dask_address, ray_address
from ml_platform.training.boosting import Boost, boost
from ml_platform.training.executor import Executor, LocalExecutor
from ml_platform.training.workers import Workers


@contextmanager
def open_executor(pipeline: Pipeline, parallel: int) -> Iterator[Executor]:
    """Give the executor that a pipeline asks for, for as long as the context lasts.

    Parameters
    ----------
    parallel : int
        How many items run at a time.

    Raises
    ------
    ClusterUnreachable
        If the Ray cluster at `$ML_PLATFORM_RAY_ADDRESS` does not answer, or has fewer CPUs than a fit has threads.
    """
    if pipeline.spec.training.executor == "local":
        yield LocalExecutor(parallel)
        return
    from ml_platform.training.ray_cluster import connected
    from ml_platform.training.ray_executor import RayExecutor

    threads = pipeline.spec.training.threads
    here = max(threads, min(parallel * threads, os.cpu_count() or 1))
    with connected(ray_address(), cpus=here, at_least=threads) as ray:
        yield RayExecutor(ray, parallel, threads)


@contextmanager
def open_boost(training: Training) -> Iterator[Boost]:
    """Give what runs LightGBM as a spec asks for: in this process, or over several workers while the context lasts.

    Raises
    ------
    ClusterUnreachable
        If the cluster does not answer, or is too small.
    """
    if training.distributed is None:
        yield boost
        return
    from ml_platform.training.distributed import boost_over

    with _open_workers(training.distributed) as workers:
        yield partial(boost_over, workers, training.distributed.threads)


def _open_workers(asked: Distributed) -> AbstractContextManager[Workers]:
    if asked.engine == "dask":
        from ml_platform.training.dask_workers import dask_workers

        return dask_workers(dask_address(), asked.workers, asked.threads)
    from ml_platform.training.ray_workers import ray_workers

    return ray_workers(ray_address(), asked.workers, asked.threads)
