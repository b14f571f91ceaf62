"""What the second design note promises of analyzers, sentence by sentence, each shown by a running proxy."""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

import headworks
from headworks import Proxy
from headworks.analyzers.connection import Connection
from rig.clients import connect
from rig.configs import Config, http, tcp
from rig.http_clients import Client, ask, chunks, get, post
from rig.http_origins import HttpOrigin, Reply
from rig.messages import Request
from rig.origins import Origin
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
Make = Callable[..., Origin]


class Noting(headworks.Analyzer):
    """Notes what it is asked, where all of them can see it, and marks what passes with its name."""

    def __init__(self, name: str, noted: list[str]) -> None:
        self.name = name
        self.noted = noted

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        self.noted.append(f"{self.name} request")
        return headworks.rewrite(remove_headers=["accept-encoding"])

    def request_body(self, exchange: headworks.Exchange, chunk: memoryview) -> headworks.Verdict | None:
        self.noted.append(f"{self.name} request_body")
        return headworks.replace(bytes(chunk) + (self.name.encode() if exchange.last else b""))

    def response(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        self.noted.append(f"{self.name} response")
        return None

    def response_body(self, exchange: headworks.Exchange, chunk: memoryview) -> headworks.Verdict | None:
        self.noted.append(f"{self.name} response_body")
        return headworks.replace(bytes(chunk) + (self.name.encode() if exchange.last else b""))


def attached(config: Config, **analyzers: Any) -> Config:
    """Declare analyzers: objects, or settings with one."""
    made = {name: one if isinstance(one, dict) else {"python": one} for name, one in analyzers.items()}
    return config | {"analyzers": made}


def echo(request: Request) -> Reply:
    return Reply(body=request.body)


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["b", "a", "c"]], ids="".join)
def test_one_or_several_per_buffer(start: Start, http_origin: MakeHttp, names: list[str]) -> None:
    """One or several per buffer."""
    noted: list[str] = []
    app = http_origin(echo)
    config = http(app.address, listener={"analyzers": names})
    proxy = start(attached(config, **{name: Noting(name, noted) for name in names}))
    # Each gets what the one before it has made of the bytes.
    assert ask(proxy.address("web"), post(b"x")).body == f"x{''.join(names)}{''.join(names)}".encode()
    for buffer in ("request", "request_body", "response", "response_body"):
        asked = [one.split()[0] for one in noted if one.split()[1] == buffer]
        assert list(dict.fromkeys(asked)) == names, buffer


class Three(headworks.Analyzer):
    """Wants three bytes, and holds them until it is let go."""

    def __init__(self) -> None:
        self.accepted_one = threading.Event()
        self.let_go = threading.Event()
        self.seen: list[bytes] = []

    def accepted(self, connection: Connection) -> headworks.Verdict | None:
        self.accepted_one.set()
        return None

    def first_bytes(self, connection: Connection, held: memoryview) -> headworks.Verdict | None:
        self.seen.append(bytes(held))
        if len(held) < 3:
            return headworks.wait(need=3)
        assert self.let_go.wait(30)
        return None


def test_called_when_new_data_is_present_and_held(start: Start, origin: Make) -> None:
    """Called when new data is present and held."""

    def note(connection: Any, one: Origin) -> None:
        one.note(connection.recv(100))

    app, three = origin(note), Three()
    config = tcp(app.address, listener={"analyzers": ["three"]})
    proxy = start(attached(config, three={"python": three, "deadline": "1m"}))
    with connect(proxy.address("raw")) as client:
        # Accepted, and nothing was said yet: there is nothing to be asked about.
        assert three.accepted_one.wait(30)
        assert three.seen == []
        client.sendall(b"a")
        until(lambda: three.seen == [b"a"])
        client.sendall(b"bc")
        until(lambda: three.seen[-1] == b"abc")
        # Held: no server has heard of it, while there is no answer.
        assert proxy.stats().analyzers["three"].parked == 1
        assert (app.accepted, app.received) == (0, [])
        three.let_go.set()
        until(lambda: app.received == [b"abc"])
    assert three.seen[0] == b"a"


