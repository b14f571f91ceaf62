"""Servers that fail, fill up or come back: retries that repeat nothing, queues, affinity, checks and ejection."""

import contextlib
import socket
import threading
from collections.abc import Callable
from http.cookies import Morsel, SimpleCookie
from typing import Any

import pytest

from headworks import Proxy
from rig.configs import Config, http
from rig.http_clients import Client, ask, chunked, get, origin_of, post
from rig.http_origins import HttpOrigin, Reply, script
from rig.messages import Request
from rig.origins import Origin, refusing_port, reset, unanswering_port
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
MakeOrigin = Callable[..., Origin]

ONE_WORKER = {"proxy": {"workers": 1}}
NEVER = {"failures": 0}


class Stale:
    """Answers the first request of each connection, and at the second one ends the connection without a word.

    The way a pooled connection goes stale: the server closes it while a request is on its way.
    """

    def __init__(self, make: MakeHttp, how: str) -> None:
        self.counts: dict[socket.socket, int] = {}
        self.heads: list[Request] = []
        self.how = how
        self.origin = make(on_head=self._on_head)

    def _on_head(self, request: Request, connection: socket.socket) -> bool:
        self.heads.append(request)
        self.counts[connection] = self.counts.get(connection, 0) + 1
        if self.counts[connection] < 2:
            return True
        if self.how == "reset":
            reset(connection)
        return False


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_an_idempotent_request_is_sent_again_on_a_fresh_connection(
    start: Start, http_origin: MakeHttp, method: str, how: str
) -> None:
    stale = Stale(http_origin, how)
    proxy = start(http(stale.origin.address) | ONE_WORKER)
    with Client(proxy.address("web")) as client:
        for number in range(4):
            assert client.ask(get(f"/{number}", method=method)).status == 200
    assert [request.target for request in stale.heads] == ["/0", "/1", "/1", "/2", "/2", "/3", "/3"]


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("method", ["POST", "PATCH", "UNKNOWN"])
def test_what_may_have_been_processed_is_not_sent_again(
    start: Start, http_origin: MakeHttp, method: str, how: str
) -> None:
    stale = Stale(http_origin, how)
    proxy = start(http(stale.origin.address) | ONE_WORKER)
    with Client(proxy.address("web")) as client:
        assert client.ask(get("/0")).status == 200
        answer = client.ask(post(b"order", "/order", method=method))
        assert answer.status in (200, 502)
    assert [request.target for request in stale.heads].count("/order") == 1, "the origin saw it once"


def test_a_connection_that_the_server_closed_while_idle_is_not_used(start: Start, http_origin: MakeHttp) -> None:
    """Known before anything is sent: any request goes on a fresh one, POST too."""
    kept: list[socket.socket] = []

    def keep(_: Request, connection: socket.socket) -> bool:
        kept.append(connection)
        return True

    app = http_origin(on_head=keep)
    proxy = start(http(app.address) | ONE_WORKER)
    with Client(proxy.address("web")) as client:
        for number in range(5):
            assert client.ask(post(b"x", f"/{number}")).status == 200
            kept[-1].shutdown(socket.SHUT_RDWR)
            until(lambda: app.open == 0)
    assert [request.target for request in app.requests] == [f"/{number}" for number in range(5)]


def test_a_body_that_was_sent_is_not_repeated(start: Start, http_origin: MakeHttp) -> None:
    """Chunks of a PUT that have gone to a server that vanished are gone: the client is told."""
    stale = Stale(http_origin, "reset")
    proxy = start(http(stale.origin.address) | ONE_WORKER)
    with Client(proxy.address("web")) as client:
        assert client.ask(get("/0")).status == 200
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.send(chunked(b"x" * 500_000, path="/put").replace(b"POST", b"PUT", 1))
        answer = client.response("PUT")
        assert answer.status in (200, 502)
    assert len([1 for request in stale.origin.requests if request.target == "/put"]) <= 1


def test_a_server_that_dies_with_each_request_is_502(start: Start, origin: MakeOrigin) -> None:
    """On fresh connections a request is not tried for ever."""
    app = origin(script(reset))
    proxy = start(http(app.address, ejection=NEVER))
    assert ask(proxy.address("web"), get()).status == 502
    assert app.accepted <= 3


