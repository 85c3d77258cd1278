"""A search in a process of its own: `python -m ml_platform_tests.training.search_process URL DIES_AT`.

It says `ready` and begins when it is sent a line. It kills itself in the trial DIES_AT, counted from 0; without one it
waits in its first trial for another line. What it came to, or what it was refused with, is its last line.
"""

import os
import signal
import sys
from importlib import import_module

from ml_platform.contracts.errors import SearchFailed
from ml_platform.orchestration.dead_runs import is_alive
from ml_platform.training.claims import Owner
from ml_platform.training.search import run_search
from ml_platform.training.studies import Studies
from ml_platform.training.trials import Asked, Trial
from ml_platform_tests.training.searches import Formula, Silent, bowl, open_study, question_of


def main(url: str, dies_at: int | None) -> None:
    """Search."""
    import_module("optuna")  # takes seconds, so before anything is timed against another process
    owner = Owner(str(os.getpid()), lambda pid: not is_alive(int(pid)))
    _say("ready")
    sys.stdin.readline()
    try:
        with open_study(Studies(url), owner) as study:
            outcome = run_search(question_of(), study, Formula(lambda asked: _tried(asked, dies_at)), Silent())
    except SearchFailed as refused:
        _say(f"refused: {refused}")
    else:
        _say(f"found: {outcome.best.slot} of {len(outcome.trials)}, {outcome.resumed} resumed")


def _tried(asked: Asked, dies_at: int | None) -> Trial:
    if asked.slot == dies_at:
        os.kill(os.getpid(), signal.SIGKILL)
    if dies_at is None and asked.slot == 0:
        _say("searching")
        sys.stdin.readline()
    return bowl(asked)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
