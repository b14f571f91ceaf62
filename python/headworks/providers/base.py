"""Provider: the class that people derive from to say which servers a backend has.

Owns what is yielded and how long is waited. Must never do anything by itself.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

Servers = Iterable[str | Mapping[str, Any]]
"""A whole set: each an address, or a mapping with ``address`` and optionally ``weight``, ``backup`` and
``max_connections``."""


class Provider(ABC):
    """An object that knows servers from elsewhere, and yields all of them whenever they change.

    ``servers`` is an asynchronous generator; each ``yield`` is a whole set, in the place of the one before::

        class Inventory(headworks.Provider):
            def __init__(self, table: str) -> None:
                self.table = table

            async def servers(self) -> AsyncIterator[list[str]]:
                while True:
                    yield await self.look_up(self.table)
                    await asyncio.sleep(10)

    It runs in an event loop that all providers of a proxy share, in a thread of its own: it awaits and never blocks
    (``asyncio.to_thread`` is for what does). No connection waits for it. Whatever it raises is a notice,
    ``discovery_stale``; the servers stay, and it is called again after a pause that doubles up to ``longest_pause``.
    """

    interval: float = 10.0
    """Seconds after which ``servers`` is called again once it has ended by itself: a set may be all it yields."""
    longest_pause: float = 30.0
    """Seconds between two tries at most, while it fails."""

    @abstractmethod
    def servers(self) -> AsyncIterator[Servers]:
        """Yield a whole set of servers, and another one whenever there is reason to.

        A set is a list of addresses (``IP:PORT``, ``unix:PATH``), or of mappings with ``address`` and optionally
        ``weight`` (0 to 256), ``backup`` and ``max_connections``. Yielding the same set again says that it still holds,
        which matters where ``stale_after`` is set.
        """
        raise NotImplementedError

    def __deepcopy__(self, known: object) -> "Provider":
        """Return itself: a configuration that is copied means the same object."""
        return self


class ProviderError(Exception):
    """A source that gives no servers now. The message says why, to people."""
