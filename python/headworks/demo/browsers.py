"""The demo's HTTP clients: each keeps one connection to the proxy for request after request, as browsers do.

Every wait is bounded. Must never open a connection past ``Clients``, which counts them.
"""

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from headworks.demo.clients import Clients
from headworks.demo.origins import fingerprint


@dataclass(frozen=True, kw_only=True)
class Page:
    """A response, and what the server in it says of the request."""

    status: int
    fields: dict[str, str]
    """By name in lower case."""
    told: dict[str, str]
    """The lines ``key: value`` of the body."""
    seconds: float

    @property
    def server(self) -> str:
        """Name of the server that answered; ``-`` when it was the proxy."""
        return self.told.get("server", "-")


@dataclass(frozen=True, kw_only=True)
class Tls:
    """A connection as its client knows it."""

    version: str = "-"
    cipher: str = "-"
    issuer: str = "-"
    """The authority that signed the certificate that was shown."""
    fingerprint: str = ""
    """Of that certificate."""

    @classmethod
    def of(cls, stream: ssl.SSLSocket) -> Self:
        """Look at a connection."""
        cipher, certificate = stream.cipher(), stream.getpeercert() or {}
        issuer = [pair[1] for part in certificate.get("issuer", ()) for pair in part]
        return cls(
            version=stream.version() or "-",
            cipher=cipher[0] if cipher else "-",
            issuer=str(issuer[-1]) if issuer else "-",
            fingerprint=fingerprint(stream.getpeercert(binary_form=True) or b""),
        )


class Browser:
    """One client with one kept connection. Use it in a ``with`` block."""

    def __init__(self, clients: Clients, listener: str = "web", *, secure: bool = False) -> None:
        self._clients = clients
        self._listener = listener
        self._secure = secure
        self._connection: http.client.HTTPConnection | None = None
        self.tls = Tls()
        """Of the last connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connection."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def get(self, host: str, path: str) -> Page:
        """Send ``GET http(s)://HOST/PATH``. Raises OSError, and opens another connection the next time then."""
        began = time.perf_counter()
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(host)
                self._connection.sock = self._connect(host)
            self._connection.request("GET", path, headers={"Host": host, "Accept": "text/plain"})
            answer = self._connection.getresponse()
            body = answer.read().decode()
        except http.client.HTTPException as error:
            self.close()
            raise ConnectionError(f"the answer was cut short: {error!r}") from error
        except OSError:
            self.close()
            raise
        if answer.will_close:
            self.close()
        return Page(
            status=answer.status,
            fields={name.lower(): value for name, value in answer.getheaders()},
            told=dict(re.findall(r"^(\w+): (\S+)", body, re.MULTILINE)),
            seconds=time.perf_counter() - began,
        )

    def _connect(self, host: str) -> socket.socket:
        if not self._secure:
            return self._clients.connect(self._listener)
        stream = self._clients.secure(self._listener, host)
        self.tls = Tls.of(stream)
        return stream


class Crowd:
    """A browser for each thread that asks. Use it in a ``with`` block."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._own = threading.local()
        self._lock = threading.Lock()
        self._closing: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for close in self._closing:
            close()

    def ask(self, host: str) -> str:
        """Ask ``host`` for a page and return the server's name. Raises OSError, also for another status than 200."""
        browser: Browser | None = getattr(self._own, "browser", None)
        if browser is None:
            browser = self._own.browser = Browser(self._clients)
            with self._lock:
                self._closing.append(browser.close)
        page = browser.get(host, "/")
        if page.status != http.client.OK:
            raise ConnectionError(f"answered {page.status}")
        return page.server
