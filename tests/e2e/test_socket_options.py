"""Options of TCP sockets: what the configuration asks for is what the kernel has, on either side."""

import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headworks import BindError, ConfigError, Proxy
from headworks import Config as Whole
from rig.clients import Target, connect, exactly
from rig.configs import Config, tcp
from rig.origins import Origin, echo, named_echo, says_name

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]

NUMBERS = {
    "user_timeout": ("30s", socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
    "keepalive_idle": ("61s", socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 61),
    "keepalive_interval": ("7s", socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 7),
    "keepalive_probes": (3, socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    "receive_buffer": ("64KiB", socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * 65536),
    "send_buffer": ("32KiB", socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * 32768),
}
"""Keys with a value, and where the kernel says it again."""

OPTIONS = {key: value for key, (value, *_) in NUMBERS.items()} | {"congestion": "reno", "interface": "lo"}


def _sockets() -> Iterator[socket.socket]:
    """Every TCP socket of this process, as a copy."""
    for entry in Path("/proc/self/fd").iterdir():
        try:
            copy = socket.socket(fileno=os.dup(int(entry.name)))
        except OSError:
            continue
        with copy:
            if copy.type == socket.SOCK_STREAM and copy.family in (socket.AF_INET, socket.AF_INET6):
                yield copy


def _found(ours: Target | None, theirs: Target | None) -> dict[str, object]:
    """The options of the proxy's socket between two addresses; without the second one it listens."""
    for one in _sockets():
        listens = bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        try:
            far = None if listens else one.getpeername()[:2]
        except OSError:
            continue
        if (ours is None or one.getsockname()[:2] == ours) and far == theirs:
            numbers = {key: one.getsockopt(level, name) for key, (_, level, name, _) in NUMBERS.items()}
            congestion = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()
            device = one.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0").decode()
            return {**numbers, "congestion": congestion, "interface": device}
    raise AssertionError(f"no socket between {ours} and {theirs}")


WANTED = {key: kept for key, (*_, kept) in NUMBERS.items()} | {"congestion": "reno", "interface": "lo"}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_clients_sockets_have_what_the_listening_one_has(start: Start, origin: MakeOrigin, host: str) -> None:
    bind = f"[{host}]:0" if ":" in host else f"{host}:0"
    proxy = start(tcp(origin(echo).address, listener={"bind": bind, "accept": OPTIONS}))
    address = proxy.address("raw")
    assert _found(address, None) == WANTED
    with connect(address) as client:
        client.sendall(b"x")
        exactly(client, 1)
        assert _found(address, client.getsockname()[:2]) == WANTED


def test_sockets_to_servers_have_their_own(start: Start, origin: MakeOrigin) -> None:
    app = origin(echo)
    proxy = start(tcp(app.address, connect=OPTIONS | {"fast_open": True}))
    with connect(proxy.address("raw")) as client:
        client.sendall(b"x")
        exactly(client, 1)
        assert _found(None, ("127.0.0.1", app.port)) == WANTED


def test_a_server_that_speaks_first_is_not_waited_for(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tcp(origin(says_name, name="app").address, connect={"fast_open": True}))
    for _ in range(3):
        with connect(proxy.address("raw")) as client:
            assert exactly(client, 4) == b"app\n"


def test_a_listening_socket_defers_and_opens_fast(start: Start, origin: MakeOrigin) -> None:
    accept = {"defer_accept": "5s", "fast_open_queue": 7}
    proxy = start(tcp(origin(named_echo, name="app").address, listener={"accept": accept}))
    address = proxy.address("raw")
    listening = next(one.dup() for one in _sockets() if one.getsockname()[:2] == address)
    with listening:
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) >= 5
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN) == 7


def test_segments_are_no_larger(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tcp(origin(echo).address, listener={"accept": {"max_segment": 1000}}))
    with connect(proxy.address("raw")) as client:
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 1000


@pytest.mark.skipif(os.geteuid() != 0, reason="a mark needs CAP_NET_ADMIN")
def test_packets_are_marked(start: Start, origin: MakeOrigin) -> None:
    app = origin(echo)
    config = tcp(app.address, listener={"accept": {"mark": 7}}, connect={"mark": 0xFFFF_FFFF})
    proxy = start(config)
    address = proxy.address("raw")
    with connect(address) as client:
        client.sendall(b"x")
        exactly(client, 1)
        marks: dict[Target, set[int]] = {}
        for one in _sockets():
            kept = struct.unpack("I", one.getsockopt(socket.SOL_SOCKET, socket.SO_MARK, 4))[0]
            marks.setdefault(one.getsockname()[:2], set()).add(kept)
        assert 7 in marks[address]
        assert 0xFFFF_FFFF in {mark for found in marks.values() for mark in found}


def test_what_the_kernel_refuses_is_said_before_anybody_is_served(start: Start, origin: MakeOrigin) -> None:
    app = origin(echo).address
    with pytest.raises(BindError, match='congestion "nobodys": '):
        start(tcp(app, listener={"accept": {"congestion": "nobodys"}}))
    with pytest.raises(OSError, match=r'backends\.app: connect\.interface "nowhere0": there is no such interface'):
        start(tcp(app, connect={"interface": "nowhere0"}))


def test_a_reload_with_other_options_binds_anew_and_drops_nobody(start: Start, origin: MakeOrigin) -> None:
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        bind = f"127.0.0.1:{finder.getsockname()[1]}"
    app = origin(echo).address
    proxy = start(tcp(app, listener={"bind": bind}))
    address = proxy.address("raw")
    with connect(address) as client:
        client.sendall(b"x")
        exactly(client, 1)
        proxy.reload(tcp(app, listener={"bind": bind, "accept": {"user_timeout": "30s"}}))
        assert proxy.address("raw") == address
        assert _found(address, None)["user_timeout"] == 30_000
        client.sendall(b"y")
        assert exactly(client, 1) == b"y"
        with pytest.raises(BindError):
            proxy.reload(tcp(app, listener={"bind": bind, "accept": {"congestion": "nobodys"}}))
        with connect(address) as another:
            another.sendall(b"z")
            assert exactly(another, 1) == b"z"


def test_unix_sockets_have_no_such_options() -> None:
    config = tcp("unix:/run/app.sock", listener={"bind": "unix:/run/front.sock", "accept": {"mark": 1}})
    config["backends"]["app"] |= {"connect": {"fast_open": True}, "source": "client"}
    with pytest.raises(ConfigError) as raised:
        Whole.parse(config).check()
    said = [str(problem) for problem in raised.value.problems]
    assert [line.partition(": it is for TCP")[0] for line in said] == [
        "backends.app.connect",
        "backends.app.source",
        "listeners.raw.accept",
    ]
