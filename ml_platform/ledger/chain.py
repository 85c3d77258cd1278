"""The hash chain of the ledger: each decision's hash covers all of its other fields and the hash before it.

Pure functions over decisions. A chain shows that what is there was not altered, left out in between or reordered; it
cannot show that its newest decisions were cut off.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from ml_platform.contracts.errors import ContractError, LedgerDamaged
from ml_platform.contracts.records import Decision, DecisionKind

GENESIS = "0" * 64


def canonical(value: object) -> str:
    """Write a value as JSON in the one form that is hashed and stored: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def plain_payload(payload: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give the payload as it comes back from storage, so that every ledger keeps the same value.

    Raises
    ------
    ContractError
        If JSON cannot hold it.
    """
    try:
        return json.loads(canonical(dict(payload or {})))
    except (TypeError, ValueError) as fault:
        raise ContractError.because(
            "payload of a decision",
            got=fault,
            expected="values that JSON can hold, no NaN",
            hint="give model_dump(mode='json') of a record, and None for a number that does not exist.",
        ) from fault


def decision_hash(fields: Mapping[str, Any]) -> str:
    """Hash one decision.

    Parameters
    ----------
    fields : Mapping
        The fields of a `Decision`; `hash` itself, if there, is left out.

    Returns
    -------
    str
        SHA-256 of the canonical JSON, in hex.
    """
    body = {name: value for name, value in fields.items() if name != "hash"} | {"at": fields["at"].isoformat()}
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def sealed(fields: Mapping[str, Any]) -> Decision:
    """Make a new decision out of its other fields, with its hash.

    Raises
    ------
    ContractError
        If this release of the platform does not write decisions of this kind.
    """
    if fields["kind"] not in get_args(DecisionKind):
        raise ContractError.because(
            "kind of a decision", got=repr(fields["kind"]), expected=f"one of {', '.join(get_args(DecisionKind))}",
            hint="add the kind to contracts.records.DecisionKind",
        )  # fmt: skip
    return Decision.model_validate({**fields, "hash": decision_hash(fields)})


def verify_chain(decisions: Iterable[Decision], *, after: int = 0, previous_hash: str = GENESIS) -> None:
    """Check that decisions follow one another without a gap and hash to what they say.

    Parameters
    ----------
    decisions : iterable of Decision
        Of one pipeline, oldest first.
    after : int
        Number of the decision before the first one.
    previous_hash : str
        Hash of that decision.

    Raises
    ------
    LedgerDamaged
        Names the first decision at fault.
    """
    for expected_seq, decision in enumerate(decisions, start=after + 1):
        if decision.seq != expected_seq:
            raise damaged(decision.pipeline, expected_seq, got=f"number {decision.seq}", expected="the next in order")
        if decision.previous_hash != previous_hash:
            raise damaged(decision.pipeline, decision.seq, got="another previous hash", expected=previous_hash)
        if decision_hash(decision.model_dump()) != decision.hash:
            raise damaged(decision.pipeline, decision.seq, got="altered fields", expected=f"hash {decision.hash}")
        previous_hash = decision.hash


def damaged(pipeline: str, seq: int, *, got: object, expected: object) -> LedgerDamaged:
    """Build the error for one decision of a broken chain."""
    return LedgerDamaged.because(
        f"ledger of {pipeline}, decision {seq}",
        got=got,
        expected=expected,
        hint="restore the ledger from a backup; nothing may be decided on an altered record.",
    )
