"""API keys counted in Valkey or Redis, so that several proxies count together: a small client of their protocol."""

import asyncio
import time

import headworks


class ApiKeys(headworks.Analyzer):
    """Lets each key make so many requests in a minute."""

    def __init__(self, valkey: str, per_minute: int) -> None:
        self.host, _, self.port = valkey.rpartition(":")
        self.per_minute = per_minute
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        """Count the request, and refuse what is too much."""
        key = exchange.request.headers.get("x-api-key")
        if key is None:
            return None
        counted = await self.count(f"headworks:{key}:{int(time.time()) // 60}")
        if counted > self.per_minute:
            return headworks.respond(429, "too many\n", {"Retry-After": "60"})
        return headworks.log(api_key_used=counted)

    async def count(self, name: str) -> int:
        """Return how often this minute was counted, this time included."""
        async with self._turn:
            try:
                counted = await self.command("INCR", name)
                if counted == 1:
                    await self.command("EXPIRE", name, "120")
            except (OSError, asyncio.IncompleteReadError):
                # The next request connects again; this one has no answer: on_failure decides.
                await self.stop()
                raise
            return counted

    async def command(self, *words: str) -> int:
        """Send a command of RESP, and read the number that it is answered with."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, int(self.port))
        reader, writer = self._streams
        parts = [word.encode() for word in words]
        said = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        writer.write(b"*%d\r\n%s" % (len(parts), said))
        line = await reader.readuntil(b"\r\n")
        if not line.startswith(b":"):
            raise ValueError(f"{words[0]} was answered with {line!r}")
        return int(line[1:])

    async def stop(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
