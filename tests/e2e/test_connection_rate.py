"""Connections that come too often: closed at once, by network, however their client becomes known."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headworks import Proxy
from rig.clients import Target, connect, dial, exactly, served_by
from rig.configs import Config, http, tcp
from rig.hello import client_hello, proxy_v1
from rig.http_origins import HttpOrigin
from rig.origins import Origin, named_echo
from rig.tls_files import Pki
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]

HELLO = client_hello("a.test")
RATE = {"connections": 3, "per": "1h"}
REASON = "connection_rate_limited"


def _ends(proxy: Proxy, listener: str) -> dict[str, int]:
    return dict(proxy.stats().listeners[listener].ends)


def _is_closed(client: socket.socket) -> bool:
    """Whether nothing comes but an end or a reset."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def _tries(target: Target, count: int, sent: bytes = b"", source: str | None = None) -> list[bool]:
    """Connect again and again; whether each is served."""
    served = []
    for _ in range(count):
        with dial(target, source=source) as client:
            try:
                client.sendall(sent + b"x")
                client.shutdown(socket.SHUT_WR)
                served.append(client.recv(1) != b"")
            except OSError:
                served.append(False)
    return served


@pytest.fixture
def app(origin: MakeOrigin) -> str:
    return str(origin(name="app").address)


def test_a_burst_is_served_and_then_none(start: Start, app: str) -> None:
    proxy = start(tcp(app, listener={"connection_rate": RATE}))
    assert _tries(proxy.address("raw"), 5) == [True, True, True, False, False]
    until(lambda: _ends(proxy, "raw").get(REASON) == 2, "both are counted by their reason")
    assert proxy.stats().listeners["raw"].denied == 2
    assert served_by(proxy.address("raw"), b"x", source="127.0.0.2") == "app"


@pytest.mark.parametrize(("prefix", "served"), [(32, [True]), (24, [False])])
def test_a_network_is_as_wide_as_it_is_said_to_be(start: Start, app: str, prefix: int, served: list[bool]) -> None:
    proxy = start(tcp(app, listener={"connection_rate": RATE | {"connections": 1, "ipv4_prefix": prefix}}))
    assert _tries(proxy.address("raw"), 1, source="127.0.0.1") == [True]
    assert _tries(proxy.address("raw"), 1, source="127.0.0.2") == served
    assert _tries(proxy.address("raw"), 1, source="127.0.1.1") == [True]


def test_who_is_exempt_comes_as_often_as_it_wants(start: Start, app: str) -> None:
    proxy = start(tcp(app, listener={"connection_rate": RATE | {"connections": 1, "exempt": ["127.0.0.1"]}}))
    assert all(_tries(proxy.address("raw"), 10))


def test_those_that_are_served_already_stay(start: Start, app: str) -> None:
    proxy = start(tcp(app, listener={"connection_rate": RATE | {"connections": 1}}))
    with connect(proxy.address("raw")) as client:
        client.sendall(b"first")
        assert exactly(client, 9) == b"app\nfirst"
        assert _tries(proxy.address("raw"), 2) == [False, False]
        client.sendall(b"more")
        assert exactly(client, 4) == b"more"


@pytest.mark.parametrize("kind", ["tcp", "tls", "http"])
def test_the_client_that_a_header_announces_counts(
    start: Start, origin: MakeOrigin, http_origin: Callable[..., HttpOrigin], kind: str
) -> None:
    server = http_origin().address if kind == "http" else origin(named_echo, name="app").address
    sent = {"tcp": b"", "tls": HELLO, "http": b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"}[kind]
    listener = {
        "bind": "127.0.0.1:0",
        "protocol": kind,
        "backend": "app",
        "accept_proxy_from": ["127.0.0.1"],
        "connection_rate": RATE | {"connections": 1},
    }
    proxy = start({"listeners": {"front": listener}, "backends": {"app": {"servers": [server]}}})

    def header(client: str) -> bytes:
        return proxy_v1(client, "192.0.2.100")

    for client in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        assert _tries(proxy.address("front"), 2, header(client) + sent) == [True, False], client
    until(lambda: _ends(proxy, "front").get(REASON) == 3, "each was refused once")


def test_https_clients_are_closed_before_their_handshake(start: Start, http_origin: Any, pki: Pki) -> None:
    listener = {"protocol": "https", "tls": {"certificates": [pki.pem("a.test")]}, "connection_rate": RATE}
    proxy = start(http(http_origin().address, listener=listener))
    assert [bool(answer_of(proxy.address("web"))) for _ in range(5)] == [True, True, True, False, False]
    until(lambda: _ends(proxy, "web").get(REASON) == 2, "both are counted by their reason")


def answer_of(target: Target) -> bytes:
    """What comes of a ClientHello."""
    with dial(target) as client:
        try:
            client.sendall(HELLO)
            return client.recv(5)
        except OSError:
            return b""


def test_a_reload_keeps_what_was_used(start: Start, app: str) -> None:
    config = tcp(app, listener={"bind": "127.0.0.1:0", "connection_rate": RATE})
    proxy = start(config)
    assert _tries(proxy.address("raw"), 3) == [True] * 3
    proxy.reload(config | {"logs": {"access": "off"}})
    assert _tries(proxy.address("raw"), 1) == [False]
    config["listeners"]["raw"].pop("connection_rate")
    proxy.reload(config)
    assert _tries(proxy.address("raw"), 2) == [True, True]


def test_the_record_says_so(start: Start, app: str, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    config = tcp(app, listener={"connection_rate": RATE | {"connections": 1}})
    proxy = start(config | {"logs": {"access": str(log), "format": "json"}})
    assert _tries(proxy.address("raw"), 2) == [True, False]
    lines = until(lambda: found if len(found := log.read_text().splitlines()) == 2 else None, "two records")
    refused = next(line for line in map(json.loads, lines) if line["end"] == REASON)
    assert refused["bytes_in"] == refused["bytes_out"] == 0
    assert refused["client"].startswith("127.0.0.1:")
