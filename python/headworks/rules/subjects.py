"""Subjects: what rules look at, as plain Python objects: Request, Response, Hello and their Tls.

Owns names and types of every attribute; compiled rules see the same ones. Must never decide, nor read anything. Texts
are bytes decoded as ASCII with ``surrogateescape``: length, case and comparison mean what they mean in core.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from headworks.rules import heads
from headworks.rules.fields import Cookies, Headers, QueryParams
from headworks.rules.networks import Address, canonical


@dataclass(frozen=True, kw_only=True)
class Tls:
    """TLS with a client that ends at us."""

    version: str | None = None
    """``TLSv1.2`` or ``TLSv1.3``."""
    cipher: str | None = None
    """The suite as IANA has it: ``TLS_AES_128_GCM_SHA256``."""
    name: str | None = None
    """Server name that the client asked for (RFC 6066, section 3)."""
    alpn: str | None = None
    """Protocol agreed on (RFC 7301): ``h2``."""
    subject: str | None = None
    """Subject of the client's certificate (RFC 4514)."""
    issuer: str | None = None
    """Issuer of that certificate."""
    serial: str | None = None
    """Serial number of it, in hexadecimal digits."""
    fingerprint: str | None = None
    """SHA-256 of it, in hexadecimal digits."""
    verified: bool = False
    """The client has shown a certificate, and it was verified."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request's head, and whose it is.

    ``headers`` is a mapping, a list of pairs or Headers; ``client`` an address or its text.
    """

    method: str = "GET"
    """As sent: methods are case-sensitive (RFC 9110, section 9.1)."""
    target: str = "/"
    """As sent: path and query, or an absolute URI (RFC 9112, section 3.2)."""
    headers: Headers = field(default_factory=Headers)
    """The fields of the head."""
    version: str = "1.1"
    """``1.0``, ``1.1`` or ``2``."""
    scheme: str = "http"
    """``http`` or ``https``."""
    client: Address | None = None
    """Address of the client, IPv4-mapped ones as IPv4; None for unix sockets."""
    client_port: int | None = None
    """Port of the client; None for unix sockets."""
    tls: Tls | None = None
    """None where TLS does not end at us."""
    listener: str = ""
    """Name of the listener that it came by."""
    backend: str | None = None
    """Known to rules of backends."""
    id: str | None = None
    """The request's id, where there is one."""
    early: bool = False
    """Sent as early data of TLS, which may have been replayed (RFC 8470)."""

    # What is taken is more than what is kept.
    def __init__(self, **values: Any) -> None:
        _fill(self, values)

    @classmethod
    def parse(cls, head: bytes, **values: Any) -> "Request":
        """Read the head of a request as it is sent. Raises ValueError for what is none."""
        method, target, version, fields = heads.request(head)
        return cls(method=method, target=target, version=version, headers=fields, **values)

    @cached_property
    def path(self) -> str:
        """The path as sent, without the query; ``*`` and the target of CONNECT as they are."""
        return heads.path(self.target)

    @cached_property
    def query(self) -> str:
        """The part behind ``?``; empty when there is none."""
        return heads.query(self.target)

    @cached_property
    def authority(self) -> str:
        """The host that is asked for as sent, with its port; empty when there is none (RFC 9110, section 7.2)."""
        return heads.authority(self.target) or self.headers.get("host", "")

    @cached_property
    def host(self) -> str | None:
        """The name that is asked for: without port, in lower case."""
        return heads.host(self.authority)

    @cached_property
    def cookies(self) -> Cookies:
        """The cookies."""
        return Cookies.parse(self.headers.getlist("cookie"))

    @cached_property
    def query_params(self) -> QueryParams:
        """The parameters of the query."""
        return QueryParams.parse(self.query)

    @cached_property
    def content_length(self) -> int | None:
        """Bytes of the body as declared; None when the head says nothing (RFC 9110, section 8.6)."""
        value = self.headers.get("content-length")
        return int(value) if value is not None else None

    @cached_property
    def chunked(self) -> bool:
        """Whether the body is sent in chunks (RFC 9112, section 7.1)."""
        return self.headers.get("transfer-encoding", "").lower().endswith("chunked")

    @cached_property
    def upgrade(self) -> bool:
        """Whether the client asks to switch protocols (RFC 9110, section 7.8)."""
        options = self.headers.get("connection", "").lower().split(",")
        return "upgrade" in (option.strip(" \t") for option in options) and bool(self.headers.get("upgrade"))


@dataclass(frozen=True, kw_only=True)
class Response:
    """A response's head, and the request that it answers."""

    status: int = 200
    """200 to 599 (RFC 9110, section 15)."""
    headers: Headers = field(default_factory=Headers)
    """The fields of the head."""
    request: Request = field(default_factory=Request)
    """The request that it answers."""
    backend: str | None = None
    """Name of the backend that it comes from."""
    server: str | None = None
    """Address of the server that answered."""

    def __init__(self, **values: Any) -> None:
        _fill(self, values)

    @classmethod
    def parse(cls, head: bytes, **values: Any) -> "Response":
        """Read the head of a response as it is sent. Raises ValueError for what is none."""
        status, fields = heads.response(head)
        return cls(status=status, headers=fields, **values)


@dataclass(frozen=True, kw_only=True)
class Hello:
    """A TLS ClientHello (RFC 8446, section 4.1.2), and whose it is."""

    name: str | None = None
    """Server name that the client asks for."""
    client: Address | None = None
    """Address of the client, IPv4-mapped ones as IPv4; None for unix sockets."""
    client_port: int | None = None
    """Port of the client; None for unix sockets."""
    listener: str = ""
    """Name of the listener that it came by."""
    version: str = "1.3"
    """The highest that is offered."""
    alpn: str = ""
    """Protocols that are offered, joined with ``,``."""
    ja4: str | None = None
    """Fingerprint of the client."""

    def __init__(self, **values: Any) -> None:
        _fill(self, values)


def _fill(subject: Any, values: Mapping[str, Any]) -> None:
    """Keep what was given; the rest has its default."""
    for name, one in subject.__dataclass_fields__.items():
        made = one.default_factory() if callable(one.default_factory) else one.default
        value = values.get(name, made)
        if name == "client":
            value = as_address(value)
        elif name == "headers" and not isinstance(value, Headers):
            value = Headers(value)
        object.__setattr__(subject, name, value)
    if strange := values.keys() - subject.__dataclass_fields__.keys():
        raise TypeError(f"{type(subject).__name__} has no {', '.join(sorted(strange))}")


def as_address(value: Address | str | None) -> Address | None:
    """Return an address; an IPv4-mapped one is IPv4 here (RFC 4291, section 2.5.5.2)."""
    address = ip_address(value) if isinstance(value, str) else value
    return None if address is None else canonical(address)
