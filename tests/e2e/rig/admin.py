"""A proxy with a door for operators, and clients of it that know no more than HTTP."""

import contextlib
import hashlib
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headworks import Proxy

SECRETS = {"ops": "the secret of ops", "eyes": "the secret of eyes"}
ROLES = {"ops": "operate", "eyes": "read"}


def tokens(directory: Path) -> str:
    """Write a file of tokens; returns its path."""
    file = directory / "tokens"
    entries = (
        f'[[token]]\nname = "{name}"\nrole = "{ROLES[name]}"\n'
        f'sha256 = "{hashlib.sha256(secret.encode()).hexdigest()}"\n'
        for name, secret in SECRETS.items()
    )
    file.write_text("".join(entries))
    file.chmod(0o600)
    return str(file)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        """Its body as JSON."""
        return json.loads(self.body)


class _Local(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


@dataclass
class Door:
    """Where a proxy's operators come by."""

    proxy: Proxy
    path: str
    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def connection(self, *, tcp: bool = False) -> http.client.HTTPConnection:
        """Connect by the socket, or by TCP."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20) if tcp else _Local(self.path)

    def ask(
        self,
        method: str,
        path: str,
        value: Any = None,
        *,
        tcp: bool = False,
        token: str | None = SECRETS["ops"],
        **headers: str,
    ) -> Answer:
        """Ask once. A value is sent as JSON; names of headers have _ for -.

        The socket does not trust a process with itself: a token is needed in its own.
        """
        sent = {name.replace("_", "-"): one for name, one in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        body = None
        if value is not None or method not in ("GET", "HEAD"):
            body = b"" if value is None else json.dumps(value).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = self.connection(tcp=tcp)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def raw(self, sent: bytes, *, tcp: bool = True) -> bytes:
        """Send bytes and return everything until the other side closes."""
        connection = self.connection(tcp=tcp)
        connection.connect()
        with connection.sock as client:
            received = b""
            # One that is refused before it has said all may be reset.
            with contextlib.suppress(ConnectionError):
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                while part := client.recv(65536):
                    received += part
            return received


@contextmanager
def opened(mapping: dict[str, Any], directory: Path, **admin: Any) -> Iterator[Door]:
    """Run a proxy with a socket and a loopback port."""
    path = str(directory / "admin.sock")
    settings = {"bind": [f"unix:{path}", "127.0.0.1:0"], "tokens": tokens(directory), **admin}
    with Proxy({**mapping, "admin": settings}) as proxy:
        yield Door(proxy, path, int(proxy.admin_addresses[1].rpartition(":")[2]))
