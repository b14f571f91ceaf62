"""TLS that goes wrong half way: servers that close without a word, handshakes cut off anywhere, clients that stall."""

import random
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from headworks import Proxy
from rig.clients import dial, reset, to_close
from rig.configs import http as front
from rig.http_clients import Client, get
from rig.http_origins import HttpOrigin, Reply
from rig.messages import Malformed, Stream
from rig.origins import Behaviour, Origin
from rig.process import running, write
from rig.tls_clients import TlsClient, ask_tls
from rig.tls_configs import Config, https, secured
from rig.tls_files import Pki
from rig.tls_origins import TlsHttpOrigin
from rig.tls_records import Records, records_of
from rig.waiting import until

MakeHttp = Callable[..., HttpOrigin]
MakeOrigin = Callable[..., Origin]
Logged = Callable[[Config], tuple[Proxy, Records]]

BODY = b"x" * 100_000


@pytest.fixture
def log(tmp_path: Path, start: Callable[[Config], Proxy]) -> Logged:
    """Start a proxy that logs to a file, and read its records."""
    file = tmp_path / "access.log"

    def make(config: Config) -> tuple[Proxy, Records]:
        return start(config | {"logs": {"access": str(file), "format": "json"}}), records_of(file, "json")

    return make


def answers(tls: ssl.SSLContext, said: bytes, *, goodbye: bool) -> Behaviour:
    """Answer a request over TLS and close, with a close_notify or without."""

    def behave(connection: socket.socket, _: Origin) -> None:
        with tls.wrap_socket(connection, server_side=True) as secure:
            Stream(lambda: secure.recv(1 << 16)).until(b"\r\n\r\n")
            secure.sendall(said)
            if goodbye:
                secure.unwrap()

    return behave


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n"])
def test_half_an_answer_is_not_a_whole_one(log: Logged, origin: MakeOrigin, pki: Pki, head: bytes) -> None:
    """Without a close_notify nobody knows whether the server has ended, or somebody on the way cut it off."""
    app = origin(answers(pki.server("app.test"), head + BODY, goodbye=False))
    tls = {"ca": [str(pki.ca)], "server_name": "app.test"}
    proxy, records = log(front(app.address, tls=tls))
    with Client(proxy.address("web")) as client, pytest.raises((Malformed, ConnectionResetError)):
        client.ask(get())
    (record,) = records(1)
    assert (record["status"], record["end"]) == (200, "server_truncated")


def test_an_answer_whose_end_was_said_is_whole(log: Logged, origin: MakeOrigin, pki: Pki) -> None:
    app = origin(answers(pki.server("app.test"), b"HTTP/1.1 200 OK\r\n\r\n" + BODY, goodbye=True))
    tls = {"ca": [str(pki.ca)], "server_name": "app.test"}
    proxy, records = log(front(app.address, tls=tls))
    with Client(proxy.address("web")) as client:
        assert client.ask(get()).body == BODY
    assert records(1)[0]["end"] == "completed"


def test_an_answer_whose_length_is_known_needs_no_goodbye(log: Logged, origin: MakeOrigin, pki: Pki) -> None:
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + BODY
    app = origin(answers(pki.server("app.test"), said, goodbye=False))
    proxy, records = log(front(app.address, tls={"ca": [str(pki.ca)], "server_name": "app.test"}))
    with Client(proxy.address("web")) as client:
        assert client.ask(get()).body == BODY
    assert records(1)[0]["end"] == "completed"


def test_a_request_that_is_cut_off_is_not_passed_on_as_whole(log: Logged, origin: MakeOrigin, pki: Pki) -> None:
    """Its length says that more was to come; the server sees the connection end before that."""
    app = origin(lambda connection, me: me.note(to_close(connection)))
    proxy, records = log(https(app.address, tls=secured(pki.pem("a.test"))))
    with TlsClient(proxy.address("web"), pki.client()) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf")
        until(lambda: app.accepted)
        client.secure.shutdown(socket.SHUT_WR)
        until(lambda: app.received)
    assert app.received[0].endswith(b"\r\n\r\nhalf")
    assert records(1)[0]["end"] == "client_truncated"


