"""Analyzers of a running proxy: the hooks, what each may answer, several in order, and where they are attached.

The second design note on analyzers: one or several of them, called when held data has grown, each with a timeout of its
own, bypassed on demand, on the side of requests and of responses. Each of these has a test that names it.
"""

# ruff: noqa: ARG001, C901, PLR0911, PLR0912  (analyzers of tests do what a path says, and need not look at all that they are given)

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

import headworks
from headworks import Proxy
from rig.clients import answer, connect, refusal, served_by
from rig.configs import Config, http, sites, tcp, tls
from rig.hello import client_hello
from rig.http_clients import Client, ask, chunked, get, post
from rig.http_origins import HttpOrigin
from rig.origins import Origin
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
Make = Callable[..., Origin]


class Heads(headworks.Analyzer):
    """Does what the path says."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.bodies: list[bytes | None] = []

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        path = exchange.request.path
        self.asked.append(f"request {path}")
        match path:
            case "/respond":
                return headworks.respond(403, f"no {exchange.request.method}\n", {"X-Why": "a"})
            case "/redirect":
                return headworks.redirect("/there", 308)
            case "/reject":
                return headworks.reject("a bot") & headworks.log(why="bot")
            case "/route":
                return headworks.route("other")
            case "/nowhere":
                return headworks.route("nowhere")
            case "/rewrite":
                return headworks.rewrite(set_headers={"X-Set": "1"}, remove_headers="Cookie", path="/t", query="q=1")
            case "/limit":
                return headworks.limit("k", "2/h")
            case "/bypass":
                return headworks.bypass()
            case "/body":
                self.bodies.append(exchange.body)
                if exchange.body is None:
                    return headworks.read_body(10)
                return headworks.respond(200, exchange.body.decode())
            case "/body-on":
                return headworks.read_body(100) if exchange.body is None else None
            case "/other":
                return headworks.consult("second")
            case "/byte":
                return headworks.route(exchange.request.headers["x-name"])
        return None

    def response(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        path = exchange.request.path
        self.asked.append(f"response {path}")
        assert exchange.response is not None
        match path:
            case "/r-respond":
                return headworks.respond(200, f"was {exchange.response.status}\n")
            case "/r-reject":
                return headworks.reject("secret")
            case "/r-rewrite":
                return headworks.rewrite(set_headers={"X-Status": str(exchange.response.status)})
        return None


class Second(Heads):
    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        self.asked.append(f"request {exchange.request.path}")
        return headworks.rewrite(add_headers={"X-Second": "yes"})

    def response(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        self.asked.append(f"response {exchange.request.path}")
        return None


@pytest.fixture
def app(http_origin: MakeHttp) -> HttpOrigin:
    return http_origin()


def attached(config: Config, **analyzers: Any) -> Config:
    """Declare analyzers: objects, or settings with one."""
    made = {name: one if isinstance(one, dict) else {"python": one} for name, one in analyzers.items()}
    return config | {"analyzers": made}


def idle(proxy: Proxy) -> bool:
    return all(one.parked == 0 for one in proxy.stats().analyzers.values())


def test_each_verdict_of_a_request(start: Start, http_origin: MakeHttp, app: HttpOrigin) -> None:
    heads, other = Heads(), http_origin(name="other")
    config = http(app.address, listener={"analyzers": ["heads"]})
    config["backends"]["other"] = {"servers": [other.address]}
    proxy = start(attached(config, heads=heads))
    web = proxy.address("web")
    with contextlib.closing(proxy.records()) as records:
        with Client(web) as client:
            refused = client.ask(get("/respond"))
            assert (refused.status, refused.body, refused.get("x-why")) == (403, b"no GET\n", "a")
            moved = client.ask(get("/redirect"))
            assert (moved.status, moved.get("location")) == (308, "/there")
        for _ in range(2):
            next(records)
        assert ask(web, get("/reject")).status == 403
        record = next(records)
        assert (record.end, record.reason, record.analyzer) == ("analyzer_rejected", "a bot", "heads")
        assert record.log == {"why": "bot"}
        assert ask(web, get("/route")).get("x-origin") == "other"
        assert next(records).backend == "other"
    assert ask(web, get("/rewrite", "Cookie: a=b")).status == 200
    changed = app.requests[-1]
    assert changed.target == "/t?q=1"
    assert (changed.get("x-set"), changed.get("cookie")) == ("1", None)
    assert [ask(web, get("/limit")).status for _ in range(3)] == [200, 200, 429]
    assert idle(proxy)


def test_what_cannot_be_done_is_a_failure_of_the_analyzer(start: Start, app: HttpOrigin) -> None:
    proxy = start(attached(http(app.address, listener={"analyzers": ["heads"]}), heads=Heads()))
    with contextlib.closing(proxy.records()) as records:
        assert ask(proxy.address("web"), get("/byte", "X-Name: \xff")).status == 503
        record = next(records)
        assert (record.end, record.analyzer, record.analyzer_error) == ("analyzer_failed", "heads", "wrong verdict")
    assert ask(proxy.address("web"), get("/fine")).status == 200


def test_a_route_to_no_backend_says_so_in_the_record(start: Start, app: HttpOrigin) -> None:
    proxy = start(attached(http(app.address, listener={"analyzers": ["heads"]}), heads=Heads()))
    with contextlib.closing(proxy.records()) as records:
        assert ask(proxy.address("web"), get("/nowhere")).status == 503
        record = next(one for one in records if one.path == "/nowhere")
        assert (record.end, record.analyzer, record.analyzer_error) == ("analyzer_failed", "heads", "wrong verdict")


def test_each_verdict_of_a_response(start: Start, app: HttpOrigin) -> None:
    """On the side of responses."""
    heads = Heads()
    proxy = start(attached(http(app.address, listener={"analyzers": ["heads"]}), heads=heads))
    web = proxy.address("web")
    assert ask(web, get("/r-respond")).body == b"was 200\n"
    assert ask(web, get("/r-rewrite")).get("x-status") == "200"
    with contextlib.closing(proxy.records()) as records:
        assert ask(web, get("/r-reject")).status in (403, 502, 503)
        record = next(one for one in records if one.path == "/r-reject")
        assert (record.end, record.reason, record.analyzer) == ("response_rejected", "secret", "heads")


def test_several_are_asked_in_the_order_written(start: Start, app: HttpOrigin) -> None:
    """One or several: the first that decides is the last that is asked."""
    first, second = Heads(), Second()
    proxy = start(attached(http(app.address, listener={"analyzers": ["first", "second"]}), first=first, second=second))
    assert ask(proxy.address("web"), get("/fine")).status == 200
    assert app.requests[-1].get("x-second") == "yes"
    assert ask(proxy.address("web"), get("/respond")).status == 403
    assert "request /respond" not in second.asked
    assert first.asked[0] == second.asked[0] == "request /fine"


def test_bypassed_on_demand(start: Start, app: HttpOrigin) -> None:
    """Whoever says bypass is not asked about the rest of the exchange; the others are."""
    first, second = Heads(), Second()
    proxy = start(attached(http(app.address, listener={"analyzers": ["first", "second"]}), first=first, second=second))
    assert ask(proxy.address("web"), get("/bypass")).status == 200
    assert first.asked == ["request /bypass"]
    assert second.asked == ["request /bypass", "response /bypass"]


def test_attached_to_backends_and_entries(start: Start, app: HttpOrigin) -> None:
    entry, backend = Heads(), Heads()
    table = {"a.test": {"backend": "app", "analyzers": ["entry"]}, "b.test": "app"}
    config = sites(table, {"app": {"servers": [app.address], "analyzers": ["backend"]}})
    proxy = start(attached(config, entry=entry, backend=backend))
    assert ask(proxy.address("web"), get("/one", host="a.test")).status == 200
    assert ask(proxy.address("web"), get("/two", host="b.test")).status == 200
    assert entry.asked == ["request /one", "response /one"]
    assert backend.asked == ["request /one", "response /one", "request /two", "response /two"]


def in_one(body: bytes) -> bytes:
    return post(body, "/body")


def in_chunks(body: bytes) -> bytes:
    return chunked(body, path="/body")


@pytest.mark.parametrize(
    "request_of",
    [
        in_one,
        in_chunks,
    ],
)
def test_the_whole_body_is_shown_up_to_its_limit(
    request_of: Callable[[bytes], bytes], start: Start, app: HttpOrigin
) -> None:
    heads = Heads()
    proxy = start(attached(http(app.address, listener={"analyzers": ["heads"]}), heads=heads))
    assert ask(proxy.address("web"), request_of(b"0123456789")).body == b"0123456789"
    assert ask(proxy.address("web"), request_of(b"0123456789a")).status == 413
    assert heads.bodies == [None, b"0123456789", None]
    assert app.requests == []
    until(lambda: idle(proxy))


def test_a_body_that_was_read_goes_on_whole(start: Start, app: HttpOrigin) -> None:
    proxy = start(attached(http(app.address, listener={"analyzers": ["heads"]}), heads=Heads()))
    with Client(proxy.address("web")) as client:
        client.send(get("/body-on", "Content-Length: 4", "Expect: 100-continue", method="POST"))
        assert client.head().status == 100
        client.send(b"ab")
        client.send(b"cd")
        assert client.response().status == 200
        assert client.ask(chunked(b"x" * 50, b"y" * 50, path="/body-on")).status == 200
        assert client.ask(get("/fine")).status == 200
    assert [request.body for request in app.requests] == [b"abcd", b"x" * 50 + b"y" * 50, b""]


def test_clients_that_leave_while_their_body_is_read(start: Start, app: HttpOrigin) -> None:
    heads = Heads()
    proxy = start(attached(http(app.address, listener={"analyzers": ["heads"]}), heads=heads))
    for _ in range(20):
        with Client(proxy.address("web")) as client:
            client.send(get("/body", "Content-Length: 10", method="POST"), b"abc")
    until(lambda: len(heads.bodies) == 20)
    until(lambda: proxy.stats().connections == 0)
    assert idle(proxy)
    assert ask(proxy.address("web"), get("/fine")).status == 200


def test_consulted_by_another_analyzer(start: Start, app: HttpOrigin) -> None:
    second = Second()
    proxy = start(attached(http(app.address, listener={"analyzers": ["heads"]}), heads=Heads(), second=second))
    assert ask(proxy.address("web"), get("/other")).status == 200
    assert app.requests[-1].get("x-second") == "yes"
    assert ask(proxy.address("web"), get("/fine")).status == 200
    assert [one for one in second.asked if one.startswith("request")] == ["request /other"]


@headworks.rule
def consults(request: headworks.Request) -> headworks.Verdict | None:
    if request.path == "/asks":
        return headworks.consult("second")
    return None


@headworks.rule
def consults_answers(response: headworks.Response) -> headworks.Verdict | None:
    if response.headers.get("x-origin") == "app":
        return headworks.consult("heads")
    return None


def test_consulted_by_rules_only(start: Start, app: HttpOrigin) -> None:
    heads, second = Heads(), Second()
    config = http(app.address, listener={"rules": [consults, consults_answers]})
    proxy = start(attached(config, heads=heads, second=second))
    assert ask(proxy.address("web"), get("/fine")).status == 200
    assert ask(proxy.address("web"), get("/asks")).status == 200
    assert second.asked[0] == "request /asks"
    assert ask(proxy.address("web"), get("/r-respond")).body == b"was 200\n"
    assert not [one for one in heads.asked if one.startswith("request")]


class Circle(headworks.Analyzer):
    """Asks itself, and the other one, for ever."""

    def __init__(self, other: str) -> None:
        self.other = other

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        return headworks.consult(self.other)


@pytest.mark.parametrize("other", ["one", "two"])
def test_analyzers_that_consult_in_a_circle_come_to_an_end(other: str, start: Start, app: HttpOrigin) -> None:
    config = http(app.address, listener={"analyzers": ["one"]})
    proxy = start(attached(config, one=Circle(other), two=Circle("one")))
    assert ask(proxy.address("web"), get("/")).status in (200, 503)
    assert proxy.stats().analyzers["one"].asked <= 20
    assert idle(proxy)


class First(headworks.Analyzer):
    def __init__(self) -> None:
        self.asked: list[str] = []

    def accepted(self, connection: Any) -> headworks.Verdict | None:
        self.asked.append("accepted")
        connection.state.seen = 1
        return None

    def first_bytes(self, connection: Any, held: memoryview) -> headworks.Verdict | None:
        self.asked.append(f"{connection.state.seen} {bytes(held).decode('latin-1')}")
        connection.state.seen += 1
        if bytes(held[:1]) == b"r":
            return headworks.reject("r")
        if len(held) < 4:
            return headworks.wait(need=4)
        return headworks.route("other") if bytes(held[:4]) == b"SSH-" else None


def test_called_when_held_data_has_grown(start: Start, origin: Make) -> None:
    """First bytes: wait(need) asks again when so many are held, and the bytes go on as they came."""
    app, other, first = origin(name="app"), origin(name="other"), First()
    config = tcp(app.address, listener={"analyzers": ["first"]})
    config["backends"]["other"] = {"servers": [other.address]}
    proxy = start(attached(config, first=first))
    raw = proxy.address("raw")
    assert served_by(raw, b"SSH-2\n") == "other"
    assert served_by(raw, b"else\n") == "app"
    with connect(raw) as client:
        client.sendall(b"S")
        until(lambda: first.asked[-1] == "1 S")
        client.sendall(b"SH-x\n")
        until(lambda: first.asked[-1].startswith("2 SSH-"))
    with contextlib.closing(proxy.records()) as records:
        assert answer(raw, b"r") == b""
        ends = []
        while "analyzer_rejected" not in ends:
            ends.append(next(records).end)
    until(lambda: idle(proxy))


class AtAccept(headworks.Analyzer):
    def __init__(self, verdict: headworks.Verdict | None) -> None:
        self.verdict = verdict

    async def accepted(self, connection: Any) -> headworks.Verdict | None:
        assert str(connection.client) == "127.0.0.1"
        assert connection.listener == "raw"
        return self.verdict


def test_verdicts_before_anything_is_read(start: Start, origin: Make) -> None:
    app, other = origin(name="app"), origin(name="other")
    config = tcp(app.address, listener={"analyzers": ["it"]})
    config["backends"]["other"] = {"servers": [other.address]}
    proxy = start(attached(config, it=AtAccept(None)))
    assert served_by(proxy.address("raw"), b"x\n") == "app"
    proxy.reload(attached(config, it=AtAccept(headworks.route("other"))))
    assert served_by(proxy.address("raw"), b"x\n") == "other"
    proxy.reload(attached(config, it=AtAccept(headworks.reject("no"))))
    assert refusal(proxy.address("raw"), b"") == b""
    proxy.reload(attached(config, it=AtAccept(headworks.limit("all", "1/h"))))
    assert served_by(proxy.address("raw"), b"x\n") == "app"
    assert refusal(proxy.address("raw"), b"") == b""


class Hellos(headworks.Analyzer):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def hello(self, connection: Any, hello: Any) -> headworks.Verdict | None:
        self.seen.append((hello.name, hello.ja4, connection.listener))
        if hello.name == "moved.test":
            return headworks.route("other")
        return headworks.reject("blocked") if hello.name == "blocked.test" else None


@headworks.rule
def hello_consults(hello: headworks.Hello) -> headworks.Verdict | None:
    return headworks.consult("hellos")


@pytest.mark.parametrize("by", [{"analyzers": ["hellos"]}, {"rules": [hello_consults]}], ids=["attached", "by a rule"])
def test_verdicts_on_a_hello(by: Config, start: Start, origin: Make) -> None:
    app, other, hellos = origin(name="app"), origin(name="other"), Hellos()
    config = tls({"*.test": "app"}, {"app": app.address, "other": other.address}, **by)
    proxy = start(attached(config, hellos=hellos))
    with contextlib.closing(proxy.records()) as records:
        for name, end in (("a.test", "app"), ("moved.test", "other"), ("blocked.test", None)):
            with socket.create_connection(proxy.address("secure"), timeout=10) as client:
                client.sendall(client_hello(name))
                client.shutdown(socket.SHUT_WR)
                while client.recv(1 << 16):
                    pass
            record = next(records)
            assert record.backend == end or (end is None and record.end == "analyzer_rejected")
    assert [name for name, _, _ in hellos.seen] == ["a.test", "moved.test", "blocked.test"]
    assert all(ja4 for _, ja4, _ in hellos.seen)


class Slow(headworks.Analyzer):
    def __init__(self) -> None:
        self.gate = threading.Event()

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        self.gate.wait()
        return None


def test_each_has_a_timeout_of_its_own(start: Start, app: HttpOrigin) -> None:
    """One passes after its own deadline, the next refuses after its own."""
    first, second = Slow(), Slow()
    config = http(app.address, listener={"analyzers": ["first", "second"]})
    settings = {"deadline": "10ms", "on_failure": "pass"}
    proxy = start(attached(config, first={"python": first, **settings}, second={"python": second, "deadline": "20ms"}))
    with contextlib.closing(proxy.records()) as records:
        assert ask(proxy.address("web"), get("/")).status in (503, 504)
        record = next(records)
        assert (record.end, record.analyzer, record.analyzer_error) == (
            "analyzer_timeout",
            "second",
            "deadline passed",
        )
    stats = proxy.stats().analyzers
    assert (stats["first"].timed_out, stats["second"].timed_out) == (1, 1)
    assert idle(proxy)
    first.gate.set()
    second.gate.set()


class Picks(headworks.Analyzer):
    """Names a server at the moment that it was made for."""

    def __init__(self, hook: str, server: str) -> None:
        self.hook = hook
        self.server = server

    def accepted(self, connection: Any) -> headworks.Verdict | None:
        return headworks.route("other", server=self.server) if self.hook == "accepted" else None

    def first_bytes(self, connection: Any, held: memoryview) -> headworks.Verdict | None:
        return headworks.route("other", server=self.server) if self.hook == "first_bytes" else None


@pytest.mark.parametrize("hook", ["accepted", "first_bytes"])
def test_one_may_name_the_server_of_a_connection(hook: str, start: Start, origin: Make) -> None:
    servers = [origin(name=name) for name in ("first", "second", "third")]
    picks = Picks(hook, servers[1].address)
    config = tcp(origin(name="app").address, listener={"analyzers": ["picks"]})
    config["backends"]["other"] = {"servers": [server.address for server in servers]}
    name, proxy = next(iter(config["listeners"])), start(attached(config, picks=picks))
    for _ in range(4):
        with connect(proxy.address(name)) as client:
            client.sendall(b"x")
            assert client.recv(100).startswith(b"second")
