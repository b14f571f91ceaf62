"""Clients: what a test sends to a proxy: raw bytes, requests of HTTP/1.1, TLS, and handshakes of WebSocket.

Owns the connections that one test opened. Must never wait past a deadline: every call has one, ``timeout`` seconds.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headworks.testing.streams import PATIENCE, Deadline, Fields, Stream, value_of

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

Address = tuple[str, int] | str
"""An address to connect to: ``("127.0.0.1", 8080)``, ``("/run/a.sock", 0)`` or ``"127.0.0.1:8080"``."""


@dataclass(frozen=True)
class Heard:
    """The bytes that came after raw ones were sent, and how it ended."""

    received: bytes
    """Every byte that came."""
    end: Literal["closed", "reset", "deadline"]
    """``closed`` (FIN), ``reset`` (RST), or neither within ``timeout`` seconds: ``deadline``."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole response."""

    status: int
    """Status of the response."""
    headers: Fields
    """Name and value of each field, in order, as received."""
    body: bytes
    """The whole body, without chunks."""

    def header(self, name: str) -> str | None:
        """Return the first value of a field; None when it is absent."""
        return value_of(self.headers, name)

    @property
    def text(self) -> str:
        """The body as UTF-8 text. Raises UnicodeDecodeError."""
        return self.body.decode()


