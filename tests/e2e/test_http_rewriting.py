"""Rewriting: what servers are told of the client, fields set, added and removed, prefixes, hosts, ids."""

import re
from collections.abc import Callable

import pytest

from headworks import Proxy
from rig.configs import Config, http, sites
from rig.hello import proxy_v1
from rig.http_clients import Client, ask, get, post
from rig.http_origins import HttpOrigin, Reply

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]


@pytest.fixture
def app(http_origin: MakeHttp) -> HttpOrigin:
    """Make the one server that most tests need."""
    return http_origin()


def _fields(app: HttpOrigin, name: str) -> list[str]:
    return app.requests[-1].all(name)


def test_nothing_is_added_that_nobody_asked_for(start: Start, app: HttpOrigin) -> None:
    sent = ["User-Agent: x", "Accept: */*", "Cookie: a=b", "X-Custom:  spaced  value ", "Accept: text/html", "Empty:"]
    proxy = start(http(app.address, listener={"http": {"forwarded": []}}))
    ask(proxy.address("web"), get("/", *sent))
    (request,) = app.requests
    expected = [("host", "a.test"), ("user-agent", "x"), ("accept", "*/*"), ("cookie", "a=b"), ("accept", "text/html"),
                ("x-custom", "spaced  value"), ("empty", "")]  # fmt: skip
    assert sorted((name.lower(), value) for name, value in request.fields) == sorted(expected)
    assert [value for name, value in request.fields if name.lower() == "accept"] == ["*/*", "text/html"]


def test_x_forwarded_is_told_and_lies_are_replaced(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"http": {"forwarded": ["x_forwarded"]}}))
    lies = [
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.test",
        "x-forwarded-for: 5.6.7.8",
    ]
    with Client(proxy.address("web"), source="127.0.0.5") as client:
        client.ask(get("/", host="a.test:81"))
        client.ask(get("/", *lies))
    for request, host in zip(app.requests, ("a.test:81", "a.test"), strict=True):
        assert request.all("x-forwarded-for") == ["127.0.0.5"]
        assert request.all("x-forwarded-proto") == ["http"]
        assert request.all("x-forwarded-host") == [host]


def test_forwarding_is_told_unless_switched_off(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address))
    ask(proxy.address("web"), get())
    assert _fields(app, "x-forwarded-for") == ["127.0.0.1"]


def test_a_trusted_proxy_is_believed_and_added_to(start: Start, app: HttpOrigin) -> None:
    forwarding = {"forwarded": ["x_forwarded"], "trusted": ["127.0.0.8/32"]}
    proxy = start(http(app.address, listener={"http": forwarding}))
    told = ["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: www.test"]
    with Client(proxy.address("web"), source="127.0.0.8") as client:
        client.ask(get("/", *told))
    assert ", ".join(_fields(app, "x-forwarded-for")) == "192.0.2.7, 127.0.0.8"
    assert _fields(app, "x-forwarded-proto") == ["https"]
    assert _fields(app, "x-forwarded-host") == ["www.test"]
    with Client(proxy.address("web"), source="127.0.0.9") as client:
        client.ask(get("/", *told))
    assert _fields(app, "x-forwarded-for") == ["127.0.0.9"]
    assert _fields(app, "x-forwarded-proto") == ["http"]


def test_forwarded(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"http": {"forwarded": ["forwarded"], "trusted": ["127.0.0.8"]}}))
    ask(proxy.address("web"), get("/", "Forwarded: for=1.2.3.4"))
    (value,) = _fields(app, "forwarded")
    assert set(value.split(";")) >= {"for=127.0.0.1", "proto=http", "host=a.test"}
    assert _fields(app, "x-forwarded-for") == []
    with Client(proxy.address("web"), source="127.0.0.8") as client:
        client.ask(get("/", "Forwarded: for=192.0.2.7;proto=https", host="a.test:81"))
    value = ", ".join(_fields(app, "forwarded"))
    assert value.startswith("for=192.0.2.7;proto=https, ")
    assert "for=127.0.0.8" in value
    assert 'host="a.test:81"' in value


def test_an_ipv6_client_is_quoted_in_forwarded(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"bind": "[::1]:0", "http": {"forwarded": ["forwarded", "x_forwarded"]}}))
    ask(proxy.address("web"), get())
    assert 'for="[::1]"' in _fields(app, "forwarded")[0]
    assert _fields(app, "x-forwarded-for") == ["::1"]


