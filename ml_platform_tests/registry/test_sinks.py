"""What is told of a fit stands in MLflow, Weights & Biases and TensorBoard under the same names, steps and values."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ml_platform.contracts.errors import RegistryError
from ml_platform.registry.sinks.mlflow import MlflowSink
from ml_platform.registry.sinks.record import Point, Record
from ml_platform.registry.sinks.tensorboard import TensorBoardSink
from ml_platform.registry.sinks.wandb import WandbSink, require_key
from ml_platform_tests.pipelines.marks import QUIET
from ml_platform_tests.registry.sink_files import read_mlflow, read_tensorboard, read_wandb

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = [pytest.mark.slow, *QUIET]

HISTORY = tuple(Point("validation_log_loss", 1 / step, step) for step in range(1, 1500))
RECORD = Record(
    params={"model.num_leaves": 7, "split.train": "60d", **{f"model.extra_{n}": n for n in range(150)}},
    tags={"bundle_digest": "ab12", "data.tiny/features": 3},
    points=(Point("train_rows", 1200.0), Point("candidate.log_loss", 0.25), *HISTORY),
    texts={"importance.json": '{"hour": 0.5}'},
)


@pytest.fixture
def client(tmp_path: Path) -> "MlflowClient":
    """Give a client of a fresh store."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def run_id(client: "MlflowClient", tmp_path: Path) -> str:
    """Give a run in it."""
    experiment = client.create_experiment("told", artifact_location=(tmp_path / "artifacts").as_uri())
    return client.create_run(experiment).info.run_id


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep Weights & Biases off the network."""
    _set_mode(monkeypatch, tmp_path, "offline")


def _set_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str) -> None:
    import wandb

    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    wandb.teardown()  # it reads its environment once


def _strings(values: object) -> dict[str, str]:
    return {name: str(value) for name, value in dict(values).items()}  # type: ignore[call-overload]


@pytest.mark.usefixtures("offline")
def test_names_values_and_steps_are_the_same_in_all_three(client: "MlflowClient", run_id: str, tmp_path: Path) -> None:
    params, tags, points = _strings(RECORD.params), _strings(RECORD.tags), tuple(sorted(RECORD.points))

    assert MlflowSink(client, run_id).write(RECORD) == run_id
    there = read_mlflow(client, run_id, tmp_path)
    assert (there.params, there.tags, there.points, there.texts) == (params, tags, points, RECORD.texts)

    folder = WandbSink(tmp_path, "tiny/2020-01-23/run", "candidate").write(RECORD)
    there = read_wandb(Path(folder))
    assert (there.params, there.points, there.texts) == (params | tags, points, RECORD.texts)

    folder = TensorBoardSink(tmp_path / "board").write(RECORD)
    there = read_tensorboard(Path(folder))
    assert there.params == params | tags | dict(RECORD.texts)
    assert [each[::2] for each in there.points] == [each[::2] for each in points]
    told, kept = ([each.value for each in found] for found in (points, there.points))
    np.testing.assert_allclose(kept, told, rtol=1e-7)  # TensorBoard keeps four bytes


def test_records_of_one_second_stand_beside_each_other(tmp_path: Path) -> None:
    """A fit and its evaluation may follow each other that fast."""
    sink, names = TensorBoardSink(tmp_path / "board"), {f"m{number}" for number in range(4)}
    for name in names:
        sink.write(Record(points=(Point(name, 1.0),)))
    assert {point.name for point in read_tensorboard(tmp_path / "board").points} == names


def test_a_history_of_any_length_goes_to_mlflow_in_few_requests(client: "MlflowClient", run_id: str) -> None:
    """A thousand metrics or a hundred params at a time, and not one by one."""
    asked: list[tuple[int, int]] = []

    class Counting:
        get_run, log_text = client.get_run, client.log_text

        def log_batch(self, run_id: str, metrics: list = [], params: list = [], tags: list = []) -> None:  # noqa: B006
            asked.append((len(metrics), len(params)))
            client.log_batch(run_id, metrics, params, tags)

    MlflowSink(Counting(), run_id).write(RECORD)  # type: ignore[arg-type]
    assert asked == [(1000, 100), (501, 0), (0, 52)]


def test_a_resumed_run_keeps_its_params_and_takes_new_metrics(client: "MlflowClient", run_id: str) -> None:
    """MLflow refuses a param that changes."""
    sink = MlflowSink(client, run_id)
    sink.write(Record(params={"model.num_leaves": 7}, points=(Point("rounds", 1),)))
    sink.write(Record(params={"model.num_leaves": 8, "model.kind": "lightgbm"}, points=(Point("rounds", 2),)))
    data = client.get_run(run_id).data
    assert data.params == {"model.num_leaves": "7", "model.kind": "lightgbm"}
    assert data.metrics == {"rounds": 2.0}


def test_an_mlflow_that_does_not_take_it_is_told_of(client: "MlflowClient") -> None:
    with pytest.raises(RegistryError, match=r"MLflow run 0123: got .*, expected the record taken.*MLFLOW_TRACKING_URI"):
        MlflowSink(client, "0123").write(RECORD)


def test_a_folder_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "board").write_text("a file where the folder should be")
    with pytest.raises(RegistryError, match=r"TensorBoard folder .*board: got .*, expected event files"):
        TensorBoardSink(tmp_path / "board").write(RECORD)


def test_weights_and_biases_without_a_key_is_refused_before_a_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Online it needs one; offline and disabled it does not."""
    _set_mode(monkeypatch, tmp_path, "online")
    with pytest.raises(RegistryError, match=r"got No API key configured.*, expected an API key.*WANDB_MODE=offline"):
        require_key()
    for mode in ("offline", "disabled"):
        _set_mode(monkeypatch, tmp_path, mode)
        require_key()


@pytest.mark.usefixtures("offline")
def test_weights_and_biases_gets_no_more_than_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No environment, command line, code or console; a secret of the environment is nowhere in its files."""
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2hunter2")
    folder = Path(WandbSink(tmp_path, "tiny", "candidate").write(RECORD))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"hunter2hunter2" in path.read_bytes()]
    assert not list(folder.rglob("wandb-metadata.json"))
