"""Scene: an analyzer on its own is asked as a running proxy would ask it."""

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headworks
from headworks.analyzers.verdicts import WrongVerdictError
from headworks.testing import Scene


class Ports(headworks.Analyzer):
    """Tells protocols apart by their first bytes."""

    def first_bytes(self, connection, held):
        if len(held) < 4:
            return headworks.wait(need=4)
        return headworks.route("ssh" if bytes(held[:4]) == b"SSH-" else "other")


class Redact(headworks.Analyzer):
    """Takes a word out of bodies, however they are cut."""

    async def response_body(self, exchange, chunk):
        await asyncio.sleep(0)
        if not exchange.last:
            return headworks.wait(need=len(chunk) + 1)
        return headworks.replace(bytes(chunk).replace(b"secret", b"[...]"))


class Signed(headworks.Analyzer):
    """Asks to read a body, and keeps its length."""

    def request(self, exchange):
        if exchange.body is None:
            return headworks.read_body(10)
        exchange.state.length = len(exchange.body)
        return headworks.rewrite(set_headers={"X-Length": str(len(exchange.body))})


@given(st.binary(min_size=4, max_size=30), st.lists(st.integers(0, 30), max_size=5))
def test_first_bytes_mean_the_same_at_any_split(data, places):
    whole = Scene(Ports()).first_bytes(data)
    assert Scene(Ports()).first_bytes(data, split=places) == whole
    assert Scene(Ports()).first_bytes(data, split=1) == whole


def test_an_analyzer_is_asked_again_only_when_as_much_has_come_as_it_needs():
    scene = Scene(Ports())
    assert scene.first_bytes(b"SSH-2.0", split=1) == headworks.route("ssh")
    assert scene.asked == 2
    assert Scene(Ports()).first_bytes(b"SS") is None


@given(st.lists(st.integers(0, 40), max_size=6))
def test_a_body_is_changed_the_same_way_at_any_split(places):
    body = b"a secret and another secret, here"
    assert Scene(Redact()).response_body(body, split=places) == b"a [...] and another [...], here"


def test_a_request_is_shown_with_its_body_when_it_was_asked_for():
    scene = Scene(Signed())
    verdict = scene.request(headworks.Request(method="POST"), b"12345")
    assert verdict == headworks.rewrite(set_headers={"X-Length": "5"})
    assert scene.state == SimpleNamespace(length=5)
    with pytest.raises(ValueError, match="413"):
        Scene(Signed()).request(headworks.Request(method="POST"), b"1" * 11)


def test_attributes_are_those_of_a_request():
    class Seen(headworks.Analyzer):
        def request(self, exchange):
            request = exchange.request
            assert (request.path, request.query, request.host) == ("/a", "b=1", "shop.example")
            assert (request.headers["x-a"], request.cookies["c"]) == ("1, 2", "d")
            assert (str(request.client), request.tls, request.content_length) == ("192.0.2.1", None, None)
            assert list(request.headers) == ["host", "x-a", "cookie"]

    fields = [("Host", "shop.example"), ("X-A", "1"), ("X-A", "2"), ("Cookie", "c=d")]
    request = headworks.Request(target="/a?b=1", headers=fields, client="192.0.2.1")
    assert Scene(Seen()).request(request) is None


def test_what_a_proxy_would_not_take_is_an_error():
    class Wrong(headworks.Analyzer):
        def accepted(self, connection):
            return headworks.respond(200)

        def first_bytes(self, connection, held):
            return headworks.wait(need=1)

    with pytest.raises(WrongVerdictError, match="accepted may not answer respond"):
        Scene(Wrong()).accepted()
    with pytest.raises(WrongVerdictError, match="waits for 1 bytes, and 3 are there"):
        Scene(Wrong()).first_bytes(b"abc")


def test_a_view_is_over_with_its_call():
    class Keeps(headworks.Analyzer):
        def first_bytes(self, connection, held):
            self.kept = held

    analyzer = Keeps()
    Scene(analyzer).first_bytes(b"abc")
    with pytest.raises(ValueError, match="released"):
        bytes(analyzer.kept)
