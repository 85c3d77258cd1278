"""What follows from the decisions of one pipeline: champion, evaluations, what people said of them, retrain requests.

Pure functions over decisions in order, oldest first. A reader that polls keeps the last answer and folds only what is
new: `champion(new) or current`.
"""

from collections.abc import Sequence
from datetime import datetime

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.records import Answer, Decision, DecisionKind, Instant, Record


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


def champion_before(decisions: Sequence[Decision], partition: str) -> Champion | None:
    """Return the champion of the time of a partition: the version promoted last of those as of a partition before it.

    That is the newest as-of before it, since only going back to an older version, which withdraws the newer ones, is a
    promotion of an older as-of.
    """
    return next((each for each in promotions(decisions) if each.as_of < partition), None)


def evaluation_of(decisions: Sequence[Decision], version: int, digest: str) -> Evaluation | None:
    """Give the newest evaluation of exactly this version and digest; None if it was never evaluated."""
    found = _newest_of(decisions, "evaluated", version, digest)
    return None if found is None else Evaluation.model_validate(found.payload)


def evaluated_at(decisions: Sequence[Decision], version: int, digest: str) -> datetime | None:
    """Give when exactly this version and digest was last evaluated; None if it never was."""
    found = _newest_of(decisions, "evaluated", version, digest)
    return None if found is None else found.at


def approval_of(decisions: Sequence[Decision], version: int, digest: str) -> Answer | None:
    """Give what a person said of exactly this version and digest, as far as it still counts.

    A rejection is final. An approval was given on an evaluation: it counts until another one says something else.
    """
    answer, seen = None, None
    for decision in decisions:
        if not _is_of(decision, version, digest):
            continue
        if decision.kind == "evaluated" and decision.payload != seen:
            answer, seen = (None if answer is None or answer.is_approved else answer), decision.payload
        elif decision.kind in ("approved", "rejected") and (answer is None or answer.is_approved):
            answer = answer_of(decision)
    return answer


def answer_of(decision: Decision) -> Answer:
    """Read what a person said from the decision that holds it."""
    said = {name: decision.payload.get(name) for name in ("digest", "by", "expires_at")}
    is_approved = decision.kind == "approved"
    fields = {"version": decision.version, "because": decision.because, "at": decision.at, "seq": decision.seq}
    return Answer.model_validate({**said, **fields, "is_approved": is_approved})


def evaluations(decisions: Sequence[Decision]) -> list[Evaluation]:
    """Give the newest evaluation of each version, newest version first."""
    newest = {each.version: each for each in decisions if each.kind == "evaluated" and each.version is not None}
    return [Evaluation.model_validate(newest[number].payload) for number in sorted(newest, reverse=True)]


def evaluations_before(decisions: Sequence[Decision], version: int) -> list[Evaluation]:
    """Give the newest evaluation of each version with a smaller number, newest version first."""
    return evaluations([each for each in decisions if each.version is not None and each.version < version])


def retrain_requests(decisions: Sequence[Decision]) -> list[Decision]:
    """Give every retrain request, newest first."""
    return [decision for decision in reversed(decisions) if decision.kind == "retrain_requested"]


def is_settled(decisions: Sequence[Decision], request: Decision) -> bool:
    """Check whether a retrain request came to a result: its candidate was refused, or became champion.

    A candidate that passed its gates and was neither promoted nor refused since has no result yet.
    """
    since = [
        each for each in decisions if each.seq > request.seq and each.payload.get("as_of") == request.payload["as_of"]
    ]
    judged = [each for each in since if each.kind == "evaluated"]
    is_stopped = bool(judged) and not _has_passed(judged[-1])
    return is_stopped or any(each.kind in ("promoted", "promotion_refused") for each in since)


def next_seq(decisions: Sequence[Decision]) -> int:
    """Give the number that the next decision must have, if nobody else decides first."""
    return decisions[-1].seq + 1 if decisions else 1


def _newest_of(decisions: Sequence[Decision], kind: DecisionKind, version: int, digest: str) -> Decision | None:
    found = (each for each in reversed(decisions) if each.kind == kind and _is_of(each, version, digest))
    return next(found, None)


def _has_passed(evaluated: Decision) -> bool:
    outcomes = {verdict["outcome"] for verdict in evaluated.payload.get("verdicts", ())}
    return outcomes == {"pass"}


def _is_of(decision: Decision, version: int, digest: str) -> bool:
    return decision.version == version and decision.payload.get("digest") == digest


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
