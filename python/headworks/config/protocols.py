"""Protocols: what each of them is like, as the engine's registry has it.

Owns the facts that keys, routes and commands go by, and lists of those that share one. Must never know a protocol by
its name: a new one is a file and a line in crates/core/src/protocol.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from headworks import _engine

ROUTES = ("table", "backend", "redirect", "respond")
KIND_ROUTES = ("first_bytes",)
"""Keys that say where clients go."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The facts of one protocol."""

    name: str
    names: bool
    """Whether its clients name what they want, without TLS that ends here."""
    requests: bool
    """Whether its clients make requests, each routed by itself."""
    tls: Literal["never", "may", "must"]
    """Whether TLS ends at its listeners."""
    passes_tls: bool
    """Whether what it passes on is its clients' own TLS."""
    kinds: bool
    """Whether its listeners tell several kinds of clients apart, each with a way of its own."""
    versions: tuple[str, ...]
    """Versions by their names in ALPN, the one that is offered by itself first."""

    @classmethod
    def of(cls, name: str, facts: dict[str, Any]) -> "Protocol":
        """Read what the engine says of it."""
        return cls(name=name, **{**facts, "versions": tuple(facts["versions"])})

    @property
    def sees_host(self) -> bool:
        """Whether the host of requests is seen, of all or of the first."""
        return self.requests or self.kinds or (self.names and not self.passes_tls)

    @property
    def sees_hello(self) -> bool:
        """Whether the ClientHello is seen of TLS that does not end here."""
        return self.passes_tls or self.kinds

    @property
    def listener(self) -> str:
        """A listener of its kind, in a sentence: ``an https listener``."""
        # Most are spelt aloud: aitch, tee, tee, pee.
        return f"{'an' if self.name[0] in 'aefhilmnorsx' else 'a'} {self.name} listener"

    def routes(self, *, ends_tls: bool) -> tuple[str, ...]:
        """Return what may say where clients go: exactly one does. A client that speaks TLS to us gives a name."""
        if self.kinds:
            return KIND_ROUTES
        has_table = self.names or ends_tls
        return tuple(
            route
            for route, is_possible in zip(ROUTES, (has_table, True, self.requests, self.requests), strict=True)
            if is_possible
        )


PROTOCOLS = {name: Protocol.of(name, facts) for name, facts in _engine.protocols().items()}
"""Every protocol by its name, in the order of the registry."""


def those(has: Callable[[Protocol], bool]) -> tuple[str, ...]:
    """Return the names of the protocols that have something."""
    return tuple(name for name, protocol in PROTOCOLS.items() if has(protocol))


KINDS = those(lambda one: one.kinds)
"""Protocols whose listeners tell kinds of clients apart."""
HTTP = those(lambda one: one.requests)
"""Protocols whose listeners see requests."""
BYTES = those(lambda one: not one.requests or one.tls != "never")
"""Protocols whose listeners may pass on bytes, and hold the first ones: requests alone have limits of their own."""
ENDS_TLS = those(lambda one: one.tls != "never")
"""Protocols at whose listeners TLS may end."""
HTTPS = those(lambda one: one.requests and one.tls == "must")
"""Protocols whose requests come over TLS."""
