"""What goes wrong with single trials and folds in a worker's process; functions that travel there by name."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from ml_platform.training import members
from ml_platform.training.trials import Asked, Question, Trial, try_parameters
from ml_platform_tests.training.faults import starve

CRASHES, DIES, STARVES = 1, 2, 3  # slots
REAL_FIT = members._fit


def one_of_each_fault(question: Question, asked: Asked) -> Trial:
    """Crash in one trial, die as by the kernel in another, run out of memory in a third."""
    if asked.slot == CRASHES:
        raise ZeroDivisionError("no leaf is left")
    if asked.slot == DIES:
        os.kill(os.getpid(), signal.SIGKILL)
    if asked.slot == STARVES:
        starve()
    return try_parameters(question, asked)


def always_die(question: Question, asked: Asked) -> Trial:
    """Die in every trial."""
    del question, asked
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def wait_on_node(told: str, node: str, question: Question, asked: Asked) -> Trial:
    """Wait where a node will die, and tell in a file that a trial is there."""
    import ray

    if ray.get_runtime_context().get_node_id() == node:
        Path(told).touch()
        time.sleep(60)
    return try_parameters(question, asked)


def die_on_a_fold(asked: Any, fit: Any) -> Any:
    """Fit, and die on the second fold."""
    if str(asked) == "fold 2":
        os.kill(os.getpid(), signal.SIGKILL)
    return REAL_FIT(asked, fit)


def fit_and_tell_where(folder: str, asked: Any, fit: Any) -> Any:
    """Fit, and leave the number of the process in a file of the fit's name."""
    (Path(folder) / str(asked)).write_text(str(os.getpid()))
    return REAL_FIT(asked, fit)
