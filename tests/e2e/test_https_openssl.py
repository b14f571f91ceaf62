"""HTTPS with ``openssl s_client``: versions, resumption, key updates, renegotiation, stapling, names."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headworks import Proxy
from rig.http_origins import HttpOrigin, Reply
from rig.tls_clients import interactive, s_client
from rig.tls_configs import Config, https, secured
from rig.tls_files import Pki
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]

LAST = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
KEPT = b"GET /%b HTTP/1.1\r\nHost: a.test\r\n\r\n"
VERSIONS = ["-tls1_2", "-tls1_3"]


@pytest.fixture
def proxy(start: Start, http_origin: MakeHttp, pki: Pki) -> Proxy:
    """An https listener for a.test."""
    return start(https(http_origin(name="app").address, tls=secured(pki.pem("a.test"))))


def failures(proxy: Proxy) -> dict[str, int]:
    """What the listener counts of failed handshakes."""
    return {reason: count for reason, count in proxy.stats().listeners["web"].handshakes_failed.items() if count}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_request(proxy: Proxy, pki: Pki, version: str) -> None:
    said = s_client(
        proxy.address("web"), version, "-servername", "a.test", "-CAfile", pki.ca, "-verify_return_error", sends=LAST
    )
    assert "Verification: OK" in said
    assert f"New, TLSv1.{version[-1]}" in said
    assert "app GET /" in said
    assert said.count("BEGIN CERTIFICATE") == 1
    # The leaf and the intermediate, and not the root.
    assert re.findall(r"^ *(\d+) s:", said, re.MULTILINE) == ["0", "1"]
    assert "i:CN = Test root" in said


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_name_the_first_certificate_is_shown(proxy: Proxy, pki: Pki, version: str) -> None:
    said = s_client(proxy.address("web"), version, "-noservername", "-CAfile", pki.ca, sends=LAST)
    assert "subject=CN = a.test" in said
    assert "app GET /" in said


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_are_resumed(proxy: Proxy, tmp_path: Path, version: str) -> None:
    target, kept = proxy.address("web"), tmp_path / "session"
    said = s_client(target, version, "-servername", "a.test", "-sess_out", kept, sends=LAST)
    assert "New, TLSv1" in said
    for _ in range(3):
        said = s_client(target, version, "-servername", "a.test", "-sess_in", kept, sends=LAST)
        assert "Reused, TLSv1" in said
        assert "app GET /" in said
    until(lambda: proxy.stats().connections == 0)
    counted = proxy.stats().listeners["web"]
    assert (counted.handshakes, counted.handshakes_resumed) == (4, 3)


def test_reconnecting(proxy: Proxy) -> None:
    said = s_client(proxy.address("web"), "-tls1_2", "-servername", "a.test", "-reconnect")
    assert len(re.findall("^Reused, TLSv1.2", said, re.MULTILINE)) == 5


@pytest.mark.parametrize("version", VERSIONS)
def test_without_tickets_nothing_is_resumed(
    start: Start, http_origin: MakeHttp, pki: Pki, tmp_path: Path, version: str
) -> None:
    proxy = start(https(http_origin(name="app").address, tls=secured(pki.pem("a.test"), tickets=False)))
    said = s_client(proxy.address("web"), version, "-servername", "a.test", "-sess_out", tmp_path / "s", sends=LAST)
    assert "app GET /" in said
    assert "ticket" not in said
    assert "Reused" not in s_client(proxy.address("web"), "-tls1_2", "-servername", "a.test", "-reconnect")


def test_a_session_survives_a_reload(start: Start, http_origin: MakeHttp, pki: Pki, tmp_path: Path) -> None:
    config = https(http_origin().address, tls=secured(pki.pem("a.test")))
    proxy = start(config)
    target, kept = proxy.address("web"), tmp_path / "session"
    s_client(target, "-servername", "a.test", "-sess_out", kept, sends=LAST)
    proxy.reload(config | {"proxy": {"workers": 2, "drain": "7s"}})
    assert "Reused, TLSv1.3" in s_client(target, "-servername", "a.test", "-sess_in", kept, sends=LAST)


def test_keys_are_updated_while_requests_go_on(proxy: Proxy) -> None:
    """``k`` updates the client's key, ``K`` asks for ours, too (RFC 8446 section 4.6.3)."""
    with interactive(proxy.address("web"), "-tls1_3", "-servername", "a.test") as client:
        client.until(b"Verify return code")
        for number, command in enumerate((b"k\n", b"K\n", b"K\n", b"k\n", b"K\n")):
            client.type(command)
            client.until(b"KEYUPDATE")
            client.type(KEPT % str(number).encode())
            client.until(b"app GET /%d" % number)
    until(lambda: proxy.stats().connections == 0)
    assert failures(proxy) == {}


