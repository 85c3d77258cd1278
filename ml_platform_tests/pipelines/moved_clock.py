"""Runs a command of Dagster under a clock that a test moves: `python -m ...moved_clock FILE dagster-daemon run ...`.

FILE holds the time, in seconds since 1970. It is read wherever Dagster asks for the time, through the two functions
that Dagster's own tests replace; everything else of the process, and every process that it starts, is as it is.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster._time as dagster_time

MODULE = __name__


def set_clock(file: Path, at: datetime) -> None:
    """Set the clock; whoever reads it at the same time sees the old time or the new one."""
    staged = file.with_suffix(".new")
    staged.write_text(str(at.timestamp()))
    staged.replace(file)


def main(file: Path, program: str, *arguments: str) -> None:
    """Run `dagster` or `dagster-daemon`."""

    def now() -> float:
        return float(file.read_text())

    dagster_time._mockable_get_current_timestamp = now
    dagster_time._mockable_get_current_datetime = lambda: datetime.fromtimestamp(now(), UTC)
    sys.argv = [program, *arguments]
    if program == "dagster-daemon":
        from dagster._daemon.cli import main as run
    else:
        from dagster._cli import main as run
    run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
