"""Rules that people wrote, on the way of real requests, responses and ClientHellos."""

import contextlib
import socket
from collections.abc import Callable

import pytest

import headworks
from headworks import ConfigError, Proxy
from rig.clients import to_close
from rig.configs import Config, http, sites, tls
from rig.hello import client_hello
from rig.http_clients import Client, ask, get, post
from rig.http_origins import HttpOrigin, Reply
from rig.origins import Origin
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]

OFFICE = headworks.networks("10.0.0.0/8")
TENANTS = {"blue.test": "blue", "green.test": "green"}


@headworks.rule
def guard(request: headworks.Request) -> headworks.Verdict | None:
    if request.path.startswith("/admin") and request.client not in OFFICE:
        return headworks.respond(403, f"{request.method} {request.path}\n", {"X-Why": request.query})
    if request.path == "/bot":
        return headworks.reject("a bot") & headworks.log(why="bot", agent=request.headers.get("user-agent", ""))
    if request.path == "/fails":
        return headworks.respond(200, str(int(request.query)))
    if request.path == "/moved":
        return headworks.redirect(f"https://new.test/{request.query_params.get('to', '')}", 308)
    if request.path == "/often":
        return headworks.limit(request.headers.get("x-key", "none"), "2/h")
    return None


@headworks.rule
def odd(request: headworks.Request) -> headworks.Verdict | None:
    if request.path == "/empty":
        return headworks.respond(205, "no body\n")
    if request.method == "CONNECT":
        return headworks.respond(200, "no tunnel\n")
    return None


@headworks.rule
def tenant(request: headworks.Request) -> headworks.Verdict | None:
    if request.host in TENANTS:
        return headworks.route(TENANTS[request.host]) & headworks.rewrite(
            set_headers={"X-Tenant": request.host, "X-Path": request.query_params.get("p")},
            add_headers={"X-More": "1"},
            remove_headers=["Cookie"],
            path="/t" + request.path,
            host=f"{request.host}.internal",
            query="q=1",
        )
    return None


@headworks.rule
def of_backend(request: headworks.Request) -> headworks.Verdict | None:
    if request.backend is not None:
        return headworks.rewrite(set_headers={"X-Backend": request.backend})
    return None


@headworks.rule
def answered(response: headworks.Response) -> headworks.Verdict | None:
    if response.status == 418:
        return headworks.respond(200, "no tea\n")
    if response.headers.get("x-secret") is not None:
        return headworks.reject("secret")
    return headworks.rewrite(set_headers={"X-Status": str(response.status), "Server": None})


@headworks.rule
def greeting(hello: headworks.Hello) -> headworks.Verdict | None:
    if hello.name is not None and hello.name.endswith(".blocked.test"):
        return headworks.reject("blocked")
    if hello.name == "moved.test":
        return headworks.route("other") & headworks.log(ja4=hello.ja4 or "none", alpn=hello.alpn)
    return None


@pytest.fixture
def app(http_origin: MakeHttp) -> HttpOrigin:
    """Make the one server that most tests need."""
    return http_origin()


def test_an_answer_of_a_rule_comes_instead_of_a_server_s(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"rules": [guard]}))
    with Client(proxy.address("web")) as client:
        response = client.ask(get("/admin/x?a%0d%0ab"))
        assert (response.status, response.body) == (403, b"GET /admin/x\n")
        assert response.all("x-why") == ["a%0d%0ab"]
        assert client.ask(post(b"12345", "/admin")).status == 403
        assert client.ask(get("/moved?to=%0d%0aSet-Cookie:%20x")).all("location") == ["https://new.test/Set-Cookie: x"]
        assert client.ask(get("/fine")).status == 200
    assert [request.target for request in app.requests] == ["/fine"]


def test_what_rules_say_is_in_the_record(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"rules": [guard]}))
    with contextlib.closing(proxy.records()) as records:
        assert ask(proxy.address("web"), get("/bot", "User-Agent: x")).status == 403
        record = next(records)
        assert (record.end, record.reason, dict(record.log)) == (
            "rule_rejected",
            "a bot",
            {"why": "bot", "agent": "x"},
        )
        assert ask(proxy.address("web"), get("/fails?x")).status == 500
        record = next(records)
        assert (record.end, record.rule_error) == ("rule_failed", "ValueError")
        assert ask(proxy.address("web"), get("/fails?12")).body == b"12"


