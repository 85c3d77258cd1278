"""What follows from the decisions of one pipeline: its champion, its evaluations, its retrain requests.

Pure functions over decisions in order, oldest first. A reader that polls keeps the last answer and folds only what is
new: `champion(new) or current`.
"""

from collections.abc import Sequence

from ml_platform.contracts.records import Decision, Evaluation, Instant, Record


class Champion(Record):
    """The version that serves by default, and the decision that made it so."""

    version: int
    digest: str
    as_of: str
    promoted_at: Instant
    seq: int


def promotions(decisions: Sequence[Decision]) -> list[Champion]:
    """Give every champion there was, newest first."""
    return [_promoted(decision) for decision in reversed(decisions) if decision.kind == "promoted"]


def champion(decisions: Sequence[Decision]) -> Champion | None:
    """Give the present champion; None before the first promotion."""
    newest = next((decision for decision in reversed(decisions) if decision.kind == "promoted"), None)
    return _promoted(newest) if newest else None


def evaluation_of(decisions: Sequence[Decision], version: int, digest: str) -> Evaluation | None:
    """Give the newest evaluation of exactly this version and digest; None if it was never evaluated."""
    for decision in reversed(decisions):
        is_of_it = decision.version == version and decision.payload.get("digest") == digest
        if decision.kind == "evaluated" and is_of_it:
            return Evaluation.model_validate(decision.payload)
    return None


def retrain_requests(decisions: Sequence[Decision]) -> list[Decision]:
    """Give every retrain request, newest first."""
    return [decision for decision in reversed(decisions) if decision.kind == "retrain_requested"]


def next_seq(decisions: Sequence[Decision]) -> int:
    """Give the number that the next decision must have, if nobody else decides first."""
    return decisions[-1].seq + 1 if decisions else 1


def _promoted(decision: Decision) -> Champion:
    return Champion.model_validate(
        {
            "version": decision.version,
            "digest": decision.payload.get("digest"),
            "as_of": decision.payload.get("as_of"),
            "promoted_at": decision.at,
            "seq": decision.seq,
        }
    )