def test_another_server_is_asked_when_one_takes_the_request_and_dies(
    start: Start, origin: MakeOrigin, http_origin: MakeHttp
) -> None:
    """On a fresh connection, too: what may be done twice is asked of another server, everything else is not."""
    dying, app = origin(script(reset)), http_origin()
    proxy = start(http(dying.address, app.address, ejection=NEVER, pool={"size": 0}) | ONE_WORKER)
    with Client(proxy.address("web")) as client:
        assert [client.ask(get(f"/{number}")).status for number in range(6)] == [200] * 6
        assert dying.accepted >= 2
        statuses = sorted(client.ask(post(b"x", f"/order/{number}")).status for number in range(4))
        assert statuses == [200, 200, 502, 502]
    seen = [head.split()[1].decode() for head in dying.received] + [one.target for one in app.requests]
    orders = [target for target in seen if "/order" in target]
    assert len(orders) == len(set(orders)) == 4, "no order was made twice"


def test_other_servers_are_tried_when_connecting_fails(
    start: Start, http_origin: MakeHttp, stack: contextlib.ExitStack
) -> None:
    dead = stack.enter_context(refusing_port())
    app = http_origin()
    proxy = start(http({"address": dead, "weight": 256}, app.address, ejection=NEVER, retries=1))
    with Client(proxy.address("web")) as client:
        for number in range(10):
            assert client.ask(post(b"body", f"/{number}")).body == b"app POST /%d\nbody" % number
    assert proxy.stats().backends["app"].retries > 0


def test_no_server_is_503(start: Start, stack: contextlib.ExitStack) -> None:
    proxy = start(http(stack.enter_context(refusing_port()), stack.enter_context(refusing_port()), retries=3))
    with Client(proxy.address("web")) as client:
        for _ in range(5):
            assert client.ask(get()).status == 503
        assert client.ask(post(b"a body that nobody reads")).status == 503


def test_a_server_that_does_not_answer_connects_is_503(start: Start, stack: contextlib.ExitStack) -> None:
    proxy = start(http(stack.enter_context(unanswering_port()), connect_timeout="150ms", retries=0))
    assert ask(proxy.address("web"), get()).status in (503, 504)


def test_a_dead_server_comes_back(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address, pool={"size": 0}, ejection={"failures": 1, "duration": "50ms"}))
    target = proxy.address("web")
    assert ask(target, get()).status == 200
    app.refuse()
    until(lambda: ask(target, post(b"x")).status == 503)
    until(lambda: _listens_again(app), "no old connection holds the port")
    until(lambda: ask(target, get()).status == 200)


def _listens_again(app: HttpOrigin) -> bool:
    try:
        app.listen()
    except OSError:
        return False
    return True


class Crowd:
    """An origin that holds every request until it is let go, and counts how many are there at once."""

    def __init__(self, make: MakeHttp) -> None:
        self.release = threading.Semaphore(0)
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()
        self.origin = make(self._hold)

    def _hold(self, request: Request) -> Reply:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.release.acquire(timeout=PATIENCE)
        with self._lock:
            self.inside -= 1
        return Reply(body=request.target.encode())


def test_requests_wait_for_a_place(start: Start, http_origin: MakeHttp) -> None:
    crowd = Crowd(http_origin)
    server = {"address": crowd.origin.address, "max_connections": 2}
    proxy = start(http(server, queue_timeout="30s") | ONE_WORKER)
    clients = [Client(proxy.address("web")) for _ in range(6)]
    with contextlib.ExitStack() as stack:
        for number, client in enumerate(clients):
            stack.enter_context(client)
            client.send(get(f"/{number}"))
        until(lambda: crowd.inside == 2)
        for _ in clients:
            crowd.release.release()
        for number, client in enumerate(clients):
            answer = client.response()
            assert (answer.status, answer.body) == (200, b"/%d" % number)
    assert crowd.most == 2


def test_who_waits_too_long_gets_503(start: Start, http_origin: MakeHttp) -> None:
    crowd = Crowd(http_origin)
    server = {"address": crowd.origin.address, "max_connections": 1}
    proxy = start(http(server, queue_timeout="150ms") | ONE_WORKER)
    with Client(proxy.address("web")) as first, Client(proxy.address("web")) as second:
        first.send(get("/first"))
        until(lambda: crowd.inside == 1)
        assert second.ask(get("/second")).status == 503
        crowd.release.release()
        assert first.response().body == b"/first"
        crowd.release.release()
        assert second.ask(get("/again")).status == 200


def test_the_queue_is_bounded(start: Start, http_origin: MakeHttp) -> None:
    crowd = Crowd(http_origin)
    server = {"address": crowd.origin.address, "max_connections": 1}
    proxy = start(http(server, queue_timeout="30s", queue_limit=1) | ONE_WORKER)
    clients = [Client(proxy.address("web")) for _ in range(5)]
    with contextlib.ExitStack() as stack:
        for client in clients:
            stack.enter_context(client)
            client.send(get())
        for _ in range(2):
            crowd.release.release()
        statuses = sorted(client.response().status for client in clients)
    assert statuses == [200, 200, 503, 503, 503]


