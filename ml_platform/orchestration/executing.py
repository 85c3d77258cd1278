"""Where the fits of a pipeline run: what its spec says under `training`, with what the environment adds."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import ParamSpec

from ml_platform.contracts.spec import Distributed, Training
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.resources import dask_address, ray_address, thread_limit
from ml_platform.scoring.processors import available_processors, computing_with
from ml_platform.training.boosting import Boost, boost
from ml_platform.training.executor import Executor, LocalExecutor
from ml_platform.training.trainer import Trained
from ml_platform.training.workers import Workers

Given = ParamSpec("Given")


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
    training = pipeline.spec.training
    if training.executor == "local":
        with computing_with(threads_of(training)):
            yield LocalExecutor(parallel)
        return
    from ml_platform.training.ray_cluster import connected
    from ml_platform.training.ray_executor import RayExecutor

    threads = training.threads or 1
    here = max(threads, min(parallel * threads, available_processors()))
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


def threads_of(training: Training) -> int | None:
    """Return with how many threads a fit may compute by its spec and the environment, None where neither says."""
    return min((limit for limit in (training.threads, thread_limit()) if limit is not None), default=None)


def limited(training: Training, fit: Callable[Given, Trained]) -> Callable[Given, Trained]:
    """Return a fit that computes with no more threads than the spec and the environment allow."""
    return partial(_computed, threads_of(training), fit)


def _computed(
    threads: int | None, fit: Callable[Given, Trained], *rows: Given.args, **options: Given.kwargs
) -> Trained:
    with computing_with(threads):
        return fit(*rows, **options)


def _open_workers(asked: Distributed) -> AbstractContextManager[Workers]:
    if asked.engine == "dask":
        from ml_platform.training.dask_workers import dask_workers

        return dask_workers(dask_address(), asked.workers, asked.threads)
    from ml_platform.training.ray_workers import ray_workers

    return ray_workers(ray_address(), asked.workers, asked.threads)
