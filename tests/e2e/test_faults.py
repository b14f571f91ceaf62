"""Clients and servers that say nothing, reset, refuse, hang, or end in any order: nothing is left of them."""

import contextlib
import hashlib
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headworks import Proxy, Stats
from rig.clients import connect, dial, exactly, line, refusal, reset, served_by, to_close, to_end
from rig.configs import Config, tcp, tls
from rig.hello import HANDSHAKE_FAILURE, INTERNAL_ERROR, client_hello
from rig.origins import (
    Origin,
    closes_first,
    closes_last,
    echo,
    hangs,
    hash_of,
    refusing_port,
    resets_after_first_byte,
    says_name,
    source,
    unanswering_port,
)
from rig.process import Running, running, write
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]

HELLO = client_hello("a.test")
MIB = 1 << 20


@pytest.fixture(params=["tcp", "tls"])
def front(request: pytest.FixtureRequest, start: Start) -> Callable[..., Proxy]:
    """Start a proxy with a listener called ``front``, of either protocol, before the servers given."""

    def make(*servers: Any, timeouts: Config | None = None, **backend: Any) -> Proxy:
        listener: Config = {
            "bind": "127.0.0.1:0",
            "protocol": request.param,
            "backend": "app",
            "timeouts": timeouts or {},
        }
        return start({"listeners": {"front": listener}, "backends": {"app": {"servers": list(servers)} | backend}})

    return make


@contextlib.contextmanager
def _settled(proxy: Proxy) -> Iterator[None]:
    """Whatever happens inside, no connection and no place at a server is left after it."""
    yield
    # A worker counts its connections at the end of its turn: one accepted this very moment holds its place already.
    until(lambda: _holds_nothing(proxy.stats()), "no connection and no place is left")


def _holds_nothing(stats: Stats) -> bool:
    return stats.connections == 0 and all(backend.active == 0 for backend in stats.backends.values())


# Servers.


def test_server_refuses(front: Callable[..., Proxy], stack: contextlib.ExitStack, origin: MakeOrigin) -> None:
    proxy = front(stack.enter_context(refusing_port()), origin(name="alive").address)
    with _settled(proxy):
        for _ in range(10):
            assert served_by(proxy.address("front"), HELLO) == "alive"


def test_server_hangs(front: Callable[..., Proxy], stack: contextlib.ExitStack, origin: MakeOrigin) -> None:
    hanging = stack.enter_context(unanswering_port())
    proxy = front(hanging, origin(name="alive").address, connect_timeout="100ms", ejection={"failures": 0})
    with _settled(proxy):
        for _ in range(4):
            assert served_by(proxy.address("front"), HELLO) == "alive"
    assert proxy.stats().backends["app"].servers[hanging].connect_failures > 0


def test_client_leaves_while_the_server_hangs(front: Callable[..., Proxy], stack: contextlib.ExitStack) -> None:
    proxy = front(stack.enter_context(unanswering_port()), connect_timeout="1h")
    with _settled(proxy):
        clients = [dial(proxy.address("front")) for _ in range(20)]
        for client in clients:
            client.sendall(HELLO)
        until(lambda: [row.state for row in proxy.connections()] == ["connecting"] * 20)
        for client in clients:
            reset(client)


def test_server_resets_after_the_first_byte(front: Callable[..., Proxy], origin: MakeOrigin) -> None:
    """The byte is delivered, and the reset is passed on: a broken answer does not look like a whole one."""
    proxy = front(origin(resets_after_first_byte).address)
    with _settled(proxy):
        for _ in range(20):
            with connect(proxy.address("front")) as client:
                client.sendall(HELLO)
                assert exactly(client, 1) == b"x"
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
    assert proxy.stats().listeners["front"].failed == 20


def test_server_closes_first(front: Callable[..., Proxy], origin: MakeOrigin) -> None:
    proxy = front(origin(closes_first).address)
    with _settled(proxy), connect(proxy.address("front")) as client:
        client.sendall(HELLO)
        assert to_end(client) == b"bye"


