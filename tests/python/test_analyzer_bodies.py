"""Bodies pass analyzers: held in parts, changed, dropped and ended, in both directions, whole to the last byte."""

import asyncio
import hashlib

import pytest

import headworks
from headworks.testing import Answer, Origins

BIG = bytes(range(256)) * 16_000
"""4 MB, in which every part differs from its neighbours."""


class Upper(headworks.Analyzer):
    """Changes bodies as the path says."""

    async def request_body(self, exchange, chunk):
        if exchange.request.path == "/request-raises":
            raise RuntimeError("on purpose")
        return headworks.replace(bytes(chunk)[::-1]) if exchange.request.path == "/reverse" else None

    async def response_body(self, exchange, chunk):  # noqa: PLR0911  (one for each answer)
        part = bytes(chunk)
        match exchange.request.path:
            case "/whole" if not exchange.last:
                return headworks.wait(need=len(part) + 1)
            case "/whole" | "/upper":
                return headworks.replace(part.upper()) & headworks.log(parts=len(part))
            case "/drop":
                return headworks.drop()
            case "/finish":
                return headworks.replace(b"END") & headworks.finish()
            case "/bypass":
                return headworks.bypass()
            case "/reject":
                return headworks.reject("not this")
            case "/raises":
                raise RuntimeError("on purpose")
            case "/sleeps":
                await asyncio.sleep(60)
        return None


class Plain(headworks.Analyzer):
    """Sees what others have made of a body."""

    def response_body(self, exchange, chunk):
        return headworks.replace(bytes(chunk) + (b"." if exchange.last else b""))


@pytest.fixture(params=["reject", "pass"])
def on_failure(request):
    return request.param


@pytest.fixture
def proxy(headworks_proxy, server, on_failure):
    return headworks_proxy(
        {
            "proxy": {"workers": 1},
            "logs": {"access": "off"},
            "analyzers": {
                "upper": {"python": Upper, "deadline": "300ms", "on_failure": on_failure},
                "plain": {"python": Plain},
            },
            "listeners": {
                "web": {"bind": "127.0.0.1:0", "protocol": "http", "backend": "app", "analyzers": ["upper"]},
                "two": {"bind": "127.0.0.1:0", "protocol": "http", "backend": "both", "analyzers": ["plain"]},
            },
            "backends": {
                "app": {"servers": [server.address]},
                "both": {"servers": [server.address], "analyzers": ["upper"]},
            },
        }
    )


@pytest.fixture
def server():
    origins = Origins()
    yield origins(body=b"one two three")
    origins.close()


def parked(proxy):
    return {name: one.parked for name, one in proxy.stats().analyzers.items()}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/none", b"one two three"),
        ("/upper", b"ONE TWO THREE"),
        ("/whole", b"ONE TWO THREE"),
        ("/drop", b""),
        ("/finish", b"END"),
        ("/bypass", b"one two three"),
    ],
)
def test_what_an_analyzer_makes_of_a_response(proxy, client, path, body):
    for _ in range(2):
        reply = client.get(proxy.address("web"), path)
        assert (reply.status, reply.body) == (200, body)
        assert reply.header("transfer-encoding") == "chunked"
    assert parked(proxy) == {"upper": 0, "plain": 0}


def test_several_look_at_a_body_one_after_the_other(proxy, client):
    assert client.get(proxy.address("two"), "/upper").body == b"ONE TWO THREE."


@pytest.mark.parametrize("path", ["/raises", "/sleeps"])
def test_a_response_without_an_answer_is_passed_or_does_not_look_whole(proxy, client, path, on_failure):
    heard = client.raw(proxy.address("web"), f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    if on_failure == "pass":
        assert heard.received.endswith(b"d\r\none two three\r\n0\r\n\r\n")
        return
    assert b"one" not in heard.received
    assert not heard.received.endswith(b"0\r\n\r\n")
    (record,) = proxy.recorded(1)
    assert record.end == ("analyzer_failed" if path == "/raises" else "analyzer_timeout")
    assert parked(proxy)["upper"] == 0


def test_one_that_is_rejected_does_not_look_whole_either(proxy, client):
    heard = client.raw(proxy.address("web"), b"GET /reject HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"one" not in heard.received
    (record,) = proxy.recorded(1)
    assert record.end == "analyzer_rejected"


def test_a_request_whose_body_has_no_answer_is_refused(proxy, client, on_failure):
    reply = client.post(proxy.address("web"), "/request-raises", body=b"abc")
    assert reply.status == (503 if on_failure == "reject" else 200)


def test_clients_that_know_no_chunks_get_it_until_the_end(proxy, client):
    heard = client.raw(proxy.address("web"), b"GET /upper HTTP/1.0\r\nHost: a\r\n\r\n")
    assert heard.received.endswith(b"\r\n\r\nONE TWO THREE")
    assert b"chunked" not in heard.received


@pytest.mark.parametrize(("status", "method"), [(204, "GET"), (304, "GET"), (200, "HEAD")], ids=["204", "304", "HEAD"])
def test_nobody_is_asked_where_there_is_no_body(proxy, client, server, status, method):
    server.answer_with(status=status, body=b"" if status != 200 else b"abc")
    assert client.request(method, proxy.address("web"), "/raises").status == status
    assert proxy.stats().analyzers["upper"].asked == 0


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_big_bodies_arrive_to_the_last_byte_both_ways(proxy, client, server, chunked):
    fields = {"Transfer-Encoding": "chunked"} if chunked else {}
    said = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in (BIG[:5], BIG[5:])) + b"0\r\n\r\n" if chunked else BIG
    server.answer_with(Answer(body=said, headers=fields))
    reply = client.post(proxy.address("web"), "/none", body=BIG)
    assert hashlib.sha256(reply.body).digest() == hashlib.sha256(BIG).digest()
    (got,) = server.requests
    assert got.header("transfer-encoding") == "chunked"
    assert hashlib.sha256(got.body).digest() == hashlib.sha256(BIG).digest()
    assert parked(proxy)["upper"] == 0


def test_a_small_request_is_changed(proxy, client, server):
    assert client.post(proxy.address("web"), "/reverse", body=b"abc").status == 200
    assert server.requests[-1].body == b"cba"


def test_a_server_that_breaks_off_is_not_made_whole(proxy, client, server):
    server.answer_with(Answer.truncated(b"one two three", 5))
    heard = client.raw(proxy.address("web"), b"GET /upper HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert not heard.received.endswith(b"0\r\n\r\n")
    (record,) = proxy.recorded(1)
    assert record.end in ("server_closed", "server_reset")
