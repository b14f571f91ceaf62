"""Declared: a provider as a configuration has it, ready to be made. A value: must never import the user's code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headworks.config.problems import Path
    from headworks.providers.base import Provider


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One provider of one backend."""

    backend: str
    source: str
    """The reference as it is written, ``docker:app``: the name by which it gives servers."""
    number: int
    """The place among the servers of its backend."""
    path: "Path"
    """The place in the configuration that its problems are told at."""
    make: "Callable[[], Provider]"
    """Makes the object. May raise whatever the user's code does."""
    version: str
    """Stays the same as long as the source of its class and its settings do."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Settings of a server that a set does not say: ``weight``, ``backup``, ``max_connections``."""
    min_servers: int = 1
    """A smaller set is not believed."""
    stale_after: float | None = None
    """Seconds without a good set after which its servers are taken away; None: never."""