def test_server_closes_last(front: Callable[..., Proxy], origin: MakeOrigin) -> None:
    proxy = front(origin(closes_last).address)
    with _settled(proxy), connect(proxy.address("front")) as client:
        client.sendall(HELLO)
        client.shutdown(socket.SHUT_WR)
        assert to_end(client) == b"last words"


def test_server_speaks_first(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tcp(origin(says_name, name="hi").address))
    with _settled(proxy), connect(proxy.address("raw")) as client:
        assert line(client) == "hi"


# Clients.


def test_silent_clients_behind_tcp_are_ended_by_idle(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tcp(origin(echo).address, listener={"timeouts": {"idle": "200ms"}}))
    with _settled(proxy), connect(proxy.address("raw")) as client:
        assert to_close(client) == b""


def test_idle_is_counted_from_the_last_byte(front: Callable[..., Proxy], origin: MakeOrigin) -> None:
    proxy = front(origin(echo).address, timeouts={"idle": "1s"})
    with _settled(proxy), connect(proxy.address("front")) as client:
        client.sendall(HELLO)
        assert exactly(client, len(HELLO)) == HELLO
        begun = time.monotonic()
        while time.monotonic() - begun < 2.5:
            client.sendall(b"x")
            assert exactly(client, 1) == b"x"
            time.sleep(0.05)
        last = time.monotonic()
        assert to_close(client) == b""
        assert time.monotonic() - last > 0.9


def test_a_quiet_connection_may_still_be_ended_by_halves(front: Callable[..., Proxy], origin: MakeOrigin) -> None:
    """`half_close` runs from the end of one side (or the last byte after it), not from the last byte before it."""

    def answers_late(connection: socket.socket, _origin: Origin) -> None:
        connection.sendall(connection.recv(1 << 16))
        while connection.recv(1 << 16):
            pass
        time.sleep(0.3)
        connection.sendall(b"last words")

    proxy = front(origin(answers_late).address, timeouts={"idle": "1h", "half_close": "2s"})
    with _settled(proxy), connect(proxy.address("front")) as client:
        client.sendall(HELLO)
        assert exactly(client, len(HELLO)) == HELLO
        until(lambda: proxy.connections()[0].idle_ms > 2500)
        client.shutdown(socket.SHUT_WR)
        assert to_end(client) == b"last words"


def test_half_closed_for_too_long(front: Callable[..., Proxy], origin: MakeOrigin) -> None:
    proxy = front(origin(hangs).address, timeouts={"idle": "1h", "half_close": "200ms"})
    with _settled(proxy), connect(proxy.address("front")) as client:
        client.sendall(HELLO)
        client.shutdown(socket.SHUT_WR)
        assert to_close(client) == b""


def test_bytes_that_are_delivered_slowly_are_no_idleness(start: Start, origin: MakeOrigin) -> None:
    """What waits in the proxy and trickles out to a slow client is bytes moving."""
    proxy = start(tcp(origin(source(64 * MIB)).address, listener={"timeouts": {"idle": "1s"}}))
    with socket.socket() as client:
        client.settimeout(10)
        # Small segments and a small window keep the kernel from hiding progress in its own buffers.
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 600)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(proxy.address("raw"))
        client.sendall(b"go")
        exactly(client, 4 * MIB)
        begun = time.monotonic()
        while time.monotonic() - begun < 4:
            assert exactly(client, 4096), "ended although bytes moved"
            time.sleep(0.02)
        assert [row.state for row in proxy.connections()] == ["relaying"]


