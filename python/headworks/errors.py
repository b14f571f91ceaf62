"""Errors of running, as against those of the configuration (``headworks.ConfigError``)."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BindFailure:
    """One address that could not be bound."""

    listener: str
    """Name of the listener; empty for an address of ``[admin]``."""
    address: str
    """The address as it is written in ``bind``."""
    reason: str
    """Words of the system, such as ``Address already in use``."""

    def __str__(self) -> str:
        """Return one line."""
        place = f"listeners.{self.listener}" if self.listener else "admin"
        return f"{place}: cannot bind {self.address}: {self.reason}"


class BindError(OSError):
    """Addresses that cannot be bound, all of them in ``failures``. Nothing was started or changed."""

    def __init__(self, failures: tuple[BindFailure, ...]) -> None:
        super().__init__("\n".join(map(str, failures)))
        self.failures = failures

    @classmethod
    def decode(cls, text: str) -> "BindError":
        """Read what the native module raises."""
        return cls(
            tuple(
                BindFailure(listener=one["listener"], address=one["address"], reason=one["reason"])
                for one in json.loads(text)
            )
        )
