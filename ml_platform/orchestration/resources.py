"""The resources of the platform, and the one place besides the CLI where environment variables are read.

`$ML_PLATFORM_HOME` names the folder of the installation; the rest follows from it, or is set apart for production.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.home import Home
from ml_platform.data.lake.tables import Lake, local_lake
from ml_platform.deployment.local import LocalTarget
from ml_platform.features.online import OnlineStore
from ml_platform.ledger.store import SqlLedger
from ml_platform.orchestration.mlflow_run import mlflow_run
from ml_platform.registry.store import MlflowStore
from ml_platform.training.studies import Studies

DEFAULT_SERVER = "http://127.0.0.1:8400"
DEFAULT_MLFLOW_UI = "http://127.0.0.1:5000"


def home() -> Home:
    """Give the installation's home: `$ML_PLATFORM_HOME`, or `.ml_platform` in the working directory."""
    return Home(Path(os.environ.get("ML_PLATFORM_HOME", ".ml_platform")).absolute())


def open_lake() -> Lake:
    """Give the tables: under the home folder, or at `$ML_PLATFORM_LAKE`."""
    url = os.environ.get("ML_PLATFORM_LAKE")
    return Lake(url) if url else local_lake(home().lake)


def open_ledger() -> SqlLedger:
    """Give the record of decisions: under the home folder, or the database at `$ML_PLATFORM_LEDGER`."""
    return SqlLedger(ledger_url())


def open_models() -> MlflowStore:
    """Give the model registry in MLflow."""
    from ml_platform import deployment

    loader = Path(deployment.__path__[0]) / "mlflow_model.py"
    return MlflowStore(mlflow_url(), home().root / "cache", loader)


def open_target() -> LocalTarget:
    """Give the model server at `$ML_PLATFORM_SERVER`, or a fresh one while nothing answers there."""
    return LocalTarget(home(), server_url())


def open_online() -> OnlineStore:
    """Give the lookup tables where the model server finds them."""
    return OnlineStore(home().online)


def open_studies() -> Studies:
    """Give the studies of searches: under the home folder, or in the database at `$ML_PLATFORM_STUDIES`."""
    return Studies(os.environ.get("ML_PLATFORM_STUDIES") or home().studies_url)


def ledger_url() -> str:
    """Give the SQLAlchemy URL of the ledger."""
    return os.environ.get("ML_PLATFORM_LEDGER") or home().ledger_url


def mlflow_url() -> str:
    """Give MLflow's tracking and registry URI."""
    return os.environ.get("MLFLOW_TRACKING_URI") or home().mlflow_url


def mlflow_ui_url() -> str:
    """Return the address of the MLflow UI that links point to: configured, or the tracking server's, or the default."""
    tracking = os.environ.get("MLFLOW_TRACKING_URI", "")
    served = re.sub("//[^/]*@", "//", tracking) if tracking.startswith(("http://", "https://")) else ""  # no password
    return (os.environ.get("ML_PLATFORM_MLFLOW_UI") or served or DEFAULT_MLFLOW_UI).rstrip("/")


def server_url() -> str:
    """Return the address of the model server."""
    return os.environ.get("ML_PLATFORM_SERVER", DEFAULT_SERVER).rstrip("/")


def ray_address() -> str | None:
    """Give the Ray cluster that fits run on, `$ML_PLATFORM_RAY_ADDRESS`; None: one is started for the time of a fit."""
    return os.environ.get("ML_PLATFORM_RAY_ADDRESS") or None


def dask_address() -> str | None:
    """Give the Dask scheduler that fits run on, `$ML_PLATFORM_DASK_ADDRESS`; None: one is started, as with Ray."""
    return os.environ.get("ML_PLATFORM_DASK_ADDRESS") or None


def thread_limit() -> int | None:
    """Return the threads that `$OMP_NUM_THREADS` allows, None where it does not say; of a list the first counts."""
    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(threads) if threads.isascii() and threads.isdigit() and int(threads) else None


def read_variable(name: str) -> str:
    """Give the variable that a spec names.

    Raises
    ------
    SpecError
        If it is not set.
    """
    value = os.environ.get(name)
    if not value:
        raise SpecError.because(
            f"${name}", got="nothing", expected="the value that the pipeline's source needs",
            hint="set the variable where Dagster runs",
        )  # fmt: skip
    return value


def read_options(name: str) -> dict[str, Any]:
    """Give the options that a variable holds as JSON.

    Raises
    ------
    SpecError
        If it is not set, or holds no JSON object.
    """
    try:
        options = json.loads(read_variable(name))
    except json.JSONDecodeError as error:
        wrong: str = f"no JSON ({error.msg} at character {error.pos})"
    else:
        if isinstance(options, dict):
            return options
        wrong = f"JSON of a {type(options).__name__}"
    raise SpecError.because(
        f"${name}", got=wrong, expected="a JSON object of fsspec options", hint='for instance {"anon": true}'
    )


def platform_resources() -> dict[str, dg.ResourceDefinition]:
    """Give every resource that the assets ask for, by name."""
    makers: dict[str, Callable[[], object]] = {
        "lake": open_lake, "ledger": open_ledger, "models": open_models, "target": open_target, "online": open_online,
        "studies": open_studies,
    }  # fmt: skip
    resources = {name: _resource(make) for name, make in makers.items()}
    return resources | {"mlflow": mlflow_run(lambda: (mlflow_url(), home().mlflow_artifacts))}


def _resource(make: Callable[[], object]) -> dg.ResourceDefinition:
    return dg.ResourceDefinition(lambda _: make(), description=make.__doc__)
