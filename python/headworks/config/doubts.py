"""Doubts: what a configuration may say, and hardly anybody means.

Addresses that lie within another listener's, servers that are the proxy itself, tables, backends and analyzers that
nothing uses, values of clients where they could end what they are put into.
Must never refuse anything: where it is surely wrong, the models and the Plan say so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import product
from pathlib import Path as FilePath

from headworks.config.analyzers import places
from headworks.config.models.first_bytes import kind_backends
from headworks.config.models.references import KINDS, NAMED, reference
from headworks.config.models.whole import Whole
from headworks.config.problems import Path, Problem
from headworks.config.providers import references
from headworks.config.redirects import doubtful_ports
from headworks.config.routes import backends_of, table_backends, tables_of
from headworks.config.rules import consulted, led_to
from headworks.config.templates import doubtful_values


@dataclass(frozen=True)
class _Bound:
    """One address of a listener."""

    listener: str
    number: int
    written: str
    ip: IPv4Address | IPv6Address | None
    port: int
    both: bool
    """Whether an IPv6 address takes IPv4 clients, too."""

    @property
    def path(self) -> Path:
        return ("listeners", self.listener, "bind", self.number)

    def covers(self, ip: IPv4Address | IPv6Address) -> bool:
        """Whether clients of ``ip`` come here by an address that is not it."""
        if self.ip is None or not self.ip.is_unspecified or self.ip == ip:
            return False
        return self.ip.version == ip.version or (self.both and self.ip.version == 6)  # noqa: PLR2004


def doubts(config: Whole) -> list[Problem]:
    """Return a warning for everything that is doubtful."""
    bound = list(_bound(config))
    at = _at_places(bound)
    return [
        *_within(at),
        *_round(config, at),
        *_unused(config),
        *_given_up(config),
        *_never_asked(config),
        *_never_followed(config),
        *doubtful_ports(config),
        *doubtful_values(config),
    ]


def _given_up(config: Whole) -> Iterator[Problem]:
    """Yield what sockets to servers need and the user that the process becomes does not have."""
    if config.proxy.user in (None, "root"):
        return
    for name, backend in config.backends.items():
        marked = backend.connect.mark is not None
        for key, is_set in (("source", backend.source == "client"), ("connect", marked)):
            if is_set:
                reason = f"{key} needs CAP_NET_ADMIN, which is given up with proxy.user: have the user started with it"
                yield Problem(path=("backends", name, key), reason=reason, is_warning=True)


def _bound(config: Whole) -> Iterator[_Bound]:
    for name, listener in config.listeners.items():
        for number, written in enumerate(listener.bind):
            ip, port = _parsed(written)
            yield _Bound(name, number, written, ip, port, both=not listener.ipv6_only)


def _parsed(address: str) -> tuple[IPv4Address | IPv6Address | None, int]:
    """Return IP and port of an address that was checked.

    None and 0 of a unix socket or descriptor; None of a server that is a name, which may lead anywhere.
    """
    host, _, port = address.rpartition(":")
    if address.startswith(("unix:", "fd:")) or not port.isdigit():
        return None, 0
    if host == "localhost":
        return IPv4Address("127.0.0.1"), int(port)
    try:
        return ip_address(host.strip("[]") or "::"), int(port)
    except ValueError:
        return None, int(port)


def _at_places(bound: list[_Bound]) -> dict[str, list[_Bound]]:
    """Sort addresses by port, or by the path of a socket: there may be thousands."""
    places: dict[str, list[_Bound]] = {}
    for one in bound:
        if one.port or one.written.startswith("unix:"):
            places.setdefault(str(one.port) if one.port else one.written, []).append(one)
    return places


def _within(places: dict[str, list[_Bound]]) -> Iterator[Problem]:
    """Find addresses within an address of another listener."""
    for bound in places.values():
        every = [one for one in bound if one.ip is not None and one.ip.is_unspecified]
        for one, other in product(bound, every):
            if one.ip is None or one.listener == other.listener:
                continue
            if other.covers(one.ip) and not (one.ip.is_unspecified and one.covers(other.ip or one.ip)):
                reason = (
                    f"{one.written} is part of {other.written} of listeners.{other.listener}: "
                    "its clients come here and not there"
                )
                yield Problem(path=one.path, reason=reason, is_warning=True)


def _round(config: Whole, places: dict[str, list[_Bound]]) -> Iterator[Problem]:
    """Find servers that are a listener of ours which leads back to them."""
    leads = {name: backends_of(config, one) for name, one in config.listeners.items()}
    for name, one in config.listeners.items():
        if one.tls is not None:
            leads[name] = leads[name] | table_backends(config, one.tls.passthrough)
    # Which listeners the servers of a backend are.
    found: dict[str, list[tuple[int, str]]] = {
        name: [
            (number, one.listener)
            for number, server in enumerate(backend.servers)
            for one in places.get(_place(server.address), ())
            if _is_reached(server.address, one)
        ]
        for name, backend in config.backends.items()
    }
    for name, servers in found.items():
        for number, listener in servers:
            if name in _reachable(listener, leads, found):
                address = config.backends[name].servers[number].address
                reason = f"{address} is listeners.{listener} itself, which leads back here: clients would go round"
                yield Problem(path=("backends", name, "servers", number), reason=reason, is_warning=True)


def _place(server: str) -> str:
    return server if server.startswith("unix:") else server.rpartition(":")[2]


def _is_reached(server: str, bound: _Bound) -> bool:
    """Whether a server is one of our addresses. Of the machine's own addresses only loopback is surely ours."""
    ip, port = _parsed(server)
    if ip is None or bound.ip is None:
        return server == bound.written and server.startswith("unix:")
    if not port or port != bound.port:
        return False
    return ip == bound.ip or (ip.is_loopback and bound.covers(ip))


