"""Bringing a version to where it is served: targets, approval and promotion, and the platform's own processes."""

from ml_platform.deployment.approving import approve, reject
from ml_platform.deployment.controller import promote
from ml_platform.deployment.local import LocalTarget

__all__ = ["LocalTarget", "approve", "promote", "reject"]
