"""Fixtures: certificates, origins and proxies that end with their test."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.server

from headworks import Proxy
from headworks.certificates import Authority
from rig.http_origins import Answering, HttpOrigin
from rig.origins import Behaviour, Origin, named_echo, tls_named
from rig.tls_files import Pki
from rig.tls_origins import TlsHttpOrigin
from rig.waiting import PATIENCE

Config = dict[str, Any]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Whatever is entered here is left, in reverse, after the test."""
    with ExitStack() as entered:
        yield entered


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The authority that signs every origin's certificate."""
    return Authority("Authority of the tests")


@pytest.fixture(scope="session")
def trusted(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the authority's certificate."""
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    file.write_text(authority.pem())
    return file


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """An authority, and files of what it signs."""
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def origin(stack: ExitStack) -> Callable[..., Origin]:
    """Make origins: ``origin(behaviour, name="a")``."""

    def make(
        behaviour: Behaviour = named_echo, *, name: str = "", host: str = "127.0.0.1", path: Path | None = None
    ) -> Origin:
        return stack.enter_context(Origin(behaviour, name=name, host=host, path=path))

    return make


@pytest.fixture
def http_origin(stack: ExitStack) -> Callable[..., HttpOrigin]:
    """Make HTTP origins that record: ``http_origin(answering, name="a")``."""

    def make(answering: Answering | None = None, *, name: str = "app", **others: Any) -> HttpOrigin:
        return stack.enter_context(HttpOrigin(answering, name=name, **others))

    return make


@pytest.fixture
def tls_origin(origin: Callable[..., Origin], authority: Authority, tmp_path: Path) -> Callable[..., Origin]:
    """Make TLS origins that answer with their name: ``tls_origin("a", "a.example", ...)``."""

    def make(name: str, *identities: str) -> Origin:
        file = tmp_path / f"{name}.pem"
        file.write_text(authority.issue(*identities).pem())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return origin(tls_named(context), name=name)

    return make


@pytest.fixture
def https_origin(stack: ExitStack) -> Callable[..., TlsHttpOrigin]:
    """Make HTTP origins over TLS: ``https_origin(pki.server("a.test"), answering, name="a")``."""

    def make(tls: ssl.SSLContext, answering: Answering | None = None, *, name: str = "app") -> TlsHttpOrigin:
        return stack.enter_context(TlsHttpOrigin(tls, answering, name=name))

    return make


@pytest.fixture
def start(stack: ExitStack, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[Config], Proxy]]:
    """Start a proxy in this process. Two workers and no access log, unless the configuration says otherwise.

    A worker that panics fails the test, whatever the clients made of it.
    """

    def make(config: Config) -> Proxy:
        config.setdefault("proxy", {}).setdefault("workers", 2)
        config.setdefault("logs", {}).setdefault("access", "off")
        return stack.enter_context(Proxy(config))

    yield make
    stack.close()
    said = capfd.readouterr().err
    assert "panicked at" not in said, said


@pytest.fixture
def websocket_echo() -> Iterator[str]:
    """Run a WebSocket server that sends back what it gets; gives its address."""

    def echo(connection: websockets.sync.server.ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with websockets.sync.server.serve(echo, "127.0.0.1", 0, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield "{}:{}".format(*server.socket.getsockname())
        server.shutdown()
        thread.join(PATIENCE)
