"""The raw stage of files and databases: what it writes and shows, and that a fault leaves the lake as it was."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.home import Home
from ml_platform.data.lake.tables import Lake, local_lake
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines.fixtures import enter
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import FOLDER, World, definitions, error_of

pytestmark = DAGSTER

DAYS = ["2020-01-01", "2020-01-02"]
HEADER = "ride_id,departs_at,line,passengers,arrived_at,is_late\n"
FILE = HEADER + "".join(
    f"{day[-2:]}-{n},{day} {n:02d}:00,u1,{n},{day} {n:02d}:30,{'yes' if n % 2 else 'no'}\n"
    for day in DAYS
    for n in range(20)
)
TABLES = ("raw", "rejected")


def _pipeline(folder: Path, source: dict[str, Any]) -> Pipeline:
    """Give the tiny pipeline over another source."""
    attributes = yaml.safe_load((FOLDER / "defs.yaml").read_text())["attributes"]
    features = {"inputs": ["line", "passengers"], "columns": ["line", "passengers"]}
    text = yaml.safe_dump({"attributes": attributes | {"source": source, "features": features}}, sort_keys=False)
    (folder / "defs.yaml").write_text(text)
    return resolve(yaml.safe_load(text)["attributes"], folder / "defs.yaml", "ml_platform_tests.pipelines.tiny")


class Raw:
    """A pipeline of files in a home of its own."""

    def __init__(self, folder: Path, pipeline: Pipeline, home: Home, instance: dg.DagsterInstance) -> None:
        self.folder, self.home = folder, home
        self.world = World(home, instance, definitions(pipeline))

    def run(self, first: str = DAYS[0], last: str | None = None) -> dg.ExecuteInProcessResult:
        """Materialize `raw` for a day, or for a range in one run."""
        job = self.world.definitions.resolve_implicit_global_asset_job_def()
        return self.world.execute(job, first, last, asset_selection=[dg.AssetKey(["tiny", "raw"])])

    @property
    def lake(self) -> Lake:
        """The lake."""
        return local_lake(self.home.lake)

    def versions(self) -> dict[str, int]:
        """Give the versions of the tables that `raw` writes."""
        return {table: self.lake.version(f"tiny/{table}") for table in TABLES}

    def rows(self) -> list[tuple[Any, ...]]:
        """Give all rows, sorted."""
        return sorted(self.lake.read("tiny/raw").drop("departs_at", "arrived_at").rows())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Give a home."""
    made = Home(tmp_path / "home")
    enter(made, monkeypatch)
    return made


