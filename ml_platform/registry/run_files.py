"""Small JSON files of an MLflow run."""

import json
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # no such run; no run id at all


def read_run_file(client: "MlflowClient", run_id: str, name: str) -> Any:
    """Return the content of a JSON file of a run; None if the run has no such file, or is gone itself."""
    from mlflow.exceptions import MlflowException

    folder = PurePosixPath(name).parent
    try:
        listed = client.list_artifacts(run_id, None if folder == PurePosixPath() else folder.as_posix())
    except MlflowException as error:
        if error.error_code not in GONE:
            raise
        return None
    if name not in {each.path for each in listed}:
        return None
    with TemporaryDirectory() as place:
        return json.loads(Path(client.download_artifacts(run_id, name, place)).read_text(encoding="utf-8"))