def test_what_has_no_body_gets_none_and_connect_no_second_request(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"rules": [odd], "http": {"connect": True}}))
    with Client(proxy.address("web")) as client:
        response = client.ask(get("/empty"))
        assert (response.status, response.body, response.all("content-length")) == (205, b"", ["0"])
        assert client.ask(get("/fine")).status == 200
    with socket.create_connection(proxy.address("web"), timeout=10) as tunnel:
        tunnel.sendall(b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n" + get("/hidden"))
        told = to_close(tunnel)
    assert told.startswith(b"HTTP/1.1 200")
    assert b"\r\nConnection: close\r\n" in told
    assert told.endswith(b"no tunnel\n")
    assert [request.target for request in app.requests] == ["/fine"]


def test_a_limit_is_for_each_key_and_goes_on_over_a_reload(start: Start, app: HttpOrigin) -> None:
    config = http(app.address, listener={"rules": [guard]})
    proxy = start(config)
    statuses = [ask(proxy.address("web"), get("/often", "X-Key: a")).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    proxy.reload(config | {"logs": {"level": "error"}})
    refused = ask(proxy.address("web"), get("/often", "X-Key: a"))
    assert refused.status == 429
    assert int(refused.all("retry-after")[0]) > 0
    assert ask(proxy.address("web"), get("/often", "X-Key: b")).status == 200


def test_a_route_and_a_rewritten_head(start: Start, http_origin: MakeHttp) -> None:
    blue, green, other = http_origin(name="blue"), http_origin(name="green"), http_origin(name="other")
    servers = {
        "blue": {"servers": [blue.address], "rules": [of_backend], "add_prefix": "/v1"},
        "green": green.address,
        "other": other.address,
    }
    proxy = start(sites({"*": "other"}, servers, rules=[guard, tenant]))
    fields = ["Cookie: a=b", "x_tenant: evil", "X-Tenant: evil", "X-Path: evil"]
    with Client(proxy.address("web")) as client:
        for host in ("blue.test", "green.test", "other.test"):
            assert client.ask(get("/x?p=5%20%0a6", *fields, host=host)).status == 200
    (request,) = blue.requests
    assert request.target == "/v1/t/x?q=1"
    assert request.all("host") == ["blue.test.internal"]
    assert (request.all("x-tenant"), request.all("x_tenant"), request.all("x-path")) == (["blue.test"], [], ["5 6"])
    assert (request.all("x-more"), request.all("cookie"), request.all("x-backend")) == (["1"], [], ["blue"])
    assert green.requests[0].all("x-backend") == []
    assert green.requests[0].target == "/t/x?q=1"
    assert other.requests[0].all("x-tenant") == ["evil"]
    assert other.requests[0].target == "/x?p=5%20%0a6"


def test_responses_are_judged(start: Start, http_origin: MakeHttp) -> None:
    replies = {
        "/tea": Reply(status=418, body=b"x" * 100_000),
        "/secret": Reply(fields=[("X-Secret", "1")], body=b"y" * 100_000),
        "/fine": Reply(fields=[("Server", "s"), ("X-Status", "none")], body=b"fine"),
    }
    app = http_origin(lambda request: replies[request.target])
    proxy = start(http(app.address, listener={"rules": [answered]}))
    with Client(proxy.address("web")) as client:
        for _ in range(3):
            response = client.ask(get("/fine"))
            assert (response.status, response.body) == (200, b"fine")
            assert (response.all("x-status"), response.all("server")) == (["200"], [])
            response = client.ask(get("/tea"))
            assert (response.status, response.body, response.all("x-status")) == (200, b"no tea\n", [])
            assert client.ask(get("/secret")).status == 502
    until(lambda: sum(server.active for server in proxy.stats().backends["app"].servers.values()) == 0)


def test_hellos_are_judged(start: Start, origin: Callable[..., Origin]) -> None:
    app, other = origin(name="app"), origin(name="other")
    proxy = start(tls({"*": "app"}, {"app": app.address, "other": other.address}, rules=[greeting]))

    def said(name: str) -> bytes:
        with socket.create_connection(proxy.address("secure"), timeout=10) as client:
            client.sendall(client_hello(name))
            return client.recv(100)

    assert said("a.blocked.test") == bytes([21, 3, 1, 0, 2, 2, 49])
    assert said("b.test").startswith(b"app")
    with contextlib.closing(proxy.records()) as records:
        assert said("moved.test").startswith(b"other")
        # Clients before it may end only now.
        record = next(one for one in records if one.sni == "moved.test")
    assert record.backend == "other"
    assert record.log["ja4"].startswith("t1")


@pytest.mark.parametrize(
    "listener", [{}, {"protocol": "https"}, {"protocol": "tcp", "tls": {"self_signed": ["a.test"]}}]
)
def test_a_rule_where_it_cannot_be_is_a_problem(app: HttpOrigin, listener: Config) -> None:
    secure = {"tls": {"self_signed": ["a.test"]}} if listener else {}
    with pytest.raises(ConfigError) as caught:
        headworks.Proxy(http(app.address, listener={"rules": [greeting], **listener, **secure}))
    reasons = [problem.reason for problem in caught.value.problems]
    assert any("is for hellos of TLS that is passed through" in reason for reason in reasons), reasons


@headworks.rule
def identified(request: headworks.Request) -> headworks.Verdict | None:
    return headworks.log(id=request.id or "none")


def test_a_rule_knows_the_request_s_id(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"rules": [identified], "http": {"request_id": "X-Request-Id"}}))
    with contextlib.closing(proxy.records()) as records:
        ask(proxy.address("web"), get())
        record = next(records)
    assert record.log["id"] == record.request_id == app.requests[0].get("x-request-id")