@pytest.mark.parametrize(
    "state", ["accepted", "inspecting", "relaying", "client ended", "server ended", "refused", "full"]
)
def test_resets_in_every_state(start: Start, origin: MakeOrigin, state: str) -> None:
    def ends_at_once(connection: socket.socket, held: Origin) -> None:
        connection.sendall(connection.recv(1 << 16)[:1])
        connection.shutdown(socket.SHUT_WR)
        held.release.wait(20)

    behaviour = {"server ended": ends_at_once, "full": source(64 * MIB), "client ended": hangs}.get(state, echo)
    proxy = start(tls({"a.test": "app"}, {"app": origin(behaviour).address}))
    with _settled(proxy):
        clients = [dial(proxy.address("secure")) for _ in range(10)]
        for client in clients:
            client.sendall(
                {"accepted": b"", "inspecting": HELLO[:50], "refused": client_hello("b.test")}.get(state, HELLO)
            )
            if state in ("relaying", "server ended", "refused", "full"):
                assert exactly(client, 1)
            if state == "client ended":
                client.shutdown(socket.SHUT_WR)
        wanted = {
            "accepted": "inspecting",
            "client ended": "half_closed",
            "server ended": "half_closed",
            "full": "relaying",
        }
        until(lambda: [row.state for row in proxy.connections()] == [wanted.get(state, state)] * 10)
        for client in clients:
            reset(client)


def test_client_resets_while_the_server_takes_nothing(start: Start, origin: MakeOrigin) -> None:
    """The server still gets what came before; one that reads nothing is let go by `half_close`."""
    proxy = start(tcp(origin(hangs).address, listener={"timeouts": {"idle": "1h", "half_close": "500ms"}}))
    with _settled(proxy):
        client = dial(proxy.address("raw"))
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                client.send(bytes(1 << 16))
        until(lambda: proxy.stats().listeners["raw"].connections == 1, "the client is accepted")
        reset(client)


def test_server_gets_the_clients_reset(start: Start, origin: MakeOrigin) -> None:
    def notices(connection: socket.socket, noticed: Origin) -> None:
        connection.sendall(connection.recv(1 << 16))
        try:
            connection.recv(1)
            noticed.note(b"ended")
        except ConnectionResetError:
            noticed.note(b"reset")

    app = origin(notices)
    proxy = start(tcp(app.address))
    with _settled(proxy):
        client = dial(proxy.address("raw"))
        client.sendall(b"x")
        assert exactly(client, 1) == b"x"
        reset(client)
        until(lambda: app.received)
    assert app.received == [b"reset"]


# Much at once.


@pytest.fixture
def process(stack: contextlib.ExitStack, tmp_path: Path) -> Callable[..., Running]:
    """Run the command on a configuration."""

    def make(config: Config, **options: Any) -> Running:
        config.setdefault("proxy", {}).setdefault("workers", 2)
        config.setdefault("logs", {}).setdefault("access", "off")
        return stack.enter_context(running(write(tmp_path / "headworks.toml", config), **options))

    return make


def test_five_thousand_connections_opened_and_reset(process: Callable[..., Running], origin: MakeOrigin) -> None:
    proxy = process(tls({"*": "app"}, {"app": origin(name="app").address}))
    target = proxy.address("secure")
    assert served_by(target, HELLO) == "app"
    baseline = until(proxy.descriptors)
    clients = []
    for number in range(5000):
        client = dial(target)
        client.sendall(HELLO[: number % 100])
        clients.append(client)
    assert proxy.descriptors() > baseline + 2000
    for client in clients:
        reset(client)
    until(lambda: proxy.descriptors() <= baseline + 2, "descriptors are given back")
    assert served_by(target, HELLO) == "app"