def _reachable(listener: str, leads: dict[str, set[str]], found: dict[str, list[tuple[int, str]]]) -> set[str]:
    """Return the backends that clients of a listener can come to, by way of other listeners, too."""
    seen: set[str] = set()
    waiting = list(leads[listener])
    while waiting:
        backend = waiting.pop()
        if backend not in seen:
            seen.add(backend)
            waiting += [other for _, below in found.get(backend, ()) for other in leads[below]]
    return seen


def _unused(config: Whole) -> Iterator[Problem]:
    """Find tables that no listener has, and backends that nothing names."""
    listeners = config.listeners.values()
    tables = {table for one in listeners for table in tables_of(one)}
    for name in config.tables:
        if name not in tables:
            yield Problem(path=("tables", name), reason="no listener has this table", is_warning=True)
    named = {backend for one in listeners for backend in (one.backend, one.fallback)}
    named |= {backend for one in listeners for backend in kind_backends(one.first_bytes)}
    named |= {backend for table in config.tables for backend in table_backends(config, table)}
    named |= led_to(config)
    for name in config.backends:
        if name not in named:
            yield Problem(path=("backends", name), reason="no listener, table or rule leads here", is_warning=True)


def _never_followed(config: Whole) -> Iterator[Problem]:
    """Find files that are not there, and providers that no backend has."""
    for backend, number, _, one in references(config):
        if one.kind == "file" and not FilePath(one.target).exists():
            reason = f"{one.target} is not there now: there are no servers of it until it is"
            yield Problem(path=("backends", backend, "servers", number), reason=reason, is_warning=True)
    found = {one.target if one.kind == NAMED else one.kind for _, _, _, one in references(config)}
    sources = map(reference, (table.source for table in config.providers.values()))
    followed = found | {source.kind for source in sources if source is not None}
    for name in config.providers:
        if name not in (followed if name in KINDS else found):
            written = f"{name}: is" if name in KINDS else f'"{NAMED}:{name}" is'
            yield Problem(path=("providers", name), reason=f"{written} among no servers", is_warning=True)


def _never_asked(config: Whole) -> Iterator[Problem]:
    """Find analyzers that are attached nowhere and that no rule consults."""
    if not config.analyzers:
        return
    asked = {name for _, name in places(config)} | consulted(config)
    for name in config.analyzers:
        if name not in asked:
            reason = "it is attached nowhere, and no rule consults it: it is asked only where another analyzer says so"
            yield Problem(path=("analyzers", name), reason=reason, is_warning=True)
