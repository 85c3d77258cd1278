"""How long a code location of ten pipelines takes to load, in a fresh process each time.

Run with `python -m benchmarks.loading`. The ten are copies of the folders in `ml_platform/defs`, each under a name of
its own, in a project of their own. Beside them stands the bare import of Dagster, which no code location can avoid.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

PIPELINES = int(os.environ.get("PIPELINES", "10"))
RUNS = 3
ROOT = Path(__file__).parents[1]
DEFINITIONS = '''"""The code location of the copies."""

from pathlib import Path

import dagster as dg

from ml_platform.orchestration.housekeeping import housekeeping_sensors
from ml_platform.orchestration.resources import platform_resources


@dg.definitions
def defs() -> dg.Definitions:
    """Load the pipelines as `ml_platform.definitions` does."""
    platform = dg.Definitions(resources=platform_resources(), sensors=housekeeping_sensors())
    return dg.Definitions.merge(dg.load_from_defs_folder(path_within_project=Path(__file__).parent), platform)
'''
PROJECT = """[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "copies"
"""
WORKSPACE = "load_from: [{python_module: {module_name: copies.definitions, location_name: copies}}]\n"
LOAD = """
import copies.definitions
repository = copies.definitions.defs().get_repository_def()
print(len({key.path[0] for key in repository.asset_graph.get_all_asset_keys()}))
"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), PIPELINES)
        imported, _ = _fastest(project, "-c", "import dagster")
        loaded, found = _fastest(project, "-c", LOAD)
        validate = ("-m", "dagster", "definitions", "validate", "-w", "workspace.yaml")
        validated, _ = _fastest(project, *validate)
    if int(found) != PIPELINES:
        raise RuntimeError(f"{found} pipelines were loaded, not {PIPELINES}")
    print(f"import dagster                 {imported:5.1f} s")
    print(f"{PIPELINES} pipelines loaded            {loaded:5.1f} s  {loaded / imported:4.1f} x")
    print(f"dagster definitions validate   {validated:5.1f} s  {validated / imported:4.1f} x")


def make_project(root: Path, pipelines: int) -> Path:
    """Write a project with so many copies of the pipelines in `ml_platform/defs`."""
    originals = sorted(path.parent for path in (ROOT / "ml_platform" / "defs").glob("*/defs.yaml"))
    package = root / "copies"
    package.mkdir()
    for name, text in {"definitions.py": DEFINITIONS, "__init__.py": ""}.items():
        (package / name).write_text(text)
    for number, original in enumerate(islice(cycle(originals), pipelines)):
        copy = package / "defs" / f"{original.name}_{number}"
        shutil.copytree(original, copy, ignore=shutil.ignore_patterns("__pycache__"))
        text = (copy / "defs.yaml").read_text()
        (copy / "defs.yaml").write_text(text.replace(f"name: {original.name}\n", f"name: {copy.name}\n"))
    (package / "defs" / "__init__.py").touch()
    (root / "pyproject.toml").write_text(PROJECT)
    (root / "workspace.yaml").write_text(WORKSPACE)
    return root


def _fastest(project: Path, *arguments: str) -> tuple[float, str]:
    """Run Python in the project a few times; gives the least time, and what it said last."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(project), str(ROOT)]),
        "DAGSTER_HOME": str(project),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }
    seconds, said = [], ""
    for _ in range(RUNS):
        began = time.perf_counter()
        command = [sys.executable, "-W", "ignore", *arguments]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - began)
        said = done.stdout
    return min(seconds), said


if __name__ == "__main__":
    main()
