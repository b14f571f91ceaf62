"""The configuration as typed values: one model for each table of the file, one field for each key.

Owns names, types, ranges, defaults and their documentation; the reference pages are made from it. What needs the whole
configuration (a name that must exist, an address that must parse) is decided by the Plan and must never be
repeated here.
"""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from headworks import _engine
from headworks.config.problems import closest
from headworks.config.values import Duration, Mode, Size, problem, quote


class Model(BaseModel):
    """Keyword-only, immutable, strict: ``"5"`` is not 5, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _one_or_many(value: object) -> object:
    """Take ``"x"`` for ``["x"]``; models are immutable, so lists are kept as tuples."""
    return (value,) if isinstance(value, (str, dict, BaseModel)) else _many(value)


def _many(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _known(kind: str, names: list[str], not_yet: tuple[str, ...] = ()) -> BeforeValidator:
    """Accept one of ``names`` (and None, which only Python can say and the type decides about)."""

    def check(value: object) -> object:
        if value is None or value in names:
            return value
        known = ", ".join(names)
        if value in not_yet:
            raise problem(f"{quote(value)} is not available in this version; known: {known}")
        near = closest(value, names) if isinstance(value, str) else None
        raise problem(f"{quote(value)} is not a known {kind}; known: {known}", near and quote(near))

    return BeforeValidator(check)


Address = Annotated[str, Field(min_length=1)]
Addresses = Annotated[tuple[Address, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
Networks = Annotated[tuple[Address, ...], BeforeValidator(_one_or_many)]
Limit = Annotated[int | None, Field(ge=1, le=10_000_000)]


class ProxySettings(Model):
    """``[proxy]``: the process."""

    workers: Annotated[
        int | None,
        Field(
            ge=1,
            le=1024,
            description="Threads that serve connections. Needs a restart to change.",
            examples=[2],
            json_schema_extra={"unit": "threads", "unset": "one per core"},
        ),
    ] = None
    drain: Annotated[
        timedelta,
        Duration("1ms", "24h", zero="close at once"),
        Field(description="How long open connections may go on after TERM or INT.", examples=["30s"]),
    ] = timedelta(seconds=30)
    user: Annotated[
        str | None,
        Field(
            min_length=1,
            description="User the process becomes after binding. Needs root, and a restart to change.",
            examples=["nobody"],
            json_schema_extra={"unset": "stay who we are"},
        ),
    ] = None
    group: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Group the process gets after binding. Needs root, and a restart to change.",
            examples=["nogroup"],
            json_schema_extra={"unset": "the user's own groups"},
        ),
    ] = None


class LogSettings(Model):
    """``[logs]``: what is written where."""

    access: Annotated[
        str,
        Field(
            min_length=1,
            description='Access records: "-" for stderr, a path (reopened on HUP), or "off". '
            "Needs a restart to change.",
            examples=["-", "/var/log/headworks/access.log", "off"],
        ),
    ] = "-"
    format: Annotated[
        Literal["text", "json"],
        _known("format", ["text", "json"]),
        Field(
            description="Form of access records and of the program's own lines. Needs a restart to change.",
            examples=["text", "json"],
        ),
    ] = "text"
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _known("level", ["debug", "info", "warning", "error"]),
        Field(description="Lines of the program's own below this level are left out.", examples=["warning"]),
    ] = "info"


class Timeouts(Model):
    """``[listeners.NAME.timeouts]``."""

    first_bytes: Annotated[
        timedelta,
        Duration("1ms", "1h"),
        Field(
            description="The PROXY header and the ClientHello must be complete this long after accept.",
            examples=["10s"],
        ),
    ] = timedelta(seconds=10)
    idle: Annotated[
        timedelta,
        Duration("1ms", "168h"),
        Field(description="A connection is closed when no byte moved in either direction.", examples=["10m"]),
    ] = timedelta(minutes=10)
    half_close: Annotated[
        timedelta,
        Duration("1ms", "168h"),
        Field(
            description="A connection is closed when one side has ended (or was reset) and no byte moved in the other"
            " direction.",
            examples=["1m"],
        ),
    ] = timedelta(minutes=1)


class Listener(Model):
    """``[listeners.NAME]``: addresses, a protocol, and a table or one backend."""

    bind: Annotated[
        Addresses,
        Field(
            description="Where to listen: IP:PORT, :PORT (all addresses, both families), unix:PATH, or fd:N / fd:NAME "
            "(inherited, systemd socket activation). One or a list. Port 0 is any free port.",
            examples=["0.0.0.0:443", ["127.0.0.1:8080", "[::1]:8080"], "unix:/run/headworks.sock", "fd:web"],
        ),
    ]
    protocol: Annotated[
        str,
        _known("protocol", _engine.protocols(), ("http", "https")),
        Field(
            description="What clients speak. tls: routed by the server name in the ClientHello, not decrypted.",
            examples=["tls", "tcp"],
        ),
    ]
    table: Annotated[
        str | None,
        Field(
            description="Table consulted with the name that the client asks for. Either table or backend is needed.",
            examples=["sites"],
            json_schema_extra={"unset": "backend is used"},
        ),
    ] = None
    backend: Annotated[
        str | None,
        Field(
            description="The one backend, instead of a table. A tcp listener must have it.",
            examples=["app"],
            json_schema_extra={"unset": "table is used"},
        ),
    ] = None
    fallback: Annotated[
        str | None,
        Field(
            description="Backend when no name is found or nothing matches.",
            examples=["legacy"],
            json_schema_extra={"unset": "the client is refused"},
        ),
    ] = None
    allow: Annotated[
        Networks,
        Field(
            description="Client addresses or networks that are served. Empty: all.",
            examples=[["10.0.0.0/8", "::1"]],
        ),
    ] = ()
    deny: Annotated[
        Networks,
        Field(
            description="Client addresses or networks that are not. Wins over allow.",
            examples=[["10.9.0.0/16"]],
        ),
    ] = ()
    max_connections: Annotated[
        Limit,
        Field(
            description="Open connections at most.",
            examples=[10000],
            json_schema_extra={"unit": "connections", "unset": "no limit"},
        ),
    ] = None
    max_connections_per_client: Annotated[
        Limit,
        Field(
            description="Open connections at most from one client address.",
            examples=[100],
            json_schema_extra={"unit": "connections", "unset": "no limit"},
        ),
    ] = None
    accept_proxy_from: Annotated[
        Networks,
        Field(
            description="Sources that must begin with a PROXY header (v1 or v2). It is refused from all others.",
            examples=[["10.0.0.1"]],
        ),
    ] = ()
    ipv6_only: Annotated[
        bool,
        Field(description="An IPv6 address takes IPv6 clients only (IPV6_V6ONLY).", examples=[True]),
    ] = False
    backlog: Annotated[
        int,
        Field(
            ge=1,
            le=65535,
            description="Length of the kernel's queue of connections not yet accepted.",
            examples=[4096],
            json_schema_extra={"unit": "connections"},
        ),
    ] = 4096
    keepalive: Annotated[bool, Field(description="TCP keep-alive probes on the client's side.", examples=[False])] = (
        True
    )
    unix_mode: Annotated[
        int, Mode(), Field(description="Permissions of a unix socket, in octal.", examples=["0660"])
    ] = 0o660
    first_bytes_limit: Annotated[
        int,
        Size("1KiB", "1MiB"),
        Field(description="Bytes of PROXY header or ClientHello that are held at most.", examples=["64KiB"]),
    ] = 64 << 10
    timeouts: Annotated[
        Timeouts,
        Field(description="Deadlines of this listener's connections.", examples=[{"first_bytes": "5s"}]),
    ] = Timeouts()

    @model_validator(mode="after")
    def _one_route(self) -> Self:
        """Exactly one of table and backend; tcp clients give no name, so a table would not help."""
        if self.protocol == "tcp" and self.table is not None:
            raise problem("a tcp listener has no table (its clients give no name); give backend", key="table")
        if self.table is not None and self.backend is not None:
            raise problem("give either table or backend, not both", key="backend")
        if self.table is None and self.backend is None:
            wanted = "backend" if self.protocol == "tcp" else "table or backend"
            raise problem(f"{wanted} is missing")
        return self


class Server(Model):
    """One server of a backend; ``"ADDRESS"`` is short for ``{ address = "ADDRESS" }``."""

    address: Annotated[
        Address,
        Field(
            description="IP:PORT or unix:PATH. Names are not resolved.",
            examples=["127.0.0.1:8001", "[::1]:8001", "unix:/run/app.sock"],
        ),
    ]
    weight: Annotated[
        int,
        Field(
            ge=0,
            le=256,
            description="Share of the connections, relative to the other servers. 0 gets no new ones.",
            examples=[2],
        ),
    ] = 1
    backup: Annotated[
        bool,
        Field(description="Chosen only when every server that is not a backup is unusable.", examples=[True]),
    ] = False
    max_connections: Annotated[
        Limit,
        Field(
            description="Open connections at most.",
            examples=[100],
            json_schema_extra={"unit": "connections", "unset": "no limit"},
        ),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, (dict, cls)):
            return value
        if isinstance(value, str):
            return {"address": value}
        raise problem(f"{quote(value)} is neither an address nor a table with address")


class Health(Model):
    """``[backends.NAME.health]``: active checks. Without it only failed connections tell."""

    kind: Annotated[
        Literal["tcp"],
        _known("kind", ["tcp"], ("http",)),
        Field(description="tcp: a connection is opened and closed.", examples=["tcp"]),
    ] = "tcp"
    interval: Annotated[
        timedelta,
        Duration("10ms", "24h"),
        Field(
            description="From the end of one check to the start of the next, varied by a tenth.",
            examples=["2s"],
        ),
    ] = timedelta(seconds=2)
    timeout: Annotated[
        timedelta, Duration("1ms", "1h"), Field(description="What one check may take.", examples=["1s"])
    ] = timedelta(seconds=1)
    rise: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Successes in a row that bring a server up.",
            examples=[2],
            json_schema_extra={"unit": "checks"},
        ),
    ] = 2
    fall: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Failures in a row that take a server down.",
            examples=[3],
            json_schema_extra={"unit": "checks"},
        ),
    ] = 3


class Ejection(Model):
    """``[backends.NAME.ejection]``: a server that cannot be connected to is left out for a while."""

    failures: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Failed connects in a row that eject a server. 0: never.",
            examples=[3],
            json_schema_extra={"unit": "connects"},
        ),
    ] = 3
    duration: Annotated[
        timedelta, Duration("1ms", "24h"), Field(description="How long it stays out.", examples=["10s"])
    ] = timedelta(seconds=10)


class Backend(Model):
    """``[backends.NAME]``: a pool of servers and how one is chosen."""

    servers: Annotated[
        tuple[Server, ...],
        BeforeValidator(_one_or_many),
        Field(
            min_length=1,
            description='The servers: "ADDRESS" or { address, weight, backup, max_connections }.',
            examples=[["127.0.0.1:8001", {"address": "127.0.0.1:8002", "weight": 2}]],
        ),
    ]
    balance: Annotated[
        str,
        _known("balance", _engine.balances(), ("path_hash", "header_hash")),
        Field(description="How a server is chosen for a new connection.", examples=_engine.balances()),
    ] = "round_robin"
    connect_timeout: Annotated[
        timedelta,
        Duration("1ms", "1h"),
        Field(description="What one attempt to connect to a server may take.", examples=["5s"]),
    ] = timedelta(seconds=5)
    retries: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description="Other servers tried when connecting fails.",
            examples=[2],
            json_schema_extra={"unit": "attempts"},
        ),
    ] = 2
    proxy_protocol: Annotated[
        Literal["v1", "v2"] | None,
        _known("PROXY protocol version", ["v1", "v2"]),
        Field(
            description="PROXY header sent to the servers: v1 (text) or v2 (binary).",
            examples=["v1", "v2"],
            json_schema_extra={"unset": "none is sent"},
        ),
    ] = None
    source: Annotated[
        str | None,
        Field(
            description="Local address that connections to the servers come from: IP or IP:PORT.",
            examples=["192.0.2.1"],
            json_schema_extra={"unset": "the system chooses"},
        ),
    ] = None
    keepalive: Annotated[bool, Field(description="TCP keep-alive probes on the servers' side.", examples=[False])] = (
        True
    )
    slow_start: Annotated[
        timedelta,
        Duration("1ms", "24h", zero="at once"),
        Field(
            description="How long a server that came up takes from a tenth to the whole of its weight.",
            examples=["10s"],
        ),
    ] = timedelta(0)
    health: Annotated[
        Health | None,
        Field(
            description="Active checks.",
            examples=[{"kind": "tcp", "interval": "2s"}],
            json_schema_extra={"unset": "passive only, see ejection"},
        ),
    ] = None
    ejection: Annotated[
        Ejection,
        Field(
            description="What failed connections do to a server.",
            examples=[{"failures": 3, "duration": "10s"}],
        ),
    ] = Ejection()


def _target(value: object) -> object:
    if isinstance(value, str) and value:
        return value
    raise problem(f"{quote(value)} is not the name of a backend")


Table = dict[str, Annotated[str, BeforeValidator(_target)]]
"""``[tables.NAME]``: pattern -> backend, in file order (which matters among regular expressions only)."""
