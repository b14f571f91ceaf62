"""A ClientHello cut off, and split, at every byte."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from headworks import Proxy
from rig.clients import connect, dial, exactly, line, reset, served_by, to_close
from rig.configs import Config, tls
from rig.hello import client_hello, handshake, records
from rig.origins import Origin
from rig.waiting import until

HELLOS = {
    "one record": client_hello("split.example"),
    "many records": records(handshake("split.example"), [3, 1, 40, 7]),
}


@pytest.fixture(params=list(HELLOS.values()), ids=list(HELLOS))
def hello(request: pytest.FixtureRequest) -> bytes:
    return bytes(request.param)


@pytest.fixture
def app(origin: Callable[..., Origin]) -> Origin:
    return origin(name="app")


@pytest.fixture
def proxy(start: Callable[[Config], Proxy], app: Origin) -> Proxy:
    return start(tls({"split.example": "app"}, {"app": app.address}, timeouts={"first_bytes": "60s"}))


@contextlib.contextmanager
def _begun(proxy: Proxy, hello: bytes) -> Iterator[list[tuple[socket.socket, int]]]:
    """One client for each place but the last at which the hello can be cut, each having sent its part."""
    with ExitStack() as stack:
        clients = []
        for cut in range(len(hello)):
            client = stack.enter_context(connect(proxy.address("secure")))
            client.sendall(hello[:cut])
            clients.append((client, cut))
        until(
            lambda: sorted(row.bytes_in for row in proxy.connections()) == list(range(len(hello))), "all parts arrived"
        )
        yield clients


def test_split_at_every_byte(proxy: Proxy, hello: bytes) -> None:
    with _begun(proxy, hello) as clients:
        for client, cut in clients:
            client.sendall(hello[cut:])
        for client, _ in clients:
            assert line(client) == "app"
            assert exactly(client, len(hello)) == hello


def test_truncated_at_every_byte_then_ended(proxy: Proxy, app: Origin, hello: bytes) -> None:
    with _begun(proxy, hello) as clients:
        for client, _ in clients:
            client.shutdown(socket.SHUT_WR)
        for client, _ in clients:
            to_close(client)
        until(lambda: proxy.stats().connections == 0)
    assert app.accepted == 0
    assert served_by(proxy.address("secure"), hello) == "app"


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["closed", "reset"])
def test_truncated_at_every_byte_then_gone(
    proxy: Proxy, app: Origin, hello: bytes, leave: Callable[[socket.socket], None]
) -> None:
    with _begun(proxy, hello) as clients:
        for client, _ in clients:
            leave(client)
        until(lambda: proxy.stats().connections == 0)
    assert app.accepted == 0
    assert served_by(proxy.address("secure"), hello) == "app"


def test_truncated_before_it_is_looked_at(proxy: Proxy, app: Origin, hello: bytes) -> None:
    """Sent and closed at once: the end may be seen together with the bytes."""
    for cut in range(len(hello)):
        client = dial(proxy.address("secure"))
        client.sendall(hello[:cut])
        client.close()
    until(lambda: proxy.stats().listeners["secure"].connections == len(hello) and proxy.stats().connections == 0)
    assert app.accepted == 0
    assert served_by(proxy.address("secure"), hello) == "app"


def test_byte_by_byte(proxy: Proxy, hello: bytes) -> None:
    with connect(proxy.address("secure")) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(hello)):
            client.sendall(hello[at : at + 1])
        assert line(client) == "app"
        assert exactly(client, len(hello)) == hello


@pytest.mark.parametrize("at", range(0, 190, 7))
def test_one_byte_wrong_harms_nobody(proxy: Proxy, hello: bytes, at: int) -> None:
    """Whatever is made of it, it is answered or ended, and others are served."""
    wrong = bytearray(hello)
    wrong[at] ^= 0xFF
    with connect(proxy.address("secure")) as client:
        client.sendall(wrong)
        client.shutdown(socket.SHUT_WR)
        to_close(client)
    assert served_by(proxy.address("secure"), hello) == "app"
