"""Statistics of a running proxy: counters and live connections. Plain frozen values.

Counters count since the start; a reload keeps those of everything that keeps its name (a server: its address).
Their names and meanings are those of the engine's table (``_engine.counters()``).
Must never fail for a key that a newer engine adds.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, Self, TypeVar, cast

from headworks.notice import Notice

__all__ = [
    "METRICS_TYPES",
    "AnalyzerStats",
    "BackendStats",
    "Buckets",
    "Connection",
    "Connections",
    "Counters",
    "ListenerStats",
    "NameStats",
    "Notice",
    "ResolverStats",
    "ServerStats",
    "SourceStats",
    "Stats",
]

T = TypeVar("T")
_NONE: Mapping[str, Any] = {}

_SHOWN = ("active", "connections", "requests", "failed", "denied", "bytes_in", "bytes_out")
"""Counters of the tables for notebooks."""

METRICS_TYPES = {
    "prometheus": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
"""Media types of what ``Proxy.metrics`` returns, by its formats."""

_BUCKETS = ("latency_buckets", "handshake_buckets", "connect_buckets", "queue_buckets")
"""Fields that are Buckets."""

Buckets = tuple[tuple[float, int], ...]
"""Upper bounds in milliseconds, each with how many took less; the last bound is infinite and counts all."""


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Counters that every listener, backend and server has."""

    connections: int
    """Connections accepted (listener) or made (backend, server)."""
    active: int
    """Of these, open now."""
    bytes_in: int
    """Bytes from clients."""
    bytes_out: int
    """Bytes to clients."""
    failed: int
    """Connections or requests that ended by a fault."""
    denied: int
    """Clients or requests turned away by access lists or limits."""
    requests: int
    """Requests; 0 where no HTTP is spoken, as are those below."""
    responses_1xx: int
    """Responses 100 to 199 that ended a request, such as 101."""
    responses_2xx: int
    """Responses 200 to 299."""
    responses_3xx: int
    """Responses 300 to 399."""
    responses_4xx: int
    """Responses 400 to 499; of a listener also the proxy's own."""
    responses_5xx: int
    """Responses 500 to 599; of a listener also the proxy's own."""
    latency_p50_ms: float
    """Milliseconds from a request's head to the last byte of its response that half of all requests took at most.

    Within a fifth of the true value; 0 when there was no request yet. Counted since the start, as all here.
    """
    latency_p90_ms: float
    """The same for nine requests in ten."""
    latency_p99_ms: float
    """The same for 99 requests in a hundred."""
    latency_buckets: Buckets = ()
    """Requests by how long they took: how many took less than each bound."""
    latency_sum_ms: int = 0
    """Milliseconds that all of them took together."""


@dataclass(frozen=True, kw_only=True)
class ListenerStats(Counters):
    """One listener."""

    addresses: tuple[str, ...]
    """Addresses where it is bound."""
    ends: Mapping[str, int] = field(default_factory=dict)
    """Ends of connections (HTTP: of exchanges) by reason, one for each access record: its ``end``."""
    rate_limit_forgotten: int = 0
    """Times that ``rate_limit`` forgot a client early, since there were more than it remembers; 0 without one."""
    handshakes: int = 0
    """TLS handshakes completed; 0 where TLS does not end, as are those below."""
    handshakes_resumed: int = 0
    """Of these, those that resumed a session."""
    handshakes_failed: Mapping[str, int] = field(default_factory=dict)
    """TLS handshakes that failed, by reason."""
    handshake_p50_ms: float = 0.0
    """Milliseconds from accept to the end of the handshake that half of all handshakes took at most."""
    handshake_p99_ms: float = 0.0
    """The same for 99 handshakes in a hundred."""
    handshake_buckets: Buckets = ()
    """Handshakes by how long they took: how many took less than each bound."""
    handshake_sum_ms: int = 0
    """Milliseconds that all of them took together."""
    certificate_expires: float | None = None
    """The end of the first of its certificates to end, seconds since 1970; None without certificates."""


