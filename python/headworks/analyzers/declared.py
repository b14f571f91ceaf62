"""Declared: an analyzer as a configuration has it, ready to be made. A value: must never import the user's code."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headworks.analyzers.base import Analyzer

HOOKS = (
    "accepted",
    "first_bytes",
    "hello",
    "request",
    "request_body",
    "response",
    "response_body",
    "ended",
)
"""Every moment at which analyzers are asked or told, in the order in which they are met."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One analyzer of a configuration."""

    name: str
    make: "Callable[[], Analyzer]"
    """Makes the object. May raise whatever the user's code does."""
    version: str
    """Stays the same as long as source and arguments do."""
    hooks: tuple[str, ...]
    concurrency: int = 1
    """Threads, for one without coroutines."""
    waiting: int = 1024
    """Connections and exchanges that wait for it at most."""
    listeners: frozenset[str] = field(default_factory=frozenset)
    """Listeners that it was attached to."""
    backends: frozenset[str] = field(default_factory=frozenset)
    """Backends that it was attached to, or to an entry that leads there."""