class Client:
    """A client of one test. Nothing is kept from one request to the next: each has a connection of its own.

    ``absent`` is called with what to say when a package is missing that a method needs; by default that raises.
    """

    def __init__(self, absent: Callable[[str], Any] | None = None) -> None:
        self._absent = absent
        self._open: list[socket.socket] = []

    def connect(self, address: Address, timeout: float = PATIENCE) -> socket.socket:
        """Open a connection; it is closed when the test ends.

        Raises OSError, of which TimeoutError is one: after ``timeout`` seconds.
        """
        host, port = split(address)
        if host.startswith("/"):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout)
            self._open.append(connection)
            connection.connect(host)
            return connection
        connection = socket.create_connection((host, port), timeout)
        self._open.append(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def tls(
        self,
        address: Address,
        sni: str | None = None,
        *,
        alpn: Sequence[str] = (),
        ca: str | None = None,
        timeout: float = PATIENCE,
    ) -> ssl.SSLSocket:
        """Open a connection and agree on TLS; it is closed when the test ends.

        ``sni`` is the name to ask for, ``ca`` the certificate (PEM) that is trusted: without it nothing is verified.
        The socket says the rest: ``version()``, ``selected_alpn_protocol()``, ``getpeercert(binary_form=True)``.
        Raises OSError, of which ssl.SSLError and (after ``timeout`` seconds) TimeoutError are.
        """
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust.check_hostname = ca is not None
        trust.verify_mode = ssl.CERT_NONE if ca is None else ssl.CERT_REQUIRED
        if ca is not None:
            trust.load_verify_locations(cadata=ca)
        if alpn:
            trust.set_alpn_protocols(list(alpn))
        connection = self.connect(address, timeout)
        secured = trust.wrap_socket(connection, server_hostname=sni)
        self._open.append(secured)
        return secured

    def raw(self, address: Address, sent: bytes, *, end: bool = False, timeout: float = PATIENCE) -> Heard:
        """Send bytes and read until the connection is closed, or ``timeout`` seconds are over.

        ``end`` says that no more bytes come (FIN). Raises OSError when there is no connection.
        """
        with self.connect(address, timeout) as connection:
            stream = Stream(connection, Deadline(timeout))
            received = bytearray()
            try:
                connection.sendall(sent)
                if end:
                    connection.shutdown(socket.SHUT_WR)
                while more := stream.some():
                    received += more
            except TimeoutError:
                return Heard(bytes(received), "deadline")
            except OSError:
                return Heard(bytes(received), "reset")
            return Heard(bytes(received), "closed")

    def get(self, address: Address, path: str = "/", **keys: Any) -> Reply:
        """Send a GET request. ``keys`` are those of ``request``."""
        return self.request("GET", address, path, **keys)

    def post(self, address: Address, path: str = "/", **keys: Any) -> Reply:
        """Send a POST request. ``keys`` are those of ``request``."""
        return self.request("POST", address, path, **keys)

    def request(  # noqa: PLR0913  (what a client may say)
        self,
        method: str,
        address: Address,
        path: str = "/",
        *,
        host: str | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | str = b"",
        sni: str | None = None,
        ca: str | None = None,
        timeout: float = PATIENCE,
    ) -> Reply:
        """Send a request of HTTP/1.1 on a connection of its own, and return the whole response.

        ``host`` is the Host field (by default the address, ``localhost`` for a unix socket), ``headers`` are further
        fields, sent as they are. With ``sni`` or ``ca`` it goes over TLS, as ``tls`` has it; the name asked for is by
        default the host's. Raises TimeoutError after ``timeout`` seconds, ConnectionError for an answer that is cut
        short or none, OSError.
        """
        deadline = Deadline(timeout)
        name = host or _written(address)
        is_secure = sni is not None or ca is not None
        asked = sni or name.rpartition(":")[0].strip("[]") or name
        connection = self.tls(address, asked, ca=ca, timeout=timeout) if is_secure else self.connect(address, timeout)
        with connection:
            fields = [*(headers.items() if isinstance(headers, Mapping) else headers)]
            sent = body.encode() if isinstance(body, str) else body
            # An answer may come before all was taken: then that is the answer.
            with contextlib.suppress(ConnectionError):
                connection.sendall(_request(f"{method} {path}", name, fields, sent))
            return _reply(Stream(connection, deadline), method)

    def websocket(
        self, address: Address, path: str = "/", *, host: str | None = None, timeout: float = PATIENCE, **keys: Any
    ) -> "ClientConnection":
        """Open a WebSocket (RFC 6455), with ``keys`` as ``websockets.sync.client.connect`` takes them.

        Raises ModuleNotFoundError without the package ``websockets`` (the fixture skips the test then), OSError,
        TimeoutError after ``timeout`` seconds, and ``websockets.InvalidHandshake`` for another answer.
        """
        try:
            from websockets.sync.client import connect
        except ModuleNotFoundError:
            if self._absent is not None:
                self._absent("a WebSocket needs the package websockets")
            raise
        connection = self.connect(address, timeout)
        name = host or _written(address)
        opened: ClientConnection = connect(
            f"ws://{name}{path}", sock=connection, open_timeout=timeout, proxy=None, **keys
        )
        return opened

    def close(self) -> None:
        """Close every connection."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.close()


def split(address: Address) -> tuple[str, int]:
    """Return host and port, brackets taken off. Raises ValueError."""
    if not isinstance(address, str):
        return address
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"an address is HOST:PORT, not {address!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _written(address: Address) -> str:
    """Return an address as a Host field has it; nobody can ask for the path of a unix socket."""
    host, port = split(address)
    if host.startswith("/"):
        return "localhost"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _request(line: str, host: str, fields: Sequence[tuple[str, str]], body: bytes) -> bytes:
    """Encode a request; fields that the test gave are not added again."""
    given = {name.lower() for name, _ in fields}
    own = [("Host", host), ("Connection", "close")]
    if body and "transfer-encoding" not in given:
        own.append(("Content-Length", str(len(body))))
    every = [*((name, value) for name, value in own if name.lower() not in given), *fields]
    lines = [f"{line} HTTP/1.1", *(f"{name}: {value}" for name, value in every), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def _reply(stream: Stream, method: str) -> Reply:
    """Read a response, informational ones passed over but for 101. Raises ConnectionError, TimeoutError."""
    while True:
        line, fields = stream.head("the head of a response")
        version, _, rest = line.partition(" ")
        number = rest.partition(" ")[0]
        if not version.startswith("HTTP/1.") or not number.isdigit():
            raise ConnectionError(f"{line!r} is not the first line of a response")
        status = int(number)
        if status >= 200 or status == 101:  # noqa: PLR2004  (RFC 9110, section 15)
            break
    is_without = method == "HEAD" or status in (101, 204, 304)
    body = b"" if is_without else stream.body(fields, until_end=True)
    return Reply(status=status, headers=fields, body=body)
