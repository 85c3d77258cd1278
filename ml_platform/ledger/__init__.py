"""The append-only, hash-chained record of decisions, and what folds out of it: champion, evaluations, approvals."""

from ml_platform.ledger.folds import (
    Champion,
    approval_of,
    champion,
    champion_before,
    evaluated_at,
    evaluation_of,
    next_seq,
    promotions,
    retrain_requests,
)
from ml_platform.ledger.store import SqlLedger

__all__ = [
    "Champion",
    "SqlLedger",
    "approval_of",
    "champion",
    "champion_before",
    "evaluated_at",
    "evaluation_of",
    "next_seq",
    "promotions",
    "retrain_requests",
]
