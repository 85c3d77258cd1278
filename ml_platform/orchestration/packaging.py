"""From a fit to a bundle: everything a server needs for one version, and where all of it came from."""

import hashlib
import io
import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import distributions
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import polars as pl

from ml_platform.contracts.records import TableVersion
from ml_platform.contracts.spec import Fit
from ml_platform.data.lake.manifest import manifest_digest
from ml_platform.data.lake.tables import Lake
from ml_platform.data.splits.parts import learnt_until
from ml_platform.features.events import known_before
from ml_platform.features.window_plan import HISTORY
from ml_platform.monitoring.profiles import fit_reference
from ml_platform.orchestration.code_versions import code_version, spec_digest
from ml_platform.orchestration.feature_rows import first_known, read_history
from ml_platform.orchestration.freshness import training_inputs
from ml_platform.orchestration.lookups import read_lookups
from ml_platform.orchestration.measuring import decision_files
from ml_platform.orchestration.partitions import whole_days
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.training_rows import FitRows, table_versions
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle, write_bundle
from ml_platform.training.trainer import FitSet

LIBRARIES = ("lightgbm", "numpy", "polars", "pyarrow", "pydantic", "msgspec")
# By kind of model: what fits or scores it beside these; those that are installed.
FITTED_BY = {"linear": ("scikit-learn",), "xgboost": ("xgboost-cpu", "xgboost")}
EXAMPLE_ROWS = 5


def package(pipeline: Pipeline, lake: Lake, as_of: str, rows: FitRows, fit: Fit, fits: FitSet, folder: Path) -> Bundle:
    """Write the bundle of a recipe's three fits: at the top what serves, in folders what was judged and what chose.

    Parameters
    ----------
    as_of : str
        The partition up to which things were known.
    rows : FitRows
        What was fitted on.
    fit : Fit
        What was fitted.
    fits : FitSet
        What came of it.
    folder : Path
        An empty folder; the bundle goes into it.
    """
    from ml_platform.serving.predictor import Predictor

    parts, spec = rows.parts, pipeline.spec
    versions = table_versions(pipeline, parts) | _lookup_versions(pipeline, lake)
    lookups = _snapshot(pipeline, lake, as_of, versions)
    told = fit.model_copy(update={"told": fits.notes, "warnings": fits.warnings})
    content = _content(pipeline, rows, fits, lookups) | {files.FIT: _json(told.model_dump(mode="json"))}
    fields: dict[str, Any] = {
        "pipeline": pipeline.name,
        "as_of": as_of,
        "kind": pipeline.spec.kind,
        "spec_digest": spec_digest(pipeline),
        "code_version": code_version(),
        "rows_digest": rows_digest(parts, spec.key),
        "learnt_until": learnt_until(spec.split, pipeline.calendar, as_of, is_refit=fits.is_refit),
        "newest_learnt_at": rows.learnt[spec.event_time].max(),
        "learnt_rows": len(rows.learnt),
        "data": _tables_read(pipeline, lake, as_of, versions),
        "training_manifest": manifest_digest(lake, pipeline.table("training_set"), as_of),
        "libraries": _versions({model.kind for model in pipeline.spec.models.values()}),
    }
    draft = Predictor.load(write_bundle(folder / "draft", content, **fields))
    example = _example_rows(pipeline, lake, parts, versions)
    features = draft.plan.transform(example, lookups)
    asked = example.select(pipeline.plan.raw_columns).to_dicts()
    shown = {"rows": asked, "predictions": draft.predict(features).tolist()}
    content[files.EXAMPLE] = json.dumps(shown, default=lambda value: value.isoformat()).encode()
    return write_bundle(folder / "bundle", content, **fields)


def rows_digest(rows: pl.DataFrame, key: list[str]) -> str:
    """Give the SHA-256 of which rows a training set holds, in which part and with which label."""
    return hashlib.sha256(rows.select(*key, "part", "label").sort(*key).write_csv().encode()).hexdigest()


def environment() -> dict[str, str]:
    """Describe the machine and the libraries of a fit."""
    libraries = {name: installed_version(name) for name in ("pandas", "pandera", "mlflow", "dagster")}
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cpus": str(os.cpu_count()),
        **_versions(set(FITTED_BY)),
        **libraries,
    }


