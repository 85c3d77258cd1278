"""What the sinks wrote, read back from their files: one shape for all, to compare them."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_platform.registry.sinks.record import Point, Record

if TYPE_CHECKING:
    from mlflow import MlflowClient

BLOCK = 32768  # of a .wandb file, which is a LevelDB log behind a header of seven bytes
TEXT = "/text_summary"  # what tensorboardX adds to the name of a text


def read_mlflow(client: "MlflowClient", run_id: str, folder: Path) -> Record:
    """Read a run."""
    data = client.get_run(run_id).data
    points = [
        Point(name, each.value, each.step) for name in data.metrics for each in client.get_metric_history(run_id, name)
    ]
    texts = {
        each.path: Path(client.download_artifacts(run_id, each.path, str(folder))).read_text()
        for each in client.list_artifacts(run_id)
        if not each.is_dir
    }
    tags = {name: value for name, value in data.tags.items() if not name.startswith(("mlflow.", "dagster"))}
    return Record(data.params, tags, tuple(sorted(points)), texts)


def read_tensorboard(folder: Path) -> Record:
    """Read the event files of a folder; a text may be a param, a tag or a file, so all are params here."""
    from tensorboardX.proto import event_pb2

    kind: Any = event_pb2  # its classes are made when it is imported
    points: list[Point] = []
    texts: dict[str, str] = {}
    for path in sorted(folder.glob("events.*")):
        for content in _tensorboard_records(path.read_bytes()):
            event = kind.Event.FromString(content)
            for value in event.summary.value:
                if value.tag.endswith(TEXT):
                    texts[value.tag.removesuffix(TEXT)] = value.tensor.string_val[0].decode()
                else:
                    points.append(Point(value.tag, value.simple_value, event.step))
    return Record(params=texts, points=tuple(sorted(points)))


def read_wandb(folder: Path) -> Record:
    """Read a run from its folder; the config holds params and tags."""
    from wandb.proto import wandb_internal_pb2

    kind: Any = wandb_internal_pb2  # its classes are made when it is imported
    [path] = folder.glob("*.wandb")
    params: dict[str, str] = {}
    points: list[Point] = []
    for content in _wandb_records(path.read_bytes()):
        record = kind.Record.FromString(content)
        config = [*record.run.config.update, *record.config.update]
        params |= {"/".join([*each.nested_key] or [each.key]): json.loads(each.value_json) for each in config}
        items = {".".join([*each.nested_key] or [each.key]): each.value_json for each in record.history.item}
        points += [
            Point(name, float(value), record.history.step.num)
            for name, value in items.items()
            if not name.startswith("_")
        ]
    texts = {each.name: each.read_text() for each in (folder / "files").glob("*.json") if each.name[0] != "w"}
    return Record(
        params={name: value for name, value in params.items() if name[0] != "_"},
        points=tuple(sorted(points)),
        texts=texts,
    )


def _tensorboard_records(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        yield content[at + 12 : at + 12 + length]
        at += length + 16


def _wandb_records(content: bytes) -> Iterator[bytes]:
    at, parts = 7, b""
    while at + 7 <= len(content):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        parts += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""
