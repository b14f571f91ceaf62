"""A share of requests is sent to a shadow as well: what it answers is thrown away, and no client waits for it."""

import asyncio

import headworks
from headworks.analyzers.views import RequestView

SHARE = 1.0
"""Percent of requests."""
NOT_SENT = {"connection", "expect", "keep-alive", "proxy-authorization", "te", "trailer", "upgrade"}
"""Fields that are about the client's connection, not about the request (RFC 9110, section 7.6.1)."""


@headworks.rule
def sampled(request: headworks.Request) -> headworks.Verdict | None:
    """Consult the analyzer about a share of the requests that change nothing: no Python runs for the others."""
    if request.method in {"GET", "HEAD"} and headworks.sample(SHARE, key=request.id):
        return headworks.consult("mirror")
    return None


class Mirror(headworks.Analyzer):
    """Sends copies of requests to a shadow, so many at once at most."""

    def __init__(self, shadow: str, at_once: int = 16, patience: float = 5.0) -> None:
        self.host, _, self.port = shadow.rpartition(":")
        self.at_once = at_once
        self.patience = patience
        self.answered = self.failed = self.left_out = 0
        self._under_way: set[asyncio.Task[None]] = set()

    async def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        """Begin to send a copy, and let the request go on at once."""
        request = exchange.request
        if request.content_length or request.chunked or request.upgrade:
            return None
        if len(self._under_way) >= self.at_once:
            self.left_out += 1
            return headworks.log(mirrored="no")
        # The head is copied now: a view is not to be looked at when the question is over.
        task = asyncio.create_task(self.send(copied(request)))
        # The loop itself keeps no task alive.
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return headworks.log(mirrored="yes")

    async def send(self, head: bytes) -> None:
        """Send a copy and count what became of it: a shadow that is down hurts nobody."""
        try:
            async with asyncio.timeout(self.patience):
                await self.ask(head)
            self.answered += 1
        except OSError:  # TimeoutError is one
            self.failed += 1

    async def ask(self, head: bytes) -> None:
        """Send a head to the shadow, and read to the end of what it says."""
        reader, writer = await asyncio.open_connection(self.host, int(self.port))
        try:
            writer.write(head)
            while await reader.read(1 << 16):
                pass
        finally:
            writer.close()

    async def stop(self) -> None:
        """End what is under way: at the end of the proxy, and when a reload puts another one in its place."""
        under_way = tuple(self._under_way)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


def copied(request: RequestView) -> bytes:
    """Return the head of a request as the shadow gets it."""
    query = f"?{request.query}" if request.query else ""
    fields = [(name, value) for name, value in request.headers.fields if name.lower() not in NOT_SENT]
    lines = [f"{request.method} {request.path}{query} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    # Bytes that are no ASCII come back as they were.
    return "\r\n".join([*lines, "X-Shadow: yes", "Connection: close", "", ""]).encode("utf-8", "surrogateescape")
