"""Bytes are the same at both ends: both ways at once, half-closed in both orders, spliced, while stopping."""

import contextlib
import hashlib
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from headworks import Proxy
from rig.clients import connect, exactly, line, to_close
from rig.configs import Config, tcp, tls
from rig.hello import client_hello
from rig.origins import Origin, both_ways, closes_last, echo, hash_of, hash_to_end, named_echo, notes, pattern, source
from rig.process import Running, as_target, running, write
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]

HELLO = client_hello("a.test")
MIB = 1 << 20


@pytest.fixture(params=["tcp", "tls"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _config(protocol: str, address: str, **more: Any) -> Config:
    listener = {"bind": "127.0.0.1:0", "protocol": protocol, "backend": "app"}
    return {"listeners": {"front": listener | more}, "backends": {"app": {"servers": [address]}}}


def _expected(size: int) -> str:
    """The hash of a hello and ``size`` bytes of pattern."""
    hashed = hashlib.sha256(HELLO)
    for block in pattern(size):
        hashed.update(block)
    return hashed.hexdigest()


def _send(client: socket.socket, size: int) -> None:
    client.sendall(HELLO)
    for block in pattern(size):
        client.sendall(block)
    client.shutdown(socket.SHUT_WR)


# 20 KB never leaves the copying path, 64 MiB are spliced.
@pytest.mark.parametrize("size", [1, 20_000, 200_000, 64 * MIB])
def test_both_ways_at_once(start: Start, origin: MakeOrigin, protocol: str, size: int) -> None:
    app = origin(both_ways(size))
    proxy = start(_config(protocol, app.address))
    with connect(proxy.address("front")) as client:
        sender = threading.Thread(target=_send, args=(client, size))
        sender.start()
        received = hash_to_end(client)
        sender.join()
    assert received == hash_of(size, seed=1)
    until(lambda: app.received)
    assert app.received == [_expected(size).encode()]
    until(lambda: proxy.stats().connections == 0)
    stats = proxy.stats().listeners["front"]
    assert (stats.bytes_in, stats.bytes_out) == (size + len(HELLO), size)
    server = proxy.stats().backends["app"].servers[app.address]
    assert (server.bytes_in, server.bytes_out) == (size + len(HELLO), size)


@pytest.mark.parametrize("size", [0, 1, 100_000, 8 * MIB])
def test_client_ends_first(start: Start, origin: MakeOrigin, protocol: str, size: int) -> None:
    app = origin(notes)
    proxy = start(_config(protocol, app.address))
    with connect(proxy.address("front")) as client:
        _send(client, size)
        digest = exactly(client, 100)
    assert digest.hex() == _expected(size)


@pytest.mark.parametrize("size", [0, 1, 100_000, 8 * MIB])
def test_server_ends_first(start: Start, origin: MakeOrigin, protocol: str, size: int) -> None:
    """The client goes on sending after the server's end, and all of it arrives."""

    def ends_then_reads(connection: socket.socket, ended: Origin) -> None:
        connection.sendall(b"first")
        connection.shutdown(socket.SHUT_WR)
        ended.note(hash_to_end(connection).encode())

    app = origin(ends_then_reads)
    proxy = start(_config(protocol, app.address))
    with connect(proxy.address("front")) as client:
        client.sendall(HELLO)
        assert exactly(client, 100) == b"first"
        for block in pattern(size):
            client.sendall(block)
        client.shutdown(socket.SHUT_WR)
        until(lambda: app.received)
    assert app.received == [_expected(size).encode()]


def test_client_ends_before_its_server_is_connected(
    start: Start, origin: MakeOrigin, stack: contextlib.ExitStack
) -> None:
    from rig.origins import unanswering_port

    config = _config("tcp", origin(closes_last).address)
    config["backends"]["app"] |= {"connect_timeout": "300ms", "ejection": {"failures": 0}}
    config["backends"]["app"]["servers"].insert(0, stack.enter_context(unanswering_port()))
    proxy = start(config)
    for _ in range(4):
        with connect(proxy.address("front")) as client:
            client.sendall(b"all I have to say")
            client.shutdown(socket.SHUT_WR)
            assert exactly(client, 100) == b"last words"


def test_many_at_once(start: Start, origin: MakeOrigin, protocol: str) -> None:
    """Streams share workers, buffers and pipes: none gets another's bytes."""
    app = origin(echo)
    proxy = start(_config(protocol, app.address))
    failures: list[str] = []

    def run(seed: int) -> None:
        size = 300_000 + 50_000 * seed
        with connect(proxy.address("front")) as client:

            def send() -> None:
                client.sendall(HELLO)
                for block in pattern(size, seed):
                    client.sendall(block)
                client.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            if exactly(client, len(HELLO)) != HELLO or hash_to_end(client) != hash_of(size, seed):
                failures.append(f"stream {seed}")
            sender.join()

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_small_and_large_by_turns(start: Start, origin: MakeOrigin) -> None:
    """A connection changes between copying and splicing, and back, without losing its place."""
    proxy = start(tcp(origin(echo).address))
    with connect(proxy.address("raw")) as client:
        for turn, size in enumerate([1, 400_000, 10, 3 * MIB, 1, 1, 900_000, 7]):
            sent = b"".join(pattern(size, turn))
            sender = threading.Thread(target=client.sendall, args=(sent,))
            sender.start()
            assert exactly(client, size) == sent
            sender.join()


def test_answers_to_what_was_sent_before_a_reset_are_delivered(start: Start, origin: MakeOrigin, protocol: str) -> None:
    """An origin that answers without reading the whole request and closes resets; its answer still arrives."""

    def answers_and_closes(connection: socket.socket, _origin: Origin) -> None:
        connection.recv(100)
        connection.sendall(b"413 too large")
        connection.shutdown(socket.SHUT_WR)

    proxy = start(_config(protocol, origin(answers_and_closes).address))
    with connect(proxy.address("front")) as client:
        client.sendall(HELLO)
        assert exactly(client, 13) == b"413 too large"
        with contextlib.suppress(ConnectionError):
            for block in pattern(2 * MIB):
                client.sendall(block)
        assert to_close(client) == b""
    until(lambda: proxy.stats().connections == 0)


# Stopping.


@pytest.fixture
def process(stack: contextlib.ExitStack, tmp_path: Path) -> Callable[..., Running]:
    def make(config: Config, drain: str = "30s") -> Running:
        config |= {"proxy": {"workers": 2, "drain": drain}, "logs": {"access": "off"}}
        return stack.enter_context(running(write(tmp_path / "headworks.toml", config)))

    return make


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_stopping_delivers_every_byte(
    process: Callable[..., Running], origin: MakeOrigin, protocol: str, number: signal.Signals
) -> None:
    size = 24 * MIB
    proxy = process(_config(protocol, origin(source(size)).address))
    target = proxy.address("front")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(target)) for _ in range(4)]
        begun = []
        for client in clients:
            client.sendall(HELLO)
            begun.append(exactly(client, 1 * MIB))
        proxy.signal(number)
        assert "connections=4" in proxy.line("draining")
        until(lambda: _refused(target), "nobody new is taken")
        for client, first in zip(clients, begun, strict=True):
            hashed = hashlib.sha256(first)
            while more := client.recv(1 << 18):
                hashed.update(more)
            assert hashed.hexdigest() == hash_of(size)
    assert proxy.wait() == 0
    assert "closed=0" in proxy.line("stopped")


