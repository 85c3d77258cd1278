"""Bringing a version to where it is served: targets, the promotion of a version, and the platform's own processes."""

from ml_platform.deployment.controller import promote
from ml_platform.deployment.local import LocalTarget

__all__ = ["LocalTarget", "promote"]
