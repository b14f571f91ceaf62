"""Routing: each request by its host and path, redirects, fixed answers, maintenance, and what explain says of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headworks
from headworks import Proxy
from rig.configs import Config, http, sites
from rig.http_clients import Client, ask, get, origin_of, post
from rig.http_origins import HttpOrigin
from rig.process import command, write

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]

TABLE = {
    "a.test": "root",
    "a.test/api": "api",
    "a.test/api/v2": "newer",
    "*.a.test": "wild",
    "*.a.test/img": "img",
    "~^x[0-9]+\\.test$": "expression",
    "*": "rest",
    "*/health": "health",
}


@pytest.fixture
def table(start: Start, http_origin: MakeHttp) -> Proxy:
    """Start a proxy with a table of all kinds, each backend one server with the backend's name."""
    return start(sites(TABLE, {name: http_origin(name=name).address for name in TABLE.values()}))


CASES = [
    ("a.test", "/", "root"),
    ("A.TEST", "/", "root"),
    ("a.test.", "/", "root"),
    ("a.test:8080", "/", "root"),
    ("a.test", "/api", "api"),
    ("a.test", "/api/", "api"),
    ("a.test", "/api?x=/y", "api"),
    ("a.test", "/api/users", "api"),
    ("a.test", "/apis", "root"),
    ("a.test", "/API", "root"),
    ("a.test", "/api/v2", "newer"),
    ("a.test", "/api/v2/x", "newer"),
    ("a.test", "/api/v22", "api"),
    ("a.test", "/?/api", "root"),
    ("b.a.test", "/", "wild"),
    ("c.b.a.test", "/img/1", "img"),
    ("x1.test", "/", "expression"),
    ("x12.test", "/anything", "expression"),
    ("other.test", "/", "rest"),
    ("other.test", "/health", "health"),
    ("127.0.0.1", "/", "rest"),
    ("[::1]:80", "/", "rest"),
]


def test_each_request_of_one_connection_goes_its_own_way(table: Proxy) -> None:
    with Client(table.address("web")) as client:
        for host, path, backend in CASES:
            answer = client.ask(get(path, host=host))
            assert (host, path, origin_of(answer)) == (host, path, backend)


def test_pipelined_requests_go_their_own_ways(table: Proxy) -> None:
    with Client(table.address("web")) as client:
        client.send(*(get(path, host=host) for host, path, _ in CASES))
        assert [origin_of(client.response()) for _ in CASES] == [backend for _, _, backend in CASES]


def test_explain_says_what_happens(table: Proxy) -> None:
    for host, path, backend in CASES:
        said = headworks.explain(table.config, listener="web", host=host, path=path)
        assert (host, path, said.backend) == (host, path, backend)


def test_a_path_in_disguise_is_routed_as_servers_would_read_it(table: Proxy) -> None:
    """No spelling of a path gets round its entry, and the server gets it as it was sent."""
    for path in ("/%61pi", "/./api", "//api", "/x/../api", "/api/../api/x", "/%2e/api", "/a%2F../api"):
        answer = ask(table.address("web"), get(path, host="a.test"))
        assert (path, origin_of(answer)) == (path, "api")
        assert answer.body == f"api GET {path}\n".encode()
    assert origin_of(ask(table.address("web"), get("/api/../x", host="a.test"))) == "root"


