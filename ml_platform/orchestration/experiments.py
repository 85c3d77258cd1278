"""Whether MLflow takes runs for a pipeline's experiment: one that was deleted keeps its name, and takes none."""

from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.contracts.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient


def require_experiment(client: "MlflowClient", name: str, url: str) -> None:
    """Refuse an experiment that was deleted, before anything runs for it.

    Raises
    ------
    RegistryError
        With the command that restores it.
    """
    if (fault := _deleted(client, name, url)) is not None:
        raise fault


def experiment_fault(url: str, name: str) -> RegistryError | None:
    """Return why runs cannot be logged to an experiment; None if they can, or if it is not there yet."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    if url.startswith("sqlite:") and not Path(url.removeprefix("sqlite:///")).exists():
        return None  # to look would make the database
    try:
        return _deleted(MlflowClient(tracking_uri=url), name, url)
    except MlflowException as error:
        return RegistryError.because(
            "MLflow", got=str(error).splitlines()[0], expected="its experiments",
            hint="check MLFLOW_TRACKING_URI and --home, and that the server runs",
        )  # fmt: skip


def _deleted(client: "MlflowClient", name: str, url: str) -> RegistryError | None:
    experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage == "active":
        return None
    return RegistryError.because(
        f"MLflow experiment {name}", got="deleted, so that no run can be logged", expected="active",
        hint=f"restore it: MLFLOW_TRACKING_URI={url} mlflow experiments restore "
        f"--experiment-id {experiment.experiment_id}",
    )  # fmt: skip
