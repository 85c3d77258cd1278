"""What is told of a fit and of an evaluation: params, metrics, data versions, code version and environment.

One record each, the same for MLflow and for every other sink that the spec names. A sink that does not take it fails
the stage before anything is registered; what the other sinks took by then stays there.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.spec import member_stage
from ml_platform.orchestration.packaging import environment
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.resources import home, open_lake
from ml_platform.registry.bundle import Bundle
from ml_platform.registry.sinks.mlflow import MlflowSink
from ml_platform.registry.sinks.record import Dataset, Point, Record, Sink
from ml_platform.registry.sinks.tensorboard import TensorBoardSink
from ml_platform.registry.sinks.wandb import WandbSink, require_key
from ml_platform.training.trainer import FitSet, Trained

HISTORY_POINTS = 100
DIGEST_AT_MOST = 36  # characters, of a dataset in MLflow


def log_fit(
    mlflow: Any, pipeline: Pipeline, as_of: str, rows: pl.DataFrame, fits: FitSet, bundle: Bundle
) -> dict[str, Any]:
    """Tell every sink of a fit, and give where people find it.

    Parameters
    ----------
    mlflow : MlFlow
        The dagster-mlflow resource, with its active run.

    Raises
    ------
    RegistryError
        If a sink does not take it.
    """
    return _write(mlflow, pipeline, as_of, "candidate", fit_record(pipeline, as_of, rows, fits, bundle))


def log_member(
    mlflow: Any,
    pipeline: Pipeline,
    as_of: str,
    member: str,
    trained: Trained,
    metrics: Mapping[str, Mapping[str, float]],
    bundle: Bundle,
) -> dict[str, Any]:
    """Tell every sink of a member of an ensemble; see `log_fit`.

    Parameters
    ----------
    metrics : mapping of str to mapping
        Its metrics on the validation and the holdout part.
    """
    record = member_record(pipeline, member, trained, metrics, bundle)
    return _write(mlflow, pipeline, as_of, member_stage(member), record)


def log_evaluation(mlflow: Any, pipeline: Pipeline, evaluation: Evaluation) -> dict[str, Any]:
    """Tell every sink of an evaluation; see `log_fit`."""
    return _write(mlflow, pipeline, evaluation.as_of, "evaluation", evaluation_record(evaluation))


def require_sinks(pipeline: Pipeline) -> None:
    """See before a fit that what it will be told to can take it, as far as that is known by then.

    Raises
    ------
    RegistryError
        If Weights & Biases has no key.
    """
    if "wandb" in pipeline.spec.tracking:
        require_key()


def fit_record(pipeline: Pipeline, as_of: str, rows: pl.DataFrame, fits: FitSet, bundle: Bundle) -> Record:
    """Return what is logged of a recipe's fits: what the tuning fit chose, and what the judged one leans on."""
    spec, manifest, trained = pipeline.spec, bundle.manifest, fits.tuning
    params: dict[str, Any] = {"pipeline": pipeline.name, "as_of": as_of, "model": ", ".join(spec.models)}
    params |= {f"split.{name}": value for name, value in spec.split.model_dump(mode="json").items()}
    params |= {f"model.{name}": value for name, value in trained.params.items()}
    data = {f"data.{each.table}": each.version for each in manifest.data}
    tags = {"pipeline": pipeline.name, "as_of": as_of, "bundle_digest": bundle.digest, **data}
    learnt = {} if manifest.learnt_until is None else {"learnt_until": manifest.learnt_until.isoformat()}
    counts = dict(rows.group_by("part").len().iter_rows())
    metrics = {"validation_loss": trained.loss, **{f"{part}_rows": count for part, count in counts.items()}}
    metrics |= {} if trained.rounds is None else {"rounds": trained.rounds}
    return Record(
        params=params,
        tags=tags | {"code_version": manifest.code_version, "spec_digest": manifest.spec_digest} | learnt,
        points=(*_points(metrics), *_history(f"validation_{spec.loss}", trained.history)),
        texts={
            "environment.json": _json(environment()),
            "spec.json": _json(spec.model_dump(mode="json", by_alias=True)),
            "importance.json": _json(fits.judged.importance),
        },
        datasets=_datasets(pipeline, as_of, rows, bundle),
    )


