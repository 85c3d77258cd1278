"""The platform as the demo drives it: its jobs in this process, its sensor by the real Dagster daemon in another."""

import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ml_platform.contracts.errors import PlatformError
from ml_platform.contracts.home import Home
from ml_platform.deployment.processes import background, tail
from ml_platform.deployment.services import dagster_env
from ml_platform.ledger.folds import Champion, champion
from ml_platform.orchestration.resources import open_lake, open_ledger, open_target

MARKER = "made by ml-platform demo"
POLL_S = 0.5
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
DATA_STAGES = ("raw", "validated", "weather", "features")


class Platform:
    """The code location, its instance and its stores, of one pipeline.

    Parameters
    ----------
    pipeline : str
        Name of the pipeline.
    """

    def __init__(self, pipeline: str) -> None:
        warnings.simplefilter("ignore")  # Dagster's notices of beta features say nothing to a newcomer
        from ml_platform.definitions import defs

        self.pipeline = pipeline
        self.instance = dg.DagsterInstance.get()
        self.lake, self.ledger, self.target = open_lake(), open_ledger(), open_target()
        self._defs = defs()

    def run(self, verb: str, partitions: tuple[str, ...]) -> bool:
        """Run a job for one partition, or for a range of them in one run; gives whether it succeeded."""
        job = self._defs.resolve_job_def(f"{self.pipeline}_{verb}")
        given: dict[str, Any] = {"instance": self.instance, "run_config": QUIET}
        if len(partitions) == 1:
            return job.execute_in_process(partition_key=partitions[0], **given).success
        first, last = partitions
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        return job.execute_in_process(tags=tags, **given).success

    def key(self, stage: str) -> dg.AssetKey:
        """Give the asset key of a stage."""
        return dg.AssetKey([self.pipeline, stage])

    def champion(self) -> Champion | None:
        """Give the version that serves now."""
        return champion(self.ledger.read(self.pipeline))

    def start_sensor(self, project: Path) -> None:
        """Switch the drift sensor on."""
        workspace = str(project / "workspace.yaml")
        command = [_script("dagster"), "sensor", "start", self.sensor, "-w", workspace, "-l", "ml_platform"]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - Dagster's own command

    @property
    def sensor(self) -> str:
        """Name of the drift sensor."""
        return f"{self.pipeline}_drift"


@contextmanager
def daemon(home: Home, project: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """Run the real Dagster daemon, with a code server of its own, for the length of a `with` block.

    An error of the block gets the end of the daemon's log as a note.
    """
    home.logs.mkdir(parents=True, exist_ok=True)
    log = home.logs / "daemon.log"
    command = [_script("dagster-daemon"), "run", "-w", str(project / "workspace.yaml")]
    try:
        with background(command, log, dagster_env(home)) as process:
            yield process
    except PlatformError as error:
        error.add_note(tail(log))
        raise


@contextmanager
def watch_partitions(console: Console, platform: Platform, days: int) -> Iterator[None]:
    """Show a bar that counts the partitions of the data stages as Dagster records them."""
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    stop = threading.Event()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("partitions", total=days * len(DATA_STAGES))

        def count() -> None:
            while not stop.wait(POLL_S):
                keys = [platform.key(stage) for stage in DATA_STAGES]
                progress.update(
                    bar, completed=sum(len(platform.instance.get_materialized_partitions(key)) for key in keys)
                )

        counter = threading.Thread(target=count)
        counter.start()
        try:
            yield
            progress.update(bar, completed=days * len(DATA_STAGES))
        finally:
            stop.set()
            counter.join()


def fresh_home(home: Home) -> None:
    """Make an empty home; only an earlier demo's is removed.

    Raises
    ------
    PlatformError
        If something else is there.
    """
    marker = home.root / MARKER
    if home.root.exists() and any(home.root.iterdir()) and not marker.exists():
        raise PlatformError.because(
            f"--home {home.root}",
            got="a folder with something else in it",
            expected="an empty one, or an earlier demo's",
            hint="name another folder",
        )
    shutil.rmtree(home.root, ignore_errors=True)
    home.root.mkdir(parents=True)
    marker.touch()


def _script(name: str) -> str:
    return str(Path(sys.executable).parent / name)