def _refused(target: Sequence[Any]) -> bool:
    try:
        socket.create_connection((target[0], target[1]), 5).close()
    except ConnectionRefusedError:
        return True
    except (ConnectionError, TimeoutError):
        return False
    return False


def test_clients_that_wait_to_be_accepted_are_served_before_stopping(
    process: Callable[..., Running], origin: MakeOrigin
) -> None:
    """Whoever was let in by the kernel before TERM is not turned away by it."""
    proxy = process(_config("tls", origin(named_echo, name="app").address))
    target = proxy.address("front")
    proxy.signal(signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(target)) for _ in range(40)]
        for client in clients:
            client.sendall(HELLO)
        proxy.signal(signal.SIGTERM)
        proxy.signal(signal.SIGCONT)
        for client in clients:
            assert line(client) == "app"
            client.shutdown(socket.SHUT_WR)
            assert exactly(client, 10_000) == HELLO
    assert proxy.wait() == 0


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)], ids=str)
def test_a_second_signal_ends_at_once(
    process: Callable[..., Running], origin: MakeOrigin, numbers: tuple[signal.Signals, signal.Signals]
) -> None:
    proxy = process(_config("tcp", origin(echo).address), drain="1h")
    with connect(proxy.address("front")) as client:
        client.sendall(b"x")
        assert exactly(client, 1) == b"x"
        proxy.signal(numbers[0])
        proxy.line("draining")
        client.sendall(b"y")
        assert exactly(client, 1) == b"y"
        proxy.signal(numbers[1])
        assert proxy.wait() == 0
        assert to_close(client) == b""
    assert "closed=1" in proxy.line("stopped")


def test_what_outlasts_the_drain_is_closed(process: Callable[..., Running], origin: MakeOrigin) -> None:
    proxy = process(_config("tcp", origin(echo).address), drain="300ms")
    with connect(proxy.address("front")) as client:
        client.sendall(b"x")
        assert exactly(client, 1) == b"x"
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
        assert to_close(client) == b""


def test_drain_and_stop_from_python(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tls({"*": "app"}, {"app": origin(named_echo, name="app").address}))
    target = proxy.address("secure")
    with connect(target) as client:
        client.sendall(HELLO)
        assert line(client) == "app"
        assert proxy.drain(0.05) is False
        assert _refused(target)
        client.sendall(b"still here")
        assert exactly(client, len(HELLO) + 10) == HELLO + b"still here"
    assert proxy.drain(20) is True
    proxy.stop()
    proxy.stop()
    with pytest.raises(RuntimeError):
        proxy.stats()


def test_the_ready_line_names_what_is_bound(process: Callable[..., Running], origin: MakeOrigin) -> None:
    config = _config("tcp", origin(named_echo, name="app").address)
    config["listeners"]["front"]["bind"] = ["127.0.0.1:0", "127.0.0.2:0"]
    proxy = process(config)
    addresses = proxy.addresses("front")
    assert [address.rpartition(":")[0] for address in addresses] == ["127.0.0.1", "127.0.0.2"]
    for address in addresses:
        with connect(as_target(address)) as client:
            client.sendall(b"x")
            assert line(client) == "app"