def test_a_client_that_leaves_the_queue_takes_no_place(start: Start, http_origin: MakeHttp) -> None:
    crowd = Crowd(http_origin)
    server = {"address": crowd.origin.address, "max_connections": 1}
    proxy = start(http(server, queue_timeout="30s") | ONE_WORKER)
    with Client(proxy.address("web")) as first, Client(proxy.address("web")) as third:
        first.send(get("/first"))
        until(lambda: crowd.inside == 1)
        second = Client(proxy.address("web")).send(get("/second"))
        until(lambda: proxy.stats().connections == 3)
        reset(second.socket)
        until(lambda: proxy.stats().connections == 2)
        third.send(get("/third"))
        crowd.release.release()
        crowd.release.release()
        assert first.response().status == third.response().status == 200
    assert [request.target for request in crowd.origin.requests] == ["/first", "/third"]


# Affinity.


def _cookie(answer: Any) -> Morsel[str]:
    jar = SimpleCookie()
    for value in answer.all("set-cookie"):
        jar.load(value)
    return jar["HW"]


def test_a_cookie_keeps_a_client_at_its_server(start: Start, http_origin: MakeHttp) -> None:
    servers = {name: http_origin(name=name) for name in ("one", "two", "three")}
    affinity = {"cookie": "HW", "secret": "a secret of enough characters", "max_age": "1h"}
    config = http(*(server.address for server in servers.values()), affinity=affinity)
    proxy = start(config)
    target = proxy.address("web")
    for _ in range(6):
        first = ask(target, get())
        cookie = _cookie(first)
        assert cookie["max-age"] == "3600"
        assert cookie["path"] == "/"
        assert cookie["httponly"]
        for _ in range(5):
            again = ask(target, get("/", f"Cookie: other=1; HW={cookie.value}; more=2"))
            assert origin_of(again) == origin_of(first)
            assert again.all("set-cookie") == [], "it has its cookie already"
    assert all(
        "HW" not in value for server in servers.values() for one in server.requests for value in one.all("cookie")
    )
    assert any(one.get("cookie") == "other=1; more=2" for server in servers.values() for one in server.requests)


def test_a_forged_cookie_is_ignored(start: Start, http_origin: MakeHttp) -> None:
    servers = [http_origin(name=name).address for name in ("one", "two")]
    proxy = start(http(*servers, affinity={"cookie": "HW"}) | ONE_WORKER)
    target = proxy.address("web")
    honest = _cookie(ask(target, get())).value
    forged = honest[:-1] + ("0" if honest[-1] != "0" else "1")
    for value in (forged, "", "x" * 5000, honest.upper() + "g", "one", servers[0]):
        answers = [ask(target, get("/", f"Cookie: HW={value}")) for _ in range(2)]
        assert {origin_of(answer) for answer in answers} == {"one", "two"}
        assert all(answer.all("set-cookie") for answer in answers)


def test_affinity_gives_way_to_health(start: Start, http_origin: MakeHttp) -> None:
    one, two = http_origin(name="one"), http_origin(name="two")
    proxy = start(http(one.address, two.address, affinity={"cookie": "HW"}))
    target = proxy.address("web")
    first = ask(target, get())
    held = {"one": one, "two": two}[str(origin_of(first))]
    proxy.set_server("app", held.address, admin="maintenance")
    again = ask(target, get("/", f"Cookie: HW={_cookie(first).value}"))
    assert origin_of(again) != origin_of(first)
    assert _cookie(again).value != _cookie(first).value


def test_affinity_outlives_a_reload(start: Start, http_origin: MakeHttp) -> None:
    one, two = http_origin(name="one"), http_origin(name="two")
    config = http(one.address, two.address, affinity={"cookie": "HW"})
    proxy = start(config)
    target = proxy.address("web")
    first = ask(target, get())
    config["backends"]["app"]["servers"] = [two.address, one.address]
    config["backends"]["app"]["retries"] = 1
    proxy.reload(config)
    for _ in range(4):
        assert origin_of(ask(target, get("/", f"Cookie: HW={_cookie(first).value}"))) == origin_of(first)


# Health.