def test_the_client_of_a_proxy_header_is_forwarded(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, listener={"accept_proxy_from": "127.0.0.1"}))
    with Client(proxy.address("web")) as client:
        client.send(proxy_v1("192.0.2.7", "192.0.2.1", 4321))
        client.ask(get())
    assert _fields(app, "x-forwarded-for") == ["192.0.2.7"]


def test_via(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin(lambda _: Reply(fields=[("Via", "1.1 inner")], body=b"x"))
    proxy = start(http(app.address, listener={"http": {"via": "edge"}}))
    answer = ask(proxy.address("web"), get("/", "Via: 1.0 outer"))
    assert ", ".join(_fields(app, "via")) == "1.0 outer, 1.1 edge"
    assert ", ".join(answer.all("via")) == "1.1 inner, 1.1 edge"


def test_request_ids(start: Start, app: HttpOrigin) -> None:
    listener = {"http": {"request_id": "X-Request-Id", "trusted": ["127.0.0.8"]}}
    proxy = start(http(app.address, listener=listener))
    with Client(proxy.address("web")) as client:
        for _ in range(5):
            client.ask(get())
        client.ask(get("/", "X-Request-Id: forged"))
    ids = [request.get("x-request-id") for request in app.requests]
    assert len(set(ids)) == 6
    assert all(one and re.fullmatch(r"[0-9A-Za-z-]{16,64}", one) for one in ids), ids
    assert "forged" not in ids
    with Client(proxy.address("web"), source="127.0.0.8") as client:
        client.ask(get("/", "X-Request-Id: from-the-edge"))
    assert _fields(app, "x-request-id") == ["from-the-edge"]


def test_fields_are_set_added_and_removed(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin(
        lambda _: Reply(fields=[("Server", "x/1"), ("X-Powered-By", "y"), ("X-Set", "old"), ("X-Add", "1")], body=b"x")
    )
    listener = {
        "request_headers": {
            "set": {"X-Set": "new", "X-New": "n"},
            "add": {"X-Add": "2"},
            "remove": ["X-Gone", "x-also-gone"],
        },
        "response_headers": {"set": {"X-Set": "new"}, "add": {"X-Add": "2"}, "remove": ["Server", "x-powered-by"]},
    }
    proxy = start(http(app.address, listener=listener))
    fields = ["X-Set: a", "x-set: b", "X-Add: 1", "X-GONE: 1", "X-Gone: 2", "X-Also-Gone: 3", "X-Kept: k"]
    answer = ask(proxy.address("web"), get("/", *fields))
    (request,) = app.requests
    assert request.all("x-set") == ["new"]
    assert request.all("x-new") == ["n"]
    assert request.all("x-add") == ["1", "2"]
    assert request.all("x-gone") == request.all("x-also-gone") == []
    assert request.all("x-kept") == ["k"]
    assert answer.all("x-set") == ["new"]
    assert answer.all("x-add") == ["1", "2"]
    assert answer.all("server") == answer.all("x-powered-by") == []


def test_backends_rewrite_after_listeners(start: Start, app: HttpOrigin) -> None:
    proxy = start(
        http(
            app.address,
            listener={
                "request_headers": {"set": {"X-Who": "listener", "X-L": "1"}},
                "response_headers": {"set": {"X-Who": "listener"}},
            },
            request_headers={"set": {"X-Who": "backend", "X-B": "1"}},
            response_headers={"set": {"X-B": "1"}},
        )
    )
    answer = ask(proxy.address("web"), get())
    assert (_fields(app, "x-who"), _fields(app, "x-l"), _fields(app, "x-b")) == (["backend"], ["1"], ["1"])
    assert (answer.get("x-b"), answer.get("x-who")) == ("1", "listener")


def test_variables(start: Start, app: HttpOrigin) -> None:
    values = {
        "X-Client": "{client.address}",
        "X-Host": "<{host}>",
        "X-Method": "{method}",
        "X-Path": "{path}",
        "X-Id": "{request.id}",
        "X-Listener": "{listener}",
        "X-Both": "{client.address}-{host}",
    }
    proxy = start(
        http(app.address, listener={"request_headers": {"set": values}, "http": {"request_id": "X-Request-Id"}})
    )
    ask(proxy.address("web"), post(b"x", "/p/q?r=s", host="A.test:8080"))
    (request,) = app.requests
    assert request.get("x-client") == "127.0.0.1"
    assert (request.get("x-host") or "").lower() in ("<a.test>", "<a.test:8080>")
    assert request.get("x-method") == "POST"
    assert (request.get("x-path") or "").startswith("/p/q")
    assert request.get("x-id") == request.get("x-request-id")
    assert request.get("x-listener") == "web"
    assert (request.get("x-both") or "").startswith("127.0.0.1-")


def test_hop_by_hop_fields_stay_here(start: Start, app: HttpOrigin) -> None:
    fields = ["Connection: X-Secret, close, X-Other", "X-Secret: 1", "x-other: 2", "Keep-Alive: timeout=5", "X-Kept: 1",
              "Upgrade: x", "Proxy-Connection: keep-alive", "TE: trailers, deflate", "Trailer: X"]  # fmt: skip
    proxy = start(http(app.address))
    ask(proxy.address("web"), get("/", *fields))
    (request,) = app.requests
    for name in ("x-secret", "x-other", "keep-alive", "proxy-connection", "upgrade"):
        assert request.all(name) == [], name
    assert request.all("x-kept") == ["1"]
    assert "close" not in request.options
    assert request.all("te") in ([], ["trailers"])


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "x-forwarded-proto", "Host", "Content-Length", "Authorization", "Cookie"]
)
def test_connection_cannot_remove_what_is_for_every_reader(start: Start, app: HttpOrigin, name: str) -> None:
    """Who names such a field wants the server to see another message, or another client."""
    proxy = start(http(app.address))
    assert ask(proxy.address("web"), get("/", f"Connection: close, {name}", "X-Forwarded-For: 1.2.3.4")).status == 400
    assert app.accepted == 0


