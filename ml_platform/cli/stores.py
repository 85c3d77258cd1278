"""The stores of an installation as commands open them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.contracts.home import Home

if TYPE_CHECKING:
    from ml_platform.data.lake.tables import Lake
    from ml_platform.registry.store import MlflowStore


def open_lake(home: Path) -> "Lake":
    """Give the tables: under the home folder, or at `$ML_PLATFORM_LAKE`."""
    from ml_platform.data.lake.tables import Lake

    return Lake(os.environ.get("ML_PLATFORM_LAKE") or os.fspath(Home(home.absolute()).lake))


def open_models(home: Path) -> "MlflowStore":
    """Give the model registry, to look things up in: under the home folder, or at `$MLFLOW_TRACKING_URI`."""
    from ml_platform.registry.store import MlflowStore

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # a server that is down is told soon
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    place = Home(home.absolute())
    return MlflowStore(os.environ.get("MLFLOW_TRACKING_URI") or place.mlflow_url, place.root / "cache", Path())
