"""PROXY headers: those that servers get, and those that come from balancers in front."""

import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headworks import Proxy
from rig.clients import Target, answer, connect, dial, to_close
from rig.configs import Config, tcp, tls
from rig.hello import HANDSHAKE_FAILURE, client_hello, proxy_v1, proxy_v2
from rig.origins import Origin, notes, says_name, unanswering_port
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]

HELLO = client_hello("a.test")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def _sent(
    proxy: Proxy, listener: str, app: Origin, target: Target | None = None, sent: bytes = HELLO
) -> tuple[bytes, Any, Any]:
    """Send as a client; give what the server got, and both addresses of the client's socket."""
    with dial(target or proxy.address(listener)) as client:
        ours, theirs = client.getsockname(), client.getpeername()
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert len(to_close(client)) == 32
    return app.received.pop(), ours, theirs


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", b"TCP4"), ("[::1]", b"TCP6")])
def test_version_1_is_sent(start: Start, origin: MakeOrigin, protocol: str, host: str, family: bytes) -> None:
    app = origin(notes)
    listener = {"bind": f"{host}:0", "protocol": protocol}
    proxy = start(tcp(app.address, listener=listener, proxy_protocol="v1"))
    got, ours, theirs = _sent(proxy, "raw", app)
    header = b"PROXY %s %s %s %d %d\r\n" % (family, ours[0].encode(), theirs[0].encode(), ours[1], theirs[1])
    assert got == header + HELLO


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("[::1]", socket.AF_INET6)])
def test_version_2_is_sent(
    start: Start, origin: MakeOrigin, protocol: str, host: str, family: socket.AddressFamily
) -> None:
    app = origin(notes)
    listener = {"bind": f"{host}:0", "protocol": protocol}
    proxy = start(tcp(app.address, listener=listener, proxy_protocol="v2"))
    got, ours, theirs = _sent(proxy, "raw", app)
    addresses = socket.inet_pton(family, ours[0]) + socket.inet_pton(family, theirs[0])
    block = addresses + struct.pack("!HH", ours[1], theirs[1])
    kind = b"\x21\x11" if family == socket.AF_INET else b"\x21\x21"
    assert got == SIGNATURE + kind + struct.pack("!H", len(block)) + block + HELLO


def test_ipv4_clients_of_a_dual_stack_listener_are_announced_as_ipv4(start: Start, origin: MakeOrigin) -> None:
    app = origin(notes)
    proxy = start(tcp(app.address, listener={"bind": ":0"}, proxy_protocol="v1"))
    target = ("127.0.0.1", proxy.address("raw")[1])
    got, ours, _ = _sent(proxy, "raw", app, target)
    assert got.startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (ours[1], target[1]))


@pytest.mark.parametrize(("version", "header"), [("v1", b"PROXY UNKNOWN\r\n"), ("v2", SIGNATURE + b"\x20\x00\x00\x00")])
def test_unix_clients_have_no_address(
    start: Start, origin: MakeOrigin, tmp_path: Path, version: str, header: bytes
) -> None:
    app = origin(notes)
    proxy = start(tcp(app.address, listener={"bind": f"unix:{tmp_path / 'a'}"}, proxy_protocol=version))
    assert _sent(proxy, "raw", app)[0] == header + HELLO


def test_the_header_goes_first_to_servers_that_speak_first(start: Start, origin: MakeOrigin) -> None:
    """The header must not wait for the client, who may be waiting for the server."""

    def greets(connection: socket.socket, greeting: Origin) -> None:
        header = connection.recv(200)
        greeting.note(header)
        says_name(connection, greeting)

    app = origin(greets, name="220 ready")
    proxy = start(tcp(app.address, proxy_protocol="v1"))
    with connect(proxy.address("raw")) as client:
        assert client.recv(100) == b"220 ready\n"
    assert app.received[0].startswith(b"PROXY TCP4 ")


def test_the_header_is_whole_after_a_retry(start: Start, origin: MakeOrigin) -> None:
    app = origin(notes)
    with unanswering_port() as hanging:
        proxy = start(
            tcp(hanging, app.address, listener={"protocol": "tls"}, proxy_protocol="v1", connect_timeout="100ms")
        )
        for _ in range(4):
            got, ours, theirs = _sent(proxy, "raw", app)
            assert got == proxy_v1("127.0.0.1", "127.0.0.1", ours[1], theirs[1]) + HELLO


HEADERS = {
    "v1": proxy_v1("192.0.2.7", "192.0.2.1"),
    "v1 ipv6": proxy_v1("2001:db8::7", "2001:db8::1"),
    "v2": proxy_v2(socket.inet_aton("192.0.2.7"), socket.inet_aton("192.0.2.1")),
    "v2 ipv6": proxy_v2(
        socket.inet_pton(socket.AF_INET6, "2001:db8::7"), socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    ),
}


