"""The ledger in memory, with the same chain and the same refusals as the one in a database."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ml_platform.contracts.errors import LedgerConflict
from ml_platform.contracts.records import Decision, DecisionKind
from ml_platform.ledger.chain import GENESIS, plain_payload, sealed, verify_chain


class InMemoryLedger:
    """`contracts.ports.Ledger` for one process and one thread."""

    def __init__(self) -> None:
        self._chains: dict[str, list[Decision]] = {}

    def read(self, pipeline: str, after: int = 0) -> list[Decision]:
        """Give the decisions of a pipeline with `seq > after`, oldest first."""
        verify_chain(self._chains.get(pipeline, []))
        return self._chains.get(pipeline, [])[after:]

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
        """Append one decision as number `expected_seq`, or raise LedgerConflict."""
        chain = self._chains.setdefault(pipeline, [])
        if expected_seq != len(chain) + 1:
            raise LedgerConflict.because(
                f"ledger of {pipeline}", got=expected_seq, expected=len(chain) + 1, hint="read again and decide again."
            )
        decision = sealed(
            {
                "pipeline": pipeline,
                "seq": expected_seq,
                "at": datetime.now(UTC),
                "kind": kind,
                "actor": actor,
                "because": because,
                "version": version,
                "payload": plain_payload(payload),
                "previous_hash": chain[-1].hash if chain else GENESIS,
            }
        )
        chain.append(decision)
        return decision

    def pipelines(self) -> list[str]:
        """Name every pipeline that has decisions, sorted."""
        return sorted(pipeline for pipeline, chain in self._chains.items() if chain)

    def verify(self, pipeline: str) -> int:
        """Check a pipeline's whole chain; gives the number of its decisions."""
        return len(self.read(pipeline))
