"""A home folder with the tiny pipeline in it: how a test runs its jobs and looks at what became of them."""

import json
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import yaml

from ml_platform.contracts.home import Home
from ml_platform.contracts.records import Decision
from ml_platform.data.lake.freshness import Freshness
from ml_platform.data.lake.tables import Lake, local_lake
from ml_platform.deployment.local import LocalTarget
from ml_platform.features.online import OnlineStore
from ml_platform.ledger import SqlLedger
from ml_platform.orchestration.graph import pipeline_definitions
from ml_platform.orchestration.mlflow_run import our_experiments
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform.orchestration.resources import platform_resources
from ml_platform.registry.bundle import open_bundle
from ml_platform.registry.store import MlflowStore

if TYPE_CHECKING:
    from mlflow.entities import Run

NAME = "tiny"
FOLDER = Path(__file__).parent / NAME
FIRST, LAST = "2020-01-01", "2020-01-31"  # the days that a loaded home holds
AS_OF, LATER, LATEST = "2020-01-23", "2020-01-28", "2020-02-01"  # a later holdout was not seen by the model before
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@cache
def tiny() -> Pipeline:
    """Give the tiny pipeline."""
    path = FOLDER / "defs.yaml"
    return resolve(yaml.safe_load(path.read_text())["attributes"], path, f"{__package__}.{NAME}")


def definitions(pipeline: Pipeline | None = None, **replaced: Any) -> dg.Definitions:
    """Give the definitions of the tiny pipeline, or of a changed one, some resources replaced."""
    platform = dg.Definitions(resources=platform_resources() | replaced, executor=dg.in_process_executor)
    return dg.Definitions.merge(pipeline_definitions(pipeline or tiny()), platform)


class InProcessTarget(LocalTarget):
    """Deploys like the real one, and scores here what a server would: no second process to wait for."""

    def __init__(self, home: Home) -> None:
        super().__init__(home, "http://127.0.0.1:9")
        self.home = home

    def score(self, pipeline: str, rows: Sequence[Mapping[str, Any]], version: int) -> list[float]:
        """Score with the champion's deployed bundle and the online lookups."""
        from ml_platform.ledger import champion
        from ml_platform.serving.predictor import Predictor

        present = champion(SqlLedger(self.home.ledger_url).read(pipeline))
        assert present is not None
        assert present.version == version
        predictor = Predictor.load(open_bundle(self.home.bundles / pipeline / present.digest, present.digest))
        online = OnlineStore(self.home.online)
        lookups = {name: online.read(pipeline, name) for name in predictor.plan.lookup_names}
        known = {name: frame for name, frame in lookups.items() if frame is not None}
        return predictor.predict(predictor.plan.transform(pl.DataFrame(list(rows)), known)).tolist()


@dataclass(frozen=True)
class World:
    """A pipeline in a home of its own, the tiny one if none is named; `$ML_PLATFORM_HOME` names it while jobs run."""

    home: Home
    instance: dg.DagsterInstance
    definitions: dg.Definitions
    name: str = NAME

    def run(self, job: str, first: str | None, last: str | None = None, **options: Any) -> dg.ExecuteInProcessResult:
        """Run `<pipeline>_<job>` for one partition, or for a range in a single run; it may fail."""
        return self.execute(self.definitions.resolve_job_def(f"{self.name}_{job}"), first, last, **options)

    def materialize(
        self, *stages: str, key: str | None = None, last: str | None = None, **options: Any
    ) -> dg.ExecuteInProcessResult:
        """Materialize stages as the UI would, with no job behind them; from `key` to `last`, if that is given."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        return self.execute(
            job, key, last, asset_selection=[dg.AssetKey([self.name, stage]) for stage in stages], **options
        )

    def execute(
        self, job: dg.JobDefinition, first: str | None, last: str | None = None, **options: Any
    ) -> dg.ExecuteInProcessResult:
        """Run a job in this process."""
        tags = options.pop("tags", {}) | ({RANGE_START: first, RANGE_END: last} if last else {})
        return job.execute_in_process(
            instance=self.instance,
            partition_key=None if last else first,
            tags=tags,
            raise_on_error=False,
            **options,
        )

    @property
    def lake(self) -> Lake:
        """The lake."""
        return local_lake(self.home.lake)

    @property
    def ledger(self) -> SqlLedger:
        """The ledger."""
        return SqlLedger(self.home.ledger_url)

    @property
    def models(self) -> MlflowStore:
        """The registry."""
        return MlflowStore(self.home.mlflow_url, self.home.root / "cache", Path("never loaded here"))

    def materializations(self, stage: str, run_id: str) -> list[dg.AssetMaterialization]:
        """Give what a run stored of a stage, oldest first."""
        found = self.instance.fetch_materializations(dg.AssetKey([NAME, stage]), limit=1000)
        made = [each.asset_materialization for each in reversed(found.records) if each.run_id == run_id]
        return [each for each in made if each is not None]

    def evaluations(self, stage: str, check: str, run_id: str) -> list[dg.AssetCheckEvaluation]:
        """Give what a run stored of a check, newest first; what was planned and not evaluated is left out."""
        key = dg.AssetCheckKey(dg.AssetKey([NAME, stage]), check)
        records = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=1000)
        events = [each.event.dagster_event for each in records if each.event and each.run_id == run_id]
        kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
        return [each.asset_check_evaluation_data for each in events if each is not None and each.event_type == kind]

    def rewrite(self, stage: str, rows: pl.DataFrame, key: str) -> None:
        """Write other rows to a partition, as if they had come from the same inputs."""
        table = f"{self.name}/{stage}"
        written = Freshness(self.lake).now(table, key)
        assert written is not None
        self.lake.write(table, rows, [key], lineage=written.lineage)

    def decisions(self, *kinds: str) -> list[Decision]:
        """Give the ledger's decisions, of some kinds."""
        return [each for each in self.ledger.read(self.name) if not kinds or each.kind in kinds]

    def promoted(self) -> list[int | None]:
        """Give the versions that became champion, oldest first."""
        return [each.version for each in self.decisions("promoted")]

    def mlflow_runs(self) -> "list[Run]":
        """Give every MLflow run, newest first."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.home.mlflow_url)
        experiments = our_experiments(client)
        return list(client.search_runs(experiments)) if experiments else []


def copy_home(source: Home, root: Path) -> Home:
    """Copy a home; MLflow's database holds absolute paths, which are moved too, and MLflow forgets what it has seen."""
    shutil.copytree(source.root, root)
    if not (root / "mlflow.db").exists():
        return Home(root)
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

    _artifact_repos_cache.clear()  # by run, and the copy has the same runs
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        for table, column in _paths(database):
            database.execute(
                f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?)',  # noqa: S608 - names of its own schema
                (str(source.root), str(root)),
            )
    return Home(root)


def _paths(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """Name the columns that hold paths."""
    wanted = {"artifact_location", "artifact_uri", "source", "storage_location"}
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns = [(table, row[1]) for table in tables for row in database.execute(f'PRAGMA table_info("{table}")')]
    return [(table, column) for table, column in columns if column in wanted]


def faults(**broken: list[str]) -> str:
    """Write `$TINY_FAULTS`."""
    return json.dumps(broken)


def error_of(result: dg.ExecuteInProcessResult) -> str:
    """Give the message of the first failed step, with its causes."""
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            return event.step_failure_data.error.to_string()
    return ""
