"""Exchanges: connections kept on both sides, every way to frame a body, interim responses, upgrades."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from headworks import Proxy
from rig.configs import Config, http
from rig.http_clients import Client, Truncated, ask, chunked, chunks, get, post
from rig.http_origins import HttpOrigin, Reply, script
from rig.messages import Request, Stream, read_request_head
from rig.origins import Origin
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
MakeOrigin = Callable[..., Origin]

ONE_WORKER = {"proxy": {"workers": 1}}


def test_kept_on_both_sides(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        for number in range(20):
            answer = client.ask(get(f"/{number}"))
            assert (answer.status, answer.reason, answer.body) == (200, "Fine", b"app GET /%d\n" % number)
            assert answer.persistent
    assert app.accepted == 1
    assert [request.target for request in app.requests] == [f"/{number}" for number in range(20)]


def test_server_connections_are_shared_by_clients(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address) | ONE_WORKER)
    for number in range(5):
        assert ask(proxy.address("web"), get(f"/{number}")).status == 200
    assert app.accepted == 1


def test_without_a_pool_each_request_has_its_connection(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address, pool={"size": 0}))
    with Client(proxy.address("web")) as client:
        for _ in range(3):
            assert client.ask(get()).status == 200
    assert app.accepted == 3


def test_an_idle_server_connection_is_given_up(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address, pool={"timeout": "100ms"}))
    with Client(proxy.address("web")) as client:
        assert client.ask(get()).status == 200
        until(lambda: app.open == 0, "the pooled connection is closed")
        assert client.ask(get()).status == 200
    assert app.accepted == 2


def test_the_pool_is_bounded(start: Start, http_origin: MakeHttp) -> None:
    together = threading.Barrier(4)

    def meet(_: Request) -> Reply:
        together.wait(PATIENCE)
        return Reply()

    app = http_origin(meet)
    proxy = start(http(app.address, pool={"size": 2}) | ONE_WORKER)
    clients = [Client(proxy.address("web")) for _ in range(4)]
    for client in clients:
        client.send(get())
    for client in clients:
        assert client.response().status == 200
    until(lambda: app.open == 2, "two are kept, two are closed")
    for client in clients:
        with client:
            pass


def test_pipelined_requests_are_answered_in_order(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        client.send(*(get(f"/{number}") for number in range(30)), post(b"body", "/post"), get("/last"))
        bodies = [client.response().body for _ in range(32)]
    assert bodies == [b"app GET /%d\n" % n for n in range(30)] + [b"app POST /post\nbody", b"app GET /last\n"]
    assert len(app.requests) == 32


def test_pipelined_to_slow_and_quick_servers_in_order(start: Start, http_origin: MakeHttp) -> None:
    """The first is slow, the second goes to another server: its answer waits for the first one's."""
    release = threading.Event()

    def slow(_: Request) -> Reply:
        release.wait(PATIENCE)
        return Reply(body=b"slow")

    config = http(http_origin(slow).address)
    config["backends"]["quick"] = {"servers": [http_origin(name="quick").address]}
    config["listeners"]["web"].pop("backend")
    config["listeners"]["web"]["table"] = "sites"
    config["tables"] = {"sites": {"a.test": "app", "b.test": "quick"}}
    proxy = start(config)
    with Client(proxy.address("web")) as client:
        client.send(get(host="a.test"), get(host="b.test"))
        release.set()
        assert client.response().body == b"slow"
        assert client.response().body == b"quick GET /\n"


def test_a_head_byte_by_byte(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in chunked(b"abc", b"d" * 20, trailers="X-T: 1\r\n"):
            client.send(bytes([byte]))
        assert client.response().body == b"app POST /\nabc" + b"d" * 20


def test_what_the_client_asked_closes(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address) | ONE_WORKER)
    for _ in range(2):
        with Client(proxy.address("web")) as client:
            answer = client.ask(get("/", "Connection: close"))
            assert answer.status == 200
            assert not answer.persistent
            assert client.ended()
    assert app.accepted == 1, "the client's wish concerns its own connection"
    assert all(request.persistent for request in app.requests)


