"""What goes wrong in a worker's process; functions of a module, as they travel there by name."""

import os
import resource
import signal
import time
from pathlib import Path

from ml_platform.contracts.errors import NotEnoughRows
from ml_platform.training.threads import threads_of_a_fit


def halve(number: int) -> int:
    """Refuse odd numbers."""
    if number % 2:
        raise NotEnoughRows.because("train", got=f"{number} rows", expected="an even number", hint="wait")
    return number // 2


def die_of_three(number: int) -> int:
    """End the process on 3, as the kernel does when memory runs out."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def kill_first(number: int) -> int:
    """End the first worker; the other one waits for it, as in a LightGBM that hears nothing any more."""
    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    return number


def refuse_first(number: int) -> int:
    """Fail on the first worker; the other one waits."""
    if number == 0:
        raise ValueError("an odd one")
    time.sleep(60)
    return number


class Unsendable(Exception):
    """An error that cannot travel back."""

    def __init__(self) -> None:
        super().__init__("it holds a lock")
        self.clock = time.monotonic
        self.held = os.scandir()  # an open iterator, which nothing can pack


def raise_unsendable(_: int) -> int:
    """Raise what cannot be packed."""
    raise Unsendable


def process_of(_: int) -> int:
    """Tell which process this is."""
    time.sleep(0.2)
    return os.getpid()


def limit_memory(more_mb: int) -> None:
    """Let this process take only so much more address space than it has."""
    has = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (has + more_mb * 2**20, resource.RLIM_INFINITY))


def starve() -> None:
    """Ask for more than there is."""
    import numpy as np

    limit_memory(100)
    kept: list[object] = []
    try:
        while True:
            kept.append(np.ones(2**22))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def eat_on_two(number: int) -> int:
    """Take all the memory of the machine on 2, if nobody ends it."""
    import numpy as np

    kept: list[object] = []
    while number == 2 and len(kept) < 200:
        kept.append(np.ones(2**24))
        time.sleep(0.05)
    return number


def starve_on_two(number: int) -> int:
    """Need more memory on 2 than the process may have; tells the process."""
    if number == 2:
        starve()
    return os.getpid()


def threads_of(_: int) -> int:
    """Tell with how many threads a fit would compute here."""
    return threads_of_a_fit()


def hang_unless_first(number: int) -> int:
    """Never end, but for the first."""
    if number:
        time.sleep(600)
    return number
