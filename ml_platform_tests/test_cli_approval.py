"""`ml-platform approve`, `reject` and `versions` as processes of their own, on a project's YAML and its ledger."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml_platform.cli import app
from ml_platform.contracts.errors import PlatformError
from ml_platform.contracts.evaluations import Evaluation, Verdict
from ml_platform.contracts.home import Home
from ml_platform.contracts.records import DecisionKind, Outcome
from ml_platform.ledger import store
from ml_platform.ledger.store import SqlLedger
from ml_platform.orchestration.demands import demands
from ml_platform.orchestration.freezing import read_spec
from ml_platform_tests.pipelines.world import FOLDER

pytestmark = pytest.mark.slow

CHAMPION, WAITS, REJECTED, FAILED, EXPIRED, APPROVED, FORMER = 2, 3, 4, 5, 6, 7, 1
LONG_AGO = timedelta(days=30)

Say = Callable[..., subprocess.CompletedProcess[str]]


class _Earlier(datetime):
    """A clock that is late."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        del tz
        return datetime.now(UTC) - LONG_AGO


class Project:
    """A pipeline that asks a person, and a ledger with versions in every state."""

    def __init__(self, root: Path) -> None:
        self.defs, self.home = root / "defs", root / "home"
        yaml = self.defs / "tiny" / "defs.yaml"
        yaml.parent.mkdir(parents=True)
        yaml.write_text((FOLDER / "defs.yaml").read_text() + "  approval: manual\n")
        self.demands = demands(read_spec(yaml), {})
        self.ledger = SqlLedger(Home(self.home).ledger_url)

    def evaluate(self, version: int, outcome: Outcome = "pass", champion: int | None = CHAMPION) -> None:
        """Write verdicts of every gate."""
        verdicts = tuple(
            Verdict(
                gate=gate, outcome=outcome, sentence="Seen.", value=0.5, bound=demand.bound, reference=None, rows=900,
                basis=demand.basis, condition=demand.condition,
            )
            for gate, demand in self.demands.items()
        )  # fmt: skip
        evaluation = Evaluation(
            pipeline="tiny", version=version, digest=f"{version}{'d' * 63}", as_of=f"2020-01-{20 + version}",
            champion=champion, rows=900, metrics={}, verdicts=verdicts,
        )  # fmt: skip
        self.decide("evaluated", version, evaluation.model_dump(mode="json"))

    def promote(self, version: int) -> None:
        """Write that a version became champion."""
        self.decide("promoted", version, {"as_of": f"2020-01-{20 + version}"})

    def decide(self, kind: DecisionKind, version: int, payload: dict[str, object], by: str = "a test") -> None:
        """Append a decision."""
        seq = len(self.ledger.read("tiny")) + 1
        told = {"digest": f"{version}{'d' * 63}"} | payload
        self.ledger.append(
            "tiny",
            kind,
            expected_seq=seq,
            actor=by,
            because="asked",
            version=version,
            payload=told,
        )

    def argv(self, *command: str, by: str = "ann", because: str = "it is good") -> list[str]:
        """Give a command with its options."""
        verb = command[0]
        options = ["--home", str(self.home)]
        options += ["--defs", str(self.defs)] if verb in ("approve", "versions") else []
        options += ["--by", by, "--because", because] if verb in ("approve", "reject") else []
        return [*command, *options]

    def say(self, *command: str, **said: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own."""
        argv = [sys.executable, "-m", "ml_platform.cli", *self.argv(*command, **said)]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def _filled(root: Path) -> Project:
    project = Project(root)
    for version, before in ((FORMER, None), (CHAMPION, FORMER)):
        project.evaluate(version, champion=before)
        project.promote(version)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "datetime", _Earlier)
        project.evaluate(EXPIRED)
    project.evaluate(FAILED, "fail")
    for version in (WAITS, REJECTED, APPROVED):
        project.evaluate(version)
    until = (datetime.now(UTC) + LONG_AGO).isoformat()
    project.decide("rejected", REJECTED, {"by": "bob", "expires_at": None}, by="bob")
    project.decide("approved", APPROVED, {"by": "bob", "expires_at": until}, by="bob")
    return project


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Give a project for commands that are refused: they leave it as it is."""
    return _filled(tmp_path_factory.mktemp("refusing"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Give a project of the test's own."""
    return _filled(tmp_path)


def test_a_version_that_waits_is_approved_and_all_who_look_see_by_whom_and_why(project: Project) -> None:
    done = project.say("approve", "tiny", str(WAITS), because="its\nerrors are\x1b[31m small")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"tiny v{WAITS} approved by ann, until " in done.stdout
    [*_, written] = project.ledger.read("tiny")
    assert (written.kind, written.version, written.actor) == ("approved", WAITS, "ann")
    assert written.because == "its errors are [31m small"
    [line] = [each for each in project.say("versions", "tiny").stdout.splitlines() if each.startswith(f"v{WAITS} ")]
    assert f"approved by ann at {written.at:%Y-%m-%d %H:%M} UTC: its errors are [31m small" in line
    assert "approved           v3    its errors are [31m small  [ann]" in project.say("ledger", "tiny").stdout


def test_a_version_that_waits_is_rejected_for_good(project: Project) -> None:
    done = project.say("reject", "tiny", str(WAITS), by="bob", because="it forgets Sundays")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"tiny v{WAITS} rejected by bob. It will not serve." in done.stdout
    again = project.say("approve", "tiny", str(WAITS))
    assert again.returncode == 1
    assert f"bob rejected version {WAITS}: it forgets Sundays" in again.stderr
    assert "rejected by bob at" in project.say("versions", "tiny").stdout


@pytest.mark.parametrize(
    ("command", "by", "because", "said"),
    [
        (["approve", "tiny", "99"], "ann", "good", "got 99, expected one that was evaluated: "),
        (["approve", "tiny", str(CHAMPION)], "ann", "good", "got the champion"),
        (["approve", "tiny", str(EXPIRED)], "ann", "good", f"The time to approve version {EXPIRED} was over at "),
        (["approve", "tiny", str(REJECTED)], "ann", "good", "a rejection is final"),
        (["approve", "tiny", str(WAITS)], "ann", "", "--because: got nothing"),
        (["approve", "tiny", str(WAITS)], "\x1b\x07", "good", "--by: got nothing"),
        (["reject", "tiny", str(CHAMPION)], "ann", "bad", "got the champion"),
    ],
)
def test_bad_input_is_refused_in_words_and_writes_nothing(
    refusing: Project, command: list[str], by: str, because: str, said: str
) -> None:
    """In one message, without a traceback."""
    before = refusing.ledger.read("tiny")
    done = refusing.say(*command, by=by, because=because)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert refusing.ledger.read("tiny") == before


@pytest.mark.parametrize(
    ("command", "by", "because", "said"),
    [
        (["reject", "tiny", "99"], "ann", "bad", "got 99, expected one that was evaluated: "),
        (["approve", "tiny", str(FORMER)], "ann", "good", "got a former champion"),
        (["approve", "tiny", str(FAILED)], "ann", "good", " says fail: Seen."),
        (["reject", "tiny", str(REJECTED)], "ann", "bad", "a version that bob has rejected: asked"),
        (["approve", "tiny", str(APPROVED)], "ann", "good", "a version that bob has approved, until "),
        (["reject", "tiny", str(WAITS)], "ann", " \t\n", "--because: got nothing"),
        (["approve", "tiny", str(WAITS)], "a" * 101, "good", "--by: got 101 characters"),
        (["approve", "trains", "1"], "ann", "good", "pipeline: got trains, expected tiny"),
        (["reject", "trains", "1"], "ann", "bad", "none yet"),
        (["approve", "tiny", str(WAITS), "--digest", "abc"], "ann", "good", "not abc"),
    ],
)
def test_more_bad_input_is_refused_by_the_same_command(
    refusing: Project, command: list[str], by: str, because: str, said: str
) -> None:
    """Here in this process, which is faster."""
    before = refusing.ledger.read("tiny")
    result = CliRunner().invoke(app, refusing.argv(*command, by=by, because=because))
    assert isinstance(result.exception, PlatformError)
    assert said in str(result.exception)
    assert refusing.ledger.read("tiny") == before


def test_a_number_that_is_none_is_bad_usage(refusing: Project) -> None:
    done = refusing.say("approve", "tiny", "0")
    assert done.returncode == 2
    assert "greater than or equal to 1" in " ".join(done.stderr.split())


def test_versions_tell_gates_approval_and_who_serves(refusing: Project) -> None:
    """Newest first."""
    lines = refusing.say("versions", "tiny").stdout.splitlines()
    found = {line.split()[0]: line for line in lines}
    assert list(found) == [f"v{number}" for number in (APPROVED, EXPIRED, FAILED, REJECTED, WAITS, CHAMPION, FORMER)]
    for number, told in (
        (APPROVED, ("pass", "approved by bob at", "UTC: asked")),
        (EXPIRED, ("pass", "the time was over at")),
        (FAILED, ("fail", "its gates stopped it")),
        (REJECTED, ("pass", "rejected by bob at", "UTC: asked")),
        (WAITS, ("as of 2020-01-23", "pass", "waits for an approval until")),
        (CHAMPION, ("pass", "champion", "no approval asked")),
        (FORMER, ("pass", "former", "no approval asked")),
    ):
        assert all(each in found[f"v{number}"] for each in told), found[f"v{number}"]