def _server_of_much() -> int:
    """Bytes that the slow client is sent: HEADWORKS_MUCH_MIB, 256 by default."""
    return int(os.environ.get("HEADWORKS_MUCH_MIB", "256")) * MIB


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_much_for_a_slow_client_costs_bounded_memory(process: Callable[..., Running], origin: MakeOrigin) -> None:
    size = _server_of_much()
    app = origin(source(size))
    proxy = process(tcp(app.address))
    baseline, descriptors = proxy.resident(), proxy.descriptors()
    with connect(proxy.address("raw")) as slow, connect(proxy.address("raw")) as leaving:
        for client in (slow, leaving):
            client.sendall(b"go")
        received = b""
        for _ in range(5):
            received += exactly(slow, 1024)
            exactly(leaving, 1024)
            time.sleep(1)
            assert proxy.resident() < baseline + 16 * MIB
        # Both streams stand: what was taken from the server is what fits into the kernel's buffers and ours.
        assert app.sent < 64 * MIB
        leaving.close()
        until(lambda: app.open == 1, "the server is told that the client has gone")
        # The one who stays gets the rest, to the byte.
        digest = hashlib.sha256(received)
        while more := slow.recv(1 << 18):
            digest.update(more)
        assert digest.hexdigest() == hash_of(size)
        assert proxy.resident() < baseline + 16 * MIB
    until(lambda: proxy.descriptors() <= descriptors + 8, "descriptors are given back")


def _limited(number: int) -> list[str]:
    return ["sh", "-c", f'ulimit -n {number}; exec "$@"', "sh"]


@pytest.mark.parametrize(("listeners", "limit"), [(1, 200), (45, 256)], ids=["counted", "exhausted"])
def test_descriptors_run_out(process: Callable[..., Running], origin: MakeOrigin, listeners: int, limit: int) -> None:
    """With one listener the proxy stops before the limit; with many its reserve is used up and the system refuses."""
    config = tls({"*": "app"}, {"app": origin(name="app").address}, timeouts={"first_bytes": "1h"})
    config["listeners"]["secure"]["bind"] = ["127.0.0.1:0"] * listeners
    proxy = process(config, prefix=_limited(limit))
    target = proxy.address("secure")
    assert served_by(target, HELLO) == "app"
    baseline = proxy.descriptors()
    with contextlib.ExitStack() as stack:
        for _ in range(limit + 100):
            stack.enter_context(connect(target)).sendall(HELLO)
        proxy.line("accept_paused")
        # Clients wait and nothing can be done for them: that must not be tried without pause.
        before, begun = proxy.processor_time(), time.monotonic()
        time.sleep(1.5)
        used, passed = proxy.processor_time() - before, time.monotonic() - begun
        assert used < 0.4 * passed, f"{used} s of processor time in {passed} s of waiting"
        assert proxy.descriptors() <= limit
    until(lambda: proxy.descriptors() <= baseline + 2, "descriptors are given back")
    assert served_by(target, HELLO) == "app"
    proxy.line("accept_resumed")


def test_those_that_wait_for_descriptors_are_served_in_the_end(
    process: Callable[..., Running], origin: MakeOrigin
) -> None:
    proxy = process(tls({"*": "app"}, {"app": origin(name="app").address}), prefix=_limited(200))
    target = proxy.address("secure")
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(connect(target)) for _ in range(150)]
        for client in waiting:
            client.sendall(HELLO)
        while waiting:
            served, _, _ = select.select(waiting, [], [], 30)
            assert served, f"{len(waiting)} wait in vain"
            for client in served:
                assert exactly(client, 4) == b"app\n"
                client.close()
                waiting.remove(client)


def test_faults_do_not_disturb_a_neighbour(front: Callable[..., Proxy], origin: MakeOrigin) -> None:
    proxy = front(origin(echo).address)
    target = proxy.address("front")
    with connect(target) as steady:
        steady.sendall(HELLO)
        assert exactly(steady, len(HELLO)) == HELLO
        for turn in range(100):
            broken = dial(target)
            broken.sendall(HELLO[: turn * 2])
            reset(broken)
            steady.sendall(b"%d" % turn)
            assert exactly(steady, len(str(turn))) == b"%d" % turn


def test_no_server_answers_are_whole(start: Start, stack: contextlib.ExitStack) -> None:
    proxy = start(tls({"*": "app"}, {"app": stack.enter_context(refusing_port())}))
    for _ in range(50):
        assert refusal(proxy.address("secure"), HELLO) == INTERNAL_ERROR
        assert refusal(proxy.address("secure"), b"garbage" * 5000) == HANDSHAKE_FAILURE
