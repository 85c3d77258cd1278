"""Has a person let this version serve? The state of an approval, from what was said and when, as a value.

Pure: the present moment comes in as an argument. Who may be asked, and what is written down, is the business of
`ml_platform.deployment.approving`.
"""

from dataclasses import dataclass
from datetime import datetime

from ml_platform.contracts.records import Answer
from ml_platform.contracts.spec.models import Approval


@dataclass(frozen=True)
class NotNeeded:
    """The pipeline asks nobody."""


@dataclass(frozen=True)
class Waiting:
    """Nobody has said anything yet; there is time until then."""

    until: datetime


@dataclass(frozen=True)
class Approved:
    """A person has said yes, which holds until then."""

    by: str
    until: datetime


@dataclass(frozen=True)
class Expired:
    """The time is over in which a person could say yes, or for which the yes held."""

    at: datetime


@dataclass(frozen=True)
class Rejected:
    """A person has said no."""

    by: str
    because: str


ApprovalState = NotNeeded | Waiting | Approved | Expired | Rejected


def approval_state(
    approval: Approval, *, evaluated_at: datetime | None, answer: Answer | None, now: datetime
) -> ApprovalState:
    """Give the state of one version's approval.

    Parameters
    ----------
    approval : Approval
        What the spec demands.
    evaluated_at : datetime or None
        When the version was last evaluated; the time limit counts from it.
    answer : Answer or None
        What a person said of it, as far as it still counts.
    now : datetime
        The present moment; a limit that is reached is over.
    """
    if answer is not None and not answer.is_approved:
        return Rejected(answer.by, answer.because)
    if approval.mode == "automatic":
        return NotNeeded()
    until = (evaluated_at or now) + approval.within
    if answer is not None and answer.expires_at is not None:
        return Approved(answer.by, answer.expires_at) if now < answer.expires_at else Expired(answer.expires_at)
    return Waiting(until) if now < until else Expired(until)
