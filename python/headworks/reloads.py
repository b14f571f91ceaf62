"""Reloads: how often a proxy got another configuration, and how the last attempt ended. Plain frozen values."""

import time
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Reloads:
    """Attempts to change the configuration since the start."""

    good: int = 0
    """Reloads that took effect."""
    failed: int = 0
    """Reloads that changed nothing, since something was wrong."""
    last_good: float | None = None
    """Time when the last one took effect, seconds since 1970."""
    last_failed: float | None = None
    """Time when the last one failed, seconds since 1970."""
    reason: str | None = None
    """The reason that the last attempt failed; None when it took effect."""

    def succeeded(self) -> "Reloads":
        """Count one that took effect."""
        return replace(self, good=self.good + 1, last_good=time.time(), reason=None)

    def refused(self, error: Exception) -> "Reloads":
        """Count one that changed nothing."""
        return replace(self, failed=self.failed + 1, last_failed=time.time(), reason=str(error))
