"""The README is followed word by word: its commands are taken from the file itself and run in a clone of one's own."""

import json
import os
import re
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from ml_platform_tests.pipelines.csv_world import write_rides
from ml_platform_tests.pipelines.project import ROOT, Project, copy_project

README = (ROOT / "README.md").read_text()
SECTION = "Put your data on it"
PORT = 8400


def _section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def _commands(section: str) -> str:
    return "\n".join(re.findall(r"^```bash\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _run(project: Project, script: str) -> tuple[int, str, str]:
    """Run a script in a fresh shell; what it left running in the background ends with it."""
    output, errors = project.root / "output.log", project.root / "errors.log"
    with output.open("w") as told, errors.open("w") as complained:
        shell = subprocess.Popen(
            ["bash", "-e", "-c", script], cwd=project.root, env=dict(project.environment), start_new_session=True,
            stdout=told, stderr=complained,
        )  # fmt: skip
        code = shell.wait()
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
    return code, output.read_text(), errors.read_text()


@pytest.mark.slow
@pytest.mark.timeout(280)
@pytest.mark.skipif(_is_taken(PORT), reason=f"something listens on {PORT}, the README's port")
def test_the_section_on_your_data_ends_in_a_prediction(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "clone")
    write_rides(project.root / "data", months=3)
    code, output, errors = _run(project, _commands(_section(SECTION)))
    assert code == 0, errors[-5000:]
    answer = json.loads(output.splitlines()[-1])
    assert 0 < answer["predictions"][0] < 1
    assert (project.root / "ml_platform" / "defs" / "tips" / "defs.yaml").exists()
    assert "left out  tip: the target is made of it" in output


def test_the_section_names_the_commands_that_new_prints() -> None:
    """Each long enough that nobody types it: the section shows it, `new` prints it."""
    commands = _commands(_section(SECTION))
    assert [word for word in ("ml-platform new", "_data", "_retrain", "curl") if word not in commands] == []


def test_the_readme_is_short_and_begins_with_a_command() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150
    assert lines.index("```bash") < 20


@pytest.mark.parametrize("place", re.findall(r"\]\(([^)#:]+)\)", README))
def test_a_link_leads_somewhere(place: str) -> None:
    assert (ROOT / place).exists()
