"""Views: heads and handshakes as analyzers see them: the names and types of rules, read only when they are looked at.

Owns the way from an attribute to the question that has it. Must never copy what nobody asks for, and never let
anything be changed: what is to change is said by a verdict.
"""

from collections.abc import Callable
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from headworks.analyzers.states import States
from headworks.rules.fields import Cookies, Headers, QueryParams

if TYPE_CHECKING:
    from headworks._engine import Question

Address = IPv4Address | IPv6Address


class ReadOnly:
    """An object whose attributes cannot be set."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        kind = type(self).__name__
        raise AttributeError(
            f"{kind}.{name} cannot be changed: answer with a verdict, such as rewrite(), or use .state"
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be removed")


class View(ReadOnly):
    """A part of what a question is about."""

    __slots__ = ("_asked",)
    _asked: "Question"

    def __init__(self, question: "Question") -> None:
        object.__setattr__(self, "_asked", question)

    def _text(self, name: str) -> str:
        value = self._asked.attribute(name)
        return value if isinstance(value, str) else ""

    def _optional(self, name: str) -> str | None:
        value = self._asked.attribute(name)
        return value if isinstance(value, str) else None

    def _number(self, name: str) -> int | None:
        value = self._asked.attribute(name)
        return value if isinstance(value, int) else None

    def _is(self, name: str) -> bool:
        return bool(self._asked.attribute(name))

    def _address(self, name: str) -> Address | None:
        text = self._optional(name)
        return None if text is None else ip_address(text)


class Lasting(View):
    """A connection or an exchange: what is asked about at several moments, and keeps what people put into its state."""

    __slots__ = ("_states",)
    _states: States

    def __init__(self, question: "Question", states: States) -> None:
        super().__init__(question)
        object.__setattr__(self, "_states", states)


class HeadersView(Headers):
    """The fields of a head. One that is asked for by name is looked up where the head is; all of them are read once."""

    def __init__(self, one: Callable[[str], str | None], every: Callable[[], list[tuple[str, str]]]) -> None:
        self._one = one
        self._every = every

    @cached_property
    def fields(self) -> tuple[tuple[str, str], ...]:  # type: ignore[override]
        """Names and values as they were sent."""
        return tuple(self._every())

    def __getitem__(self, name: str) -> str:
        """Return the value; several fields of one name are joined with ``, `` (RFC 9110, section 5.3)."""
        value = self._one(name)
        if value is None:
            raise KeyError(name)
        return value

    def get(self, name: str, /, default: Any = None) -> Any:
        """Return the value as ``[]`` does, or ``default`` when there is no such field."""
        value = self._one(name)
        return default if value is None else value

    def __contains__(self, name: object) -> bool:
        """Whether there is such a field, even an empty one."""
        return isinstance(name, str) and self._one(name) is not None


class TlsView(View):
    """TLS with a client that ends at us: what :class:`headworks.Tls` has."""

    __slots__ = ()

    version = property(lambda self: self._optional("tls.version"))
    cipher = property(lambda self: self._optional("tls.cipher"))
    name = property(lambda self: self._optional("tls.name"))
    alpn = property(lambda self: self._optional("tls.alpn"))
    subject = property(lambda self: self._optional("tls.subject"))
    issuer = property(lambda self: self._optional("tls.issuer"))
    serial = property(lambda self: self._optional("tls.serial"))
    fingerprint = property(lambda self: self._optional("tls.fingerprint"))
    verified = property(lambda self: self._is("tls.verified"))


class RequestView(View):
    """A request's head, and whose it is: what :class:`headworks.Request` has."""

    __slots__ = ()

    method = property(lambda self: self._text("method"))
    target = property(lambda self: self._text("target"))
    path = property(lambda self: self._text("path"))
    query = property(lambda self: self._text("query"))
    host = property(lambda self: self._optional("host"))
    authority = property(lambda self: self._text("authority"))
    scheme = property(lambda self: self._text("scheme"))
    version = property(lambda self: self._text("version"))
    listener = property(lambda self: self._text("listener"))
    backend = property(lambda self: self._optional("backend"))
    id = property(lambda self: self._optional("id"))
    early = property(lambda self: self._is("early"))
    content_length = property(lambda self: self._number("content_length"))
    chunked = property(lambda self: self._is("chunked"))
    upgrade = property(lambda self: self._is("upgrade"))
    client = property(lambda self: self._address("client"))
    client_port = property(lambda self: self._number("client_port"))

    @property
    def tls(self) -> TlsView | None:
        """Return the handshake; None where TLS does not end at us."""
        return TlsView(self._asked) if self._is("tls") else None

    @property
    def headers(self) -> HeadersView:
        """Return the fields."""
        return HeadersView(self._asked.header, self._asked.headers)

    @property
    def cookies(self) -> Cookies:
        """Return the cookies."""
        return Cookies.parse(self.headers.getlist("cookie"))

    @property
    def query_params(self) -> QueryParams:
        """Return the parameters of the query."""
        return QueryParams.parse(self.query)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target} of {self.host}>"


class ResponseView(View):
    """A response's head: what :class:`headworks.Response` has."""

    __slots__ = ()

    status = property(lambda self: self._number("status") or 0)
    backend = property(lambda self: self._optional("backend"))
    server = property(lambda self: self._optional("server"))

    @property
    def headers(self) -> HeadersView:
        """Return the fields."""
        return HeadersView(self._asked.response_header, self._asked.response_headers)

    def __repr__(self) -> str:
        return f"<Response {self.status} of {self.server}>"


class HelloView(View):
    """A TLS ClientHello: what :class:`headworks.Hello` has."""

    __slots__ = ()

    name = property(lambda self: self._optional("name"))
    client = property(lambda self: self._address("client"))
    client_port = property(lambda self: self._number("client_port"))
    listener = property(lambda self: self._text("listener"))
    version = property(lambda self: self._text("version"))
    alpn = property(lambda self: self._text("alpn"))
    ja4 = property(lambda self: self._optional("ja4"))

    def __repr__(self) -> str:
        return f"<Hello for {self.name}>"
