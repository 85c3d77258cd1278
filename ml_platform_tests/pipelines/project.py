"""A project of one's own: the platform's files as a clone has them, in which commands run as a user runs them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ml_platform.contracts.home import Home

ROOT = Path(__file__).parents[2]
FILES = ("pyproject.toml", "workspace.yaml", "dagster.yaml", "README.md")
SHELL = {**os.environ, "PYTHONPATH": str(ROOT)}  # this tree, wherever a command is run
ELSEWHERE = ("ML_PLATFORM_", "MLFLOW_", "DAGSTER_", "PYTEST_")


@dataclass(frozen=True)
class Project:
    """A clone in a folder of its own; `.venv` is the one that the tests run in."""

    root: Path

    @property
    def home(self) -> Home:
        """Where the commands keep their things."""
        return Home(self.root / ".ml_platform")

    @property
    def environment(self) -> Mapping[str, str]:
        """A fresh shell's, with this clone in the place of the installed one."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ELSEWHERE)}
        return kept | {"PYTHONPATH": str(self.root), "DAGSTER_DISABLE_TELEMETRY": "yes"}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `.venv/bin` in the clone."""
        program = str(self.root / ".venv" / "bin" / command[0])
        return subprocess.run(
            [program, *command[1:]], cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )


def copy_project(root: Path) -> Project:
    """Make the clone."""
    shutil.copytree(ROOT / "ml_platform", root / "ml_platform", ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, root / name)
    (root / ".venv").symlink_to(Path(sys.prefix))
    return Project(root)
