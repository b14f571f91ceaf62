"""Answers that would never end are none, and one that is bypassed is not asked again."""

import threading

import pytest

import headworks
from headworks.testing import Origins


class Endless(headworks.Analyzer):
    """Asks for the same again and again."""

    def __init__(self):
        self.asked = 0

    def request(self, exchange):
        self.asked += 1
        return headworks.read_body(100)

    def first_bytes(self, connection, held):
        self.asked += 1
        return headworks.wait(need=1)


class Once(headworks.Analyzer):
    """Wants to know of a connection when it begins, and never again."""

    def __init__(self):
        self.asked = []

    def accepted(self, connection):
        self.asked.append("accepted")
        return headworks.bypass()

    def first_bytes(self, connection, held):
        self.asked.append("first_bytes")


class Listens(headworks.Analyzer):
    """Is told of what is over."""

    def __init__(self):
        self.paths = []
        self.told = threading.Event()

    def ended(self, record):
        self.paths.append(record.path)
        if record.path == "/last":
            self.told.set()


@pytest.fixture
def server():
    origins = Origins()
    yield origins(body=b"ok")
    origins.close()


def config(analyzer, server, protocol):
    return {
        "proxy": {"workers": 1},
        "logs": {"access": "off"},
        "analyzers": {"it": {"python": analyzer}},
        "listeners": {"it": {"bind": "127.0.0.1:0", "protocol": protocol, "backend": "app", "analyzers": ["it"]}},
        "backends": {"app": {"servers": [server.address]}},
    }


def test_a_body_that_was_seen_is_not_shown_again(headworks_proxy, client, server):
    analyzer = Endless()
    proxy = headworks_proxy(config(analyzer, server, "http"))
    assert client.post(proxy.address("it"), body=b"abc").status == 503
    assert analyzer.asked == 2
    (record,) = proxy.recorded(1)
    assert (record.end, record.analyzer_error) == ("analyzer_failed", "wrong verdict")


def test_bytes_that_were_seen_are_not_waited_for(headworks_proxy, client, server):
    analyzer = Endless()
    proxy = headworks_proxy(config(analyzer, server, "tcp"))
    assert client.raw(proxy.address("it"), b"abc").received == b""
    assert analyzer.asked == 1
    (record,) = proxy.recorded(1)
    assert (record.end, record.analyzer_error) == ("analyzer_failed", "wrong verdict")


def test_an_analyzer_that_is_bypassed_at_the_door_is_not_asked_inside(headworks_proxy, client, server):
    analyzer = Once()
    proxy = headworks_proxy(config(analyzer, server, "tcp"))
    heard = client.raw(proxy.address("it"), b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert heard.received.endswith(b"ok")
    assert analyzer.asked == ["accepted"]


def test_a_reload_goes_on_telling_of_ends(headworks_proxy, client, server):
    analyzer = Listens()
    proxy = headworks_proxy(config(analyzer, server, "http"))
    assert client.get(proxy.address("it"), "/first").status == 200
    proxy.reload(config(analyzer, server, "http"))
    assert client.get(proxy.address("it"), "/last").status == 200
    assert analyzer.told.wait(10)
    assert analyzer.paths == ["/first", "/last"]
