"""Which version may serve, decided from values alone: no I/O, no clock, no frames."""

from ml_platform.rollout.promotion import AlreadyChampion, Promote, Refuse, decide_promotion

__all__ = ["AlreadyChampion", "Promote", "Refuse", "decide_promotion"]