def test_no_entry_is_421(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(sites({"a.test": "app"}, {"app": app.address}))
    with Client(proxy.address("web")) as client:
        assert client.ask(get(host="b.test")).status == 421
        assert client.ask(get(host="a.test")).status == 200
        assert client.ask(post(b"x" * 100, host="b.test")).status == 421
        assert client.ask(get(host="a.test", path="/after")).body == b"app GET /after\n"
    assert [request.target for request in app.requests] == ["/", "/after"]


def test_a_host_without_an_entry_for_the_path_is_404(start: Start, http_origin: MakeHttp) -> None:
    """The host is ours, and nothing is there."""
    proxy = start(sites({"a.test/api": "app"}, {"app": http_origin().address}))
    assert ask(proxy.address("web"), get("/api")).status == 200
    assert ask(proxy.address("web"), get("/other")).status == 404
    assert ask(proxy.address("web"), get("/api", host="b.test")).status == 421


def test_the_fallback(start: Start, http_origin: MakeHttp) -> None:
    servers = {"app": http_origin(name="app").address, "rest": http_origin(name="rest").address}
    proxy = start(sites({"a.test/api": "app"}, servers, fallback="rest"))
    target = proxy.address("web")
    assert origin_of(ask(target, get("/api"))) == "app"
    assert origin_of(ask(target, get("/other"))) == "rest"
    assert origin_of(ask(target, get(host="b.test"))) == "rest"
    assert origin_of(ask(target, get(host="", version="1.0"))) == "rest"


def test_no_name_and_no_fallback_is_400(start: Start, http_origin: MakeHttp) -> None:
    proxy = start(sites({"a.test": "app"}, {"app": http_origin().address}))
    assert ask(proxy.address("web"), get(host="", version="1.0")).status == 400


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_https(start: Start, code: int) -> None:
    config = {
        "listeners": {"web": {"bind": "127.0.0.1:0", "protocol": "http", "redirect": {"to": "https", "code": code}}}
    }
    proxy = start(config)
    with Client(proxy.address("web")) as client:
        answer = client.ask(get("/x?y=1", host="a.test:8080"))
        assert (answer.status, answer.get("location")) == (code, "https://a.test/x?y=1")
        answer = client.ask(get(method="HEAD"))
        assert (answer.status, answer.get("location"), answer.body) == (code, "https://a.test/", b"")
        assert answer.persistent


def test_a_redirect_of_an_entry_with_variables(start: Start, http_origin: MakeHttp) -> None:
    table = {
        "old.test": {"redirect": {"to": "https://new.test{path}", "code": 301}},
        "a.test/old": {"redirect": {"to": "/new"}},
        "a.test": "app",
    }
    proxy = start(sites(table, {"app": http_origin().address}))
    with Client(proxy.address("web")) as client:
        answer = client.ask(get("/x/y", host="old.test"))
        assert (answer.status, answer.get("location")) == (301, "https://new.test/x/y")
        answer = client.ask(get("/old/thing"))
        assert answer.status in (301, 302, 307, 308)
        assert answer.get("location") == "/new"
        assert origin_of(client.ask(get())) == "app"


def test_what_a_client_chose_cannot_split_a_redirect(start: Start) -> None:
    listener = {"bind": "127.0.0.1:0", "protocol": "http", "redirect": {"to": "https"}}
    proxy = start({"listeners": {"web": listener}})
    answer = ask(proxy.address("web"), get("/a%0d%0aX-Evil:%201"))
    assert answer.get("location") == "https://a.test/a%0d%0aX-Evil:%201"
    assert answer.get("x-evil") is None


def test_a_fixed_answer(start: Start, http_origin: MakeHttp) -> None:
    respond = {"status": 200, "body": "User-agent: *\n", "headers": {"Content-Type": "text/plain", "X-Made": "here"}}
    table = {"a.test/robots.txt": {"respond": respond}, "a.test": "app"}
    proxy = start(sites(table, {"app": http_origin().address}))
    with Client(proxy.address("web")) as client:
        answer = client.ask(get("/robots.txt"))
        assert (answer.status, answer.body, answer.get("x-made")) == (200, b"User-agent: *\n", "here")
        assert answer.get("content-type") == "text/plain"
        assert client.ask(get("/robots.txt", method="HEAD")).get("content-length") == str(len("User-agent: *\n"))
        assert client.ask(post(b"unread" * 1000, "/robots.txt")).status == 200
        assert origin_of(client.ask(get("/"))) == "app"


def test_a_fixed_answer_with_variables(start: Start) -> None:
    respond = {"status": 203, "body": "{method} {host}{path}\n", "headers": {"X-Client": "{client.address}"}}
    proxy = start({"listeners": {"web": {"bind": "127.0.0.1:0", "protocol": "http", "respond": respond}}})
    answer = ask(proxy.address("web"), get("/x"))
    assert (answer.status, answer.body, answer.get("x-client")) == (203, b"GET a.test/x\n", "127.0.0.1")


def test_maintenance_is_503_and_asks_no_server(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    config = http(app.address, maintenance=True)
    proxy = start(config)
    with Client(proxy.address("web")) as client:
        assert client.ask(get()).status == 503
        assert app.accepted == 0
        config["backends"]["app"]["maintenance"] = False
        proxy.reload(config)
        assert ask(proxy.address("web"), get()).status == 200


def test_a_server_in_maintenance_gets_nothing(start: Start, http_origin: MakeHttp) -> None:
    one, two = http_origin(name="one"), http_origin(name="two")
    proxy = start(http(one.address, two.address))
    with Client(proxy.address("web")) as client:
        assert {origin_of(client.ask(get())) for _ in range(6)} == {"one", "two"}
        proxy.set_server("app", one.address, admin="drain")
        assert {origin_of(client.ask(get())) for _ in range(6)} == {"two"}
        proxy.set_server("app", two.address, admin="maintenance")
        assert client.ask(get()).status == 503
        proxy.set_server("app", one.address, admin="ready")
        assert {origin_of(client.ask(get())) for _ in range(6)} == {"one"}


def test_balancing_is_per_request(start: Start, http_origin: MakeHttp) -> None:
    servers = [http_origin(name=name).address for name in ("one", "two", "three")]
    proxy = start(http(*servers) | {"proxy": {"workers": 1}})
    with Client(proxy.address("web")) as client:
        got = [origin_of(client.ask(get())) for _ in range(9)]
    assert sorted(map(str, got)) == ["one"] * 3 + ["three"] * 3 + ["two"] * 3


@pytest.mark.parametrize(
    ("balance", "extra", "vary"),
    [
        ("path_hash", {}, lambda n: get(f"/{n}")),
        ("header_hash", {"hash_header": "X-User"}, lambda n: get("/", f"X-User: {n}")),
        ("host_hash", {}, lambda n: get(host=f"h{n}.test")),
    ],
)
def test_hashes_choose_by_request(
    start: Start, http_origin: MakeHttp, balance: str, extra: Config, vary: Callable[[int], bytes]
) -> None:
    servers = [http_origin(name=name).address for name in ("one", "two", "three")]
    proxy = start(http(*servers, balance=balance, **extra))
    with Client(proxy.address("web")) as client:
        first = [origin_of(client.ask(vary(n))) for n in range(40)]
        again = [origin_of(client.ask(vary(n))) for n in range(40)]
    assert first == again
    assert set(first) == {"one", "two", "three"}


def _explained(file: Path, *arguments: str) -> dict[str, Any]:
    done = command("explain", file, "--listener", "web", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_explain_by_command(tmp_path: Path) -> None:
    table = {"a.test/api": "api", "a.test": "app", "old.test": {"redirect": {"to": "https"}}}
    servers = {"api": "127.0.0.1:8001", "app": "127.0.0.1:8002"}
    file = write(tmp_path / "headworks.toml", sites(table, servers))
    assert _explained(file, "--host", "a.test", "--path", "/api/x")["backend"] == "api"
    assert _explained(file, "--host", "A.TEST.", "--path", "/")["backend"] == "app"
    text = command("explain", file, "--listener", "web", "--host", "a.test", "--path", "/api/x").stdout
    assert "a.test/api" in text
    redirected = command("explain", file, "--listener", "web", "--host", "old.test", "--path", "/")
    assert "redirect" in redirected.stdout.lower(), redirected.stdout + redirected.stderr
