"""Which version may serve, decided from values alone: no I/O, no clock, no frames."""

from ml_platform.rollout.approval import ApprovalState, Approved, Expired, NotNeeded, Rejected, Waiting, approval_state
from ml_platform.rollout.promotion import AlreadyChampion, Promote, Refuse, Wait, decide_promotion

__all__ = [
    "AlreadyChampion",
    "ApprovalState",
    "Approved",
    "Expired",
    "NotNeeded",
    "Promote",
    "Refuse",
    "Rejected",
    "Wait",
    "Waiting",
    "approval_state",
    "decide_promotion",
]
