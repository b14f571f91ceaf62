"""Responses that are wrong: nothing malformed reaches a client, and nothing cut short is passed off as whole."""

import contextlib
import socket
import threading
from collections.abc import Callable

import pytest

from headworks import Proxy
from rig.configs import Config, http
from rig.http_clients import Client, Malformed, Truncated, ask, get, post
from rig.http_origins import HttpOrigin, Reply, script
from rig.origins import Origin, reset
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
MakeOrigin = Callable[..., Origin]

OK = b"HTTP/1.1 200 OK\r\n"

MALFORMED = {
    "rubbish": b"\x00\x01\x02rubbish\r\n\r\n",
    "nothing": b"",
    "one byte": b"H",
    "half a status line": b"HTTP/1.1 200",
    "half a head": OK + b"Content-Length: 3\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status of letters": b"HTTP/1.1 2xx OK\r\n\r\n",
    "status 0": b"HTTP/1.1 000 OK\r\n\r\n",
    "status 99": b"HTTP/1.1 099 OK\r\n\r\n",
    "another protocol": b"ICY 200 OK\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>",
    "LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "LF in the head": OK + b"Content-Length: 3\nX: y\r\n\r\nabc",
    "CR in a value": OK + b"X: a\rb\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": OK + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "a fold": OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "no colon": OK + b"rubbish\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": OK + b"X : y\r\nContent-Length: 0\r\n\r\n",
    "no name": OK + b": y\r\nContent-Length: 0\r\n\r\n",
    "CL and TE": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two CLs": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of CLs": OK + b"Content-Length: 3, 4\r\n\r\nabcd",
    "a signed CL": OK + b"Content-Length: +3\r\n\r\nabc",
    "a CL below 0": OK + b"Content-Length: -1\r\n\r\n",
    "a CL of letters": OK + b"Content-Length: abc\r\n\r\n",
    "an empty CL": OK + b"Content-Length:\r\n\r\n",
    "a CL beyond all": OK + b"Content-Length: 99999999999999999999\r\n\r\n",
    "an unknown TE": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "TE that does not end in chunked": OK + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two TEs": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a head beyond the limit": OK + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
    "fields beyond the limit": OK + b"X: y\r\n" * 20_000 + b"\r\n",
    "white space before": b" HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_response_is_502(start: Start, origin: MakeOrigin, name: str) -> None:
    app = origin(script(MALFORMED[name], _linger))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        answer = client.ask(post(b"body", "/"))
        assert answer.status == 502
        assert b"rubbish" not in answer.raw
        if answer.persistent:
            assert client.ask(post(b"again", "/")).status == 502
    until(lambda: app.open == 0, "the server connection is closed")


def _linger(connection: socket.socket) -> None:
    """End our sending and read to the end, so that nothing is reset."""
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(1 << 16):
        pass


def test_a_reset_instead_of_a_response_is_502(start: Start, origin: MakeOrigin) -> None:
    proxy = start(http(origin(script(reset)).address))
    assert ask(proxy.address("web"), post(b"x")).status == 502


def test_silence_is_504(start: Start, origin: MakeOrigin) -> None:
    app = origin(script(_linger_reading))
    proxy = start(http(app.address, response_timeout="200ms"))
    with Client(proxy.address("web")) as client:
        assert client.ask(get()).status == 504
    until(lambda: app.open == 0, "the server connection is closed")


def _linger_reading(connection: socket.socket) -> None:
    while connection.recv(1 << 16):
        pass


def test_half_a_head_and_silence_is_504(start: Start, origin: MakeOrigin) -> None:
    app = origin(script(OK + b"X: y\r\n", _linger_reading))
    proxy = start(http(app.address, response_timeout="200ms"))
    assert ask(proxy.address("web"), get()).status == 504


def test_endless_interim_responses_end(start: Start, origin: MakeOrigin) -> None:
    """A flood of 1xx is ended by its number: it is no response, and those that were passed on are followed by one."""

    def flood(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)

    app = origin(script(flood))
    proxy = start(http(app.address, response_timeout="500ms", interim_limit=50))
    with Client(proxy.address("web")) as client:
        answer = client.ask(get())
    assert answer.status == 502
    assert len(answer.interim) == 50


def test_a_server_that_says_that_it_works_is_waited_for(start: Start, origin: MakeOrigin) -> None:
    """As long as it says so within `response_timeout`, and in all within `interim_timeout`."""

    def works(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for _ in range(8):
                connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
                threading.Event().wait(0.2)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    app = origin(script(works))
    for patience, status in (("10s", 200), ("900ms", 504)):
        proxy = start(http(app.address, response_timeout="800ms", interim_timeout=patience))
        with Client(proxy.address("web")) as client:
            assert client.ask(get()).status == status
    until(lambda: app.open == 0, "the server connection is closed")


CUT = {
    "a length": OK + b"Content-Length: 1000\r\n\r\nabc",
    "chunks, in a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\nabc",
    "chunks, after a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "chunks, in a size": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1",
    "chunks, before the last line": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    "chunks, in a trailer": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: ",
    "chunks, a bad size": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n",
    "chunks, no end of a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
    "chunks, LF": OK + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
}


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("name", CUT)
def test_what_is_cut_short_is_seen_to_be(start: Start, origin: MakeOrigin, name: str, how: str, version: str) -> None:
    """The client cannot take it for whole: its own framing is broken, or the connection is reset."""
    app = origin(script(CUT[name], _linger if how == "end" else reset))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        client.send(post(b"x").replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
        try:
            answer = client.response("POST")
        except (Truncated, ConnectionResetError):
            return
        assert answer.status == 502, f"{answer} looks whole"


def test_a_body_without_an_end_that_is_reset_is_reset(start: Start, origin: MakeOrigin) -> None:
    """Framed by the end of the connection: only a reset (or broken chunks) can tell that it is not whole."""
    released = threading.Event()
    app = origin(script(OK + b"\r\nabc", released, reset))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        client.send(get())
        head = client.head()
        assert head.status == 200
        released.set()
        with pytest.raises((Malformed, ConnectionResetError)):
            _to_a_clean_end(client, chunked=head.get("transfer-encoding") is not None)


def _to_a_clean_end(client: Client, *, chunked: bool) -> None:
    """Read to the last chunk, or to an end that is not a reset."""
    if chunked:
        while client.until(b"\r\n") not in (b"0\r\n", b""):
            pass
    else:
        while client.socket.recv(1 << 16):
            pass


def test_more_than_was_said_is_not_passed_on(start: Start, origin: MakeOrigin) -> None:
    """Bytes behind a response belong to nobody, and the connection they came on is not used again."""
    extra = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    app = origin(script(OK + b"Content-Length: 3\r\n\r\nabc" + extra, _linger_reading))
    proxy = start(http(app.address) | {"proxy": {"workers": 1}})
    with Client(proxy.address("web")) as client:
        for _ in range(3):
            assert client.ask(get()).body == b"abc"
    assert app.accepted == 3


def test_bytes_that_come_while_idle_spoil_a_pooled_connection(start: Start, origin: MakeOrigin) -> None:
    released = threading.Event()
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    app = origin(script(OK + b"Content-Length: 3\r\n\r\nabc", released, evil, _linger_reading))
    proxy = start(http(app.address) | {"proxy": {"workers": 1}})
    with Client(proxy.address("web")) as client:
        assert client.ask(get()).body == b"abc"
        released.set()
        until(lambda: app.open == 0, "the spoilt connection is closed")
        assert client.ask(get()).body == b"abc"


def test_a_body_where_none_may_be_is_not_passed_on(start: Start, origin: MakeOrigin) -> None:
    for head in (
        b"HTTP/1.1 204 No\r\n\r\n",
        b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        app = origin(script(head + b"stray", _linger_reading))
        proxy = start(http(app.address) | {"proxy": {"workers": 1}})
        with Client(proxy.address("web")) as client:
            for _ in range(2):
                answer = client.ask(get())
                assert answer.status in (204, 304)
                assert answer.get("transfer-encoding") is None


@pytest.mark.parametrize("status", [600, 777, 999])
def test_a_status_beyond_all_classes_is_passed_on(start: Start, origin: MakeOrigin, status: int) -> None:
    said = f"HTTP/1.1 {status} Denied\r\nContent-Length: 2\r\n\r\nno".encode()
    proxy = start(http(origin(script(said, _linger_reading)).address))
    with Client(proxy.address("web")) as client:
        answer = client.ask(get())
        assert (answer.status, answer.body) == (status, b"no")


def test_an_early_response_is_passed_on(start: Start, http_origin: MakeHttp) -> None:
    def early(_: object, connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        _linger(connection)
        return False

    app = http_origin(on_head=early)
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        client.send(get("/", "Content-Length: 1000000", method="POST"), b"x" * 1000)
        answer = client.response("POST")
        assert (answer.status, answer.body) == (413, b"no")


def test_fields_of_one_hop_stay_there(start: Start, http_origin: MakeHttp) -> None:
    fields = [
        ("Connection", "X-Secret, keep-alive"),
        ("X-Secret", "1"),
        ("Keep-Alive", "timeout=5"),
        ("X-Kept", "1"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    ]
    proxy = start(http(http_origin(lambda _: Reply(fields=fields, body=b"x")).address))
    answer = ask(proxy.address("web"), get())
    assert answer.get("x-secret") is None
    assert answer.get("keep-alive") is None
    assert answer.get("x-kept") == "1"
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert "x-secret" not in answer.options
