"""A new pipeline loads before it is there, by the command and by Dagster; what is refused leaves nothing."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml
from dagster.components.component_scaffolding import scaffold_object
from dagster.components.testing import create_defs_folder_sandbox
from typer.testing import CliRunner

from ml_platform.authoring.levels import LEVELS, parts_of, require_written
from ml_platform.cli import app
from ml_platform.contracts.errors import NotEnoughRows, PlatformError, SourceUnreadable, SpecError
from ml_platform.contracts.spec import Gate
from ml_platform.orchestration import MLPipeline
from ml_platform.orchestration.new_pipeline import new_pipeline
from ml_platform.orchestration.resolution import resolve
from ml_platform_tests.authoring.worlds import parcels, said, write
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.project import SHELL

pytestmark = DAGSTER

COMPONENT = "ml_platform.orchestration.MLPipeline"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a project with data in it, and go there."""
    (tmp_path / "pyproject.toml").touch()
    write(tmp_path / "data", "a.csv", parcels())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _spec(project: Path, name: str = "parcels") -> dict[str, object]:
    return yaml.safe_load((project / "mine" / "defs" / name / "defs.yaml").read_text())["attributes"]


def test_a_new_pipeline_is_what_the_sample_says(project: Path) -> None:
    made, kept = new_pipeline("parcels", said(), project / "mine" / "defs")
    spec = _spec(project)
    assert kept == []
    assert spec["key"] == ["parcel_id"]
    assert spec["label"] == {"column": "is_late", "task": "binary", "known_after": "0h"}
    assert spec["source"] == {"kind": "files", "path": "../../../data/*.csv"}
    assert spec["features"]["columns"] == ["depot", "weight_kg", "hours", "hour", "weekday"]  # type: ignore[index]
    assert spec["partitions"]["every"] == made.span.every == "day"  # type: ignore[index]
    assert sorted(each.name for each in (project / "mine" / "defs" / "parcels").iterdir()) == [
        "__init__.py", "defs.yaml", "schema.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize("level", [level for level in LEVELS if all(part.exists for part in parts_of(level))])
def test_each_level_that_exists_loads_and_has_its_parts(level: int, project: Path) -> None:
    new_pipeline("parcels", said(level=level), project / "mine" / "defs")
    path = project / "mine" / "defs" / "parcels" / "defs.yaml"
    resolve(_spec(project), path, "parcels")
    require_written(level, _spec(project))
    above = [part for part in parts_of(5) if part not in parts_of(level) and part.exists]
    assert not any(part.is_in(_spec(project)) for part in above)


def test_the_third_level_searches_on_as_many_folds_as_the_data_leave_room_for(project: Path) -> None:
    made, _ = new_pipeline("parcels", said(level=3), project / "mine" / "defs")
    spec = _spec(project)
    folds, history = spec["split"]["folds"], made.span.history  # type: ignore[index]
    assert 2 <= folds <= 3
    assert history - (folds - 1) * made.span.held_out - made.span.delay >= made.span.train_at_least
    searched = spec["models"]["gbm"]  # type: ignore[index]
    assert not searched["params"].keys() & searched["search"]["space"].keys()


def test_a_number_becomes_a_regression(project: Path) -> None:
    made, _ = new_pipeline("parcels", said(target="hours"), project / "mine" / "defs")
    assert made.task == "regression"
    assert {gate.get("metric", gate.get("kind")) for gate in _spec(project)["gates"]} == {"rmse", "mae", "served"}  # type: ignore[attr-defined]


def test_a_quantile_of_a_number_is_predicted_where_it_is_asked_for(project: Path) -> None:
    """Its gates compare the pinball loss; what has no quantiles is refused."""
    new_pipeline("parcels", said(target="hours", quantile=0.9), project / "mine" / "defs")
    spec = resolve(_spec(project), project / "mine" / "defs" / "parcels" / "defs.yaml", "parcels").spec
    assert spec.quantile == 0.9
    assert [(gate.name, gate.metric) for gate in spec.gates if isinstance(gate, Gate)] == [
        ("beats_baselines", "pinball"),
        ("not_worse_than_champion", "pinball"),
    ]
    with pytest.raises(SpecError, match=r"--quantile 0.9: got a binary target"):
        new_pipeline("others", said(quantile=0.9), project / "mine" / "defs")


def test_the_text_says_where_each_margin_comes_from(project: Path) -> None:
    new_pipeline("parcels", said(), project / "mine" / "defs")
    text = (project / "mine" / "defs" / "parcels" / "defs.yaml").read_text()
    [line] = [line for line in text.splitlines() if "log_loss, versus: champion" in line]
    assert re.search(r"# the margin: (1 %|twice the spread) .* on 460 sampled rows", line), line


def test_a_column_may_tell_when_the_target_became_known(project: Path) -> None:
    """Then the split waits for nearly all of them, and the column is no feature."""
    sent_at = pl.col("sent_at").str.to_datetime("%Y-%m-%d %H:%M")
    rows = parcels(40).with_columns(seen_at=(sent_at + pl.duration(hours=30)).dt.strftime("%Y-%m-%d %H:%M"))
    write(project / "data", "a.csv", rows)
    made, _ = new_pipeline("parcels", said(known_after=None, known_at="seen_at"), project / "mine" / "defs")
    spec = _spec(project)
    assert spec["label"] == {"column": "is_late", "task": "binary", "known_at": "seen_at"}
    assert made.span.delay == 2
    assert spec["split"]["label_delay"] == "2d"  # type: ignore[index]
    assert {each.column: each.reason for each in made.left_out} == {"seen_at": "when the target became known"}
    assert made.assumed is None


def test_a_leak_is_left_out_and_said_so(project: Path) -> None:
    """In the text and on the terminal; asked for by name it is refused."""
    write(project / "data", "a.csv", parcels().with_columns(fine_eur=pl.col("is_late") * 12.5))
    told = CliRunner().invoke(app, ["new", *_options("parcels"), "--known-after", "0h"])
    assert told.exit_code == 0, told.output
    assert "left out  fine_eur: it would give the target away" in told.stdout
    text = (project / "mine" / "defs" / "parcels" / "defs.yaml").read_text()
    assert "    # - fine_eur: it would give the target away" in text
    with pytest.raises(SpecError, match=r"--columns: got fine_eur .it would give the target away"):
        new_pipeline("others", said(columns=["weight_kg", "fine_eur"]), project / "mine" / "defs")


def _options(name: str) -> list[str]:
    return [name, "--from", "data/*.csv", "--time", "sent_at", "--target", "is_late", "--defs", "mine/defs"]


@pytest.mark.usefixtures("project")
def test_the_command_tells_what_it_assumed_and_what_to_run_next() -> None:
    told = CliRunner().invoke(app, ["new", *_options("parcels")])
    assert told.exit_code == 0, told.output
    assert "assumed   the target is known 1d after its time" in told.stdout
    commands = [shlex.split(line) for line in told.stdout.split("\nnext\n")[1].splitlines()]
    tags = {each[each.index("-j") + 1]: json.loads(each[-1]) for each in commands if "-j" in each}
    assert set(tags["parcels_data"].values()) == {"2024-03-01", "2024-03-24"}
    assert tags["parcels_retrain"] == {"dagster/partition": "2024-03-25"}
    again = CliRunner().invoke(app, ["new", *_options("parcels"), "--force"])
    assert "the earlier text is kept as mine/defs/parcels/defs.yaml.old" in again.stdout


REFUSED = {
    "a name that is taken": ({}, "taken", SpecError, "got a pipeline of this name"),
    "a name that cannot be": ({}, "My Parcels", SpecError, "NAME: got 'My Parcels'"),
    "a level that is not there": (
        {"level": 4},
        "parcels",
        SpecError,
        "--level 4: got gradual rollout, which does not exist yet",
    ),
    "no files": ({"data": "nothing/*.csv"}, "parcels", SourceUnreadable, "got no file"),
    "an unknown time": ({"time": "sent"}, "parcels", SpecError, "did you mean sent_at"),
    "a target of words": ({"target": "depot"}, "parcels", SpecError, "two words, east, west"),
    "too little": ({"where": "parcel_id < 'p00480'"}, "parcels", NotEnoughRows, "got 5 days of about 96 rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_leaves_everything_as_it_was(case: str, project: Path) -> None:
    more, name, error, told = REFUSED[case]
    new_pipeline("taken", said(), project / "mine" / "defs")
    before = {each: each.read_bytes() for each in project.rglob("*") if each.is_file()}
    with pytest.raises(error, match=told):
        new_pipeline(name, said(**more), project / "mine" / "defs")
    assert {each: each.read_bytes() for each in project.rglob("*") if each.is_file()} == before
    assert sorted(each.name for each in (project / "mine").iterdir()) == ["defs"]


def test_dagster_scaffolds_the_same(project: Path) -> None:
    """`dg scaffold defs` calls this with its options as JSON."""
    params = {"from": "data/*.csv", "time": "sent_at", "target": "is_late", "known_after": "0h"}
    new_pipeline("parcels", said(), project / "mine" / "defs")
    scaffold_object(project / "other" / "defs" / "parcels", COMPONENT, json.dumps(params), "yaml", project)
    for name in ("defs.yaml", "schema.yaml", "__init__.py"):
        one, other = (project / room / "defs" / "parcels" / name for room in ("mine", "other"))
        assert one.read_text() == other.read_text()


def test_a_scaffold_that_is_refused_leaves_no_folder(project: Path) -> None:
    params = {"from": "data/*.csv", "time": "sent_at", "target": "late"}
    with pytest.raises(PlatformError, match="did you mean is_late"):
        scaffold_object(project / "mine" / "defs" / "parcels", COMPONENT, json.dumps(params), "yaml", project)
    assert not (project / "mine" / "defs" / "parcels").exists()


def test_dagster_builds_definitions_of_what_it_scaffolded(project: Path) -> None:
    with create_defs_folder_sandbox() as sandbox:
        params = {"from": str(project / "data" / "*.csv"), "time": "sent_at", "target": "is_late"}
        folder = sandbox.scaffold_component(component_cls=MLPipeline, defs_path="parcels", scaffold_params=params)
        with sandbox.load_component_and_build_defs(folder) as (component, definitions):
            assert isinstance(component, MLPipeline)
            assert isinstance(definitions, dg.Definitions)
            assert component.pipeline.name == "parcels"


@pytest.mark.slow
def test_a_refusal_is_one_message_without_a_traceback(project: Path) -> None:
    command = [sys.executable, "-m", "ml_platform.cli", "new", *_options("parcels"), "--every", "hour"]
    told = subprocess.run(command, cwd=project, env=SHELL, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr.startswith("SpecError: --every: got 'hour'")
    assert "Traceback" not in told.stderr
