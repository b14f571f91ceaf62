"""``[backends.NAME]``: a pool of servers, how one is chosen, and what it does for requests.

Of the servers themselves server.py tells. Keys with ``only`` mean something to http listeners alone.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Self, Unpack

from pydantic import BeforeValidator, Field, model_validator

from headworks import _engine
from headworks.config.models.analyzers import AnalyzerNames
from headworks.config.models.answers import ErrorPages
from headworks.config.models.base import Address, FieldName, Host, Model, Prefix, known, one_or_many
from headworks.config.models.headers import Headers
from headworks.config.models.literals import BalanceName
from headworks.config.models.rules import Rules
from headworks.config.models.server import Ejection, Health, Server
from headworks.config.models.sockets import Connect
from headworks.config.models.tls import BackendTls
from headworks.config.protocols import HTTP
from headworks.config.values import Duration, problem, quote

if TYPE_CHECKING:
    from headworks.config.written import AffinityDict, BackendDict, PoolDict

_HTTP = {"only": [*HTTP]}


class Pool(Model):
    """``[backends.NAME.pool]``: idle connections to servers, kept for the next request."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[PoolDict]) -> None: ...

    size: Annotated[
        int,
        Field(
            ge=0,
            le=65535,
            description="Idle connections kept for each server, in each worker. 0: none is kept.",
            examples=[128],
            json_schema_extra={"unit": "connections"},
        ),
    ] = 64
    timeout: Annotated[
        timedelta,
        Duration("1ms", "24h"),
        Field(
            description="How long an idle one is kept. Let it be less than what the servers themselves allow.",
            examples=["30s"],
        ),
    ] = timedelta(seconds=60)