@pytest.fixture
def raw(tmp_path: Path, home: Home) -> Iterator[Raw]:
    """Give a pipeline over `in/*.csv`, one good file in it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.csv").write_text(FILE)
    pipeline = _pipeline(tmp_path, {"kind": "files", "path": "in/*.csv"})
    with dg.DagsterInstance.ephemeral() as instance:
        yield Raw(tmp_path, pipeline, home, instance)


def _metadata(world: World, result: dg.ExecuteInProcessResult) -> dict[str | None, dict[str, Any]]:
    events = world.materializations("raw", result.run_id)
    return {each.partition: {name: value.value for name, value in each.metadata.items()} for each in events}


@pytest.mark.slow
def test_rows_and_rejected_rows_are_written_and_shown(raw: Raw) -> None:
    """Where rows came from, how many of which day were rejected and why, and what was noted."""
    bad = "x,2020-01-02 01:00,u1,many,,\ny,2020-01-02 02:00,u1,?,,\n" + "old,2019-12-31 12:00,u1,1,,\n"
    (raw.folder / "in/b.csv").write_text(HEADER.replace("\n", ",driver\n") + bad.replace("\n", ",me\n"))
    result = raw.run(*DAYS)
    assert result.success
    shown = _metadata(raw.world, result)
    assert [shown[day]["rows_rejected"] for day in DAYS] == [0, 2]
    assert [shown[day]["dagster/partition_row_count"] for day in DAYS] == [20, 20]
    assert shown[DAYS[0]]["origins"].splitlines()[2:] == ["| in/a.csv | 40 |"]
    assert "columns ignored, first in in/b.csv: driver" in shown[DAYS[0]]["notes"]
    assert "1 rows outside 2020-01-01 to 2020-02-15" in shown[DAYS[0]]["notes"]
    assert "| passengers: 'many' is not float64 | 1 |" in shown[DAYS[0]]["rejected"]
    rejected = raw.lake.read("tiny/rejected")
    assert rejected.columns == ["partition", "reason", "origin", "content"]
    assert sorted(rejected["origin"]) == ["in/b.csv:2", "in/b.csv:3"]
    again = raw.run(DAYS[1])
    assert again.success
    assert len(raw.lake.read("tiny/rejected")) == 2


Break = Callable[[Path], object]
BROKEN: dict[str, tuple[Break, str]] = {
    "empty": (lambda file: file.write_text(""), r"in/a\.csv: got an empty file"),
    "header only": (lambda file: file.write_text(HEADER), r"in/a\.csv: got no rows"),
    "binary": (lambda file: file.write_bytes(bytes(range(256))), r"in/a\.csv:1: got a NUL byte"),
    "one column": (
        lambda file: file.write_text("ride_id\n1\n"),
        r"in/a\.csv: missing columns: got ride_id, expected dep",
    ),
    "names twice": (lambda file: file.write_text(HEADER.replace("line", "ride_id")), r"columns named twice: ride_id"),
    "not UTF-8": (
        lambda file: file.write_bytes(FILE.replace("u1", "ü1").encode("latin-1")),
        r"in/a\.csv:2: got byte 0xfc",
    ),
    "a line of 50 MB": (lambda file: file.write_text(HEADER + "x" * 50_000_000), r"in/a\.csv:2: got a record of more"),
    "no file": (lambda file: file.unlink(), r"source\.path in/\*\.csv: got no file"),
    "no time": (
        lambda file: file.write_text(HEADER + "x,now,u1,1,,\n"),
        r"in/a\.csv: departs_at: got no row with a time",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_changes_nothing_and_is_gone_when_its_cause_is(raw: Raw, fault: str) -> None:
    """The run fails with the reason; the lake keeps its versions; the next run, over good files, succeeds."""
    assert raw.run(*DAYS).success
    before, rows = raw.versions(), raw.rows()
    break_it, said = BROKEN[fault]
    break_it(raw.folder / "in/a.csv")
    failed = raw.run(*DAYS)
    assert not failed.success
    message = error_of(failed)
    assert re.search(said, message)
    assert ". Hint: " in message
    assert (raw.versions(), raw.rows()) == (before, rows)
    (raw.folder / "in/a.csv").write_text(FILE)
    assert raw.run(*DAYS).success
    assert raw.rows() == rows


@pytest.mark.slow
def test_a_database_is_found_by_a_variable_that_is_read_when_it_is_asked(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Definitions load without it; a run without it says which variable to set."""
    query = "SELECT * FROM rides WHERE departs_at >= :start AND departs_at < :end"
    pipeline = _pipeline(tmp_path, {"kind": "sql", "url_env": "RIDES_URL", "query": query})
    with closing(sqlite3.connect(tmp_path / "rides.db")) as database, database:
        database.execute(f"CREATE TABLE rides ({HEADER})")
        database.executemany(
            "INSERT INTO rides VALUES (?, ?, ?, ?, ?, ?)", [row.split(",") for row in FILE.splitlines()[1:]]
        )
    with dg.DagsterInstance.ephemeral() as instance:
        raw = Raw(tmp_path, pipeline, home, instance)
        monkeypatch.delenv("RIDES_URL", raising=False)
        failed = raw.run()
        assert "$RIDES_URL: got nothing, expected the value that the pipeline's source needs" in error_of(failed)
        assert raw.versions() == dict.fromkeys(TABLES, -1)
        monkeypatch.setenv("RIDES_URL", f"sqlite:///{tmp_path}/rides.db")
        result = raw.run()
        assert result.success
        assert _metadata(raw.world, result)[DAYS[0]]["origins"].splitlines()[2].endswith("of $RIDES_URL | 20 |")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            {"where": "passengers > 'x'"},
            r"source\.where: got passengers > 'x', expected .* suits its columns, passengers",
        ),
        ({"where": "passengers >"}, r"source\.where: got passengers >, expected an SQL expression"),
        (
            {"derive": {"x": "sum(passengers)"}},
            r"source\.derive\.x: got sum\(passengers\), expected an expression over one",
        ),
        (
            {"where": "line in (select 1)"},
            r"source\.where: got line in \(select 1\), expected an expression over one row",
        ),
        ({"time_formats": ["%H:%M"]}, r"source\.time_formats: got %H:%M \(it does not name a day\)"),
        ({"time_formats": ["%Y %Z"]}, r"source\.time_formats\.0: got %Y %Z, expected a format like"),
        ({"encoding": "klingon"}, r"source\.encoding: got klingon, expected an encoding of text that Python knows"),
        ({"encoding": "hex"}, r"source\.encoding: got hex, expected an encoding of text that Python knows"),
        ({"delimiter": '"'}, r'source\.delimiter: got ", expected an ASCII character other than'),
        ({"delimiter": "¦"}, r"source\.delimiter: got ¦, expected an ASCII character"),
    ],
)
def test_a_wrong_source_is_refused_when_definitions_load(tmp_path: Path, source: dict[str, Any], said: str) -> None:
    """By file, line and field."""
    with pytest.raises(SpecError, match=rf"defs\.yaml:\d+: {said}"):
        _pipeline(tmp_path, {"kind": "files", "path": "*.csv"} | source)


@pytest.mark.parametrize(
    ("held", "said"),
    [("{", r"got no JSON"), ("[1]", r"got JSON of a list"), (None, r"got nothing"), ("", r"got nothing")],
)
def test_options_are_a_json_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str | None, said: str
) -> None:
    """What the variable holds is not told."""
    pipeline = _pipeline(tmp_path, {"kind": "files", "path": "memory://*.csv", "options_env": "RIDES_OPTIONS"})
    monkeypatch.delenv("RIDES_OPTIONS", raising=False)
    if held is not None:
        monkeypatch.setenv("RIDES_OPTIONS", held)
    with pytest.raises(SpecError, match=rf"\$RIDES_OPTIONS: {said}"):
        pipeline.source.load(DAYS)
