"""Consul: servers are the instances of a service that Consul's checks hold to be fit.

Owns blocking queries (an answer comes when something has changed) and the rules of their index. Must never ask without
a pause: an index that makes no sense does not block.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from headworks.providers.base import Provider, ProviderError
from headworks.providers.client import Client, Token

ADDRESS = "http://127.0.0.1:8500"
_MOST_WEIGHT = 256


class Consul(Provider):
    """The instances of a service. ``interval`` is how long Consul holds a query back while nothing changes."""

    def __init__(  # noqa: PLR0913  (what Consul knows)
        self,
        service: str,
        *,
        address: str = ADDRESS,
        interval: float = 60.0,
        timeout: float = 10.0,
        token: str | None = None,
        ca: str | None = None,
        datacenter: str | None = None,
        tags: Sequence[str] = (),
        passing: bool = True,
        stale: bool = True,
    ) -> None:
        self.service = service
        self.address = address.rstrip("/")
        self.interval = interval
        self.timeout = timeout
        self.token = Token(token) if token is not None else None
        self.ca = ca
        # Keys without a value count as true.
        self._asked = {
            **({"passing": "true"} if passing else {}),
            **({"stale": ""} if stale else {}),
            **({"dc": datacenter} if datacenter is not None else {}),
            **({"tag": list(tags)} if tags else {}),
        }

    async def servers(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield all of them, whenever Consul answers."""
        index = 0
        path = f"/v1/health/service/{quote(self.service, safe='')}"
        async with Client(self.address, timeout=self.timeout, ca=self.ca) as client:
            while True:
                begun = time.monotonic()
                fields = {"X-Consul-Token": str(self.token)} if self.token is not None else None
                # Consul adds up to a sixteenth, so that many do not come together.
                longer = self.interval * 17 / 16
                asked = {**self._asked, "index": index, "wait": f"{self.interval * 1000:.0f}ms"}
                reply = await client.get(path, fields=fields, longer=longer, **asked)
                yield list(_found(reply.value))
                index = _next(index, reply.fields.get("X-Consul-Index"))
                await asyncio.sleep(max(0.0, begun + _LEAST - time.monotonic()))


_LEAST = 0.5
"""Seconds between two queries at least, however fast answers come."""


def _next(index: int, said: str | None) -> int:
    """Return the index to ask with next: one that goes back begins anew, and none is below 1."""
    if said is None or not (said.isascii() and said.isdigit()):
        raise ProviderError("the answer has no X-Consul-Index: that is no Consul")
    now = int(said)
    return 0 if now < index else max(1, now)


def _found(entries: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(entries, list):
        raise ProviderError("the answer is no list of instances")
    for one in entries:
        try:
            service = one["Service"]
            host = service.get("Address") or one["Node"]["Address"]
            weights = service.get("Weights") or {}
            warns = any(check.get("Status") == "warning" for check in one.get("Checks") or ())
            weight = int(weights.get("Warning" if warns else "Passing", 1))
            shown = f"[{host}]" if ":" in host else host
            yield {"address": f"{shown}:{service['Port']}", "weight": min(weight, _MOST_WEIGHT)}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ProviderError("the answer is no list of instances") from None
