"""The ledger in a SQL database: SQLite by default, PostgreSQL by its URL.

One table, insert only. The primary key (pipeline, seq) decides who was first when two writers append at once, and
triggers stop anybody who would change what was written.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, ProgrammingError

from ml_platform.contracts.errors import LedgerConflict
from ml_platform.contracts.records import Decision, DecisionKind
from ml_platform.ledger.chain import GENESIS, canonical, damaged, plain_payload, sealed, verify_chain

BUSY_TIMEOUT_S = 30

_METADATA = sa.MetaData()
_DECISIONS = sa.Table(
    "decisions",
    _METADATA,
    sa.Column("pipeline", sa.Text, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("because", sa.Text, nullable=False),
    sa.Column("version", sa.Integer),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("previous_hash", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)
_SQLITE_TRIGGERS = [
    f"CREATE TRIGGER IF NOT EXISTS decisions_no_{verb.lower()} BEFORE {verb} ON decisions "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    for verb in ("UPDATE", "DELETE")
]


class SqlLedger:
    """`contracts.ports.Ledger` over SQLAlchemy. Cheap to make: the database is opened by the first read or append.

    Parameters
    ----------
    url : str
        SQLAlchemy URL, such as `Home.ledger_url`.
    """

    def __init__(self, url: str) -> None:
        self._file = _sqlite_file(url)
        self._engine = _sqlite_engine(url) if self._file else sa.create_engine(url, pool_pre_ping=True)
        self._has_schema = False

    def read(self, pipeline: str, after: int = 0) -> list[Decision]:
        """Give the decisions of a pipeline with `seq > after`, oldest first, each link verified.

        Raises
        ------
        LedgerDamaged
            If a decision was altered or is missing.
        """
        if not self._exists():
            return []
        # The decision at `after` comes along: the first new one must continue its hash.
        wanted = (
            sa.select(_DECISIONS)
            .where(_DECISIONS.c.pipeline == pipeline, _DECISIONS.c.seq >= after)
            .order_by(_DECISIONS.c.seq)
        )
        with self._engine.connect() as connection:
            found = [_decision(row) for row in connection.execute(wanted).mappings()]
        if not found:
            return []
        anchor = found.pop(0) if found[0].seq == after else None
        verify_chain(found, after=after, previous_hash=anchor.hash if anchor else GENESIS)
        return found

    def append(
        self,
        pipeline: str,
        kind: DecisionKind,
        *,
        expected_seq: int,
        actor: str,
        because: str,
        version: int | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> Decision:
        """Append one decision as number `expected_seq`.

        Raises
        ------
        LedgerConflict
            If the chain has moved on; read again and decide again.
        """
        fields = {"pipeline": pipeline, "seq": expected_seq, "kind": kind, "actor": actor, "because": because}
        fields |= {"version": version, "payload": plain_payload(payload)}
        self._make_schema()
        newest = (
            sa.select(_DECISIONS.c.seq, _DECISIONS.c.hash)
            .where(_DECISIONS.c.pipeline == pipeline)
            .order_by(_DECISIONS.c.seq.desc())
            .limit(1)
        )
        with self._engine.begin() as connection:
            last = connection.execute(newest).one_or_none()
            seq, previous_hash = (last.seq, last.hash) if last else (0, GENESIS)
            if seq + 1 != expected_seq:
                raise _conflict(pipeline, got=expected_seq, expected=seq + 1)
            decision = sealed(fields | {"at": datetime.now(UTC), "previous_hash": previous_hash})
            try:
                connection.execute(_DECISIONS.insert().values(_row(decision)))
            except IntegrityError as fault:
                raise _conflict(pipeline, got=expected_seq, expected="a later one") from fault
        return decision

    def pipelines(self) -> list[str]:
        """Name every pipeline that has decisions, sorted."""
        if not self._exists():
            return []
        with self._engine.connect() as connection:
            return sorted(connection.scalars(sa.select(_DECISIONS.c.pipeline).distinct()))

    def verify(self, pipeline: str) -> int:
        """Check a pipeline's whole chain; gives the number of its decisions.

        Raises
        ------
        LedgerDamaged
            Names the first decision at fault.
        """
        return len(self.read(pipeline))

    def _exists(self) -> bool:
        """Say whether there is anything to read; a reader makes no file."""
        if self._file and not self._file.exists():
            return False
        self._make_schema()
        return True

    def _make_schema(self) -> None:
        """Make table and triggers where missing. Each statement may run twice, in any number of processes."""
        if self._has_schema and (self._file is None or self._file.exists()):
            return
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.schema.CreateTable(_DECISIONS, if_not_exists=True))
                for trigger in _SQLITE_TRIGGERS if self._file else ():
                    connection.exec_driver_sql(trigger)
        except (IntegrityError, ProgrammingError):
            # PostgreSQL lets two processes past IF NOT EXISTS and fails the slower one.
            if not sa.inspect(self._engine).has_table("decisions"):
                raise
        self._has_schema = True


def _sqlite_file(url: str) -> Path | None:
    parsed = sa.make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _sqlite_engine(url: str) -> sa.Engine:
    # A connection for each use: nothing to share between threads, to carry over a fork or to leave open.
    # The first INSERT of a connection begins its transaction, so IMMEDIATE takes the write lock before writing.
    options = {"timeout": BUSY_TIMEOUT_S, "isolation_level": "IMMEDIATE"}
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args=options)
    event.listen(engine, "connect", _use_wal)
    return engine


def _use_wal(connection: Any, _record: object) -> None:
    try:
        connection.execute("PRAGMA journal_mode=WAL").close()
    except connection.OperationalError:
        # Another process is switching the same file over; the mode stays with the file, and either mode is safe.
        return


def _row(decision: Decision) -> dict[str, Any]:
    return decision.model_dump() | {"at": decision.at.isoformat(), "payload": canonical(decision.payload)}


def _decision(row: sa.RowMapping) -> Decision:
    try:
        return Decision.model_validate({**row, "payload": json.loads(row["payload"])})
    except (ValidationError, ValueError) as fault:
        raise damaged(row["pipeline"], row["seq"], got=fault, expected="a decision") from fault


def _conflict(pipeline: str, *, got: object, expected: object) -> LedgerConflict:
    return LedgerConflict.because(
        f"ledger of {pipeline}",
        got=f"decision number {got}",
        expected=expected,
        hint="somebody else decided first; read the ledger again and decide again.",
    )
