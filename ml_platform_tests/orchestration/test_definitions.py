"""The code location in a fresh process: it loads, light, and Dagster's own validation accepts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.dagster]

ROOT = Path(__file__).parents[2]
HEAVY = ["mlflow", "lightgbm", "sklearn", "matplotlib", "litestar", "dagster_mlflow"]
LOAD = f"""
import json, sys
from ml_platform.definitions import defs
keys = defs().resolve_asset_graph().get_all_asset_keys()
print(json.dumps([sorted(key.to_user_string() for key in keys), [name for name in {HEAVY} if name in sys.modules]]))
"""
PIPELINES = ["flight_arrival_delay", "flight_cancellations", "flight_delays"]
STAGES = [
    "candidate", "drift", "endpoint", "evaluation", "features", "raw", "training_set", "validated", "weather",
]  # fmt: skip


def test_definitions_load_without_the_heavy_libraries() -> None:
    """A code location that loads slowly is slow in every process that Dagster starts."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", LOAD], capture_output=True, text=True, check=True)
    keys, heavy = json.loads(done.stdout)
    own = {"flight_delays/planes", "flight_arrival_delay/member_gbm", "flight_arrival_delay/member_line"}
    assert set(keys) == own | {f"{name}/{stage}" for name in PIPELINES for stage in STAGES}
    assert heavy == []


def test_dagster_validates_the_workspace(tmp_path: Path) -> None:
    """With the file that `ml-platform up` and `dagster dev` read."""
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ml_platform" in done.stderr + done.stdout
