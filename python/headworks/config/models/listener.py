"""``[listeners.NAME]``: addresses, a protocol, and where its clients are sent.

Deadlines are in timeouts.py, what http listeners alone have in http.py, headers.py and answers.py.
"""

from typing import TYPE_CHECKING, Annotated, Any, Self, Unpack

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from headworks.config.models.analyzers import AnalyzerNames
from headworks.config.models.answers import ErrorPages, Redirect, Respond
from headworks.config.models.base import (
    Addresses,
    Limit,
    Model,
    Networks,
    applies,
    known,
    listed,
    only,
    strangers,
)
from headworks.config.models.first_bytes import FirstBytes
from headworks.config.models.headers import Headers
from headworks.config.models.http import Compression, HttpSettings, RateLimit
from headworks.config.models.limits import Bandwidth, ConnectionRate
from headworks.config.models.literals import ProtocolName
from headworks.config.models.rules import Rules
from headworks.config.models.sockets import Accept
from headworks.config.models.timeouts import Timeouts
from headworks.config.models.tls import ListenerTls
from headworks.config.protocols import BYTES, ENDS_TLS, HTTP, KINDS, PROTOCOLS, ROUTES
from headworks.config.values import Mode, Size, problem, problems, quote

if TYPE_CHECKING:
    from headworks.config.written import ListenerDict

_HTTP = {"only": [*HTTP]}
_NO_REQUESTS = {"only": [name for name in PROTOCOLS if name not in HTTP]}


