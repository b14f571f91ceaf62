"""The demo's servers: TLS origins with certificates of a throw-away authority, and a TCP echo.

Each runs on threads of its own behind a port that it keeps even while it is dead, so that it can be killed and started
again. Must never be taken for an example of a good server: it answers one small request a connection.
"""

import contextlib
import hashlib
import re
import socket
import ssl
import tempfile
import threading
from abc import ABC, abstractmethod

from headworks.certificates import Authority, Certificate

_LOOPBACK = "127.0.0.1"
_PATIENCE = 60.0
"""Seconds that a connection may be silent."""
_MOST_CONNECTIONS = 128
_HEAD_LIMIT = 16 << 10
_PROXY_LINE_LIMIT = 107
"""Bytes of the longest PROXY header of version 1."""
_PIECE = 256 << 10


class Origin(ABC):
    """A server on a free loopback port. ``start`` it, ``kill`` it, start it again."""

    def __init__(self, name: str) -> None:
        self.name = name
        # Bound and never listening: nobody else gets the port while the server is dead.
        self._holder = _bound(0)
        self.port: int = self._holder.getsockname()[1]
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._listening: socket.socket | None = None
        self._open: set[socket.socket] = set()

    @property
    def address(self) -> str:
        """Return its address, as a configuration has it."""
        return f"{_LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Listen and serve."""
        listening = _bound(self.port)
        listening.listen(_MOST_CONNECTIONS)
        with self._lock:
            self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), name=self.name, daemon=True).start()

    def kill(self) -> None:
        """Die as a process does: nobody listens any more and open connections end at once."""
        with self._lock:
            listening, self._listening = self._listening, None
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        if listening:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    def close(self) -> None:
        """Die for good and give the port back."""
        self.kill()
        self._holder.close()

    @abstractmethod
    def serve(self, accepted: socket.socket) -> None:
        """Serve one connection. May raise OSError."""

    def _accept(self, listening: socket.socket) -> None:
        while True:
            self._room.acquire()
            try:
                accepted, _ = listening.accept()
            except OSError:
                self._room.release()
                return
            threading.Thread(target=self._run, args=(listening, accepted), name=self.name, daemon=True).start()

    def _run(self, listening: socket.socket, accepted: socket.socket) -> None:
        # A second descriptor to end the connection by: ssl takes the first one over.
        handle = accepted.dup()
        try:
            with self._lock:
                if self._listening is not listening:
                    return
                self._open.add(handle)
            accepted.settimeout(_PATIENCE)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError):
                self.serve(accepted)
        finally:
            with self._lock:
                self._open.discard(handle)
            accepted.close()
            handle.close()
            self._room.release()


class TlsOrigin(Origin):
    """Answers one HTTP/1.1 request a connection over TLS: who it is, and which client it saw.

    ``proxied`` says that connections begin with a PROXY header of version 1.
    """

    def __init__(self, name: str, host: str, authority: Authority, *, proxied: bool = False) -> None:
        super().__init__(name)
        self.host = host
        self._proxied = proxied
        leaf = authority.issue(host)
        self.fingerprint = fingerprint(leaf.chain[0])
        """Of its certificate, the only copy of whose key is in ``_tls``."""
        self._tls = _presenting(leaf)

    def serve(self, accepted: socket.socket) -> None:
        """Shake hands, read one request, answer, say goodbye."""
        client = _told_by_proxy(accepted) if self._proxied else "{}:{}".format(*accepted.getpeername())
        with self._tls.wrap_socket(accepted, server_side=True) as stream:
            if b"\r\n\r\n" in _read_head(stream):
                stream.sendall(self._answer(client))
                stream.unwrap()

    def _answer(self, client: str) -> bytes:
        how = "told by a PROXY header" if self._proxied else "the proxy's socket"
        text = f"server: {self.name}\ncertificate: {self.host}\nclient: {client} ({how})\n"
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        )
        return (head + text).encode()


class EchoOrigin(Origin):
    """Sends back what it gets, until the end."""

    def serve(self, accepted: socket.socket) -> None:
        """Echo; the client's end is answered by ours."""
        piece = memoryview(bytearray(_PIECE))
        while size := accepted.recv_into(piece):
            accepted.sendall(piece[:size])
        accepted.shutdown(socket.SHUT_WR)


def fingerprint(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate in DER, in hexadecimal."""
    return hashlib.sha256(certificate).hexdigest()


def _presenting(certificate: Certificate) -> ssl.SSLContext:
    presenting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A context takes files only; nobody else can read this one, and it is gone at once.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(certificate.pem())
        file.flush()
        presenting.load_cert_chain(file.name)
    return presenting


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((_LOOPBACK, port))
    return bound


def _read_head(stream: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _HEAD_LIMIT and (more := stream.recv(_HEAD_LIMIT)):
        head += more
    return head


def _told_by_proxy(accepted: socket.socket) -> str:
    """Read the PROXY header byte by byte: what follows it is TLS, and not ours to read."""
    line = b""
    while not line.endswith(b"\r\n") and len(line) < _PROXY_LINE_LIMIT and (byte := accepted.recv(1)):
        line += byte
    found = re.fullmatch(rb"PROXY TCP4 (\S+) \S+ (\d+) \d+\r\n", line)
    if not found:
        raise ConnectionError(f"no PROXY header: {line!r}")
    return f"{found[1].decode()}:{found[2].decode()}"
