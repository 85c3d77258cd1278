"""`ml-platform schema`: whatever the kind of source, the schema that is frozen lets the pipeline load."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ml_platform.cli import app
from ml_platform.contracts.errors import NotEnoughRows, PlatformError, SpecError
from ml_platform.data.quality.frozen_schema import read_schema
from ml_platform.orchestration.resolution import resolve
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import FOLDER, tiny

pytestmark = DAGSTER

PACKAGE = "ml_platform_tests.pipelines.tiny"
TRIPS = """\
trip_id,at,km,line,full,landed_at
001,2020-01-03 10:00:00,1.5,u1,true,2020-01-03 11:00:00
002,2020-01-03 11:00:00,2,u2,,2020-01-03 12:00:00
003,2020-01-04 11:00:00,4,u2,false,
"""
KINDS = {
    "trip_id": ("string", False), "at": ("timestamp", False), "km": ("float64", False), "line": ("string", False),
    "full": ("bool", True), "landed_at": ("timestamp", True), "is_far": ("bool", False),
}  # fmt: skip


def _spec(source: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "trips", "description": "Trips.",
        "partitions": {"every": "day", "start": "2020-01-01", "end": "2020-03-01"},
        "source": dict(source), "key": ["trip_id"], "event_time": "at",
        "label": {"column": "is_far", "task": "binary", "known_at": "landed_at"},
        "features": {"inputs": ["line"], "columns": ["line"]},
        "split": {"train": "14d", "train_at_least": "7d", "validation": "3d", "holdout": "5d"},
        "models": {"gbm": {"kind": "lightgbm"}}, "gates": [{"metric": "log_loss", "at_most": 0.7}],
    }  # fmt: skip


def _write(folder: Path, source: Mapping[str, Any]) -> Path:
    (folder / "trips").mkdir(parents=True, exist_ok=True)
    path = folder / "trips" / "defs.yaml"
    path.write_text(yaml.safe_dump({"type": "ml_platform.orchestration.MLPipeline", "attributes": _spec(source)}))
    return path


def _freeze(folder: Path, *options: str, name: str = "trips") -> str:
    result = CliRunner().invoke(app, ["schema", name, "--defs", str(folder), *options])
    if isinstance(result.exception, PlatformError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def _kinds(folder: Path) -> dict[str, tuple[str, bool]]:
    columns = read_schema(folder / "trips" / "schema.yaml").columns
    return {name: (column.type, column.nullable) for name, column in columns.items()}


def _loads(path: Path) -> int:
    pipeline = resolve(yaml.safe_load(path.read_text())["attributes"], path, "trips")
    loaded = pipeline.source.load(["2020-01-03", "2020-01-04"])
    assert loaded.rejected.is_empty()
    return len(loaded.rows)


FILES = {"kind": "files", "path": "*.csv", "derive": {"is_far": "km > 3"}}


def test_of_files(tmp_path: Path) -> None:
    """Leading zeros stay text; a derived label is a column like others; the pipeline then loads."""
    path = _write(tmp_path, FILES)
    (path.parent / "trips.csv").write_text(TRIPS)
    assert "trips/schema.yaml: 7 columns." in _freeze(tmp_path)
    assert _kinds(tmp_path) == KINDS
    assert _loads(path) == 3


def test_of_a_database_without_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first partitions have no rows; times that are text there become times."""
    with closing(sqlite3.connect(tmp_path / "trips.db")) as database, database:
        database.execute("CREATE TABLE trips (trip_id TEXT, at TEXT, km REAL, line TEXT, landed_at TEXT)")
        rows = [line.split(",") for line in TRIPS.splitlines()[1:]]
        database.executemany(
            "INSERT INTO trips VALUES (?, ?, ?, ?, ?)",
            [(trip, at, float(km), line, landed or None) for trip, at, km, line, _, landed in rows],
        )
    monkeypatch.setenv("TRIPS_URL", f"sqlite:///{tmp_path / 'trips.db'}")
    query = "SELECT * FROM trips WHERE at >= :start AND at < :end"
    path = _write(tmp_path, {"kind": "sql", "url_env": "TRIPS_URL", "query": query, "derive": {"is_far": "km > 3"}})
    _freeze(tmp_path)
    assert _kinds(tmp_path) == {name: kind for name, kind in KINDS.items() if name != "full"}
    assert _loads(path) == 3


def test_of_a_function(tmp_path: Path) -> None:
    """The types are those of its frame."""
    (tmp_path / "tiny").mkdir()
    text = (FOLDER / "defs.yaml").read_text().replace("  schema: .schema.Rides\n", "").replace(": .", f": {PACKAGE}.")
    path = tmp_path / "tiny" / "defs.yaml"
    path.write_text(text)
    _freeze(tmp_path, name="tiny")
    pipeline = resolve(yaml.safe_load(text)["attributes"], path, PACKAGE)
    assert pipeline.signature == tiny().signature
    assert len(pipeline.source.load(["2020-01-01"]).rows) == 120


def test_what_is_frozen_is_not_written_over_unasked(tmp_path: Path) -> None:
    path = _write(tmp_path, FILES)
    (path.parent / "trips.csv").write_text(TRIPS)
    _freeze(tmp_path)
    (path.parent / "schema.yaml").write_text("columns:\n  mine: {type: string}\n")
    with pytest.raises(SpecError, match=r"schema\.yaml: got a schema that is there, .* by --again and review the diff"):
        _freeze(tmp_path)
    assert _kinds(tmp_path) == {"mine": ("string", False)}
    _freeze(tmp_path, "--again")
    assert _kinds(tmp_path) == KINDS


def test_an_unknown_pipeline_is_refused_by_name(tmp_path: Path) -> None:
    _write(tmp_path, FILES)
    with pytest.raises(SpecError, match="got tripz, expected trips"):
        _freeze(tmp_path, name="tripz")


def test_a_fault_of_the_yaml_is_told_by_line(tmp_path: Path) -> None:
    path = _write(tmp_path, FILES)
    path.write_text(path.read_text().replace("event_time: at", "event_tim: at"))
    with pytest.raises(SpecError, match=r"defs\.yaml:\d+: event_tim: got key event_tim"):
        _freeze(tmp_path)


def test_a_source_without_rows_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, FILES | {"where": "km > 100"})
    (path.parent / "trips.csv").write_text(TRIPS)
    with pytest.raises(NotEnoughRows, match="source of trips: got no rows"):
        _freeze(tmp_path)
    assert not (path.parent / "schema.yaml").exists()
