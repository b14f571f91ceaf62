"""Http: servers that are listed behind a URL, in the form of Prometheus' ``http_sd``. Must never ask anybody else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from headworks.providers.base import Provider
from headworks.providers.client import UNCHANGED, Client, Token
from headworks.providers.sets import read


class Http(Provider):
    """The servers of a list behind a URL, asked for every ``interval`` seconds."""

    def __init__(
        self,
        url: str,
        *,
        interval: float = 30.0,
        timeout: float = 10.0,
        token: str | None = None,
        ca: str | None = None,
    ) -> None:
        self.url = url
        self.interval = interval
        self.timeout = timeout
        self.token = Token(token) if token is not None else None
        self.ca = ca

    async def servers(self) -> AsyncIterator[tuple[Any, ...]]:
        """Yield what the list says, each time that it is asked for."""
        found: tuple[Any, ...] = ()
        tag: str | None = None
        async with Client(self.url, timeout=self.timeout, ca=self.ca) as client:
            while True:
                reply = await client.get(fields=self._fields(tag))
                if reply.status != UNCHANGED or tag is None:
                    found, tag = read(reply.value), reply.fields.get("ETag")
                yield found
                await asyncio.sleep(self.interval)

    def _fields(self, tag: str | None) -> dict[str, str]:
        fields = {"X-Prometheus-Refresh-Interval-Seconds": f"{self.interval:g}"}
        if tag is not None:
            fields["If-None-Match"] = tag
        if self.token is not None:
            fields["Authorization"] = f"Bearer {self.token}"
        return fields
