"""MLflow: a record goes to a run in few requests, however long the history of a fit is."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ml_platform.contracts.errors import RegistryError
from ml_platform.registry.sinks.record import Dataset, Point, Record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Metric

Each = TypeVar("Each")
METRICS_AT_MOST, PARAMS_AT_MOST = 1000, 100  # in one request, by MLflow's REST API


@dataclass(frozen=True)
class MlflowSink:
    """A run in MLflow; implements `Sink`. A run that goes on keeps the params it has, as MLflow never changes one."""

    client: "MlflowClient"
    run_id: str

    def write(self, record: Record) -> str:
        """Write all of a record; see `Sink`."""
        from mlflow.exceptions import MlflowException

        try:
            self._write(record)
        except (MlflowException, OSError) as error:
            raise RegistryError.because(
                f"MLflow run {self.run_id}", got=str(error).partition("\n")[0], expected="the record taken",
                hint="see that MLflow answers at MLFLOW_TRACKING_URI and run the stage again",
            ) from error  # fmt: skip
        return self.run_id

    def _write(self, record: Record) -> None:
        from mlflow.entities import Param, RunTag

        known = self.client.get_run(self.run_id).data.params if record.params else {}
        params = [Param(name, str(value)) for name, value in record.params.items() if name not in known]
        tags = [RunTag(name, str(value)) for name, value in record.tags.items()]
        now = int(time.time() * 1000)
        metrics = [_metric(point, now) for point in record.points]
        self.client.log_batch(self.run_id, metrics[:METRICS_AT_MOST], params[:PARAMS_AT_MOST], tags[:PARAMS_AT_MOST])
        for more in _chunks(metrics[METRICS_AT_MOST:], METRICS_AT_MOST):
            self.client.log_batch(self.run_id, metrics=more)
        for others in _chunks(params[PARAMS_AT_MOST:], PARAMS_AT_MOST):
            self.client.log_batch(self.run_id, params=others)
        for labels in _chunks(tags[PARAMS_AT_MOST:], PARAMS_AT_MOST):
            self.client.log_batch(self.run_id, tags=labels)
        for name, text in record.texts.items():
            self.client.log_text(self.run_id, text, name)
        if record.datasets:
            self.client.log_inputs(self.run_id, [_input(each) for each in record.datasets])


def _metric(point: Point, now: int) -> "Metric":
    from mlflow.entities import Metric

    return Metric(point.name, point.value, now, point.step)


def _input(dataset: Dataset) -> "DatasetInput":
    from mlflow.data.delta_dataset_source import DeltaDatasetSource
    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput, InputTag

    source = DeltaDatasetSource(path=dataset.place, delta_table_version=dataset.version)
    columns = [{"name": name, "type": kind, "required": True} for name, kind in dataset.columns.items()]
    logged = MlflowDataset(
        name=dataset.name,
        digest=dataset.digest,
        source_type="delta_table",
        source=source.to_json(),
        schema=json.dumps({"mlflow_colspec": columns}) if columns else None,
        profile=None if dataset.rows is None else json.dumps({"num_rows": dataset.rows}),
    )
    return DatasetInput(logged, [InputTag("mlflow.data.context", dataset.context)])


def _chunks(found: Sequence[Each], size: int) -> Iterator[Sequence[Each]]:
    for first in range(0, len(found), size):
        yield found[first : first + size]
