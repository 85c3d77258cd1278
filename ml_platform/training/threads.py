"""With how many threads a fit computes: what its parameters ask for, and never more than its process was given."""

from ml_platform.scoring.processors import computing_with, threads_here

__all__ = ["computing_with", "threads_of_a_fit"]


def threads_of_a_fit(asked: int = 0, at_a_time: int = 1) -> int:
    """Return the threads of a fit in this context, where so many fits run at a time; see `threads_here`."""
    return threads_here(asked, at_a_time)