def hello(name: str) -> bytes:
    """What OpenSSL says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    stream = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        stream.do_handshake()
    return outgoing.read()


def test_handshakes_cut_off_anywhere_leave_nothing_behind(pki: Pki, http_origin: MakeHttp, tmp_path: Path) -> None:
    """Two thousand clients that end or reset, some in their hello, some after it, some with rubbish behind it."""
    chance = random.Random(5)
    config = https(http_origin().address, tls=secured(pki.pem("a.test")))
    # One worker: each keeps a connection to the server, and which one is asked is chance.
    file = write(tmp_path / "headworks.toml", config | {"logs": {"access": "off"}, "proxy": {"workers": 1}})
    whole = hello("a.test")
    with running(file) as proxy:
        target = proxy.address("web")

        def waste(count: int) -> None:
            for _ in range(count):
                client = dial(target)
                client.sendall(whole[: chance.randrange(len(whole) + 1)] if chance.random() < 0.6 else whole)
                if chance.random() < 0.3:
                    client.sendall(chance.randbytes(chance.randrange(1, 200)))
                reset(client) if chance.random() < 0.5 else client.close()

        waste(500)
        assert ask_tls(target, pki.client()).status == 200
        descriptors, resident = proxy.descriptors(), proxy.resident()
        waste(1500)
        assert ask_tls(target, pki.client()).status == 200
        until(lambda: proxy.descriptors() <= descriptors, "every descriptor comes back")
        assert proxy.resident() - resident < 4 << 20


def test_clients_that_stall_do_not_hold_others_up(
    log: Logged, http_origin: MakeHttp, pki: Pki, stack: ExitStack
) -> None:
    tls = secured(pki.pem("a.test"), handshake_timeout="1s")
    proxy, _ = log(https(http_origin().address, tls=tls))
    target, whole = proxy.address("web"), hello("a.test")
    stalled = [stack.enter_context(dial(target)) for _ in range(60)]
    for number, client in enumerate(stalled):
        client.sendall(whole[: (number % 20) * len(whole) // 20] if number % 3 else whole)
    for _ in range(10):
        assert ask_tls(target, pki.client()).status == 200
    until(lambda: proxy.stats().listeners["web"].handshakes_failed.get("timed_out") == len(stalled))
    for client in stalled:
        client.close()
    until(lambda: proxy.stats().connections == 0)


def settled(look: Callable[[], int]) -> int:
    """What a number comes to when it no longer grows."""
    seen = [look()]

    def still() -> bool:
        seen.append(look())
        return len(seen) > 30 and seen[-30] >= seen[-1]

    until(still)
    return seen[-1]


def test_slow_readers_within_bounded_memory(
    pki: Pki, https_origin: Callable[..., TlsHttpOrigin], tmp_path: Path, stack: ExitStack
) -> None:
    """TLS on both sides: clients that read nothing of long answers cost what buffers cost."""
    whole = bytes(64 << 20)
    app = https_origin(pki.server("app.test"), lambda _: Reply(body=whole))
    config = https(app.address, tls=secured(pki.pem("a.test")))
    config["backends"]["app"]["tls"] = {"ca": [str(pki.ca)], "server_name": "app.test"}
    file = write(tmp_path / "headworks.toml", config | {"logs": {"access": "off"}})
    proxy = stack.enter_context(running(file))
    assert ask_tls(proxy.address("web"), pki.client(), get(method="HEAD")).status == 200
    before = proxy.resident()
    for _ in range(20):
        client = stack.enter_context(TlsClient(proxy.address("web"), pki.client()))
        assert client.send(get()).head().status == 200
    grown = settled(proxy.resident) - before

    assert grown < 32 << 20, f"{grown >> 20} MiB for 20 clients that do not read"
    assert ask_tls(proxy.address("web"), pki.client(), get(method="HEAD")).status == 200


def test_idle_clients_cost_little(pki: Pki, http_origin: MakeHttp, tmp_path: Path, stack: ExitStack) -> None:
    config = https(http_origin().address, tls=secured(pki.pem("a.test")))
    file = write(tmp_path / "headworks.toml", config | {"logs": {"access": "off"}, "proxy": {"workers": 1}})
    proxy = stack.enter_context(running(file))
    tls = pki.client()

    def connect(count: int) -> None:
        for _ in range(count):
            client = stack.enter_context(TlsClient(proxy.address("web"), tls))
            assert client.ask(get()).status == 200

    connect(50)
    before = proxy.resident()
    connect(300)
    each = (proxy.resident() - before) / 300

    assert each < 24 << 10, f"{each:.0f} bytes for an idle client"