def test_what_the_server_closes_keeps_the_client(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin(lambda _: Reply(body=b"x", close=True))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        for _ in range(3):
            answer = client.ask(get())
            assert answer.body == b"x"
            assert answer.persistent
    assert app.accepted == 3


def test_http_1_0_closes_unless_asked_to_keep(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        answer = client.ask(get(version="1.0"))
        assert answer.status == 200
        assert not answer.persistent
        assert client.ended()
    with Client(proxy.address("web")) as client:
        for _ in range(2):
            answer = client.ask(get("/", "Connection: keep-alive", version="1.0"))
            assert answer.status == 200
            assert "keep-alive" in answer.options
            assert answer.get("content-length") is not None


def test_http_1_0_without_a_host(start: Start, http_origin: MakeHttp) -> None:
    """A 1.0 request need have no Host; the server, which is spoken to in 1.1, gets the backend's name."""
    app = http_origin()
    proxy = start(http(app.address))
    answer = ask(proxy.address("web"), get(host="", version="1.0"))
    assert answer.status == 200
    (request,) = app.requests
    assert request.version == "1.1"
    assert request.all("host") == ["app"]


def test_a_1_0_client_gets_no_chunks(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin(lambda _: Reply(body=[b"abc", b"def"]))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        answer = client.ask(get("/", "Connection: keep-alive", version="1.0"))
        assert answer.get("transfer-encoding") is None
        assert answer.to_end
        assert answer.body == b"abcdef"
        assert not answer.persistent


def test_chunks_and_trailers_pass_both_ways(start: Start, http_origin: MakeHttp) -> None:
    seen: list[Request] = []

    def turn(request: Request) -> Reply:
        seen.append(request)
        return Reply(
            body=[request.body, b"more"],
            fields=[("Trailer", "X-Sum")],
            trailers=[("X-Sum", "1"), ("X-Other", "a b")],
        )

    proxy = start(http(http_origin(turn).address))
    with Client(proxy.address("web")) as client:
        answer = client.ask(chunked(b"one", b"two" * 1000, trailers="X-Check: 7\r\n"))
        assert answer.body == b"one" + b"two" * 1000 + b"more"
        assert answer.trailers == [("X-Sum", "1"), ("X-Other", "a b")]
        assert client.ask(get()).status == 200
    assert seen[0].trailers == [("X-Check", "7")]
    assert seen[0].get("transfer-encoding") == "chunked"


def test_chunk_extensions_harm_nobody(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address))
    head = get("/", "Transfer-Encoding: chunked", method="POST")
    with Client(proxy.address("web")) as client:
        answer = client.ask(head + b'3;a=b\r\nabc\r\n2;c="d e"\r\nde\r\n0;z\r\n\r\n')
        assert answer.body == b"app POST /\nabcde"
        assert client.ask(get()).status == 200
    assert app.mistakes == []


def test_a_body_to_the_end_is_passed_on_as_such(start: Start, origin: MakeOrigin) -> None:
    app = origin(script(b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nall of it, ", b"to the end"))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        answer = client.ask(get())
        assert answer.body == b"all of it, to the end"
        if answer.to_end:
            assert not answer.persistent
        else:
            assert answer.get("transfer-encoding") == "chunked"
    with Client(proxy.address("web")) as client:
        answer = client.ask(get(version="1.0"))
        assert (answer.body, answer.to_end) == (b"all of it, to the end", True)


def test_a_1_0_server(start: Start, origin: MakeOrigin) -> None:
    app = origin(script(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        for _ in range(3):
            answer = client.ask(get())
            assert (answer.version, answer.body) == ("1.1", b"abc")
    assert app.accepted == 3, "a 1.0 server does not keep its connection unless it says so"


def test_head_has_no_body_whatever_it_says(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin(lambda _: Reply(fields=[("Content-Length", "12345")], body=b"x" * 12345))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        for _ in range(3):
            answer = client.ask(get(method="HEAD"))
            assert (answer.status, answer.get("content-length"), answer.body) == (200, "12345", b"")
        assert client.ask(get()).body == b"x" * 12345
    assert app.accepted == 1


def test_head_of_a_chunked_response(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin(lambda _: Reply(fields=[("Transfer-Encoding", "chunked")], body=[b"abc"]))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        for _ in range(2):
            assert client.ask(get(method="HEAD")).body == b""
        assert client.ask(get()).body == b"abc"


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(start: Start, http_origin: MakeHttp, status: int) -> None:
    fields = [("ETag", '"a"')] + ([("Content-Length", "999")] if status == 304 else [])
    app = http_origin(lambda _: Reply(status=status, fields=fields))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        for _ in range(3):
            answer = client.ask(get())
            assert (answer.status, answer.get("etag")) == (status, '"a"')
        assert answer.raw.endswith(b"\r\n\r\n")
    assert app.accepted == 1


def test_methods_of_all_kinds(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "M-SEARCH", "get"):
            assert client.ask(get(method=method)).body == f"app {method} /\n".encode()


def test_options_of_the_server_itself(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address))
    assert ask(proxy.address("web"), get("*", method="OPTIONS")).body == b"app OPTIONS *\n"
    assert ask(proxy.address("web"), get("*")).status == 400


def test_an_absolute_target_reaches_the_server_as_a_path(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        assert client.ask(get("http://a.test/x?y=1")).status == 200
        assert client.ask(get("http://a.test")).status == 200
        assert client.ask(get("http://A.test:80/z")).status in (200, 400)
    assert [(one.target, one.host) for one in app.requests[:2]] == [("/x?y=1", "a.test"), ("/", "a.test")]


def test_targets_are_not_changed(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address))
    targets = ["/a%2Fb", "/a//b/../c/./d", "/?a=b&c=%20d", "/%e4%bd%a0", "/a;b=c", "/~x!$&'()*+,;=:@", "/?", "//x"]
    with Client(proxy.address("web")) as client:
        for target in targets:
            assert client.ask(get(target)).status == 200
    assert [one.target for one in app.requests] == targets


def test_connect_is_refused_unless_enabled(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        answer = client.ask(b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n")
        assert answer.status == 405
        assert not answer.persistent
        assert client.ended()
    assert app.accepted == 0


def test_connect_when_enabled_is_a_tunnel(start: Start, origin: MakeOrigin) -> None:
    app = origin(_tunnel(b"HTTP/1.1 200 Go\r\n\r\n"))
    proxy = start(http(app.address, listener={"http": {"connect": True}}))
    with Client(proxy.address("web")) as client:
        answer = client.ask(b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n")
        assert answer.status == 200
        _use_tunnel(client)
    assert app.received[0].startswith(b"CONNECT a.test:443 HTTP/1.1\r\n")


def test_continue_is_relayed(start: Start, http_origin: MakeHttp) -> None:
    """The server decides whether the body is wanted, and the client hears its word before it sends."""

    def go_on(request: Request, connection: socket.socket) -> bool:
        if request.get("expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    app = http_origin(on_head=go_on)
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        for _ in range(2):
            client.send(get("/", "Expect: 100-continue", "Content-Length: 4", method="POST"))
            assert client.head().status == 100
            client.send(b"body")
            assert client.response().body == b"app POST /\nbody"
    assert app.requests[0].get("expect") == "100-continue"


def test_a_refused_expectation_costs_no_body(start: Start, origin: MakeOrigin) -> None:
    app = origin(script(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        client.send(get("/", "Expect: 100-continue", "Content-Length: 1000000", method="POST"))
        assert client.response().status == 413


def test_early_hints_are_relayed(start: Start, http_origin: MakeHttp) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    app = http_origin(lambda _: Reply(before=hints * 2, body=b"page"))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        for _ in range(3):
            answer = client.ask(get())
            assert [one.status for one in answer.interim] == [103, 103]
            assert answer.interim[0].get("link") == "</a.css>; rel=preload"
            assert answer.body == b"page"
    assert app.accepted == 1


def test_a_1_0_client_gets_no_interim_response(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin(lambda _: Reply(before=b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", body=b"page"))
    proxy = start(http(app.address))
    answer = ask(proxy.address("web"), get(version="1.0"))
    assert answer.interim == []
    assert answer.body == b"page"


def _tunnel(head: bytes) -> Callable[[socket.socket, Origin], None]:
    """Answer with ``head``, then send back everything twice, and to the client's end answer with ours."""

    def behave(connection: socket.socket, origin: Origin) -> None:
        stream = Stream(lambda: connection.recv(1 << 16))
        request = read_request_head_or_connect(stream)
        origin.note(request)
        connection.sendall(head)
        if rest := stream.rest():
            connection.sendall(rest * 2)
        while more := connection.recv(1 << 16):
            connection.sendall(more * 2)
        connection.sendall(b"the end")

    return behave


def read_request_head_or_connect(stream: Stream) -> bytes:
    return stream.until(b"\r\n\r\n")


def _use_tunnel(client: Client) -> None:
    for word in (b"abc", b"\x00\xff" * 5000, b"GET / HTTP/1.1\r\n\r\n"):
        client.send(word)
        assert sorted(client.exactly(2 * len(word))) == sorted(word * 2)
    client.finish()
    assert client.rest() == b"the end"


UPGRADE = get("/chat", "Connection: Upgrade, keep-alive", "Upgrade: echo/1")
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n"


def test_an_upgrade_becomes_a_tunnel_with_half_close(start: Start, origin: MakeOrigin) -> None:
    app = origin(_tunnel(SWITCHING))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        answer = client.ask(UPGRADE)
        assert (answer.status, answer.get("upgrade")) == (101, "echo/1")
        assert "upgrade" in answer.options
        _use_tunnel(client)
    asked = app.received[0].decode().lower()
    assert "\r\nupgrade: echo/1\r\n" in asked
    assert "upgrade" in next(line for line in asked.split("\r\n") if line.startswith("connection:"))


def test_bytes_right_behind_an_upgrade_arrive(start: Start, origin: MakeOrigin) -> None:
    """A client that does not wait for 101, and a server that talks at once."""
    app = origin(_tunnel(SWITCHING + b"hello "))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        client.send(UPGRADE, b"early")
        assert client.response().status == 101
        assert client.exactly(6 + 10) == b"hello earlyearly"
        _use_tunnel(client)


def test_an_upgrade_that_is_declined_is_an_answer(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        assert client.ask(UPGRADE).body == b"app GET /chat\n"
        assert client.ask(get("/next")).body == b"app GET /next\n"


def test_a_switch_that_nobody_asked_for_is_refused(start: Start, origin: MakeOrigin) -> None:
    proxy = start(http(origin(script(SWITCHING)).address))
    assert ask(proxy.address("web"), get()).status == 502


def test_a_tunnel_ends_when_the_server_ends(start: Start, origin: MakeOrigin) -> None:
    proxy = start(http(origin(script(SWITCHING + b"bye")).address))
    with Client(proxy.address("web")) as client:
        assert client.ask(UPGRADE).status == 101
        assert client.rest() == b"bye"


def test_an_idle_tunnel_is_ended(start: Start, origin: MakeOrigin) -> None:
    app = origin(_tunnel(SWITCHING))
    proxy = start(http(app.address, listener={"timeouts": {"tunnel": "200ms"}}))
    with Client(proxy.address("web")) as client:
        assert client.ask(UPGRADE).status == 101
        client.send(b"x")
        assert client.exactly(2) == b"xx"
        assert client.ended()


def test_unix_sockets_on_both_sides(start: Start, http_origin: MakeHttp, tmp_path: Path) -> None:
    app = http_origin(path=tmp_path / "app.sock")
    bind = f"unix:{tmp_path / 'web.sock'}"
    fields = {"X-Client": "<{client.address}>"}
    start(http(app.address, listener={"bind": bind, "request_headers": {"set": fields}}))
    with Client((str(tmp_path / "web.sock"), 0)) as client:
        for _ in range(3):
            assert client.ask(post(b"x")).body == b"app POST /\nx"
    assert app.accepted == 1
    assert "127.0.0.1" not in str(app.requests[0].fields)


def test_the_rig_reads_strictly() -> None:
    """Were the rig lenient, nothing here would show anything."""
    from rig.messages import Malformed, of_bytes, read_request

    for wrong in (
        b"GET / HTTP/1.1\nHost: a\n\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    ):
        with pytest.raises(Malformed):
            read_request(of_bytes(wrong))
    with pytest.raises(Truncated):
        read_request(of_bytes(chunked(b"abc")[:-3]))
    whole = read_request(
        of_bytes(get("/", "Transfer-Encoding: chunked", method="POST") + chunks(b"a", b"b") + b"0\r\n\r\n")
    )
    assert whole is not None
    assert whole.body == b"ab"
    assert read_request_head(of_bytes(b"")) is None
