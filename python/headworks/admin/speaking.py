"""Speaking: one connection of an operator: who it is, how long it may take, how many there may be.

Owns what uvicorn leaves open: heads that never end, answers that nobody takes, more connections than anybody needs.
Must never look at what is said.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from headworks.admin import who

MOST = 64
"""Connections of one address at once."""
HEAD = 10.0
"""Seconds until a head must be complete, from the first connect or the last answer on."""
CLOSING = 10.0
"""Seconds that an answer may take to be read once it is complete."""
LARGEST_HEAD = 32 << 10
"""Bytes of a head at most."""

_QUIET = logging.getLogger("headworks.admin.speaking")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False
"""Anybody can send nonsense: that is nothing for the log."""


class Speaking(H11Protocol):
    """One connection."""

    group: int | None = None
    """Members of this group may read by unix sockets."""
    most = MOST

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.logger = _QUIET
        self.access_log = False
        self._slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it at once where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None and connection.family == socket.AF_UNIX:
            self.app = _told(self.app, who.at(connection, self.group))
        self._await_head()

    def data_received(self, data: bytes) -> None:  # noqa: D102  (words-ok: asyncio's own argument)
        super().data_received(data)
        self._await_head()

    def on_response_complete(self) -> None:
        """Go on with the next request, or let go of whoever takes no answer."""
        super().on_response_complete()
        if self.transport.is_closing():
            self.loop.call_later(CLOSING, self.transport.abort)
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        """Wait for a head while none is complete, no longer than HEAD."""
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._slow is None:
            self._slow = self.loop.call_later(HEAD, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _too_slow(self) -> None:
        self._slow = None
        self.transport.close()
        self.loop.call_later(CLOSING, self.transport.abort)


def _told(app: Any, one: who.Who) -> Callable[..., Any]:
    """Return an app that is told who is at the other end."""

    async def told(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await app({**scope, "headworks.who": one}, receive, send)

    return told