@pytest.fixture(params=["tcp", "tls"])
def behind(request: pytest.FixtureRequest, start: Start) -> Callable[..., Proxy]:
    """A proxy that wants PROXY headers from 127.0.0.2, and says in v1 who it takes for the client."""

    def make(app: Origin, **listener: Any) -> Proxy:
        listener = {"protocol": request.param, "accept_proxy_from": ["127.0.0.2"]} | listener
        return start(tcp(app.address, listener=listener, proxy_protocol="v1"))

    return make


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_headers_from_listed_sources_tell_the_client(
    behind: Callable[..., Proxy], origin: MakeOrigin, header: bytes
) -> None:
    app = origin(notes)
    proxy = behind(app)
    assert len(answer(proxy.address("raw"), header + HELLO, source="127.0.0.2")) == 32
    announced = HEADERS["v1 ipv6" if len(header) in (len(HEADERS["v1 ipv6"]), len(HEADERS["v2 ipv6"])) else "v1"]
    assert app.received == [announced + HELLO]


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_headers_split_at_every_byte(behind: Callable[..., Proxy], origin: MakeOrigin, header: bytes) -> None:
    app = origin(notes)
    proxy = behind(app)
    whole = header + HELLO
    clients = []
    cuts = range(1, len(header) + 2)
    for cut in cuts:
        client = dial(proxy.address("raw"), source="127.0.0.2")
        client.sendall(whole[:cut])
        clients.append(client)
    until(lambda: sorted(row.bytes_in for row in proxy.connections()) == list(cuts))
    for cut, client in zip(cuts, clients, strict=True):
        with client:
            client.sendall(whole[cut:])
            client.shutdown(socket.SHUT_WR)
            assert len(to_close(client)) == 32
    assert len(app.received) == len(cuts)
    assert len(set(app.received)) == 1
    assert app.received[0].endswith(HELLO)


def test_a_local_header_tells_nothing_new(behind: Callable[..., Proxy], origin: MakeOrigin) -> None:
    app = origin(notes)
    proxy = behind(app)
    assert len(answer(proxy.address("raw"), SIGNATURE + b"\x20\x00\x00\x00" + HELLO, source="127.0.0.2")) == 32
    assert app.received[0].startswith(b"PROXY TCP4 127.0.0.2 127.0.0.1 ")
    assert app.received[0].endswith(b"\r\n" + HELLO)


def test_listed_sources_must_send_one(behind: Callable[..., Proxy], origin: MakeOrigin) -> None:
    app = origin(notes)
    proxy = behind(app)
    for sent in (HELLO, b"PROXY nonsense\r\n" + HELLO, b"PROXY TCP4 1.2.3.4 5.6.7.8 99999 1\r\n" + HELLO):
        assert answer(proxy.address("raw"), sent, source="127.0.0.2") in (b"", HANDSHAKE_FAILURE)
    assert app.accepted == 0


def test_other_sources_must_not(behind: Callable[..., Proxy], origin: MakeOrigin) -> None:
    app = origin(notes)
    proxy = behind(app)
    for header in HEADERS.values():
        with connect(proxy.address("raw")) as client:
            client.sendall(header + HELLO)
            assert to_close(client) in (b"", HANDSHAKE_FAILURE)
    until(lambda: app.open == 0)
    assert all(HELLO not in received for received in app.received)
    assert len(answer(proxy.address("raw"), HELLO)) == 32
    assert app.received[-1].endswith(HELLO)


def test_access_lists_are_about_the_announced_client(behind: Callable[..., Proxy], origin: MakeOrigin) -> None:
    app = origin(notes)
    proxy = behind(app, deny=["192.0.2.0/24"])
    target = proxy.address("raw")
    assert answer(target, HEADERS["v1"] + HELLO, source="127.0.0.2") == b""
    assert app.accepted == 0
    assert len(answer(target, HEADERS["v1 ipv6"] + HELLO, source="127.0.0.2")) == 32
    assert proxy.stats().listeners["raw"].denied == 1


def test_a_listed_source_that_says_nothing(behind: Callable[..., Proxy], origin: MakeOrigin) -> None:
    proxy = behind(origin(notes), timeouts={"first_bytes": "100ms"})
    with connect(proxy.address("raw"), source="127.0.0.2") as client:
        assert to_close(client) in (b"", HANDSHAKE_FAILURE)


def test_the_announced_client_is_what_source_hash_sees(start: Start, origin: MakeOrigin) -> None:
    servers = {name: origin(name=name).address for name in "abc"}
    config = tls({"*": "app"}, {"app": list(servers.values())}, accept_proxy_from=["127.0.0.1"])
    config["backends"]["app"]["balance"] = "source_hash"
    target = start(config).address("secure")

    def server_of(client: str) -> str:
        with connect(target) as front:
            front.sendall(proxy_v1(client, "192.0.2.1") + HELLO)
            return front.recv(2, socket.MSG_WAITALL).decode()[0]

    clients = [f"198.51.100.{number}" for number in range(30)]
    first = [server_of(client) for client in clients]
    assert set(first) == set(servers)
    assert [server_of(client) for client in clients] == first


def test_one_proxy_behind_another(start: Start, origin: MakeOrigin) -> None:
    """What one sends the other accepts, in both versions."""
    app = origin(notes)
    for version in ("v1", "v2"):
        inner = start(tcp(app.address, listener={"accept_proxy_from": "127.0.0.0/8"}, proxy_protocol="v1"))
        host, port = inner.address("raw")
        outer = start(tls({"*": "app"}, {"app": f"{host}:{port}"}))
        _refused_without_header(outer)
        outer.reload(_with_header(host, port, version))
        got, ours, _ = _sent(outer, "secure", app)
        assert got.startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 %d " % ours[1])
        assert got.endswith(b"\r\n" + HELLO)


def _with_header(host: str, port: int, version: str) -> Config:
    config = tls({"*": "app"}, {"app": f"{host}:{port}"})
    config["backends"]["app"]["proxy_protocol"] = version
    config["proxy"] = {"workers": 2}
    config["logs"] = {"access": "off"}
    return config


def _refused_without_header(outer: Proxy) -> None:
    """Without its header the inner proxy refuses the outer one."""
    with connect(outer.address("secure")) as client:
        client.sendall(HELLO)
        assert to_close(client) == b""
