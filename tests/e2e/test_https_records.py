"""What records and counters say of TLS: versions, resumption, names, and every way in which a handshake fails."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from headworks import Proxy
from rig.clients import connect, dial, refusal, reset, to_end
from rig.configs import http
from rig.hello import client_hello
from rig.http_clients import ask, get
from rig.http_origins import HttpOrigin
from rig.origins import Origin
from rig.process import running, write
from rig.tls_clients import TlsClient, ask_tls, s_client
from rig.tls_configs import Config, https, raw, secured
from rig.tls_files import Pki
from rig.tls_hello import Offer
from rig.tls_records import Records, records_of
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
Logged = Callable[[Config], tuple[Proxy, Records]]

LAST = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
HTTPS_KEYS = ["ts", "listener", "client", "host", "method", "path", "status", "backend", "server", "bytes_in",
              "bytes_out", "wait_ms", "connect_ms", "total_ms", "end", "retries", "id", "sni", "tls_version",
              "tls_cipher", "tls_group", "tls_resumed", "alpn", "handshake_ms"]  # fmt: skip


@pytest.fixture(params=["text", "json"])
def log(request: pytest.FixtureRequest, tmp_path: Path, start: Start) -> Logged:
    """Start a proxy that logs to a file, and read its records."""
    file = tmp_path / "access.log"

    def make(config: Config) -> tuple[Proxy, Records]:
        proxy = start(config | {"logs": {"access": str(file), "format": request.param}})
        return proxy, records_of(file, request.param)

    return make


def failures(proxy: Proxy, listener: str = "web") -> dict[str, int]:
    """What is counted of failed handshakes."""
    return {reason: count for reason, count in proxy.stats().listeners[listener].handshakes_failed.items() if count}


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_whole_record(log: Logged, http_origin: MakeHttp, pki: Pki, version: str) -> None:
    app = http_origin()
    proxy, records = log(https(app.address, tls=secured(pki.pem("a.test"))))
    tls = pki.client(version=version, alpn=("http/1.1",))
    with TlsClient(proxy.address("web"), tls) as client:
        response = client.ask(get("/x"))
        session = client.secure.session
    (record,) = records(1)
    assert list(record) == HTTPS_KEYS
    assert record["handshake_ms"] >= 0
    wanted = {
        "listener": "web",
        "host": "a.test",
        "path": "/x",
        "status": 200,
        "server": app.address,
        "bytes_in": len(get("/x")),
        "bytes_out": len(response.raw),
        "end": "completed",
        "sni": "a.test",
        "tls_version": f"TLSv{version}",
        "tls_cipher": {"1.2": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "1.3": "TLS_AES_128_GCM_SHA256"}[version],
        "tls_group": "x25519",
        "alpn": "http/1.1",
    }
    assert {key: record[key] for key in wanted} == wanted
    with TlsClient(proxy.address("web"), tls, session=session) as client:
        client.ask(get("/1"))
        client.ask(get("/2"))
    said = [str(record["tls_resumed"]).lower() for record in records(3)]
    assert said == ["false", "true", "true"]
    until(lambda: proxy.stats().connections == 0)
    stats = proxy.stats().listeners["web"]
    assert (stats.connections, stats.handshakes, stats.handshakes_resumed, stats.requests) == (2, 2, 1, 3)
    assert stats.bytes_in == sum(record["bytes_in"] for record in records(3))


def test_without_name_and_alpn_there_is_nothing_said_of_them(log: Logged, http_origin: MakeHttp, pki: Pki) -> None:
    proxy, records = log(https(http_origin().address, tls=secured(pki.pem("a.test"))))
    s_client(proxy.address("web"), "-noservername", sends=LAST)
    (record,) = records(1)
    assert not {"sni", "alpn"} & set(record)


def test_a_record_of_raw_bytes(log: Logged, origin: Callable[..., Origin], pki: Pki) -> None:
    app = origin(name="app")
    proxy, records = log(raw(app.address, tls=secured(pki.pem("a.test"))))
    with TlsClient(proxy.address("raw"), pki.client()) as client:
        client.send(b"12345")
        assert client.exactly(len("app\n12345")) == b"app\n12345"
        client.secure.unwrap().close()
    (record,) = records(1)
    assert record["sni"] == "a.test"
    assert (record["bytes_in"], record["bytes_out"], record["end"]) == (5, 9, "client_closed")
    assert (record["tls_version"], record["tls_group"]) == ("TLSv1.3", "x25519")


def test_an_end_without_a_word_is_recorded_as_such(log: Logged, origin: Callable[..., Origin], pki: Pki) -> None:
    """A connection cut off looks like an ended one, unless somebody asks for the close_notify."""
    proxy, records = log(raw(origin(name="app").address, tls=secured(pki.pem("a.test"))))
    with TlsClient(proxy.address("raw"), pki.client()) as client:
        client.send(b"12345")
        assert client.exactly(len("app\n12345")) == b"app\n12345"
        client.secure.shutdown(socket.SHUT_WR)
        # What the wire still brings is not decrypted any more.
        assert client.rest() != b""
    assert records(1)[0]["end"] == "client_truncated"


def test_nothing_is_said_of_plain_listeners(log: Logged, http_origin: MakeHttp) -> None:
    proxy, records = log(http(http_origin().address))
    ask(proxy.address("web"), get())
    (record,) = records(1)
    assert not [key for key in record if key.startswith("tls")]
    stats = proxy.stats().listeners["web"]
    assert (stats.handshakes, stats.certificate_expires, failures(proxy)) == (0, None, {})


def test_every_way_to_fail(  # noqa: PLR0915  (one after another, as they are in the log)
    log: Logged, http_origin: MakeHttp, pki: Pki
) -> None:
    """Each has its word in the record and its counter."""
    tls = secured(pki.pem("a.test"), strict_sni=True, handshake_timeout="400ms")
    config = https(http_origin().address, tls=tls)
    proxy, records = log(config)
    target = proxy.address("web")
    expected: list[tuple[str, str]] = []

    def happened(error: str, end: str = "handshake_failed") -> None:
        expected.append((error, end))
        record = records(len(expected))[-1]
        assert (record["tls_error"], record["end"]) == (error, end)
        assert record["listener"] == "web"
        assert not {"tls_version", "status", "server"} & set(record), record

    refusal(target, get())
    happened("plain_http", "plain_http")
    refusal(target, b"SSH-2.0-OpenSSH_9.2\r\n")
    happened("not_tls")
    refusal(target, Offer(suites=[0xC02B], version=0x0301).message())
    happened("no_version")
    refusal(target, Offer(suites=[0x002F]).message())
    happened("no_cipher")
    refusal(target, client_hello("b.test"))
    happened("unknown_name")
    s_client(target, "-servername", "a.test", "-alpn", "h2")
    happened("no_protocol")
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsClient(target, ssl.create_default_context())
    happened("alerted")
    dial(target).close()
    happened("left")
    client = dial(target)
    client.sendall(client_hello("a.test")[:40])
    reset(client)
    happened("left")
    with connect(target) as client:
        client.sendall(Offer(suites=[0xC02B]).message())
        client.recv(1 << 16)
        client.sendall(b"\x17\x03\x03\x00\x05early")
        to_end(client)
    happened("malformed")
    with connect(target) as client:
        client.sendall(client_hello("a.test")[:40])
        to_end(client)
    happened("timed_out", "handshake_timeout")
    with connect(target) as client:
        client.sendall(Offer(suites=[0xC02B]).message())
        to_end(client)
    happened("timed_out", "handshake_timeout")
    with connect(target) as client:
        to_end(client)
    happened("timed_out", "handshake_timeout")
    counted = failures(proxy)
    assert counted == {error: [one for one, _ in expected].count(error) for error, _ in expected}
    stats = proxy.stats().listeners["web"]
    assert (stats.handshakes, stats.connections, stats.failed) == (0, len(expected), len(expected))
    assert ask_tls(target, pki.client()).status == 200


def test_the_command_counts_the_same(pki: Pki, http_origin: MakeHttp, tmp_path: Path) -> None:
    """In the log of a process: text on stderr, by default."""
    file = write(tmp_path / "headworks.toml", https(http_origin().address, tls=secured(pki.pem("a.test"))))
    with running(file) as proxy:
        ask_tls(proxy.address("web"), pki.client())
        assert "status=200" in proxy.line("sni=a.test", "tls_version=TLSv1.3", "tls_resumed=false")
        refusal(proxy.address("web"), get())
        assert "end=plain_http" in proxy.line("tls_error=plain_http")
