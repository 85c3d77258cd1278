"""Decisions as a later release of the platform might write them, of kinds that this one does not know."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from ml_platform.contracts.records import Decision
from ml_platform.ledger.chain import GENESIS, canonical, decision_hash
from ml_platform.ledger.store import SqlLedger


def append_unknown(ledger: SqlLedger, file: Path, pipeline: str, kind: str, **payload: object) -> Decision:
    """Append a decision of any kind to a ledger in SQLite, with its place in the chain."""
    decisions = ledger.read(pipeline)
    fields = {
        "pipeline": pipeline, "seq": len(decisions) + 1, "at": datetime.now(UTC), "kind": kind, "actor": "later",
        "because": "of a later release", "version": None, "payload": payload,
        "previous_hash": decisions[-1].hash if decisions else GENESIS,
    }  # fmt: skip
    decision = Decision.model_validate({**fields, "hash": decision_hash(fields)})
    row = decision.model_dump() | {"at": decision.at.isoformat(), "payload": canonical(decision.payload)}
    with closing(sqlite3.connect(file)) as connection:
        places = ", ".join(f":{name}" for name in row)
        connection.execute(f"INSERT INTO decisions ({', '.join(row)}) VALUES ({places})", row)  # noqa: S608 - our names
        connection.commit()
    return decision
