"""Weights & Biases: a run for each record; its own environment says which key and project, and whether online."""

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from ml_platform.contracts.errors import RegistryError
from ml_platform.registry.sinks.record import Record

PROJECT = "ml_platform"  # unless $WANDB_PROJECT names another
HINT = "set WANDB_API_KEY, or WANDB_MODE=offline and sync later"


@dataclass(frozen=True)
class WandbSink:
    """Runs in Weights & Biases; implements `Sink`. Needs the extra `wandb`.

    Parameters
    ----------
    folder : Path
        Where it keeps its own files, and all of a run that is offline.
    group : str
        What the runs of one fit and its evaluation have in common.
    kind : str
        What the record is of.
    """

    folder: Path
    group: str
    kind: str

    def write(self, record: Record) -> str:
        """Write all of a record; see `Sink`. A run that is offline is found in its folder."""
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            run = wandb.init(
                project=wandb.setup().settings.project or PROJECT,
                dir=str(self.folder),
                group=self.group,
                job_type=self.kind,
                config={name: str(value) for name, value in {**record.params, **record.tags}.items()},
                settings=_bare(),
            )
            with run:
                self._tell(run, record)
                return run.settings.sync_dir if run.offline else str(run.url)
        except (wandb.Error, OSError) as error:
            raise RegistryError.because(
                "Weights & Biases", got=str(error).partition("\n")[0], expected="the record taken", hint=HINT
            ) from error

    def _tell(self, run: Any, record: Record) -> None:
        for step, points in groupby(sorted(record.points, key=attrgetter("step")), key=attrgetter("step")):
            run.log({point.name: point.value for point in points}, step=step)
        for name, text in record.texts.items():
            path = Path(run.dir) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            run.save(str(path), base_path=run.dir, policy="now")


def require_key() -> None:
    """See before a fit that its record can be sent.

    Raises
    ------
    RegistryError
        If Weights & Biases is online and no API key is set.
    """
    import wandb

    if wandb.setup().settings.mode != "online":
        return
    try:
        wandb.login(verify=False, timeout=1)  # on a terminal it would wait for somebody to type one
    except wandb.Error as error:
        raise RegistryError.because(
            "Weights & Biases", got=str(error).partition("\n")[0], expected="an API key, as it is online", hint=HINT
        ) from error


def _bare() -> Any:
    """Keep to what we tell: no console, code, git state, environment or machine statistics."""
    import wandb

    return wandb.Settings(
        silent=True, console="off", disable_git=True, save_code=False, disable_job_creation=True, x_disable_stats=True,
        x_disable_meta=True,
    )  # fmt: skip
