"""Analyzer: the class that people derive from to have a say in what a proxy does.

Owns the names of the hooks, and which of them a class defines. Must never do anything by itself.
"""

import inspect
from typing import TYPE_CHECKING, Any

from headworks.analyzers.declared import HOOKS

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from headworks.analyzers.connection import Connection
    from headworks.analyzers.exchange import Exchange
    from headworks.analyzers.views import HelloView
    from headworks.proxy import Proxy
    from headworks.records import AccessRecord
    from headworks.rules.verdicts import Verdict

    Answer = Verdict | None | Awaitable[Verdict | None]
    Done = Awaitable[None] | None


class Analyzer:
    """An object that is consulted about connections and exchanges.

    Define the methods that matter; only those are called. Each is a plain method or a coroutine, and answers with a
    verdict (``headworks.route``, ``respond``, ``reject``, ``rewrite`` ...) or None, which has nothing against it::

        class Tenants(headworks.Analyzer):
            def __init__(self, dsn: str) -> None:
                self.dsn = dsn

            async def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
                tenant = await self.look_up(exchange.request.host)
                return headworks.route(tenant) if tenant else headworks.respond(404)

    While one is asked the connection or exchange is held: ``deadline`` and ``on_failure`` of ``[analyzers.NAME]`` say
    for how long, and what becomes of it without an answer. One object answers for all connections, so it must not keep
    what belongs to one in itself: ``exchange.state`` and ``connection.state`` are for that.
    """

    def __deepcopy__(self, known: object) -> "Analyzer":
        """Return itself: a configuration that is copied means the same object."""
        return self

    def start(self, proxy: "Proxy") -> "Done":  # noqa: ARG002  (whoever defines it may want it)
        """Prepare, before the proxy serves: open pools, load tables. It may take 30 seconds.

        What it raises keeps the proxy from starting, and a reload from being taken: ConfigError says so.
        """
        return None

    def stop(self) -> "Done":
        """Clean up, after the last question. It may take 10 seconds; what it raises is logged."""
        return None

    def accepted(self, connection: "Connection") -> "Answer":
        """Answer about a client that has connected; nothing was read of it yet."""
        raise NotImplementedError

    def first_bytes(self, connection: "Connection", held: memoryview) -> "Answer":
        """Answer about the first bytes of a client whose bytes are passed on: ``wait(need=n)`` asks again with more."""
        raise NotImplementedError

    def hello(self, connection: "Connection", hello: "HelloView") -> "Answer":
        """Answer about the ClientHello of TLS that is passed through (``protocol = "tls"``)."""
        raise NotImplementedError

    def request(self, exchange: "Exchange") -> "Answer":
        """Answer about the head of a request; ``read_body(limit)`` asks again with the whole body."""
        raise NotImplementedError

    def request_body(self, exchange: "Exchange", chunk: memoryview) -> "Answer":
        """Answer about a part of a request's body: ``replace``, ``drop``, ``finish``, ``wait(need=n)``."""
        raise NotImplementedError

    def response(self, exchange: "Exchange") -> "Answer":
        """Answer about the head of a response."""
        raise NotImplementedError

    def response_body(self, exchange: "Exchange", chunk: memoryview) -> "Answer":
        """Answer about a part of a response's body: ``replace``, ``drop``, ``finish``, ``wait(need=n)``."""
        raise NotImplementedError

    def ended(self, record: "AccessRecord") -> Any:
        """Take note of a connection or exchange that is over. Nothing waits for it, and it answers nothing."""
        raise NotImplementedError


def defined(kind: type[Analyzer]) -> tuple[str, ...]:
    """Return the hooks that a class defines."""
    return tuple(hook for hook in HOOKS if getattr(kind, hook) is not getattr(Analyzer, hook))


def is_async(kind: type[Analyzer]) -> bool:
    """Whether a hook of the class is a coroutine: then all of them run in the event loop."""
    return any(inspect.iscoroutinefunction(getattr(kind, hook)) for hook in defined(kind) if hook != "ended")
