"""The stores of an installation as commands open them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ml_platform.contracts.home import Home

if TYPE_CHECKING:
    from ml_platform.contracts.records import Decision
    from ml_platform.data.lake.tables import Lake
    from ml_platform.ledger.store import SqlLedger
    from ml_platform.registry.store import MlflowStore


def open_lake(home: Path) -> "Lake":
    """Give the tables: under the home folder, or at `$ML_PLATFORM_LAKE`."""
    from ml_platform.data.lake.tables import Lake

    return Lake(os.environ.get("ML_PLATFORM_LAKE") or os.fspath(Home(home.absolute()).lake))


def open_ledger(home: Path) -> "SqlLedger":
    """Return the record of decisions: under the home folder, or the database at `$ML_PLATFORM_LEDGER`."""
    from ml_platform.ledger.store import SqlLedger

    return SqlLedger(os.environ.get("ML_PLATFORM_LEDGER") or Home(home.absolute()).ledger_url)


def echo_registry_faults(home: Path, pipeline: str, decisions: "Sequence[Decision]") -> None:
    """Write to stderr what MLflow shows otherwise than the ledger says; it is not asked if nothing was registered."""
    from ml_platform.ledger.identity import known_versions

    if not known_versions(decisions):
        return
    from ml_platform.orchestration.registry_faults import mlflow_faults

    models = open_models(home)
    for fault in mlflow_faults(pipeline, decisions, models, models.url):
        typer.echo(f"{pipeline}: {fault}", err=True)


def open_models(home: Path) -> "MlflowStore":
    """Give the model registry, to look things up in: under the home folder, or at `$MLFLOW_TRACKING_URI`."""
    from ml_platform.registry.store import MlflowStore

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # a server that is down is told soon
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    place = Home(home.absolute())
    return MlflowStore(os.environ.get("MLFLOW_TRACKING_URI") or place.mlflow_url, place.root / "cache", Path())
