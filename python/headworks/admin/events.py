"""Events: what happens, as it happens, for any number of readers at once (server-sent events).

Owns one snapshot a second, made while anybody reads and shared by all. Must never wait for a reader: one that does not
keep up is let go, and comes back with the number of the last event that it has seen.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from headworks.admin import answers
from headworks.admin.refusal import Refusal
from headworks.stats import Stats

if TYPE_CHECKING:
    from headworks.admin.admin import Admin

MOST = 16
"""Readers at once."""
_WAITING = 64
"""Events that wait for one reader at most."""
INTERVAL = 1.0
"""Seconds between snapshots."""
PATIENCE = 10.0
"""Seconds that one event may take to be sent."""

_STATS = TypeAdapter(Stats)
_NOTICE = TypeAdapter(answers.NoticeRow)


class Events:
    """The events of one proxy. Belongs to one event loop, that of the first reader."""

    def __init__(self, admin: "Admin", interval: float = INTERVAL) -> None:
        self._admin = admin
        self._interval = interval
        self._readers: set[asyncio.Queue[bytes | None]] = set()
        self._making: asyncio.Task[None] | None = None
        self._seen = 0
        self._is_ended = False

    def open(self, after: int | None) -> AsyncIterator[bytes]:
        """Return what a reader is sent, notices with a number above ``after`` first. Raises Refusal."""
        if self._is_ended:
            raise Refusal(503, "ending", "the proxy is about to end")
        if len(self._readers) >= MOST:
            raise Refusal(503, "too_many_readers", f"{MOST} read already", headers={"Retry-After": "5"})
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)
        rows = self._admin.notices(after) if after is not None else ()
        for row in rows[-_WAITING // 2 :]:
            queue.put_nowait(_notice(row))
        self._readers.add(queue)
        if self._making is None or self._making.done():
            self._seen = max((row.number for row in self._admin.notices()), default=0)
            self._making = asyncio.create_task(self._make())
        return self._read(queue)

    def end(self) -> None:
        """Send what has happened so far, then let every reader go; no other one comes."""
        self._is_ended = True
        if self._readers:
            self._put_notices()
        for queue in tuple(self._readers):
            if queue.full():
                self._let_go(queue)
            else:
                queue.put_nowait(None)
        self._readers.clear()
        if self._making is not None:
            self._making.cancel()

    async def _read(self, queue: "asyncio.Queue[bytes | None]") -> AsyncIterator[bytes]:
        try:
            # Readers know at once that they are connected, and how long to wait before they come back.
            yield b"retry: 2000\n\n"
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._readers.discard(queue)

    async def _make(self) -> None:
        """Make events while anybody reads."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop may have been closed
                loop.call_soon_threadsafe(woken.set)

        forget = self._admin.proxy.remember(tell)
        try:
            due = loop.time()
            while self._readers:
                if loop.time() >= due:
                    due = loop.time() + self._interval
                    stats = await asyncio.to_thread(self._admin.stats)
                    self._put(b"event: stats\ndata: " + await asyncio.to_thread(_STATS.dump_json, stats) + b"\n\n")
                woken.clear()
                self._put_notices()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), max(0.0, due - loop.time()))
        except RuntimeError:
            # The proxy is stopped.
            for queue in tuple(self._readers):
                self._let_go(queue)
        finally:
            forget()

    def _put_notices(self) -> None:
        """Send the notices that there are since the last time."""
        for row in self._admin.notices(self._seen):
            self._seen = row.number
            self._put(_notice(row))

    def _put(self, event: bytes) -> None:
        for queue in tuple(self._readers):
            if queue.full():
                self._let_go(queue)
            else:
                queue.put_nowait(event)

    def _let_go(self, queue: "asyncio.Queue[bytes | None]") -> None:
        self._readers.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)


def _notice(row: answers.NoticeRow) -> bytes:
    return b"id: %d\nevent: notice\ndata: %s\n\n" % (row.number, _NOTICE.dump_json(row))


def after(written: str | None) -> int | None:
    """Read Last-Event-ID; None where there is none that is ours."""
    text = written or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None  # noqa: PLR2004


def decode(lines: list[str]) -> tuple[str, Any]:
    """Return the kind and the value of one event, given its lines."""
    fields = dict(line.split(": ", 1) for line in lines if ": " in line)
    return fields.get("event", ""), json.loads(fields.get("data", "null"))