@pytest.mark.parametrize(
    ("rule", "sent", "got"),
    [
        (("/api", None), "/api/users?x=/api", "/users?x=/api"),
        (("/api", None), "/api", "/"),
        (("/api", None), "/api?x=y", "/?x=y"),
        (("/api", None), "/api/", "/"),
        (("/api", None), "/apis", "/apis"),
        (("/api", None), "/other", "/other"),
        ((None, "/v1"), "/users", "/v1/users"),
        ((None, "/v1"), "/", "/v1/"),
        (("/api", "/v1"), "/api/users", "/v1/users"),
        (("/api", "/v1"), "/api//evil.test", "/v1//evil.test"),
    ],
)
def test_prefixes(start: Start, app: HttpOrigin, rule: tuple[str | None, str | None], sent: str, got: str) -> None:
    backend: Config = {name: value for name, value in zip(("strip_prefix", "add_prefix"), rule, strict=True) if value}
    proxy = start(http(app.address, **backend))
    with Client(proxy.address("web")) as client:
        client.ask(get(sent))
        client.ask(get(f"http://a.test{sent}"))
    assert [request.target for request in app.requests] == [got, got]


def test_stripping_leaves_a_path(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address, strip_prefix="/api"))
    ask(proxy.address("web"), get("/api//evil.test/x"))
    assert app.requests[-1].target.startswith("/")


def test_the_host_is_kept_or_set(start: Start, http_origin: MakeHttp) -> None:
    kept, given = http_origin(name="kept"), http_origin(name="given")
    servers = {"kept": kept.address, "given": {"servers": [given.address], "host": "inner.test"}}
    proxy = start(sites({"a.test": "kept", "b.test": "given"}, servers))
    with Client(proxy.address("web")) as client:
        client.ask(get(host="A.test:8080"))
        client.ask(get(host="b.test"))
    assert kept.requests[0].host == "A.test:8080"
    assert given.requests[0].host == "inner.test"
    assert given.requests[0].all("x-forwarded-host") == ["b.test"]


def test_a_head_that_grows_beyond_all_bounds_is_refused(start: Start, app: HttpOrigin) -> None:
    """What is added fits into a reserve; when it cannot, nobody gets half a head."""
    values = {f"X-{n}": "{path}" * 8 for n in range(20)}
    proxy = start(http(app.address, listener={"request_headers": {"set": values}}))
    with Client(proxy.address("web")) as client:
        assert client.ask(get("/short")).status == 200
        answer = client.ask(get("/" + "x" * 4000))
        assert answer.status in (200, 400, 431, 500)
    assert app.mistakes == []


def test_repeated_fields_keep_their_order(start: Start, app: HttpOrigin) -> None:
    proxy = start(http(app.address))
    ask(proxy.address("web"), get("/", *(f"X-N: {n}" for n in range(60))))
    assert _fields(app, "x-n") == [str(n) for n in range(60)]