class Affinity(Model):
    """``[backends.NAME.affinity]``: a signed cookie that keeps a client at its server while that server is usable."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[AffinityDict]) -> None: ...

    cookie: Annotated[FieldName, Field(description="Name of the cookie.", examples=["HEADWORKS"])]
    secret: Annotated[
        str | None,
        Field(
            min_length=16,
            max_length=256,
            description="Key of the signature, 16 characters or more. Give it where several proxies share clients, or "
            "where affinity must outlive a restart.",
            examples=["vine-hatch-46-lantern"],
            json_schema_extra={"unset": "made at random at each start"},
        ),
    ] = None
    max_age: Annotated[
        timedelta | None,
        Duration("1s", "8760h", step="1s"),
        Field(
            description="How long clients keep the cookie.",
            examples=["24h"],
            json_schema_extra={"unset": "until the browser is closed"},
        ),
    ] = None


class Backend(Model):
    """``[backends.NAME]``: a pool of servers and how one is chosen."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[BackendDict]) -> None: ...

    servers: Annotated[
        tuple[Server, ...],
        BeforeValidator(one_or_many),
        Field(
            min_length=1,
            description='The servers: "ADDRESS" or { address, weight, backup, max_connections }.',
            examples=[["127.0.0.1:8001", {"address": "127.0.0.1:8002", "weight": 2}]],
        ),
    ]
    allow_destinations: Annotated[
        tuple[Address, ...],
        BeforeValidator(one_or_many),
        Field(
            description='With servers = "*": the names and networks that clients may name as servers; where there are '
            'some of both kinds, both have to be met. With servers = "original": the networks that they may have '
            "wanted to reach. Addresses of this machine, of private networks and of nobody are "
            "refused unless a network within theirs is listed.",
            examples=[["*.example.com"], ["0.0.0.0/0", "::/0"], ["10.1.0.0/16"]],
            json_schema_extra={"unset": "nobody names a server"},
        ),
    ] = ()
    deny_destinations: Annotated[
        tuple[Address, ...],
        BeforeValidator(one_or_many),
        Field(
            description='With servers = "*": names and networks that clients may not name, whatever allows them.',
            examples=[["*.internal.example.com"], ["198.51.100.0/24"]],
            json_schema_extra={"unset": "none"},
        ),
    ] = ()
    balance: Annotated[
        BalanceName,
        known("balance", _engine.balances()),
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
        known("PROXY protocol version", ["v1", "v2"]),
        Field(
            description="PROXY header sent to the servers: v1 (text) or v2 (binary).",
            examples=["v1", "v2"],
            json_schema_extra={"unset": "none is sent"},
        ),
    ] = None
    source: Annotated[
        str | None,
        Field(
            description="Local address that connections to the servers come from: IP or IP:PORT; or client: the "
            "client's own, with a free port (transparent proxying, needs CAP_NET_ADMIN).",
            examples=["192.0.2.1", "client"],
            json_schema_extra={"unset": "the system chooses"},
        ),
    ] = None
    keepalive: Annotated[bool, Field(description="TCP keep-alive probes on the servers' side.", examples=[False])] = (
        True
    )
    connect: Annotated[
        Connect,
        Field(
            description="Options of TCP sockets to the servers.",
            examples=[{"user_timeout": "30s", "fast_open": True}],
        ),
    ] = Connect.model_construct()
    slow_start: Annotated[
        timedelta,
        Duration("1ms", "24h", zero="at once"),
        Field(
            description="How long a server that came up takes from a tenth to the whole of its weight.",
            examples=["10s"],
        ),
    ] = timedelta(0)
    host: Annotated[
        Host | None,
        Field(
            description="Host that the servers get.",
            examples=["app.internal"],
            json_schema_extra={**_HTTP, "unset": "the client's"},
        ),
    ] = None
    strip_prefix: Annotated[
        Prefix | None,
        Field(
            description="Prefix taken off the path, on segment bounds: /api takes /api/users to /users and leaves "
            "/apiary.",
            examples=["/api"],
            json_schema_extra={**_HTTP, "unset": "the path stays"},
        ),
    ] = None
    add_prefix: Annotated[
        Prefix | None,
        Field(
            description="Prefix put in front of the path, after stripping.",
            examples=["/v2"],
            json_schema_extra={**_HTTP, "unset": "the path stays"},
        ),
    ] = None
    request_headers: Annotated[
        Headers,
        Field(
            description="Rewriting of requests, after the listener's.",
            examples=[{"remove": ["X-Internal"]}],
            json_schema_extra={**_HTTP},
        ),
    ] = Headers.model_construct()
    response_headers: Annotated[
        Headers,
        Field(
            description="Rewriting of responses, after the listener's.",
            examples=[{"remove": ["Server"]}],
            json_schema_extra={**_HTTP},
        ),
    ] = Headers.model_construct()
    rules: Annotated[
        Rules,
        Field(
            description="Python functions (module:function) that decide about requests and responses of this backend, "
            "in this order, after the listener's.",
            examples=[["site:route"]],
            json_schema_extra={**_HTTP},
        ),
    ] = ()
    analyzers: Annotated[
        AnalyzerNames,
        Field(
            description="Analyzers (their names) that are asked about what goes to this backend, in this order, after "
            "the listener's.",
            examples=[["tenants"]],
        ),
    ] = ()
    response_timeout: Annotated[
        timedelta,
        Duration("1ms", "24h"),
        Field(
            description="From the end of a request to the head of its response. A slower server gives 504.",
            examples=["60s"],
            json_schema_extra={**_HTTP},
        ),
    ] = timedelta(seconds=60)
    interim_timeout: Annotated[
        timedelta,
        Duration("1ms", "168h"),
        Field(
            description="The same in all, where informational responses (102, 103) come before the head: each of them "
            "begins response_timeout anew. A slower server gives 504.",
            examples=["1h"],
            json_schema_extra={**_HTTP},
        ),
    ] = timedelta(minutes=10)
    interim_limit: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="Informational responses to one request at most. More of them give 502.",
            examples=[100],
            json_schema_extra={**_HTTP, "unit": "responses"},
        ),
    ] = 1000
    queue_timeout: Annotated[
        timedelta,
        Duration("1ms", "1h"),
        Field(
            description="How long a request may wait when every server has its max_connections. Then it gets 503.",
            examples=["5s"],
            json_schema_extra={**_HTTP},
        ),
    ] = timedelta(seconds=5)
    queue_limit: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="Requests that may wait so, in each worker. More of them get 503 at once.",
            examples=[1024],
            json_schema_extra={**_HTTP, "unit": "requests"},
        ),
    ] = 1024
    hash_header: Annotated[
        FieldName | None,
        Field(
            description='Field of the request that balance = "header_hash" chooses by.',
            examples=["X-User"],
            json_schema_extra={**_HTTP, "unset": "balance hashes no field"},
        ),
    ] = None
    maintenance: Annotated[
        bool,
        Field(
            description="No server is asked: requests get 503, with its error page where there is one.",
            examples=[True],
            json_schema_extra={**_HTTP},
        ),
    ] = False
    pool: Annotated[
        Pool,
        Field(
            description="Idle connections kept for the next request.",
            examples=[{"size": 128, "timeout": "30s"}],
            json_schema_extra={**_HTTP},
        ),
    ] = Pool.model_construct()
    affinity: Annotated[
        Affinity | None,
        Field(
            description="Keeps a client at its server by a cookie.",
            examples=[{"cookie": "HEADWORKS"}],
            json_schema_extra={**_HTTP, "unset": "each request is balanced"},
        ),
    ] = None
    error_pages: Annotated[
        ErrorPages,
        Field(
            description="Files with the bodies of errors, by status; they win over the listener's. Paths are relative "
            "to the configuration file; .html, .json or .txt says what they are.",
            examples=[{"503": "pages/503.html"}],
            json_schema_extra={**_HTTP},
        ),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)
    tls: Annotated[
        BackendTls | None,
        Field(
            description="The servers are reached by TLS, checks included. An empty table is enough.",
            examples=[{"ca": ["internal-ca.pem"], "server_name": "app.internal"}],
            json_schema_extra={"unset": "in plain"},
        ),
    ] = None
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
            description="What failures do to a server.",
            examples=[{"failures": 3, "duration": "10s"}],
        ),
    ] = Ejection.model_construct()

    @model_validator(mode="after")
    def _hashes_a_field(self) -> Self:
        """The one algorithm that hashes a field needs its name; for the others it would do nothing."""
        if self.balance == "header_hash" and self.hash_header is None:
            raise problem('"header_hash" needs hash_header, the field to choose by', key="balance")
        if self.balance != "header_hash" and self.hash_header is not None:
            raise problem(f'is for balance = "header_hash", and this is {quote(self.balance)}', key="hash_header")
        return self