@dataclass(frozen=True, kw_only=True)
class ServerStats(Counters):
    """One server of a backend."""

    up: bool
    """Whether active checks hold it to be up."""
    admin: Literal["ready", "drain", "maintenance"]
    """``ready``, ``drain`` or ``maintenance``: see ``Proxy.set_server``."""
    ejected: bool
    """Whether failed connects or bad responses have put it out for a while."""
    weight: int
    """The weight that is in force, slow start left aside."""
    backup: bool
    """Whether it is a backup."""
    connect_failures: int
    """Connects that failed."""


@dataclass(frozen=True, kw_only=True)
class NameStats:
    """One name that servers are found by."""

    addresses: int
    """Addresses that it leads to."""
    age: float | None
    """Seconds since its last good answer; None when there was none."""
    failure: str | None
    """The reason why there is no better answer now: ``no_such_name``, ``servfail``, ``timeout`` ..."""


@dataclass(frozen=True, kw_only=True)
class SourceStats:
    """One provider of servers."""

    servers: int
    """Servers that it gives now."""
    age: float | None
    """Seconds since its last good set; None when there was none."""
    failure: str | None
    """The reason why there is no better set now, to people."""
    failures: int
    """Tries that failed, and sets that could not be used."""


@dataclass(frozen=True, kw_only=True)
class ResolverStats:
    """Counters of the resolver of names."""

    asks: int = 0
    """Names asked for."""
    answers: int = 0
    """Asks that got addresses."""
    cached: int = 0
    """Asks for which no nameserver had to be waited for."""
    stale: int = 0
    """Asks that got addresses of an answer that has ended, since no nameserver answered."""
    datagrams: int = 0
    """Datagrams sent to nameservers."""
    connections: int = 0
    """Connections to nameservers."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Asks that got no addresses, by reason."""
    waiting: int = 0
    """Asks that wait for their answer."""


@dataclass(frozen=True, kw_only=True)
class BackendStats(Counters):
    """One backend."""

    retries: int
    """Connects tried again on another server."""
    ends: Mapping[str, int] = field(default_factory=dict)
    """Ends of connections (HTTP: of exchanges) that were routed to it, by reason."""
    connect_buckets: Buckets = ()
    """Connects that succeeded by how long they took: how many took less than each bound."""
    connect_sum_ms: int = 0
    """Milliseconds that all of them took together."""
    queue_length: int = 0
    """Requests that stand in line for a place at a server, now."""
    queue_buckets: Buckets = ()
    """Requests that got their place after waiting in line, by how long they waited."""
    queue_sum_ms: int = 0
    """Milliseconds that all of them waited together."""
    servers: Mapping[str, ServerStats]
    """By address."""
    names: Mapping[str, NameStats] = field(default_factory=dict)
    """Names that servers are found by, as they are written."""
    sources: Mapping[str, SourceStats] = field(default_factory=dict)
    """Providers that find servers, by the references that are written."""


