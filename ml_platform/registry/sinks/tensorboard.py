"""TensorBoard: event files in a folder, params, tags and files among them as texts."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ml_platform.contracts.errors import RegistryError
from ml_platform.registry.sinks.record import Record


@dataclass(frozen=True)
class TensorBoardSink:
    """A folder for `tensorboard --logdir`; implements `Sink`. Needs the extra `tensorboard`."""

    folder: Path

    def write(self, record: Record) -> str:
        """Write all of a record; see `Sink`."""
        from tensorboardX import SummaryWriter

        try:
            # Its file is named by the second: records of one second would overwrite each other.
            with SummaryWriter(str(self.folder), filename_suffix=f".{uuid4().hex}") as writer:
                for name, value in {**record.params, **record.tags, **record.texts}.items():
                    writer.add_text(name, str(value), 0)
                for point in record.points:
                    writer.add_scalar(point.name, point.value, point.step)
        except OSError as error:
            raise RegistryError.because(
                f"TensorBoard folder {self.folder}", got=error.strerror, expected="event files written there",
                hint="give it space and rights, and run the stage again",
            ) from error  # fmt: skip
        return str(self.folder)