class Parts(headworks.Analyzer):
    """Holds each part of a request's body until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Semaphore(0)
        self.seen: list[tuple[bytes, bool]] = []

    def request_body(self, exchange: headworks.Exchange, chunk: memoryview) -> headworks.Verdict | None:
        self.seen.append((bytes(chunk), exchange.last))
        assert self.let_go.acquire(timeout=30)
        return None


def test_each_new_part_of_a_body_is_held(start: Start, http_origin: MakeHttp) -> None:
    """Called when new data is present and held: once for each part of a body, which the server gets afterwards."""
    app, parts = http_origin(), Parts()
    config = http(app.address, listener={"analyzers": ["parts"]})
    proxy = start(attached(config, parts={"python": parts, "deadline": "1m"}))
    with Client(proxy.address("web")) as client:
        client.send(get("/", "Transfer-Encoding: chunked", method="POST"), chunks(b"first"))
        until(lambda: parts.seen == [(b"first", False)])
        assert not any(b"first" in connection for connection in app.connections)
        parts.let_go.release()
        until(lambda: any(b"first" in connection for connection in app.connections))
        client.send(chunks(b"second"))
        until(lambda: parts.seen[-1][0] == b"second")
        assert not any(b"second" in connection for connection in app.connections)
        parts.let_go.release(2)
        client.send(b"0\r\n\r\n")
        assert client.response("POST").status == 200
    assert app.requests[0].body == b"firstsecond"
    assert parts.seen[-1] == (b"", True)


class Patient(headworks.Analyzer):
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        self.let_go.wait(30)
        return headworks.rewrite(set_headers={"X-Late": "no"})


def test_each_with_its_own_timeout(start: Start, http_origin: MakeHttp) -> None:
    """Each with its own timeout."""
    app, quick, slow = http_origin(), Patient(), Patient()
    config = http(app.address, listener={"analyzers": ["quick", "slow"]})
    settings = {
        "quick": {"python": quick, "deadline": "20ms", "on_failure": "pass"},
        "slow": {"python": slow, "deadline": "1m"},
    }
    proxy = start(attached(config, **settings))
    with Client(proxy.address("web")) as client:
        client.send(get("/"))
        # The time of the first is up; that of the second has begun, and is another one.
        until(lambda: proxy.stats().analyzers["quick"].timed_out == 1)
        until(lambda: proxy.stats().analyzers["slow"].parked == 1)
        assert app.requests == []
        slow.let_go.set()
        assert client.response().status == 200
    stats = proxy.stats().analyzers
    assert (stats["slow"].answered, stats["slow"].timed_out) == (1, 0)
    assert app.requests[0].get("x-late") == "no"
    quick.let_go.set()


def test_a_timeout_is_over_with_its_own_failure(start: Start, http_origin: MakeHttp) -> None:
    """Each with its own timeout: and its own say in what follows."""
    app, patient, late = http_origin(), Patient(), Patient()
    config = http(app.address, listener={"analyzers": ["patient", "late"]})
    settings = {
        "patient": {"python": patient, "deadline": "10ms", "on_failure": "pass"},
        "late": {"python": late, "deadline": "10ms", "on_failure": "reject"},
    }
    proxy = start(attached(config, **settings))
    with contextlib.closing(proxy.records()) as records:
        assert ask(proxy.address("web"), get("/")).status == 503
        record = next(records)
    assert (record.end, record.analyzer, record.analyzer_error) == ("analyzer_timeout", "late", "deadline passed")
    assert app.requests == []
    patient.let_go.set()
    late.let_go.set()


class Once(Noting):
    """Says at its hook that it has seen enough."""

    def __init__(self, hook: str, noted: list[str]) -> None:
        super().__init__("once", noted)
        self.hook = hook

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        return super().request(exchange) if self.hook != "request" else self.enough("request")

    def request_body(self, exchange: headworks.Exchange, chunk: memoryview) -> headworks.Verdict | None:
        return super().request_body(exchange, chunk) if self.hook != "request_body" else self.enough("request_body")

    def response(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        return super().response(exchange) if self.hook != "response" else self.enough("response")

    def enough(self, hook: str) -> headworks.Verdict:
        self.noted.append(f"once {hook}")
        return headworks.bypass()


@pytest.mark.parametrize("hook", ["request", "request_body", "response"])
def test_bypassed_on_demand(start: Start, http_origin: MakeHttp, hook: str) -> None:
    """Bypassed on demand."""
    noted: list[str] = []
    app = http_origin(echo)
    config = http(app.address, listener={"analyzers": ["once", "other"]})
    proxy = start(attached(config, once=Once(hook, noted), other=Noting("other", noted)))
    with Client(proxy.address("web")) as client:
        for _ in range(2):
            noted.clear()
            body = client.ask(post(b"x")).body
            asked = list(dict.fromkeys(one.split()[1] for one in noted if one.startswith("once ")))
            # Nothing after its word for this exchange; the next one begins anew, and the others go on all along.
            hooks = ["request", "request_body", "response"]
            assert asked == hooks[: hooks.index(hook) + 1]
            assert {one.split()[1] for one in noted if one.startswith("other ")} == {*hooks, "response_body"}
            assert body.startswith(b"x")
            assert body.endswith(b"other")


class Sides(headworks.Analyzer):
    """Says on each side what it sees there."""

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        assert exchange.response is None
        exchange.state.asked = exchange.request.path
        return headworks.rewrite(set_headers={"X-Request-Side": "seen"})

    def response(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        assert exchange.response is not None
        said = f"{exchange.response.status} to {exchange.state.asked}"
        return headworks.rewrite(set_headers={"X-Response-Side": said})


@pytest.mark.parametrize("where", ["listener", "backend"])
def test_request_and_response_side(start: Start, http_origin: MakeHttp, where: str) -> None:
    """Request and response side."""
    app = http_origin(lambda _: Reply(status=404, body=b"none\n"))
    config = http(app.address)
    place = config["listeners"]["web"] if where == "listener" else config["backends"]["app"]
    place["analyzers"] = ["sides"]
    proxy = start(attached(config, sides=Sides()))
    response = ask(proxy.address("web"), get("/asked"))
    assert app.requests[0].get("x-request-side") == "seen"
    assert (response.status, response.get("x-response-side")) == (404, "404 to /asked")
