"""One bundle is one version, whoever registers it at the same time: three real processes on one real MLflow."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ml_platform import deployment
from ml_platform.registry.registration import choose, is_free
from ml_platform.registry.store import MlflowStore
from ml_platform_tests.fakes.bundles import PIPELINE
from ml_platform_tests.pipelines.marks import QUIET
from ml_platform_tests.pipelines.project import SHELL
from ml_platform_tests.registry.example_bundle import bundle_with_example

pytestmark = QUIET

LOADER = Path(deployment.__path__[0]) / "mlflow_model.py"
PROCESSES = 3
REGISTER = """
import sys, time
from pathlib import Path

import mlflow

from ml_platform.registry import registration
from ml_platform.registry.bundle import open_bundle
from ml_platform.registry.store import MlflowStore

url, bundle, home, loader, ready, go, waits = sys.argv[1:]
search = registration.choose


def slow(found, digest, taken):  # everybody has looked before anybody creates, unless they wait for each other
    chosen = search(found, digest, taken)
    time.sleep(float(waits))
    return chosen


registration.choose = slow
mlflow.set_tracking_uri(url)
opened = open_bundle(Path(bundle))
store = MlflowStore(url, Path(home) / "cache", Path(loader))
with mlflow.start_run(experiment_id="1") as run:
    Path(ready).touch()
    while not Path(go).exists():
        time.sleep(0.01)
    version = store.register("parcels", opened.root, as_of="2013-07-01", digest=opened.digest, run_id=run.info.run_id)
print(version.version)
"""


@pytest.mark.slow
@pytest.mark.parametrize("homes", [1, PROCESSES], ids=["one machine", "three machines"])
def test_three_processes_register_one_bundle_as_one_version(tmp_path: Path, homes: int) -> None:
    """On one machine they wait for each other; on three all create one, and settle on the lowest number."""
    from mlflow import MlflowClient

    url, bundle = f"sqlite:///{tmp_path}/mlflow.db", bundle_with_example(tmp_path / "bundle")
    MlflowClient(url).create_experiment("e", artifact_location=(tmp_path / "artifacts").as_uri())
    go = tmp_path / "go"
    argv = [sys.executable, "-W", "ignore", "-c", REGISTER, url, str(bundle.root)]
    made = [
        subprocess.Popen(
            [*argv, str(tmp_path / f"home-{at % homes}"), str(LOADER), str(tmp_path / f"ready-{at}"), str(go), "1.5"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=SHELL | {"PYTHONPATH": f"{SHELL['PYTHONPATH']}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        )
        for at in range(PROCESSES)
    ]  # fmt: skip
    until = time.monotonic() + 240
    while len(list(tmp_path.glob("ready-*"))) < PROCESSES and time.monotonic() < until:
        assert all(process.poll() is None for process in made), [process.communicate()[1] for process in made]
        time.sleep(0.05)
    go.touch()
    said = [process.communicate(timeout=240) for process in made]

    assert [process.returncode for process in made] == [0] * PROCESSES, [errors for _, errors in said]
    assert len({out.splitlines()[-1] for out, _ in said}) == 1
    [version] = MlflowStore(url, tmp_path / "cache", LOADER).listed(PIPELINE)
    assert (str(version.version), version.digest) == (said[0][0].splitlines()[-1], bundle.digest)


@pytest.mark.parametrize(
    ("number", "taken", "free"),
    [
        (1, {}, True), (1, {1: "d"}, True), (1, {1: "other"}, False), (2, {1: "other"}, True), (2, {5: "other"}, False),
        (5, {5: "d", 9: "other"}, True), (6, {5: "d", 9: "other"}, False), (10, {5: "d", 9: "other"}, True),
    ],
)  # fmt: skip
def test_a_number_is_free_if_it_names_this_digest_or_lies_above_all(
    number: int, taken: dict[int, str], free: bool
) -> None:
    assert is_free(number, "d", taken) is free


def test_of_nothing_nothing_is_chosen() -> None:
    assert choose([], "d", {}) is None