def test_a_key_is_updated_in_the_middle_of_an_answer(start: Start, http_origin: MakeHttp, pki: Pki) -> None:
    middle = threading.Event()

    def halves() -> Iterator[bytes]:
        yield b"first half, "
        middle.wait(PATIENCE)
        yield b"second half"

    app = http_origin(lambda _: Reply(body=halves()))
    proxy = start(https(app.address, tls=secured(pki.pem("a.test"))))
    with interactive(proxy.address("web"), "-tls1_3", "-servername", "a.test") as client:
        client.until(b"Verify return code")
        client.type(KEPT % b"")
        client.until(b"first half, ")
        client.type(b"K\n")
        client.until(b"KEYUPDATE")
        middle.set()
        client.until(b"second half")


def test_renegotiation_is_refused(proxy: Proxy) -> None:
    with interactive(proxy.address("web"), "-tls1_2", "-servername", "a.test") as client:
        client.until(b"Secure Renegotiation IS supported")
        client.until(b"---")
        client.type(KEPT % b"before")
        client.until(b"app GET /before")
        client.type(b"R\n")
        client.until(b"RENEGOTIATING")
        client.until(b"no renegotiation")
    until(lambda: proxy.stats().connections == 0)


def test_a_stapled_response(start: Start, http_origin: MakeHttp, pki: Pki, tmp_path: Path) -> None:
    leaf = pki.issue("a.test")
    staple = tmp_path / "a.ocsp"
    staple.write_bytes(pki.intermediate.ocsp(leaf))
    place = {"certificate": pki.pem("a.test"), "ocsp": str(staple)}
    proxy = start(https(http_origin().address, tls=secured([place, pki.pem("b.test")])))
    for version in VERSIONS:
        said = s_client(proxy.address("web"), version, "-servername", "a.test", "-status", sends=LAST)
        assert "OCSP Response Status: successful (0x0)" in said
        assert "Cert Status: good" in said
        said = s_client(proxy.address("web"), version, "-servername", "b.test", "-status", sends=LAST)
        assert "OCSP response: no response sent" in said
        assert "OCSP response" not in s_client(proxy.address("web"), version, "-servername", "a.test", sends=LAST)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [("h2,http/1.1", "http/1.1"), ("http/1.1", "http/1.1"), ("http/1.0", None), ("h2", None), ("spdy/3,h3", None)],
)
def test_alpn(proxy: Proxy, offered: str, chosen: str | None) -> None:
    """Who offers only what is not spoken is refused with no_application_protocol (RFC 7301 section 3.2)."""
    said = s_client(proxy.address("web"), "-servername", "a.test", "-alpn", offered, sends=LAST)
    if chosen:
        assert f"ALPN protocol: {chosen}" in said
        assert "app GET /" in said
    else:
        assert "alert no application protocol" in said
        until(lambda: failures(proxy) == {"no_protocol": 1})


def test_no_alpn_is_answered_by_none(proxy: Proxy) -> None:
    said = s_client(proxy.address("web"), "-servername", "a.test", sends=LAST)
    assert "No ALPN negotiated" in said
    assert "app GET /" in said


@pytest.mark.parametrize(
    ("groups", "chosen"),
    [
        ("X25519", "X25519, 253 bits"),
        ("P-256", "ECDH, prime256v1, 256 bits"),
        ("P-384", "ECDH, secp384r1, 384 bits"),
        # One round more: its first share is of a group that we do not have.
        ("P-521:X25519", "X25519, 253 bits"),
    ],
)
def test_groups(start: Start, http_origin: MakeHttp, pki: Pki, groups: str, chosen: str) -> None:
    # RSA: of TLS 1.2 groups are for the keys of certificates, too.
    target = start(https(http_origin().address, tls=secured(pki.pem("a.test", rsa=True)))).address("web")
    for version in VERSIONS:
        said = s_client(target, version, "-servername", "a.test", "-groups", groups, sends=LAST)
        assert f"Server Temp Key: {chosen}" in said
        assert "app GET /" in said


def test_small_fragments(proxy: Proxy, pki: Pki) -> None:
    """A client may ask for small records (RFC 6066 section 4); one that sends small ones is understood."""
    for version in VERSIONS:
        said = s_client(
            proxy.address("web"),
            version,
            "-servername",
            "a.test",
            "-max_send_frag",
            "512",
            "-CAfile",
            pki.ca,
            sends=LAST,
        )
        assert "app GET /" in said


def test_bytes_of_padding_are_no_content(proxy: Proxy) -> None:
    said = s_client(proxy.address("web"), "-tls1_3", "-servername", "a.test", "-record_padding", "4096", sends=LAST)
    assert "app GET /" in said
