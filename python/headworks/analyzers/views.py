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
        put_asked(self, question)


# Views are made for each question: the slots are written directly, past what keeps everybody else from it.
put_asked = View.__dict__["_asked"].__set__


class Lasting(View):
    """A connection or an exchange: what is asked about at several moments, and keeps what people put into its state."""

    __slots__ = ("_states",)
    _states: States

    def __init__(self, question: "Question", states: States) -> None:
        put_asked(self, question)
        put_states(self, states)


put_states = Lasting.__dict__["_states"].__set__


def text(name: str) -> property:
    """Return an attribute that is a text; where there is none it is empty."""

    def read(self: View) -> str:
        value = self._asked.attribute(name)
        return value if isinstance(value, str) else ""

    return property(read)


def optional(name: str) -> property:
    """Return an attribute that is a text, or None."""

    def read(self: View) -> str | None:
        value = self._asked.attribute(name)
        return value if isinstance(value, str) else None

    return property(read)


def number(name: str) -> property:
    """Return an attribute that is a number, or None."""

    def read(self: View) -> int | None:
        value = self._asked.attribute(name)
        return value if isinstance(value, int) else None

    return property(read)


def truth(name: str) -> property:
    """Return an attribute that is so or not."""
    return property(lambda self: bool(self._asked.attribute(name)))


def address(name: str) -> property:
    """Return an attribute that is an address, or None."""

    def read(self: View) -> Address | None:
        value = self._asked.attribute(name)
        return ip_address(value) if isinstance(value, str) else None

    return property(read)


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

    version = optional("tls.version")
    cipher = optional("tls.cipher")
    name = optional("tls.name")
    alpn = optional("tls.alpn")
    subject = optional("tls.subject")
    issuer = optional("tls.issuer")
    serial = optional("tls.serial")
    fingerprint = optional("tls.fingerprint")
    verified = truth("tls.verified")


class RequestView(View):
    """A request's head, and whose it is: what :class:`headworks.Request` has."""

    __slots__ = ("_headers",)
    _headers: HeadersView | None

    def __init__(self, question: "Question") -> None:
        put_asked(self, question)
        put_request_headers(self, None)

    method = text("method")
    target = text("target")
    path = text("path")
    query = text("query")
    host = optional("host")
    authority = text("authority")
    scheme = text("scheme")
    version = text("version")
    listener = text("listener")
    backend = optional("backend")
    id = optional("id")
    early = truth("early")
    content_length = number("content_length")
    chunked = truth("chunked")
    upgrade = truth("upgrade")
    client = address("client")
    client_port = number("client_port")

    @property
    def tls(self) -> TlsView | None:
        """Return the handshake; None where TLS does not end at us."""
        return TlsView(self._asked) if self._asked.attribute("tls") else None

    @property
    def headers(self) -> HeadersView:
        """Return the fields."""
        headers = self._headers
        if headers is None:
            headers = HeadersView(self._asked.header, self._asked.headers)
            put_request_headers(self, headers)
        return headers

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


put_request_headers = RequestView.__dict__["_headers"].__set__


class ResponseView(View):
    """A response's head: what :class:`headworks.Response` has."""

    __slots__ = ("_headers",)
    _headers: HeadersView | None

    def __init__(self, question: "Question") -> None:
        put_asked(self, question)
        put_response_headers(self, None)

    status = property(lambda self: self._asked.attribute("status") or 0)
    backend = optional("backend")
    server = optional("server")

    @property
    def headers(self) -> HeadersView:
        """Return the fields."""
        headers = self._headers
        if headers is None:
            headers = HeadersView(self._asked.response_header, self._asked.response_headers)
            put_response_headers(self, headers)
        return headers

    def __repr__(self) -> str:
        return f"<Response {self.status} of {self.server}>"


put_response_headers = ResponseView.__dict__["_headers"].__set__


class WithHeads(Lasting):
    """An exchange, with the views of its heads that were made."""

    __slots__ = ("_request", "_response")
    _request: RequestView | None
    _response: ResponseView | None

    def __init__(self, question: "Question", states: States) -> None:
        put_asked(self, question)
        put_states(self, states)
        put_request(self, None)
        put_response(self, None)


put_request = WithHeads.__dict__["_request"].__set__
put_response = WithHeads.__dict__["_response"].__set__


class HelloView(View):
    """A TLS ClientHello: what :class:`headworks.Hello` has."""

    __slots__ = ()

    name = optional("name")
    client = address("client")
    client_port = number("client_port")
    listener = text("listener")
    version = text("version")
    alpn = text("alpn")
    ja4 = optional("ja4")

    def __repr__(self) -> str:
        return f"<Hello for {self.name}>"
