"""The stage of the demo: a throw-away authority, servers, a proxy in front of them, and clients.

Everything is on loopback and on free ports; what must be a file is in one temporary directory. Leaving the ``with``
block ends and removes all of it.
"""

import contextlib
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from headworks.certificates import Authority
from headworks.config.write import sketch
from headworks.demo.clients import PATIENCE, Clients
from headworks.demo.origins import EchoOrigin, Origin, TlsOrigin, fingerprint
from headworks.demo.web import ChatOrigin, WebOrigin
from headworks.proxy import Proxy
from headworks.stats import Notice

_CERTIFICATE = "www.example.pem"
_GLANCE = 0.01
"""Seconds between looks at a counter that nobody announces."""

HOSTS = {
    "shop-1": "shop.example",
    "blog-1": "blog.example",
    "blog-2": "blog.example",
    "apps-1": "*.apps.example",
    "api-1": "api7.example",
    "news-1": "news.example",
}
"""The TLS servers and the names in their certificates."""

WEB = ("web-1", "web-2", "users-1")
"""The HTTP servers."""

_LOOK = 0.1
"""Seconds between looks at certificates' files: those who watch the tour do not want to wait."""


class Stage:
    """The stage that every step plays on. Use it in a ``with`` block."""

    def __init__(self) -> None:
        self._ending = contextlib.ExitStack()
        self.progress: Callable[[str], None] = lambda _: None
        """Told what a step is doing, when that takes a while."""

    def __enter__(self) -> Self:
        with self._ending:
            self._build()
            self._ending = self._ending.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def _build(self) -> None:
        self.directory = Path(self._ending.enter_context(tempfile.TemporaryDirectory(prefix="headworks-demo-")))
        authority = Authority("Authority of the demo")
        self.authority_file = self.directory / "ca.pem"
        self.authority_file.write_text(authority.pem())
        self._authority = authority
        self.renew()
        self.origins = self._start_origins(authority)
        self.settings = _settings(self.origins, self.directory)
        self.proxy = Proxy(self.settings, watch_interval=_LOOK)
        self.notices = self._ending.enter_context(Notices())
        self._ending.enter_context(self.proxy)
        self.notices.follow(self.proxy)
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust.load_verify_locations(cadata=authority.pem())
        # What the proxy signs for itself is believed because its authority is; it was made a moment ago, in memory.
        trust.load_verify_locations(cadata=self.proxy.authority("site"))
        self.clients = Clients(trust, self.proxy.address)
        self.write_file()

    def _start_origins(self, authority: Authority) -> dict[str, Origin]:
        origins: dict[str, Origin] = {
            name: TlsOrigin(name, host, authority, proxied=name == "shop-1") for name, host in HOSTS.items()
        }
        origins["echo-1"] = EchoOrigin("echo-1")
        origins |= {name: WebOrigin(name) for name in WEB}
        origins["chat-1"] = ChatOrigin("chat-1")
        for origin in origins.values():
            self._ending.callback(origin.close)
            origin.start()
        return origins

    @property
    def file(self) -> Path:
        """Return the file of the configuration that runs."""
        return self.directory / "headworks.toml"

    @property
    def throwaway_file(self) -> Path:
        """Return the file that the proxy writes the certificate of its throwaway authority to."""
        return Path(self.settings["listeners"]["site"]["tls"]["self_signed_ca"])

    @property
    def certificate_file(self) -> Path:
        """Return the file of the certificate that is renewed."""
        return self.directory / _CERTIFICATE

    @property
    def access_log(self) -> Path:
        """Return the file of the proxy's access records."""
        return Path(self.settings["logs"]["access"])

    def renew(self) -> str:
        """Put a new certificate for www.example in the place of the old one; returns its fingerprint."""
        leaf = self._authority.issue("www.example")
        self.replace_certificate(leaf.pem().encode())
        return fingerprint(leaf.chain[0])

    def replace_certificate(self, content: bytes) -> None:
        """Put a file in the place of that certificate, at once whole."""
        fresh = self.certificate_file.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.replace(self.certificate_file)

    def tls_origin(self, name: str) -> TlsOrigin:
        """Return one of the TLS servers."""
        origin = self.origins[name]
        if not isinstance(origin, TlsOrigin):
            raise TypeError(f"{name} does not speak TLS")
        return origin

    def names(self) -> dict[str, str]:
        """Return the servers' names by address."""
        return {origin.address: name for name, origin in self.origins.items()}

    def reload(self, settings: Mapping[str, Any]) -> float:
        """Swap the proxy to ``settings``; returns the seconds it took. Raises ConfigError and changes nothing then."""
        began = time.perf_counter()
        self.proxy.reload(settings)
        self.settings = dict(settings)
        return time.perf_counter() - began

    def reload_file(self) -> float:
        """Swap the proxy to what the file says; returns the seconds it took. Raises as ``Proxy.reload`` does."""
        began = time.perf_counter()
        self.proxy.reload(self.file)
        return time.perf_counter() - began

    def write_file(self) -> None:
        """Write the configuration that runs, for ``headworks explain`` and for people."""
        self.file.write_text(sketch(self.settings), encoding="utf-8")