def member_record(
    pipeline: Pipeline, member: str, trained: Trained, metrics: Mapping[str, Mapping[str, float]], bundle: Bundle
) -> Record:
    """Give what is told of a member, all under its name: the run is that of its fellows too."""
    measured = {f"{part}.{name}": value for part, each in metrics.items() for name, value in each.items()}
    measured |= {"validation_loss": trained.loss} | ({} if trained.rounds is None else {"rounds": trained.rounds})
    return Record(
        params={f"{member}.{name}": value for name, value in trained.params.items()},
        tags={f"{member}.bundle_digest": bundle.digest},
        points=(
            *_points({f"{member}.{name}": value for name, value in measured.items()}),
            *_history(f"{member}.validation_{pipeline.spec.loss}", trained.history),
        ),
        texts={f"{member_stage(member)}_importance.json": _json(trained.importance)},
    )


def evaluation_record(evaluation: Evaluation) -> Record:
    """Give what is told of an evaluation."""
    metrics = {f"{model}.{name}": value for model, each in evaluation.metrics.items() for name, value in each.items()}
    return Record(
        tags={"gates": evaluation.outcome},
        points=_points(metrics),
        texts={"evaluation.json": _json(evaluation.model_dump(mode="json"))},
    )


def _datasets(pipeline: Pipeline, as_of: str, rows: pl.DataFrame, bundle: Bundle) -> tuple[Dataset, ...]:
    """Return the training set, by the digest of its rows, and the version of each table that it was made from."""
    manifest, root, table = bundle.manifest, open_lake().root, pipeline.table("training_set")
    versions = {each.table: each.version for each in manifest.data}
    training_set = Dataset(
        name=table,
        digest=manifest.rows_digest[:DIGEST_AT_MOST],
        place=f"{root}/{table}",
        version=versions.pop(table, open_lake().version(table)),
        rows=len(rows),
        context=f"training as of {as_of}",
        columns={name: _colspec(dtype) for name, dtype in rows.schema.items()},
    )
    sources = (
        Dataset(name, _digest_of(name, version), f"{root}/{name}", version, None, "source", {})
        for name, version in versions.items()
    )
    return (training_set, *sources)


def _digest_of(table: str, version: int) -> str:
    return hashlib.sha256(f"{table}@{version}".encode()).hexdigest()[:DIGEST_AT_MOST]


def _colspec(dtype: pl.DataType) -> str:
    """Return MLflow's name of a column type."""
    if dtype.is_integer():
        return "long"
    if dtype.is_numeric():
        return "double"
    return "boolean" if dtype == pl.Boolean else "datetime" if dtype.is_temporal() else "string"


def _write(mlflow: Any, pipeline: Pipeline, as_of: str, stage: str, record: Record) -> dict[str, Any]:
    run_id = mlflow.active_run().info.run_id
    MlflowSink(mlflow.tracking_client, run_id).write(record)
    sinks = _others(pipeline, as_of, stage, run_id)
    return {f"{name}/{stage}": _link(sink.write(record)) for name, sink in sinks.items()}


def _others(pipeline: Pipeline, as_of: str, stage: str, run_id: str) -> dict[str, Sink]:
    """Give the sinks beside MLflow that the spec names; each knows the fit by its MLflow run."""
    place = home()
    every: dict[str, Sink] = {
        "tensorboard": TensorBoardSink(place.tensorboard / pipeline.name / as_of / run_id),
        "wandb": WandbSink(place.root, f"{pipeline.name}/{as_of}/{run_id}", stage),
    }
    return {name: every[name] for name in dict.fromkeys(pipeline.spec.tracking)}


def _link(place: str) -> Any:
    return dg.MetadataValue.url(place) if "://" in place else dg.MetadataValue.path(place)


def _points(metrics: dict[str, float]) -> tuple[Point, ...]:
    return tuple(Point(name, float(value)) for name, value in metrics.items())


def _history(name: str, losses: list[float]) -> tuple[Point, ...]:
    """Give the loss after each round; of a long history every so many rounds."""
    step = max(1, len(losses) // HISTORY_POINTS)
    return tuple(Point(name, losses[at], at + 1) for at in range(0, len(losses), step))


def _json(value: object) -> str:
    return json.dumps(value, indent=2)