class Checked:
    """An origin whose answer to checks can be changed."""

    def __init__(self, make: MakeHttp, name: str) -> None:
        self.reply = Reply(body=b"all is ready")
        self.checks: list[Request] = []
        self.origin = make(self._answer, name=name)

    def _answer(self, request: Request) -> Reply:
        if request.target.startswith("/health"):
            self.checks.append(request)
            return self.reply
        return Reply(fields=[("X-Origin", self.origin.name)], body=b"x")


def test_http_checks(start: Start, http_origin: MakeHttp) -> None:
    one, two = Checked(http_origin, "one"), Checked(http_origin, "two")
    health = {"kind": "http", "path": "/health?deep", "method": "GET", "host": "check.test", "expect": "200-299",
              "body": "ready", "interval": "20ms", "rise": 1, "fall": 2}  # fmt: skip
    proxy = start(http(one.origin.address, two.origin.address, health=health))

    def up(which: Checked) -> bool:
        return proxy.stats().backends["app"].servers[which.origin.address].up

    until(lambda: one.checks and two.checks)
    assert (one.checks[0].method, one.checks[0].target, one.checks[0].host) == ("GET", "/health?deep", "check.test")
    for bad in (
        Reply(status=500, body=b"ready"),
        Reply(body=b"not yet"),
        Reply(raw=b"rubbish\r\n\r\n", close=True),
        # Every request would get 502 from it.
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nready", close=True),
        Reply(status=404, body=b"ready"),
    ):
        one.reply = bad
        until(lambda: not up(one), f"{bad} takes it down")
        assert up(two)
        assert {origin_of(ask(proxy.address("web"), get())) for _ in range(6)} == {"two"}
        one.reply = Reply(body=[b"all is ", b"ready"])
        until(lambda: up(one), "a good one, in chunks, brings it up")
    assert {origin_of(ask(proxy.address("web"), get())) for _ in range(8)} == {"one", "two"}


def test_checks_that_hang_take_a_server_down(start: Start, http_origin: MakeHttp, origin: MakeOrigin) -> None:
    released = threading.Event()
    hanging = origin(script(released))
    health = {"kind": "http", "path": "/", "interval": "20ms", "timeout": "100ms", "rise": 1, "fall": 1}
    proxy = start(http(hanging.address, http_origin(name="two").address, health=health))
    until(lambda: not proxy.stats().backends["app"].servers[hanging.address].up)
    assert origin_of(ask(proxy.address("web"), get())) == "two"
    released.set()


def test_a_server_that_answers_5xx_is_ejected(start: Start, http_origin: MakeHttp) -> None:
    ill = True

    def answer(_: Request) -> Reply:
        return Reply(status=503 if ill else 200, fields=[("X-Origin", "ill")])

    one, two = http_origin(answer, name="ill"), http_origin(name="two")
    proxy = start(http(one.address, two.address, ejection={"responses": 3, "duration": "300ms"}) | ONE_WORKER)
    target = proxy.address("web")
    until(lambda: ask(target, get()) and proxy.stats().backends["app"].servers[one.address].ejected)
    assert len(one.requests) == 3
    ill = False
    until(lambda: origin_of(ask(target, get())) == "ill", "it is given another chance")
    assert ask(target, get()).status == 200


def test_single_errors_eject_nobody(start: Start, http_origin: MakeHttp) -> None:
    turns = iter([500, 500, 200] * 20)
    one = http_origin(lambda _: Reply(status=next(turns)))
    proxy = start(http(one.address, ejection={"responses": 3}) | ONE_WORKER)
    with Client(proxy.address("web")) as client:
        assert [client.ask(get()).status for _ in range(30)] == [500, 500, 200] * 10


def test_a_proxy_header_is_sent_once_a_connection_and_not_shared(start: Start, origin: MakeOrigin) -> None:
    """A connection that says who its client is belongs to that client."""
    seen: list[bytes] = []

    def behave(connection: socket.socket, _: Origin) -> None:
        received = b""
        while more := connection.recv(1 << 16):
            received += more
            if received.endswith(b"\r\n\r\n"):
                seen.append(received)
                received = b""
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    proxy = start(http(origin(behave).address, proxy_protocol="v1") | ONE_WORKER)
    for source in ("127.0.0.2", "127.0.0.3"):
        with Client(proxy.address("web"), source=source) as client:
            for _ in range(2):
                assert client.ask(get()).status == 200
    named = [one.split()[2].decode() for one in seen if one.startswith(b"PROXY ")]
    assert set(named) == {"127.0.0.2", "127.0.0.3"}
    assert all(one.startswith((b"PROXY ", b"GET ")) for one in seen)
    firsts = [one for one in seen if one.startswith(b"PROXY ")]
    assert len(firsts) >= 2
