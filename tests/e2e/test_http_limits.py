"""Limits: heads, bodies, rates, times, numbers; what clients get beyond them, and that others are served meanwhile."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headworks import Proxy
from rig.clients import dial
from rig.configs import Config, http
from rig.http_clients import Client, Truncated, ask, chunked, chunks, get, post
from rig.http_origins import HttpOrigin, Reply
from rig.messages import Request
from rig.origins import pattern, reset
from rig.process import running, write
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
MIB = 1 << 20


@pytest.fixture
def app(http_origin: MakeHttp) -> HttpOrigin:
    """Make the one server that most tests need."""
    return http_origin()


def test_a_head_that_is_too_large_is_431(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        assert client.ask(get("/", *(f"X-{n}: {'y' * 1000}" for n in range(12)))).status == 200
    with Client(proxy.address("web")) as client:
        answer = client.ask(get("/", *(f"X-{n}: {'y' * 1000}" for n in range(17))))
        assert answer.status == 431
        assert client.ended()
    assert len(app.requests) == 1


def test_a_head_without_an_end_is_431(start: Start, app: HttpOrigin) -> None:
    """It is refused at the limit, not when it ends, which is never."""
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(2000):
                client.send(b"X: " + b"y" * 200 + b"\r\n")
        with contextlib.suppress(ConnectionResetError, Truncated):
            assert client.response().status == 431
    assert app.accepted == 0


def test_limits_of_a_head_are_to_the_byte(start: Start, app: HttpOrigin) -> None:
    proxy = start(
        http(app.address, listener={"http": {"head_limit": "2KiB", "line_limit": "1KiB", "fields_limit": 10}})
    )
    target = proxy.address("web")

    def status(sent: bytes) -> int:
        return ask(target, sent).status

    def padded(size: int) -> bytes:
        lines = [f"X: {'y' * 900}", f"W: {'y' * 900}"]
        missing = size - len(get("/", *lines, "Y: "))
        return get("/", *lines, "Y: " + "z" * missing)

    assert len(padded(2048)) == 2048
    assert status(padded(2048)) == 200
    assert status(padded(2049)) == 431
    assert status(get("/", *(f"X: {n}" for n in range(9)))) == 200
    assert status(get("/", *(f"X: {n}" for n in range(10)))) == 431
    assert status(get("/", "X: " + "y" * (1024 - 3))) == 200
    assert status(get("/", "X: " + "y" * (1025 - 3))) == 431
    line = len("GET / HTTP/1.1")
    assert status(get("/" + "x" * (1024 - line))) == 200
    assert status(get("/" + "x" * (1025 - line))) == 414


def test_rewriting_may_add_so_much_to_a_head_and_no_more(start: Start, app: HttpOrigin) -> None:
    """A request that would be longer is refused, a response that would be is not passed on."""
    added = {"set": {"X-Added": "z" * 3000}}
    limits = {"head_limit": "1KiB", "rewrite_reserve": "3KiB"}
    config = http(app.address, listener={"http": limits, "request_headers": added, "response_headers": added})
    proxy = start(config)
    target = proxy.address("web")
    assert ask(target, get("/")).status == 200
    limits["rewrite_reserve"] = "2KiB"
    proxy.reload(config)
    assert ask(target, get("/")).status == 500
    config["listeners"]["web"]["request_headers"] = {}
    proxy.reload(config)
    assert ask(target, get("/")).status == 502
    assert len(app.requests) == 2


def test_a_long_target_is_414(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        assert client.ask(get("/" + "x" * 20_000)).status == 414
        assert client.ended()


def test_a_body_limit(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"http": {"body_limit": "1KiB"}}))
    target = proxy.address("web")
    assert ask(target, post(b"x" * 1024)).status == 200
    with Client(target) as client:
        client.send(get("/", "Content-Length: 1025", method="POST"))
        assert client.response("POST").status == 413, "it is refused before it is sent"
    assert len(app.requests) == 1
    assert ask(target, chunked(b"x" * 512, b"y" * 512)).status == 200
    with Client(target) as client:
        client.send(get("/big", "Transfer-Encoding: chunked", method="POST"), chunks(b"x" * 512, b"y" * 513))
        assert client.response("POST").status == 413
        assert client.ended()
    assert [request.target for request in app.requests] == ["/", "/"]


def test_a_body_limit_is_told_before_continue(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"http": {"body_limit": "1KiB"}}))
    with Client(proxy.address("web")) as client:
        client.send(get("/", "Expect: 100-continue", "Content-Length: 5000", method="POST"))
        answer = client.response("POST")
        assert (answer.status, answer.interim) == (413, [])
    assert app.accepted == 0


def test_slow_heads_are_408(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"timeouts": {"first_bytes": "300ms"}}))
    with Client(proxy.address("web")) as client:
        client.send(b"GET / HTTP/1.1\r\n")
        assert client.response().status == 408
        assert client.ended()
    assert app.accepted == 0


def test_slowloris_does_not_help_itself(start: Start, app: HttpOrigin) -> None:
    """A byte now and then prolongs nothing: the head has one deadline. Others are served meanwhile."""
    proxy = start(http(app.address, listener={"timeouts": {"first_bytes": "500ms"}}))
    target = proxy.address("web")
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Client(target)) for _ in range(50)]
        ended = threading.Event()

        def drip() -> None:
            for byte in b"GET / HTTP/1.1\r\nHost: a.test\r\nX: " + b"y" * 100_000:
                for client in slow:
                    with contextlib.suppress(OSError):
                        client.socket.send(bytes([byte]))
                if ended.wait(0.02):
                    return

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        assert ask(target, get()).status == 200
        for client in slow:
            with contextlib.suppress(ConnectionResetError, Truncated):
                assert client.response().status == 408
        ended.set()
        dripping.join(PATIENCE)
    until(lambda: proxy.stats().connections == 0)


def test_an_idle_kept_connection_is_closed_without_a_word(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"timeouts": {"keep_alive": "200ms"}}))
    with Client(proxy.address("web")) as client:
        assert client.ask(get()).status == 200
        assert client.ended()


def test_a_connection_that_never_asks_is_closed(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"timeouts": {"first_bytes": "200ms"}}))
    with Client(proxy.address("web")) as client:
        said = client.rest()
        assert said == b"" or said.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_stops_is_408(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"timeouts": {"body": "200ms"}}))
    with Client(proxy.address("web")) as client:
        client.send(get("/", "Content-Length: 100", method="POST"), b"some")
        assert client.response("POST").status == 408
        assert client.ended()
    assert app.requests == []
    until(lambda: app.open == 0, "the server is not left with half a request")


@pytest.mark.parametrize("patient", [True, False])
def test_a_server_that_takes_no_body_is_not_the_client_s_fault(
    start: Start, http_origin: MakeHttp, *, patient: bool
) -> None:
    """The client would send and may not: it is given the time that the server has, and told that it was the server."""
    release = threading.Event()

    def hold(_: Request, __: socket.socket) -> bool:
        release.wait(PATIENCE)
        return True

    app = http_origin(lambda request: Reply(body=b"%d" % len(request.body)), on_head=hold)
    timeouts = {"body": "200ms"}
    proxy = start(http(app.address, listener={"timeouts": timeouts}, response_timeout="30s" if patient else "600ms"))
    size = 64 * MIB
    with Client(proxy.address("web")) as client:
        client.send(get("/", f"Content-Length: {size}", method="POST"))
        client.socket.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            while sent < size:
                sent += client.socket.send(b"x" * min(MIB, size - sent))
        client.socket.settimeout(PATIENCE)
        if patient:
            release.set()
            client.send(b"x" * (size - sent))
        answer = client.response("POST")
        release.set()
    assert (answer.status, answer.body) == (200, b"%d" % size) if patient else answer.status == 504


def test_a_body_below_the_rate_is_408(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"http": {"min_body_rate": "100KiB"}, "timeouts": {"body": "20s"}}))
    with Client(proxy.address("web")) as client:
        client.send(get("/", "Content-Length: 10000000", method="POST"))
        ended = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not ended.wait(0.02):
                    client.send(b"x")

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        with contextlib.suppress(ConnectionResetError):
            assert client.response("POST").status == 408
        ended.set()
        dripping.join(PATIENCE)
    assert app.requests == []


def test_a_body_above_the_rate_passes(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"http": {"min_body_rate": "1KiB"}}))
    assert ask(proxy.address("web"), post(b"x" * MIB)).status == 200


def test_requests_on_one_connection(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"http": {"requests_per_connection": 3}}))
    with Client(proxy.address("web")) as client:
        client.send(get("/1"), get("/2"), get("/3"), get("/4"))
        answers = [client.response() for _ in range(3)]
        assert [answer.persistent for answer in answers] == [True, True, False]
        assert client.rest() == b""
    assert [request.target for request in app.requests] == ["/1", "/2", "/3"]


def test_a_rate_limit_is_429_with_retry_after(start: Start, app: HttpOrigin) -> None:
    limit = {"requests": 3, "per": "1h", "burst": 3}
    proxy = start(http(app.address, listener={"rate_limit": limit}) | {"proxy": {"workers": 1}})
    target = proxy.address("web")
    with Client(target, source="127.0.0.2") as client:
        answers = [client.ask(get()) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert 0 < int(answers[3].get("retry-after") or 0) <= 3600
    assert answers[3].persistent, "a kept connection is cheaper than a new one"
    assert ask(target, get(), source="127.0.0.3").status == 200, "others have their own"
    assert len(app.requests) == 4


def test_a_rate_limit_fills_up_again(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"rate_limit": {"requests": 20, "per": "1s", "burst": 1}}))
    target = proxy.address("web")
    assert ask(target, get()).status == 200
    until(lambda: ask(target, get()).status == 429)
    until(lambda: ask(target, get()).status == 200)


def test_a_rate_limit_by_a_field(start: Start, app: HttpOrigin) -> None:
    limit = {"requests": 1, "per": "1h", "burst": 1, "header": "X-Key"}
    proxy = start(http(app.address, listener={"rate_limit": limit}) | {"proxy": {"workers": 1}})
    with Client(proxy.address("web")) as client:
        assert [client.ask(get("/", f"X-Key: {key}")).status for key in "abab"] == [200, 200, 429, 429]
        assert client.ask(get("/", f"X-Key: {'c' * 4000}")).status == 200


def test_a_rate_limit_is_bounded_in_memory(start: Start, app: HttpOrigin) -> None:
    limit = {"requests": 1, "per": "1h", "burst": 1, "header": "X-Key", "keys": 100}
    proxy = start(http(app.address, listener={"rate_limit": limit}) | {"proxy": {"workers": 1}})
    with Client(proxy.address("web")) as client:
        for number in range(500):
            assert client.ask(get("/", f"X-Key: {number}")).status == 200


def test_requests_in_flight_of_one_client(start: Start, http_origin: MakeHttp) -> None:
    release = threading.Event()

    def hold(_: Request) -> Reply:
        release.wait(PATIENCE)
        return Reply()

    app = http_origin(hold)
    proxy = start(http(app.address, listener={"http": {"max_requests_per_client": 2}}))
    target = proxy.address("web")
    with (
        Client(target) as one,
        Client(target) as two,
        Client(target) as three,
        Client(target, source="127.0.0.7") as other,
    ):
        one.send(get())
        two.send(get())
        until(lambda: len(app.requests) == 2)
        assert three.ask(get()).status == 429
        other.send(get())
        until(lambda: len(app.requests) == 3)
        release.set()
        assert [client.response().status for client in (one, two, other)] == [200] * 3
        assert three.ask(get()).status == 200


def test_a_client_that_is_not_allowed_is_403(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"deny": ["127.0.0.9"]}))
    with Client(proxy.address("web"), source="127.0.0.9") as client:
        answer = client.ask(get())
        assert answer.status == 403
        assert client.ended()
    assert ask(proxy.address("web"), get()).status == 200
    assert len(app.requests) == 1


def test_connections_beyond_the_limit_are_503(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"max_connections": 1}))
    with Client(proxy.address("web")) as one:
        assert one.ask(get()).status == 200
        with Client(proxy.address("web")) as two:
            two.send(get())
            said = two.rest()
            assert said == b"" or said.startswith(b"HTTP/1.1 503 ")
    until(lambda: proxy.stats().connections == 0)
    assert ask(proxy.address("web"), get()).status == 200


# Memory.


def test_slow_readers_within_bounded_memory(http_origin: MakeHttp, tmp_path: Path, stack: contextlib.ExitStack) -> None:
    """Clients that read nothing of long responses cost what buffers cost; the servers feel it and wait."""
    size = 64 * MIB
    app = http_origin(lambda _: Reply(fields=[("Content-Length", str(size))], body=b"".join(pattern(size))))
    config = http(app.address) | {"proxy": {"workers": 2}, "logs": {"access": "off"}}
    proxy = stack.enter_context(running(write(tmp_path / "headworks.toml", config)))
    target = proxy.address("web")
    assert ask(target, get()).status == 200
    before = proxy.resident()
    for _ in range(20):
        client = stack.enter_context(Client(target))
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(get())
        assert client.head().status == 200
    settled = _settled(proxy.resident)
    assert settled - before < 32 * MIB, f"{(settled - before) // MIB} MiB for 20 clients that do not read"
    assert ask(target, get()).status == 200


def test_slow_servers_within_bounded_memory(http_origin: MakeHttp, tmp_path: Path, stack: contextlib.ExitStack) -> None:
    """Clients that send long bodies to a server that reads nothing are made to wait."""
    release = threading.Event()

    def hold(_: Request, __: socket.socket) -> bool:
        release.wait(PATIENCE)
        return False

    app = http_origin(on_head=hold)
    stack.callback(release.set)
    config = http(app.address) | {"proxy": {"workers": 2}, "logs": {"access": "off"}}
    proxy = stack.enter_context(running(write(tmp_path / "headworks.toml", config)))
    before = proxy.resident()
    for _ in range(20):
        client = dial(proxy.address("web"))
        stack.callback(client.close)
        client.settimeout(0.2)
        client.sendall(get("/", f"Content-Length: {64 * MIB}", method="POST"))
        with contextlib.suppress(TimeoutError):
            while True:
                client.send(b"x" * MIB)
    settled = _settled(proxy.resident)
    assert settled - before < 32 * MIB, f"{(settled - before) // MIB} MiB for 20 bodies that nobody reads"
    release.set()


def _settled(look: Callable[[], int]) -> int:
    """What a number comes to when it no longer grows."""
    last, since = look(), time.monotonic()
    while time.monotonic() - since < 0.5:
        now = look()
        if now > last:
            last, since = now, time.monotonic()
        time.sleep(0.02)
    return last


def test_idle_kept_connections_own_no_buffer(app: HttpOrigin, tmp_path: Path, stack: contextlib.ExitStack) -> None:
    config = http(app.address) | {"proxy": {"workers": 1}, "logs": {"access": "off"}}
    proxy = stack.enter_context(running(write(tmp_path / "headworks.toml", config)))
    target = proxy.address("web")
    assert ask(target, get()).status == 200
    # What is imported once it serves is there when a reload is done.
    proxy.reload()
    before = proxy.resident()
    for _ in range(500):
        client = stack.enter_context(Client(target))
        assert client.ask(get()).status == 200
    each = (proxy.resident() - before) / 500
    assert each < 8 << 10, f"{each:.0f} bytes for an idle connection"


def test_clients_that_reset_anywhere_leave_nothing(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address))
    whole = chunked(b"abc" * 100) + get("/next")
    for cut in range(0, len(whole), 7):
        client = Client(proxy.address("web"))
        client.send(whole[:cut])
        reset(client.socket)
    until(lambda: proxy.stats().connections == 0)
    until(lambda: proxy.stats().backends["app"].active == 0)
    assert ask(proxy.address("web"), get()).status == 200
