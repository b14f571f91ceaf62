"""Bandwidth: bytes in a second, for each connection and for all; everything arrives, only later."""

import hashlib
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from headworks import Config as Whole
from headworks import ConfigError, Proxy
from rig.clients import connect, dial, exactly, to_close, to_end
from rig.configs import Config, tcp
from rig.origins import Origin, echo, hash_of, source
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]

SIZE = 1 << 20


def _limited(server: str, **bandwidth: object) -> Config:
    return tcp(server, listener={"bandwidth": bandwidth})


@pytest.mark.parametrize("rate", ["512KiB/s", "4MiB/s"])
def test_everything_arrives_and_no_sooner_than_it_may(start: Start, origin: MakeOrigin, rate: str) -> None:
    proxy = start(_limited(origin(source(SIZE)).address, per_connection={"download": rate}))
    bytes_a_second = {"512KiB/s": 1 << 19, "4MiB/s": 1 << 22}[rate]
    before = time.monotonic()
    with connect(proxy.address("raw")) as client:
        client.sendall(b"x")
        came = to_end(client)
    assert hashlib.sha256(came).hexdigest() == hash_of(SIZE)
    # A tenth of a second is what may be made up for.
    assert time.monotonic() - before >= SIZE / bytes_a_second - 0.2


def test_what_clients_send_is_limited_by_itself(start: Start, origin: MakeOrigin) -> None:
    proxy = start(_limited(origin(echo).address, per_connection={"upload": "256KiB/s"}))
    sent = bytes(range(256)) * 1024
    before = time.monotonic()
    with connect(proxy.address("raw")) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert to_end(client) == sent, "and the end came behind it"
    assert time.monotonic() - before >= len(sent) / (1 << 18) - 0.2


def test_connections_of_a_listener_share(start: Start, origin: MakeOrigin, stack: ExitStack) -> None:
    proxy = start(_limited(origin(source(8 * SIZE)).address, listener="1MiB/s"))
    clients = [stack.enter_context(dial(proxy.address("raw"))) for _ in range(4)]
    for client in clients:
        client.sendall(b"x")
    came = [0] * len(clients)

    def read(number: int) -> None:
        # It may be reset when we leave.
        with suppress(OSError):
            while chunk := clients[number].recv(1 << 16):
                came[number] += len(chunk)

    threads = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(len(clients))]
    for thread in threads:
        thread.start()
    until(lambda: sum(came) >= SIZE, "a mebibyte came")
    assert min(came) > sum(came) / 10, f"none starves: {came}"
    for client in clients:
        client.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()


def test_who_waits_costs_nothing_and_is_not_idle(start: Start, origin: MakeOrigin) -> None:
    listener = {"bandwidth": {"per_connection": "1KiB/s"}, "timeouts": {"idle": "200ms"}}
    proxy = start(tcp(origin(source(4 << 10)).address, listener=listener))
    before = time.process_time()
    with connect(proxy.address("raw")) as client:
        client.sendall(b"x")
        assert len(to_end(client)) == 4 << 10, "a portion takes five times as long as idle"
    assert time.process_time() - before < 1.5, "it waits by its timers"


def test_a_small_message_is_not_kept_waiting(start: Start, origin: MakeOrigin) -> None:
    proxy = start(_limited(origin(echo).address, per_connection="64KiB/s", listener="1MiB/s"))
    with connect(proxy.address("raw")) as client:
        for _ in range(100):
            client.sendall(b"ping")
            assert exactly(client, 4) == b"ping"


def test_a_client_that_leaves_while_it_waits_is_gone(start: Start, origin: MakeOrigin) -> None:
    proxy = start(_limited(origin(source(64 * SIZE)).address, listener="64KiB/s"))
    for _ in range(3):
        with dial(proxy.address("raw")) as client:
            client.sendall(b"x")
            client.recv(1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until(lambda: proxy.stats().listeners["raw"].active == 0, "none is left")


def test_a_reload_and_a_stop_end_nothing_early(start: Start, origin: MakeOrigin) -> None:
    config = _limited(origin(source(SIZE)).address, per_connection="2MiB/s")
    proxy = start(config)
    with connect(proxy.address("raw")) as client:
        client.sendall(b"x")
        first = client.recv(1)
        config["listeners"]["raw"] = config["listeners"]["raw"] | {"bandwidth": {"per_connection": "1GiB/s"}}
        proxy.reload(config)
        draining = threading.Thread(target=proxy.drain)
        draining.start()
        assert len(first + to_close(client)) == SIZE
    draining.join()


def test_it_is_for_listeners_that_know_no_requests() -> None:
    listener = {"bind": "127.0.0.1:0", "protocol": "http", "backend": "app", "bandwidth": {"listener": "1MiB/s"}}
    with pytest.raises(ConfigError, match="bandwidth: is for tcp, tls, http_host and first_bytes listeners"):
        Whole.parse({"listeners": {"web": listener}, "backends": {"app": {"servers": ["127.0.0.1:1"]}}})
