"""How many threads a fit computes with, where its parameters do not say: what its process was given of the machine.

More threads than CPUs are not a little slower but twenty times: each round waits for one that is not running.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

AT_MOST = 8  # more bring little on rows of a size that one machine fits
_GIVEN: ContextVar[int | None] = ContextVar("given", default=None)


def threads_of_a_fit() -> int:
    """Give the threads of a fit in this context; those of the machine, up to eight, where nothing was said."""
    return _GIVEN.get() or min(os.cpu_count() or 1, AT_MOST)


@contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """Let fits compute with so many threads, for as long as the context lasts."""
    token = _GIVEN.set(threads)
    try:
        yield
    finally:
        _GIVEN.reset(token)
