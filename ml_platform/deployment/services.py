"""The processes of the platform on one machine: Dagster, MLflow's UI and the model server, as data for the supervisor.

How each is started stands here; running them is `ml_platform.deployment.supervisor`. Addresses of stores reach them by
the environment, never on a command line: they may hold a password.
"""

import os
import re
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ml_platform.contracts.home import Home
from ml_platform.deployment.supervisor import HOST, Service
from ml_platform.deployment.switches import describe_switches


def platform_services(
    home: Home,
    *,
    dagster_port: int,
    mlflow_port: int,
    serving_port: int,
    project: Path,
    inherited: Mapping[str, str] = os.environ,
) -> list[Service]:
    """Name the processes that `ml-platform up` runs.

    Parameters
    ----------
    home : Home
        All of them work on this home.
    dagster_port, mlflow_port, serving_port : int
        Ports on 127.0.0.1.
    project : Path
        Folder with `workspace.yaml`.
    inherited : mapping of str to str
        The environment that the processes inherit. Where `MLFLOW_TRACKING_URI` names a server, ours is left out.
    """
    server, tracking = _model_server(home, serving_port), inherited.get("MLFLOW_TRACKING_URI") or home.mlflow_url
    env = {**dagster_env(home), "ML_PLATFORM_SERVER": server.url, **_waiting(inherited)}
    if tracking.startswith(("http://", "https://")):
        page = inherited.get("ML_PLATFORM_MLFLOW_UI") or re.sub("//[^/]*@", "//", tracking)  # links show no password
        return [server, _dagster(dagster_port, project, {**env, "ML_PLATFORM_MLFLOW_UI": page})]
    mlflow = _mlflow(home, mlflow_port, tracking)
    page = inherited.get("ML_PLATFORM_MLFLOW_UI") or mlflow.url
    return [server, mlflow, _dagster(dagster_port, project, {**env, "ML_PLATFORM_MLFLOW_UI": page})]


def prepare_dagster_home(home: Home, project: Path) -> None:
    """Put the project's `dagster.yaml` where Dagster reads it; changes nothing when it is there."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    wanted = (project / "dagster.yaml").read_bytes()
    place = home.dagster / "dagster.yaml"
    if not place.exists() or place.read_bytes() != wanted:
        place.write_bytes(wanted)


def dagster_env(home: Home) -> dict[str, str]:
    """Give the environment in which Dagster's processes work on this home."""
    return {
        "DAGSTER_HOME": str(home.dagster),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "DAGSTER_EVENT_BATCH_SIZE": "500",  # a range of partitions stores its events together
        "ML_PLATFORM_HOME": str(home.root),
    }


def _waiting(inherited: Mapping[str, str]) -> dict[str, str]:
    """Let threads of a fit sleep while they wait for one another, unless the user says otherwise.

    Two runs at a time, a server and a daemon share the processors: a thread that spins takes one from the thread that
    it waits for.
    """
    return {} if "OMP_WAIT_POLICY" in inherited else {"OMP_WAIT_POLICY": "PASSIVE"}


def _dagster(port: int, project: Path, env: dict[str, str]) -> Service:
    workspace = str(project / "workspace.yaml")
    return Service(
        name="dagster",
        argv=[sys.executable, "-m", "dagster", "dev", "-w", workspace, "-h", HOST, "-p", str(port)],
        env=env,
        port=port,
        option="--dagster-port",
        ready_url=f"http://{HOST}:{port}/server_info",
        note="pipelines: assets, checks, runs, sensors",
        report=partial(describe_switches, f"http://{HOST}:{port}"),
    )


def _mlflow(home: Home, port: int, store: str) -> Service:
    # The platform writes to the same database directly, with artifact paths as folders: nothing to proxy.
    artifacts = ["--default-artifact-root", str(home.mlflow_artifacts), "--no-serve-artifacts"]
    listen = ["--host", HOST, "--port", str(port), "--workers", "1"]
    return Service(
        name="mlflow",
        argv=[sys.executable, "-m", "mlflow", "server", *artifacts, *listen],
        env={
            "MLFLOW_BACKEND_STORE_URI": store,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
        port=port,
        option="--mlflow-port",
        ready_url=f"http://{HOST}:{port}/health",
        note="experiments and model versions",
    )


def _model_server(home: Home, port: int) -> Service:
    return Service(
        name="serving",
        argv=[sys.executable, "-m", "ml_platform.serving", "--home", str(home.root), "--port", str(port)],
        port=port,
        option="--serving-port",
        ready_url=f"http://{HOST}:{port}/v2/health/ready",
        note="the model server",
    )