@dataclass(frozen=True, kw_only=True)
class AnalyzerStats:
    """Counters of one analyzer."""

    asked: int
    """Questions, with those that found no place."""
    answered: int
    """Answers that came in time."""
    failed: int
    """Exceptions, and answers that could not be given there."""
    timed_out: int
    """Answers that did not come within the deadline."""
    overflown: int
    """Questions that found no place: as many waited as may."""
    cancelled: int
    """Questions whose client left."""
    parked: int
    """Connections and exchanges that wait now."""
    busy_ms: int
    """Milliseconds that Python worked on answers: the share of the interpreter's time."""
    latency_p50_ms: float
    """Milliseconds from question to answer that half of all answers took at most."""
    latency_p99_ms: float
    """The same for 99 in a hundred."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Stats:
    """Everything counted, at one moment."""

    workers: int
    """Worker threads."""
    connections: int
    """Connections open now."""
    records_dropped: int
    """Access records that could not be written."""
    listeners: Mapping[str, ListenerStats]
    """By name."""
    backends: Mapping[str, BackendStats]
    """By name."""
    analyzers: Mapping[str, AnalyzerStats] = field(default_factory=dict)
    """By name."""
    resolver: ResolverStats = field(default_factory=ResolverStats)
    """The resolver of names."""

    @classmethod
    def decode(cls, text: str, sources: Mapping[str, Mapping[str, Mapping[str, Any]]] = _NONE) -> Self:
        """Read the engine's snapshot; ``sources`` is what is known of providers, by backend and reference."""
        raw = json.loads(text)
        listeners = {
            name: _make(ListenerStats, {**one, "addresses": tuple(one["addresses"])})
            for name, one in raw["listeners"].items()
        }
        analyzers = {name: _make(AnalyzerStats, one) for name, one in raw.get("analyzers", {}).items()}
        resolver = _make(ResolverStats, raw.get("resolver", {}))
        made = {"listeners": listeners, "backends": _backends(raw["backends"], sources), "analyzers": analyzers}
        return _make(cls, {**raw, **made, "resolver": resolver})

    def __repr__(self) -> str:
        """Return one line: the counters themselves are many."""
        counted = [f"{name}: {one.active} of {one.connections}" for name, one in self.listeners.items()]
        return f"<Stats connections={self.connections} workers={self.workers}, {', '.join(counted)}>"

    def _repr_html_(self) -> str:
        """Return a table of listeners and one of servers, for notebooks."""
        from headworks.notebook import table

        listeners = [(name, *(getattr(one, key) for key in _SHOWN)) for name, one in self.listeners.items()]
        servers = [
            (name, address, one.admin if one.up else "down", *(getattr(one, key) for key in _SHOWN))
            for name, backend in self.backends.items()
            for address, one in backend.servers.items()
        ]
        return table("Listeners", ("listener", *_SHOWN), listeners) + table(
            "Servers", ("backend", "server", "state", *_SHOWN), servers
        )


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One live connection."""

    id: int
    """Number that no other connection of the process has; that of its access records."""
    listener: str
    """Name of the listener that it came by."""
    client: str
    """The client's address, or ``unix``."""
    sni: str | None
    """The name that the client asked for."""
    host: str | None
    """Host that the request under way asks for, as sent."""
    method: str | None
    """Method of that request."""
    path: str | None
    """Path of that request, with the query."""
    backend: str | None
    """Name of the backend that it was sent to; None before that."""
    server: str | None
    """Address of the server; None before one was chosen."""
    state: str
    """``handshake`` (TLS), ``inspecting``, ``connecting``, ``relaying``, ``half_closed`` or ``refused``; of an HTTP
    client ``header``, ``head``, ``kept``, ``queued``, ``connecting``, ``asking``, ``awaiting``, ``answering``,
    ``tunnel`` or ``lingering``."""
    waits_for: str
    """The one who is waited for: ``client``, ``server``, ``either``, ``analyzer``; or ``place``, one at a server."""
    requests: int
    """Requests that were made on it; 0 where no HTTP is spoken."""
    bytes_in: int
    """Bytes from the client."""
    bytes_out: int
    """Bytes from the server."""
    age_ms: int
    """Milliseconds since it was accepted."""
    idle_ms: int
    """Milliseconds since the last byte."""
    worker: int
    """Number of the worker that serves it, from 0."""


class Connections(list[Connection]):
    """One page of live connections, in the order of their places in the engine."""

    cursor: str | None = None
    """The beginning of the next page, for ``Proxy.connections``; None after the last."""

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read the engine's page."""
        raw = json.loads(text)
        page = cls(_make(Connection, one) for one in raw["connections"])
        page.cursor = raw["cursor"]
        return page


def _backends(raw: dict[str, Any], sources: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, BackendStats]:
    return {
        name: _make(
            BackendStats,
            {
                **one,
                "servers": {address: _make(ServerStats, server) for address, server in one["servers"].items()},
                "names": {name: _make(NameStats, known) for name, known in one["names"].items()},
                "sources": {given: _make(SourceStats, known) for given, known in sources.get(name, {}).items()},
            },
        )
        for name, one in raw.items()
    }


def _buckets(raw: list[tuple[float | None, int]]) -> Buckets:
    return tuple((math.inf if bound is None else bound, count) for bound, count in raw)


def _make(kind: type[T], raw: Mapping[str, Any]) -> T:
    given = [name for name in _BUCKETS if name in raw]
    raw = {**raw, **{name: _buckets(raw[name]) for name in given}}
    wanted = fields(cast(Any, kind))
    required = {one.name for one in wanted if one.default is MISSING and one.default_factory is MISSING}
    return kind(**{one.name: raw[one.name] for one in wanted if one.name in required or one.name in raw})
