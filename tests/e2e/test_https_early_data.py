"""Requests in early data (0-RTT, RFC 8470): none unless wanted, and then only such as may be repeated."""

from collections.abc import Callable
from pathlib import Path

import pytest

from headworks import Proxy
from rig.http_clients import get, post
from rig.http_origins import HttpOrigin
from rig.tls_clients import s_client
from rig.tls_configs import Config, https, secured
from rig.tls_files import Pki

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]

LAST = get("/", "Connection: close")


class Early:
    """An https listener, and a session with it that was kept."""

    def __init__(self, proxy: Proxy, directory: Path) -> None:
        self.target = proxy.address("web")
        self.session, self.file = directory / "session", directory / "early"
        s_client(self.target, "-tls1_3", "-servername", "a.test", "-sess_out", self.session, sends=LAST)

    def send(self, early: bytes, later: bytes = b"") -> str:
        """Send bytes before the handshake is complete, and others after it."""
        self.file.write_bytes(early)
        return s_client(
            self.target,
            "-tls1_3",
            "-servername",
            "a.test",
            "-sess_in",
            self.session,
            "-early_data",
            self.file,
            sends=later or b"\n",
        )


@pytest.fixture
def early(start: Start, pki: Pki, tmp_path: Path) -> Callable[..., Early]:
    """Start a listener that takes early data, or not."""

    def make(app: HttpOrigin, **tls: object) -> Early:
        return Early(start(https(app.address, tls=secured(pki.pem("a.test"), **tls))), tmp_path)

    return make


def test_none_by_default(early: Callable[..., Early], http_origin: MakeHttp) -> None:
    app = http_origin()
    said = early(app).send(LAST, LAST)
    assert "Early data was not sent" in said or "Early data was rejected" in said
    assert app.requests[-1].get("early-data") is None


def test_a_safe_request_says_that_it_came_early(early: Callable[..., Early], http_origin: MakeHttp) -> None:
    app = http_origin()
    said = early(app, early_data="16KiB").send(get("/early", "Connection: close"))
    assert "Early data was accepted" in said
    assert "app GET /early" in said
    request = app.requests[-1]
    assert (request.target, request.get("early-data")) == ("/early", "1")
    assert app.requests[0].get("early-data") is None, "the first was not"


def test_a_request_that_may_do_harm_is_too_early(early: Callable[..., Early], http_origin: MakeHttp) -> None:
    app = http_origin()
    said = early(app, early_data="16KiB").send(post(b"transfer", "/pay", "Connection: close"))
    assert "HTTP/1.1 425" in said
    assert all(request.target != "/pay" for request in app.requests)


def test_a_request_after_the_early_ones_is_as_any_other(early: Callable[..., Early], http_origin: MakeHttp) -> None:
    """On the same connection, once the handshake is complete."""
    app = http_origin()
    said = early(app, early_data="16KiB").send(get("/early"), post(b"x", "/later", "Connection: close"))
    assert "app GET /early" in said
    assert "app POST /later" in said
    assert [(one.target, one.get("early-data")) for one in app.requests[1:]] == [("/early", "1"), ("/later", None)]


def test_a_replayed_flight_is_not_taken_twice(early: Callable[..., Early], http_origin: MakeHttp) -> None:
    """A ticket is good for early data once; after that it still resumes."""
    app = http_origin()
    made = early(app, early_data="16KiB")
    assert "Early data was accepted" in made.send(get("/first", "Connection: close"))
    said = made.send(get("/second", "Connection: close"), LAST)
    assert "Early data was rejected" in said
    assert "app GET /\n" in said
    assert all(request.target != "/second" or request.get("early-data") is None for request in app.requests)
