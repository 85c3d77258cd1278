"""The catalogue and the lineage of features, of the tiny pipeline with windows, and the pipelines of a folder."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ml_platform.cli import app
from ml_platform.contracts.errors import SpecError
from ml_platform.orchestration.catalogue import catalogue_table, feature_catalogue, load_pipelines
from ml_platform.orchestration.column_lineage import column_lineage, feature_sources
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import FOLDER, NAME

pytestmark = DAGSTER

ROWS = "validated"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    """Give the tiny pipeline with windows and a derived column."""
    attributes = yaml.safe_load((FOLDER / "defs.yaml").read_text())["attributes"]
    windows = [
        {"name": "late_2d", "how": "share", "of": "is_late", "over": "2d", "description": "Lately late."},
        {"name": "full_9", "how": "count", "over": "9 rows", "within": "36h", "where": "passengers > 90"},
    ]
    attributes["features"] |= {
        "windows": [{"by": ["line"], **window} for window in windows],
        "derive": {"ice_or_late": "coalesce(road_ice, late_2d)"},
        "columns": [*attributes["features"]["columns"], "late_2d", "full_9", "ice_or_late"],
        "descriptions": {"crowding": "Passengers | stop."},
    }
    return resolve(attributes, FOLDER / "defs.yaml", f"ml_platform_tests.pipelines.{NAME}")


def test_every_feature_says_what_it_is_made_of(pipeline: Pipeline) -> None:
    """Name, type, origin as the author wrote it, description, and the model that takes it."""
    found = {each.name: each for each in feature_catalogue(pipeline)}
    assert list(found) == pipeline.spec.features.columns
    said = {name: (each.type, each.kind, each.made_of, each.description) for name, each in found.items()}
    assert said == {
        "line": ("string", "input", "line", ""),
        "passengers": ("float64", "input", "passengers", ""),
        "crowding": ("float64", "python", ".features.build", "Passengers | stop."),
        "hour": ("float64", "python", ".features.build", ""),
        "road_ice": ("float64", "lookup", "ice of road by line, as known at the event time, at most 3h old", ""),
        "lines_stops": ("int64", "lookup", "stops of lines by line", ""),
        "late_2d": ("float64", "window", "share of is_late by line over 2d", "Lately late."),
        "full_9": (
            "int64", "window", "count of rows by line over the newest 9 rows within 36h where passengers > 90", "",
        ),
        "ice_or_late": ("float64", "derive", "coalesce(road_ice, late_2d)", ""),
    }  # fmt: skip
    assert {each.used_by for each in found.values()} == {"tiny/gbm"}


def test_the_catalogue_is_a_table_of_one_line_each(pipeline: Pipeline) -> None:
    """In Markdown, where a bar in a text does not end a cell."""
    lines = catalogue_table(feature_catalogue(pipeline)).splitlines()
    assert len(lines) == 2 + 9
    assert lines[0] == "| name | type | kind | made_of | description | used_by |"
    assert r"Passengers \| stop." in lines[4]


def test_lineage_names_the_columns_of_every_stage(pipeline: Pipeline) -> None:
    """Lookups by when they were known, windows by their label's known-at, expressions by what they read."""
    sources = feature_sources(pipeline)
    line, at, known = (ROWS, "line"), (ROWS, "departs_at"), (ROWS, "arrived_at")
    ice = {("road", "ice"), ("road", "measured_at"), line, at}
    late = {line, at, (ROWS, "is_late"), known}
    assert sources["line"] == {line}
    assert sources["road_ice"] == ice
    assert sources["lines_stops"] == {("lines", "stops"), line}
    assert sources["late_2d"] == late
    assert sources["full_9"] == {line, at, (ROWS, "passengers")}
    assert sources["ice_or_late"] == ice | late
    everything = {source for name in sources if name not in ("crowding", "hour") for source in sources[name]}
    assert sources["crowding"] == sources["hour"] == everything
    shown = column_lineage(pipeline).deps_by_column["full_9"]
    assert [(dep.asset_key.to_user_string(), dep.column_name) for dep in shown] == [
        ("tiny/validated", "departs_at"), ("tiny/validated", "line"), ("tiny/validated", "passengers"),
    ]  # fmt: skip


def test_pipelines_of_a_folder_are_found_by_name() -> None:
    """What is no pipeline is left out; a wrong one is told."""
    found = load_pipelines(FOLDER.parent, "ml_platform_tests.pipelines")
    assert set(found) >= {NAME}


def test_another_component_is_no_pipeline(tmp_path: Path) -> None:
    """Nor is an empty file."""
    (tmp_path / "defs.yaml").write_text("type: dagster.DefsFolderComponent\n---\n")
    assert load_pipelines(tmp_path, "nowhere") == {}
    (tmp_path / "defs.yaml").write_text("type: ml_platform.orchestration.MLPipeline\n")
    with pytest.raises(SpecError, match="name: got nothing, expected a value for name"):
        load_pipelines(tmp_path, "nowhere")


def test_the_command_lists_features_as_json() -> None:
    """One object a line, of one pipeline."""
    result = CliRunner().invoke(app, ["features", "flight_delays", "--json"])
    assert result.exit_code == 0
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert {each["pipeline"] for each in found} == {"flight_delays"}
    assert {"carrier", "carrier_late_share_7d", "weather_wind_mph"} < {each["name"] for each in found}


def test_the_command_prints_a_table_and_knows_its_pipelines() -> None:
    """All of them where none is named; one that is not there is refused by name."""
    result = CliRunner().invoke(app, ["features"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "origin_late_share_6h" in result.stdout
    wrong = CliRunner().invoke(app, ["features", "flight_delay"])
    assert isinstance(wrong.exception, SpecError)
    assert "got flight_delay, expected flight_" in str(wrong.exception)
