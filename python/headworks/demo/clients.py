"""The demo's clients: real TLS with every certificate verified, clients that are refused, clients that never stop.

Counts every connection that it opens, to be compared with what the proxy has counted. Every wait is bounded.
"""

import http.client
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Self

from headworks.demo.origins import fingerprint

PATIENCE = 5.0
"""Seconds that any one operation may take."""

ALERTS = {40: "handshake_failure", 80: "internal_error", 112: "unrecognized_name"}
"""Alerts that Headworks sends (RFC 8446, section 6)."""

_ALERT_RECORD, _FATAL = 21, 2
_ALERT_LENGTH = 7


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer that a client got, and the server it came from."""

    server: str
    """The server's name, as it tells."""
    client: str
    """The client's address, as the server tells."""
    here: str
    """The client's address in truth."""
    fingerprint: str
    """Of the certificate that was verified for the name."""
    seconds: float
    """From before the connect until the last byte."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A fatal TLS alert, as it came over the wire."""

    number: int
    record: bytes

    def __str__(self) -> str:
        """Return its name and number."""
        return f"{ALERTS.get(self.number, 'alert')} ({self.number})"


class Clients:
    """Opens connections to the proxy's listeners, from any thread."""

    def __init__(self, trust: ssl.SSLContext, find: Callable[[str], tuple[str, int]]) -> None:
        self._trust = trust
        self._find = find
        self._lock = threading.Lock()
        self.opened: Counter[str] = Counter()
        """Connections by listener."""

    def connect(self, listener: str) -> socket.socket:
        """Open a connection. Raises OSError."""
        connection = socket.create_connection(self._find(listener), timeout=PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self.opened[listener] += 1
        return connection

    def secure(self, listener: str, name: str) -> ssl.SSLSocket:
        """Open a connection over TLS. Raises OSError: also for a certificate that is not NAME's."""
        connection = self.connect(listener)
        try:
            return self._trust.wrap_socket(connection, server_hostname=name)
        except OSError:
            connection.close()
            raise

    def ask(self, name: str, listener: str = "secure") -> Answer:
        """Send ``GET https://NAME/`` through the proxy. Raises OSError: also for a certificate that is not NAME's."""
        began = time.perf_counter()
        with self.secure(listener, name) as stream:
            here = "{}:{}".format(*stream.getsockname())
            stream.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            told = _facts(_body(stream))
            certificate = stream.getpeercert(binary_form=True) or b""
            # Both sides say goodbye: closing with the server's still unread would be a reset.
            stream.unwrap()
        return Answer(
            server=told["server"],
            client=told["client"],
            here=here,
            fingerprint=fingerprint(certificate),
            seconds=time.perf_counter() - began,
        )

    def served_by(self, name: str) -> str:
        """Return which server answers ``ask``. Raises as that does."""
        return self.ask(name).server

    def refused(self, first: bytes) -> Refusal:
        """Send first bytes that the tls listener refuses. Raises OSError when it does not."""
        with self.connect("secure") as connection:
            connection.sendall(first)
            record = _until_end(connection)
        if len(record) != _ALERT_LENGTH or record[0] != _ALERT_RECORD or record[5] != _FATAL:
            raise ConnectionError(f"not refused by a fatal alert, but answered {record[:32].hex(' ') or 'nothing'}")
        return Refusal(number=record[6], record=record)


def receive(connection: socket.socket, count: int) -> bytes:
    """Read ``count`` bytes, fewer only at the end."""
    received = b""
    while len(received) < count and (more := connection.recv(count - len(received))):
        received += more
    return received


def hello(name: str) -> bytes:
    """Return the ClientHello of a client that asks for ``name``."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake wants an answer")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One request of the traffic: answered by a server, or failed."""

    began: float
    """On the monotonic clock."""
    server: str | None
    error: str | None


class Traffic:
    """Several clients that request ``names`` in turn until the ``with`` block ends.

    ``ask`` makes one request and returns the server's name; it may raise OSError.
    """

    def __init__(self, ask: Callable[[str], str], *names: str, count: int = 4) -> None:
        self._ask = ask
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._attempts: list[Attempt] = []
        turns = [[*names[offset % len(names) :], *names[: offset % len(names)]] for offset in range(count)]
        self._threads = [threading.Thread(target=self._run, args=(turn,), daemon=True) for turn in turns]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE)

    def since(self, moment: float = 0.0, until: float = float("inf")) -> list[Attempt]:
        """Return the attempts that began in between."""
        with self._changed:
            return [one for one in self._attempts if moment <= one.began < until]

    def wait(self, what: str, reached: Callable[[], bool]) -> None:
        """Wait until ``reached``, asked after every attempt. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(reached, PATIENCE):
                raise TimeoutError(f"waited {PATIENCE:g} s for {what}")

    def more(self, count: int) -> None:
        """Wait until ``count`` requests that begin from now on are through."""
        now = time.monotonic()
        self.wait(f"{count} requests", lambda: len(self.since(now)) >= count)

    def _run(self, names: Sequence[str]) -> None:
        for name in cycle(names):
            if self._stopping.is_set():
                return
            attempt = self._attempt(name)
            with self._changed:
                self._attempts.append(attempt)
                self._changed.notify_all()

    def _attempt(self, name: str) -> Attempt:
        began = time.monotonic()
        try:
            return Attempt(began=began, server=self._ask(name), error=None)
        except OSError as error:
            return Attempt(began=began, server=None, error=f"{name}: {error}")


def by_server(attempts: Sequence[Attempt]) -> Counter[str]:
    """Count answers by server."""
    return Counter(one.server for one in attempts if one.server)


def errors(attempts: Sequence[Attempt]) -> list[str]:
    """Return what failed, and how."""
    return [one.error for one in attempts if one.error]


def _body(stream: socket.socket) -> bytes:
    """Read one whole response."""
    response = http.client.HTTPResponse(stream)
    try:
        response.begin()
        return response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"the answer was cut short: {error!r}") from error


def _facts(body: bytes) -> dict[str, str]:
    """Read the lines ``key: value (remark)`` of an origin's answer."""
    return dict(re.findall(r"^(\w+): (\S+)", body.decode(), re.MULTILINE))


def _until_end(connection: socket.socket) -> bytes:
    received = b""
    while more := connection.recv(4096):
        received += more
    return received