def _cpu() -> str:
    """Give the name of the processor: Linux tells it in a file, others by themselves."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _versions(kinds: set[str]) -> dict[str, str]:
    """Give the version of what reads or wrote models of some kinds."""
    versions = {name: installed_version(name) for name in LIBRARIES}
    for names in (FITTED_BY[kind] for kind in sorted(kinds & FITTED_BY.keys())):
        versions |= {found.name: found.version for name in names for found in distributions(name=name)}
    return versions


def _content(pipeline: Pipeline, rows: FitRows, fits: FitSet, lookups: dict[str, pl.DataFrame]) -> dict[str, bytes]:
    content = {
        **_fit_files(fits),
        files.FEATURES: _json(pipeline.plan.to_json()),
        files.SIGNATURE: _json([field.model_dump() for field in pipeline.signature]),
        files.REFERENCE: fit_reference(rows.learnt, pipeline.spec.features.columns).to_json().encode(),
        files.SERVING: _json(pipeline.spec.serving.model_dump(include={"batch_at_most"})),
        **decision_files(pipeline, rows.parts, fits.tuning),
        **{files.lookup_file(name): _arrow(frame) for name, frame in lookups.items()},
    }
    if pipeline.plan.code is not None:
        content[files.FEATURE_CODE] = pipeline.plan.code.encode()
    return content


def _fit_files(fits: FitSet) -> dict[str, bytes]:
    """Return the model and the encoder of each fit: at the top what serves, the other two in folders of their own."""
    folders = {"": fits.served} | ({"judged/": fits.judged, "tuning/": fits.tuning} if fits.is_refit else {})
    return {
        f"{folder}{name}": content
        for folder, trained in folders.items()
        for name, content in {**trained.files, files.ENCODER: _json(trained.encoder.to_json())}.items()
    }


def _tables_read(pipeline: Pipeline, lake: Lake, as_of: str, versions: Mapping[str, int]) -> tuple[TableVersion, ...]:
    """Return each table's version, with the rows that it held then in the partitions that were read."""
    inputs = training_inputs(pipeline, as_of)
    held = {table: lake.written(table, at) for table, at in versions.items()}
    rows = {table: sum(held[table][key].rows for key in inputs[table] if key in held[table]) for table in versions}
    return tuple(TableVersion(table=table, version=at, rows=rows[table]) for table, at in versions.items())


def _lookup_versions(pipeline: Pipeline, lake: Lake) -> dict[str, int]:
    tables = [pipeline.table(name) for name in pipeline.spec.features.lookups]
    return {table: lake.version(table) for table in tables}


def _snapshot(pipeline: Pipeline, lake: Lake, as_of: str, versions: Mapping[str, int]) -> dict[str, pl.DataFrame]:
    """Give each lookup and the history as known at the as-of instant, no older than features of the last day need."""
    newest = pipeline.calendar.keys_before(as_of, timedelta(days=1))
    instant = pipeline.calendar.as_of(as_of)
    known = {name: each.known_at for name, each in pipeline.spec.features.lookups.items()}
    lookups = read_lookups(pipeline, lake, newest, versions)
    snapshot = {
        name: frame.sort(frame.columns)
        if (at := known[name]) is None
        else frame.filter(pl.col(at) < instant).sort(at, *frame.columns)
        for name, frame in lookups.items()
    }
    if (past := pipeline.plan.history) is not None:
        history = read_history(pipeline, lake, newest, whole_days(past.reach), versions[pipeline.table("validated")])
        snapshot[HISTORY] = known_before(past, history, instant)
    return snapshot


def _example_rows(pipeline: Pipeline, lake: Lake, rows: pl.DataFrame, versions: Mapping[str, int]) -> pl.DataFrame:
    newest = rows.tail(EXAMPLE_ROWS)
    table = pipeline.table("validated")
    raw = first_known(pipeline, lake.read(table, newest["day"].unique().to_list(), version=versions[table]))
    return newest.select(pipeline.spec.key).join(raw, on=pipeline.spec.key, how="left", maintain_order="left")


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _arrow(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return buffer.getvalue()
