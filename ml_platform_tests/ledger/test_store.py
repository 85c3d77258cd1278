"""What only the ledger in a database can promise: processes, files, raw SQL."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from ml_platform.contracts.errors import LedgerDamaged
from ml_platform.ledger import SqlLedger
from ml_platform.ledger.store import _DECISIONS

WRITER = """
import sys
from ml_platform.contracts.errors import LedgerConflict
from ml_platform.ledger import SqlLedger, next_seq

url, actor, many = sys.argv[1], sys.argv[2], int(sys.argv[3])
for number in range(many):
    while True:
        try:
            seq = next_seq(SqlLedger(url).read("flights"))
            SqlLedger(url).append("flights", "evaluated", expected_seq=seq, actor=actor, because=str(number))
            break
        except LedgerConflict:
            pass
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Name a file in a folder; neither is there yet."""
    return tmp_path / "home" / "ledger.db"


@pytest.fixture
def ledger(file: Path) -> SqlLedger:
    """Three decisions in a file."""
    ledger = SqlLedger(f"sqlite:///{file}")
    for seq in (1, 2, 3):
        ledger.append("flights", "evaluated", expected_seq=seq, actor="test", because="asked", payload={"n": seq})
    return ledger


def _run_sql(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_reading_makes_no_file(file: Path) -> None:
    """A reader leaves no trace."""
    assert SqlLedger(f"sqlite:///{file}").read("flights") == []
    assert not file.parent.exists()


def test_reading_a_file_without_the_table_gives_nothing(file: Path) -> None:
    """Another process may just be making it."""
    file.parent.mkdir()
    file.touch()
    assert SqlLedger(f"sqlite:///{file}").read("flights") == []


def test_a_ledger_whose_file_was_removed_starts_again(ledger: SqlLedger, file: Path) -> None:
    """The same object goes on with a fresh file."""
    for part in file.parent.iterdir():
        part.unlink()
    assert ledger.read("flights") == []
    ledger.append("flights", "evaluated", expected_seq=1, actor="test", because="asked")
    assert ledger.verify("flights") == 1


def test_the_file_is_in_wal_mode(ledger: SqlLedger, file: Path) -> None:
    """Readers do not wait for a writer."""
    assert ledger.verify("flights") == 3
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("statement", ["UPDATE decisions SET because = 'x'", "DELETE FROM decisions WHERE seq = 3"])
def test_the_database_itself_refuses_changes(ledger: SqlLedger, file: Path, statement: str) -> None:
    """Whoever opens the file, with whatever tool."""
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        _run_sql(file, statement)
    assert ledger.verify("flights") == 3


@pytest.mark.parametrize(
    ("statement", "at_fault"),
    [
        ("UPDATE decisions SET because = 'other' WHERE seq = 2", 2),
        ("UPDATE decisions SET payload = '{}' WHERE seq = 1", 1),
        ("UPDATE decisions SET payload = 'no json' WHERE seq = 1", 1),
        ("UPDATE decisions SET kind = 'unheard_of' WHERE seq = 3", 3),
        ("UPDATE decisions SET at = '2020-01-01T00:00:00+00:00' WHERE seq = 3", 3),
        ("UPDATE decisions SET hash = 'x' || hash WHERE seq = 1", 1),
        ("DELETE FROM decisions WHERE seq = 2", 2),
        ("DELETE FROM decisions WHERE seq = 1", 1),
    ],
)
def test_tampering_is_found_and_named(ledger: SqlLedger, file: Path, statement: str, at_fault: int) -> None:
    """Even by somebody who took the triggers away."""
    _run_sql(file, "DROP TRIGGER decisions_no_update", "DROP TRIGGER decisions_no_delete", statement)
    with pytest.raises(LedgerDamaged, match=f"ledger of flights, decision {at_fault}:"):
        ledger.verify("flights")


def test_a_reader_of_what_is_new_sees_that_it_does_not_follow_on(ledger: SqlLedger, file: Path) -> None:
    """The decision before the new ones is compared by its hash."""
    forged = "UPDATE decisions SET hash = previous_hash WHERE seq = 2"
    _run_sql(file, "DROP TRIGGER decisions_no_update", forged)
    with pytest.raises(LedgerDamaged, match="decision 3:"):
        ledger.read("flights", after=2)


def test_a_decision_taken_out_before_the_new_ones_is_found(ledger: SqlLedger, file: Path) -> None:
    """Nothing to compare with is damage too."""
    _run_sql(file, "DROP TRIGGER decisions_no_delete", "DELETE FROM decisions WHERE seq = 2")
    with pytest.raises(LedgerDamaged, match="decision 3:"):
        ledger.read("flights", after=2)


@pytest.mark.slow
def test_two_processes_lose_no_decision_and_share_no_number(file: Path) -> None:
    """Both make the schema and append at once; the chain is whole and each one's decisions are all there, in order."""
    argv = [sys.executable, "-c", WRITER, f"sqlite:///{file}"]
    writers = [subprocess.Popen([*argv, actor, "30"]) for actor in ("ann", "bob")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    decisions = SqlLedger(f"sqlite:///{file}").read("flights")
    assert [decision.seq for decision in decisions] == list(range(1, 61))
    for actor in ("ann", "bob"):
        assert [decision.because for decision in decisions if decision.actor == actor] == [str(n) for n in range(30)]


def test_postgresql_gets_the_same_primary_key() -> None:
    """It decides who was first; the number is ours, not a sequence."""
    ddl = str(sa.schema.CreateTable(_DECISIONS, if_not_exists=True).compile(dialect=postgresql.dialect()))
    assert "PRIMARY KEY (pipeline, seq)" in ddl
    assert "SERIAL" not in ddl
