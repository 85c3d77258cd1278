"""Where the fits of a pipeline run: what its spec says under `training`, with what the environment adds."""

from collections.abc import Iterator
from contextlib import contextmanager

from ml_platform.orchestration.resolution import Pipeline
from ml_platform.training.executor import Executor, LocalExecutor


@contextmanager
def open_executor(pipeline: Pipeline, parallel: int) -> Iterator[Executor]:
    """Give the executor that a pipeline asks for, for as long as the context lasts.

    Parameters
    ----------
    parallel : int
        How many items run at a time.
    """
    del pipeline
    yield LocalExecutor(parallel)