class Listener(Model):
    """``[listeners.NAME]``: addresses, a protocol, and a table, one backend or an answer."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[ListenerDict]) -> None: ...

    bind: Annotated[
        Addresses,
        Field(
            description="Where to listen: IP:PORT, :PORT (all addresses, both families), unix:PATH, or fd:N / fd:NAME "
            "(inherited, systemd socket activation). One or a list. Port 0 is any free port.",
            examples=["0.0.0.0:443", ["127.0.0.1:8080", "[::1]:8080"], "unix:/run/headworks.sock", "fd:web"],
        ),
    ]
    protocol: Annotated[
        ProtocolName,
        known("protocol", list(PROTOCOLS)),
        Field(
            description="What clients speak. tls: routed by the server name in the ClientHello, not decrypted. "
            "http: each request is routed by host and path; https: so, too, over TLS that ends here. http_host: the "
            "host of the first request routes the whole connection, which is passed on untouched. first_bytes: several "
            "of these and others at one address, told apart by what clients say first. tcp: bytes, with "
            "[listeners.NAME.tls] over TLS that ends here.",
            examples=list(PROTOCOLS),
        ),
    ]
    table: Annotated[
        str | None,
        Field(
            description="Table consulted with the name (http and https: and the path) that the client asks for. "
            "Exactly one of table, backend, redirect and respond is needed; first_bytes listeners have first_bytes.",
            examples=["sites"],
            json_schema_extra={"unset": "another route is given"},
        ),
    ] = None
    backend: Annotated[
        str | None,
        Field(
            description="The one backend, instead of a table. A tcp listener without TLS must have it.",
            examples=["app"],
            json_schema_extra={"unset": "another route is given"},
        ),
    ] = None
    first_bytes: Annotated[
        FirstBytes | None,
        Field(
            description="Where each kind of clients goes, told by what it says first.",
            examples=[{"tls": {"table": "names"}, "ssh": "ssh"}],
            json_schema_extra={"only": [*KINDS], "unset": "another route is given"},
        ),
    ] = None
    redirect: Annotated[
        Redirect | None,
        Field(
            description="Every request is redirected, instead of a table or backend.",
            examples=[{"to": "https", "code": 308}],
            json_schema_extra={**_HTTP, "unset": "another route is given"},
        ),
    ] = None
    respond: Annotated[
        Respond | None,
        Field(
            description="Every request gets this answer, instead of a table or backend.",
            examples=[{"status": 200, "body": "It works.\n", "headers": {"Content-Type": "text/plain"}}],
            json_schema_extra={**_HTTP, "unset": "another route is given"},
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
    rules: Annotated[
        Rules,
        Field(
            description="Python functions (module:function) that decide about requests, responses or hellos of TLS, in "
            "this order. Modules are found beside the file, then on sys.path.",
            examples=[["site:route"]],
        ),
    ] = ()
    analyzers: Annotated[
        AnalyzerNames,
        Field(
            description="Analyzers (their names) that are asked about its connections and exchanges, in this order, "
            "after the native ones and the rules.",
            examples=[["tenants"]],
        ),
    ] = ()
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
    connection_rate: Annotated[
        ConnectionRate | None,
        Field(
            description="Connections that the clients of one network may open in a while. More of them are closed "
            "at once.",
            examples=[{"connections": 100, "per": "1s", "burst": 200, "exempt": ["10.0.0.0/8"]}],
            json_schema_extra={"unset": "no limit"},
        ),
    ] = None
    bandwidth: Annotated[
        Bandwidth | None,
        Field(
            description="Bytes that its connections may move in a second.",
            examples=[{"per_connection": "1MiB/s", "listener": "100MiB/s"}],
            json_schema_extra={**_NO_REQUESTS, "unset": "no limit"},
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
    accept: Annotated[
        Accept,
        Field(
            description="Options of its TCP sockets. A change binds them anew.",
            examples=[{"defer_accept": "5s", "user_timeout": "30s"}],
        ),
    ] = Accept.model_construct()
    unix_mode: Annotated[
        int, Mode(), Field(description="Permissions of a unix socket, in octal.", examples=["0660"])
    ] = 0o660
    first_bytes_limit: Annotated[
        int,
        Size("1KiB", "1MiB"),
        Field(
            description="Bytes of PROXY header, ClientHello or (http_host) first request head that are held at most. "
            "Requests have http.head_limit.",
            examples=["64KiB"],
            json_schema_extra={"only": [*BYTES]},
        ),
    ] = 64 << 10
    tls: Annotated[
        ListenerTls | None,
        Field(
            description="TLS ends here. An https listener must have it; with it a tcp listener passes on what was "
            "decrypted.",
            examples=[{"certificates": ["certificates/"]}],
            json_schema_extra={"only": [*ENDS_TLS], "unset": "a tcp listener passes on bytes as they come"},
        ),
    ] = None
    timeouts: Annotated[
        Timeouts,
        Field(description="Deadlines of this listener's connections.", examples=[{"first_bytes": "5s"}]),
    ] = Timeouts.model_construct()
    http: Annotated[
        HttpSettings,
        Field(
            description="What requests may be, and what servers are told of clients.",
            examples=[{"head_limit": "32KiB", "forwarded": ["forwarded"]}],
            json_schema_extra={**_HTTP},
        ),
    ] = HttpSettings.model_construct()
    request_headers: Annotated[
        Headers,
        Field(
            description="Rewriting of requests.",
            examples=[{"set": {"X-Client": "{client.address}"}, "remove": ["X-Internal"]}],
            json_schema_extra={**_HTTP},
        ),
    ] = Headers.model_construct()
    response_headers: Annotated[
        Headers,
        Field(
            description="Rewriting of responses.",
            examples=[{"set": {"Strict-Transport-Security": "max-age=63072000"}, "remove": ["Server"]}],
            json_schema_extra={**_HTTP},
        ),
    ] = Headers.model_construct()
    rate_limit: Annotated[
        RateLimit | None,
        Field(
            description="Requests that one client may make in a while.",
            examples=[{"requests": 100, "per": "1s"}],
            json_schema_extra={**_HTTP, "unset": "no limit"},
        ),
    ] = None
    compression: Annotated[
        Compression | None,
        Field(
            description="Compression of responses. An empty table has every default.",
            examples=[{"algorithms": ["zstd", "gzip"]}],
            json_schema_extra={**_HTTP, "unset": "off"},
        ),
    ] = None
    error_pages: Annotated[
        ErrorPages,
        Field(
            description="Files with the bodies of errors, by status. Paths are relative to the configuration file; "
            ".html, .json or .txt says what they are. They are read when the configuration is.",
            examples=[{"503": "pages/503.html"}],
            json_schema_extra={**_HTTP},
        ),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)

    @model_validator(mode="after")
    def _fits_its_protocol(self) -> Self:
        """Keys of other protocols would do nothing. Of what routes, exactly one is given."""
        wrong = [
            self._stranger(*path, *found)
            for path, section in self._sections()
            for found in strangers(section, self.protocol)
        ]
        if wrong := wrong or self._wrong_tls() + self._wrong_route():
            raise problems(wrong)
        return self

    @model_serializer(mode="wrap")
    def _fitting(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not for this protocol: what is dumped can be validated again."""
        dumped: dict[str, Any] = handler(self)
        for path, section in self._sections():
            if path and isinstance(below := _at(dumped, path), dict):
                _fit(below, type(section), self.protocol)
        _fit(dumped, Listener, self.protocol)
        return dumped

    def _sections(self) -> list[tuple[tuple[str, ...], BaseModel]]:
        """The tables whose keys are for some protocols only, each with where it is."""
        clients = self.tls.client_certificates if self.tls else None
        sections: list[tuple[tuple[str, ...], BaseModel | None]] = [
            ((), self),
            (("timeouts",), self.timeouts),
            (("tls", "client_certificates"), clients),
            (("tls",), self.tls),
        ]
        return [(path, section) for path, section in sections if section is not None]

    def _stranger(self, *found: Any) -> PydanticCustomError:
        *path, field = found
        kinds = listed(only(field))
        return problem(f"is for {kinds} listeners, and this one speaks {self.protocol}", key=tuple(path))

    def _wrong_tls(self) -> list[PydanticCustomError]:
        protocol = PROTOCOLS[self.protocol]
        if self.tls is None:
            must = protocol.tls == "must"
            return [problem(f"{protocol.listener} must have certificates", key="tls")] if must else []
        versions = protocol.versions
        strange = [name for name in self.tls.alpn or () if versions and name not in versions]
        return [
            problem(
                f"{quote(name)} is not spoken by {protocol.name} listeners; known: {', '.join(versions)}",
                key=("tls", "alpn"),
            )
            for name in strange[:1]
        ]

    def _wrong_route(self) -> list[PydanticCustomError]:
        protocol = PROTOCOLS[self.protocol]
        routes = protocol.routes(ends_tls=self.tls is not None)
        if protocol.kinds:
            elsewhere = [key for key in ROUTES if getattr(self, key) is not None]
            if elsewhere:
                reason = "each kind has a table or backend of its own, in first_bytes"
                return [problem(reason, key=key) for key in elsewhere]
        elif self.table is not None and "table" not in routes:
            reason = f"{protocol.listener} has no table (its clients give no name); give backend"
            return [problem(reason, key="table")]
        given = [name for name in routes if getattr(self, name) is not None]
        if not given:
            return [problem(f"{listed(routes, 'or')} is missing")]
        if given == ["table", "backend"] and not protocol.requests:
            return [problem("give either table or backend, not both", key="backend")]
        wrong = [problem(f"give only one of {listed(routes)}", key=name) for name in given[1:]]
        if self.fallback is not None and given[0] in ("redirect", "respond"):
            wrong.append(
                problem(f"every request gets the same {given[0]}: none is left for a fallback", key="fallback")
            )
        return wrong


def _fit(dumped: dict[str, Any], model: type[BaseModel], protocol: str) -> None:
    for name in [name for name in dumped if not applies(model.model_fields[name], protocol)]:
        del dumped[name]


def _at(dumped: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        dumped = dumped.get(key) if isinstance(dumped, dict) else None
    return dumped
