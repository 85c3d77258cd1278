"""Every reader of the ledger goes on past decisions of kinds that a later release of the platform writes."""

import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml_platform.cli import app
from ml_platform.contracts.errors import ContractError
from ml_platform.contracts.home import Home
from ml_platform.ledger import SqlLedger, champion, next_seq
from ml_platform.ledger.folds import evaluations, promotions, retrain_requests
from ml_platform.ledger.identity import known_versions
from ml_platform.serving.models import ModelTable
from ml_platform_tests.fakes.bundles import PIPELINE, deploy, promote
from ml_platform_tests.fakes.later_release import append_unknown
from ml_platform_tests.fakes.ledger import InMemoryLedger

KINDS = ["challenged", "shadow_started", "rolled_back", "noted", "Ü"]


@pytest.mark.parametrize("seed", range(10))
def test_folds_and_a_server_follow_promotions_between_unknown_decisions(tmp_path: Path, seed: int) -> None:
    home, dice = Home(tmp_path), random.Random(seed)  # noqa: S311 - chooses an order
    ledger, file = SqlLedger(home.ledger_url), tmp_path / "ledger.db"
    table = ModelTable(home, ledger)
    promote(ledger, 1, deploy(home, 0))
    for version in (2, 3):
        for kind in dice.choices(KINDS, k=dice.randint(1, 3)):
            append_unknown(ledger, file, PIPELINE, kind, digest="d", as_of="2013-01-01", anything=[1, None])
        promote(ledger, version, deploy(home, version - 1))
        append_unknown(ledger, file, PIPELINE, dice.choice(KINDS))
        table.refresh()
        assert table.find(PIPELINE).version == version
    decisions = ledger.read(PIPELINE)
    present = champion(decisions)
    assert present is not None
    assert present.version == 3
    assert [each.version for each in promotions(decisions)] == [3, 2, 1]
    assert [each.version for each in known_versions(decisions)] == [1, 2, 3]
    assert (evaluations(decisions), retrain_requests(decisions)) == ([], [])
    assert ledger.verify(PIPELINE) == len(decisions) == next_seq(decisions) - 1


def test_the_command_prints_them(tmp_path: Path) -> None:
    ledger = SqlLedger(Home(tmp_path).ledger_url)
    ledger.append("flights", "retrain_declined", expected_seq=1, actor="sensor", because="nothing drifted")
    append_unknown(ledger, tmp_path / "ledger.db", "flights", "shadow_started", share=0.1)

    result = CliRunner().invoke(app, ["ledger", "--home", str(tmp_path)])

    assert result.exit_code == 0, result.output
    assert "flights #2    shadow_started" in result.stdout.splitlines()[1]


@pytest.mark.parametrize("kind", ["sql", "memory"])
def test_this_release_writes_only_kinds_that_it_knows(tmp_path: Path, kind: str) -> None:
    ledger = SqlLedger(Home(tmp_path).ledger_url) if kind == "sql" else InMemoryLedger()
    with pytest.raises(ContractError, match="kind of a decision: got 'unheard_of', expected one of registered, "):
        ledger.append("flights", "unheard_of", expected_seq=1, actor="a", because="b")  # pyright: ignore[reportArgumentType]
    assert ledger.read("flights") == []