class Notices:
    """The proxy's notices, kept as they come."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._kept: list[Notice] = []
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread:
            self._thread.join(PATIENCE)

    def follow(self, proxy: Proxy) -> None:
        """Keep the notices of ``proxy`` until it is stopped."""
        self._thread = threading.Thread(target=self._keep, args=(proxy,), name="notices", daemon=True)
        self._thread.start()

    def wait(self, kind: str, about: str, *, after: int = 0) -> Notice:
        """Wait for a notice of ``kind`` about a server or file that is not among the first ``after``.

        Raises TimeoutError.
        """

        def found() -> Notice | None:
            fitting = (one for one in self._kept[after:] if one.kind == kind and about in one.facts.values())
            return next(fitting, None)

        with self._changed:
            if (notice := self._changed.wait_for(found, PATIENCE)) is None:
                raise TimeoutError(f"waited {PATIENCE:g} s for the notice {kind} about {about}")
            return notice

    def count(self) -> int:
        """Return how many have come."""
        with self._changed:
            return len(self._kept)

    def _keep(self, proxy: Proxy) -> None:
        for notice in proxy.notices():
            with self._changed:
                self._kept.append(notice)
                self._changed.notify_all()


def until(what: str, reached: Callable[[], bool]) -> None:
    """Wait until ``reached``, for what can only be looked at. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE:g} s until {what}")
        pause.wait(_GLANCE)


def _settings(origins: Mapping[str, Origin], directory: Path) -> dict[str, Any]:
    """The configuration that the tour begins with."""
    at = {name: origin.address for name, origin in origins.items()}
    return {
        "proxy": {"workers": 2},
        "logs": {"access": str(directory / "access.log")},
        "listeners": {
            "secure": {"bind": "127.0.0.1:0", "protocol": "tls", "table": "sites"},
            "echo": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "echo"},
            "web": {"bind": "127.0.0.1:0", "protocol": "http", "table": "pages"},
            "limited": {
                "bind": "127.0.0.1:0",
                "protocol": "http",
                "backend": "web",
                "rate_limit": {"requests": 5, "per": "10s"},
            },
            "site": {
                "bind": "127.0.0.1:0",
                "protocol": "https",
                "table": "pages",
                "tls": {
                    "self_signed": True,
                    "self_signed_ca": str(directory / "throwaway-ca.pem"),
                    "passthrough": "untouched",
                },
            },
            "renewed": {
                "bind": "127.0.0.1:0",
                "protocol": "https",
                "table": "pages",
                "tls": {"certificates": [str(directory / _CERTIFICATE)]},
            },
            "plain": {"bind": "127.0.0.1:0", "protocol": "http", "redirect": {"to": "https"}},
        },
        "tables": {
            "sites": {
                "shop.example": "shop",
                "blog.example": "blog",
                "*.apps.example": "apps",
                "~^api[0-9]+\\.example$": "api",
            },
            "pages": {
                "www.example": "web",
                "www.example/api": "users",
                "www.example/chat": "chat",
                "www.example/robots.txt": {
                    "respond": {"body": "User-agent: *\n", "headers": {"Content-Type": "text/plain"}}
                },
                "api.example": "users",
                "old.example": {"redirect": {"to": "https://www.example{path}"}},
            },
            "untouched": {"shop.example": "shop"},
        },
        "backends": {
            "shop": {"servers": [at["shop-1"]], "proxy_protocol": "v1"},
            "blog": {
                "servers": [{"address": at["blog-1"], "weight": 2}, at["blog-2"]],
                "health": {"interval": "200ms", "rise": 2, "fall": 3},
            },
            "apps": {"servers": [at["apps-1"]]},
            "api": {"servers": [at["api-1"]]},
            "echo": {"servers": [at["echo-1"]]},
            "web": {
                "servers": [at["web-1"], at["web-2"]],
                "health": {"kind": "http", "path": "/health", "interval": "200ms", "rise": 2, "fall": 2},
            },
            "users": {"servers": [at["users-1"]], "strip_prefix": "/api"},
            "chat": {"servers": [at["chat-1"]]},
        },
    }
