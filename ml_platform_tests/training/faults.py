"""What goes wrong in a worker's process; functions of a module, as they travel there by name."""

import os
import signal
import time

from ml_platform.contracts.errors import NotEnoughRows


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
