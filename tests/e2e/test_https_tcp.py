"""Raw bytes over TLS that ends here, ports where some names are passed through, and PROXY headers on both sides."""

import hashlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from headworks import Proxy
from rig.certificates import root
from rig.clients import to_end
from rig.hello import proxy_v1, proxy_v2
from rig.http_clients import get
from rig.http_origins import HttpOrigin
from rig.origins import Origin, echo, hash_of, pattern
from rig.tls_clients import TlsClient, ask_tls, s_client
from rig.tls_configs import Config, https, raw, secured
from rig.tls_files import Pki
from rig.tls_origins import TlsHttpOrigin
from rig.tls_proxy_header import ALPN, AUTHORITY, SSL_CIPHER, SSL_CN, SSL_VERSION, read
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
MakeTls = Callable[..., TlsHttpOrigin]
MakeOrigin = Callable[..., Origin]

MIB = 1 << 20
VERSIONS = ("1.2", "1.3")


def note_all(connection: socket.socket, origin: Origin) -> None:
    """Answer at once, then note down everything up to the end."""
    connection.sendall(b"hello")
    origin.note(to_end(connection))


# Raw bytes.


@pytest.mark.parametrize("version", VERSIONS)
def test_bytes_both_ways(start: Start, origin: MakeOrigin, pki: Pki, version: str) -> None:
    target = start(raw(origin(echo).address, tls=secured(pki.pem("a.test")))).address("raw")
    with TlsClient(target, pki.client(version=version)) as client:
        for piece in (b"x", b"\0" * 16_384, b"y" * 16_385, b"z" * 100_000):
            client.send(piece)
            assert client.exactly(len(piece)) == piece
        sent = b"".join(pattern(8 * MIB))
        got = hashlib.sha256()
        for at in range(0, len(sent), 1 << 16):
            client.send(sent[at : at + (1 << 16)])
            got.update(client.exactly(min(1 << 16, len(sent) - at)))
        assert got.hexdigest() == hash_of(8 * MIB)


def test_the_server_may_speak_first(start: Start, origin: MakeOrigin, pki: Pki) -> None:
    app = origin(note_all)
    target = start(raw(app.address, tls=secured(pki.pem("a.test")))).address("raw")
    with TlsClient(target, pki.client()) as client:
        assert client.exactly(5) == b"hello"
        client.send(b"answer")
        client.secure.unwrap().close()
    until(lambda: app.received == [b"answer"])


def test_a_half_closed_connection_is_still_answered(start: Start, origin: MakeOrigin, pki: Pki) -> None:
    """The end of the server's sending is a close_notify; what the client still has to say arrives."""

    def ends_first(connection: socket.socket, origin: Origin) -> None:
        connection.sendall(b"all")
        connection.shutdown(socket.SHUT_WR)
        origin.note(to_end(connection))

    app = origin(ends_first)
    target = start(raw(app.address, tls=secured(pki.pem("a.test")))).address("raw")
    with TlsClient(target, pki.client(version="1.3")) as client:
        assert client.rest() == b"all"
        client.send(b"more")
        client.secure.unwrap().close()
    until(lambda: app.received == [b"more"])


def test_a_table_by_the_name_asked_for(start: Start, origin: MakeOrigin, pki: Pki) -> None:
    servers = {name: origin(name=name) for name in ("exact", "wild", "rest")}
    config = {
        "listeners": {
            "raw": {
                "bind": "127.0.0.1:0",
                "protocol": "tcp",
                "table": "names",
                "tls": secured(pki.pem("a.test", "*.b.test", "c.test")),
            }
        },
        "tables": {"names": {"a.test": "exact", "*.b.test": "wild", "*": "rest"}},
        "backends": {name: {"servers": [one.address]} for name, one in servers.items()},
    }
    target = start(config).address("raw")
    for name, server in (("a.test", "exact"), ("x.b.test", "wild"), ("c.test", "rest"), (None, "rest")):
        tls = pki.client()
        tls.check_hostname = False
        with TlsClient(target, tls, name) as client:
            client.send(b"word")
            assert client.until(b"\n") == f"{server}\n".encode()
            assert client.exactly(4) == b"word"


def test_no_alpn_unless_it_is_said(start: Start, origin: MakeOrigin, pki: Pki) -> None:
    for alpn, chosen in ((None, None), (["xmpp-client"], "xmpp-client")):
        more = {} if alpn is None else {"alpn": alpn}
        target = start(raw(origin(echo).address, tls=secured(pki.pem("a.test"), **more))).address("raw")
        with TlsClient(target, pki.client(alpn=("imap", "xmpp-client"))) as client:
            assert client.secure.selected_alpn_protocol() == chosen


# Mixed ports.


@pytest.fixture
def mixed(start: Start, http_origin: MakeHttp, https_origin: MakeTls, pki: Pki) -> Callable[..., Proxy]:
    """A port where TLS of a.test ends, and that of *.inner.test goes on to a server of its own."""

    def make(backend: Config | None = None, **listener: object) -> Proxy:
        inner = https_origin(pki.server("x.inner.test"), name="inner")
        config = https(http_origin(name="app").address, tls=secured(pki.pem("a.test"), passthrough="untouched"))
        config["listeners"]["web"] |= listener
        config["tables"] = {"untouched": {"*.inner.test": "inner"}}
        config["backends"]["inner"] = {"servers": [inner.address]} | (backend or {})
        return start(config)

    return make


@pytest.mark.parametrize("version", VERSIONS)
def test_some_names_end_here_and_others_do_not(mixed: Callable[..., Proxy], pki: Pki, version: str) -> None:
    proxy = mixed()
    target, tls = proxy.address("web"), pki.client(version=version)
    with TlsClient(target, tls, "a.test") as client:
        assert client.names() == ["a.test"]
        assert client.ask(get()).body == b"app GET /\n"
        sent = client.ask(get(host="x.inner.test"))
        assert sent.status == 421, "what is passed through is not asked for here"
    with TlsClient(target, tls, "x.inner.test") as client:
        assert client.certificate == ssl.PEM_cert_to_DER_cert(pki.issue("x.inner.test").pem)
        assert client.ask(get("/inside", host="x.inner.test")).body == b"inner GET /inside\n"
    stats = proxy.stats().listeners["web"]
    assert (stats.connections, stats.handshakes) == (2, 1)


def test_the_version_of_others_is_no_business_of_ours(mixed: Callable[..., Proxy]) -> None:
    """modern speaks TLS 1.3 only; what is passed through is spoken by others."""
    target = mixed().address("web")
    said = s_client(target, "-tls1_2", "-servername", "x.inner.test", sends=get("/", "Connection: close"))
    assert "inner GET /" in said


def test_who_is_passed_through_comes_with_a_header(
    start: Start, http_origin: MakeHttp, origin: MakeOrigin, pki: Pki
) -> None:
    """PROXY headers before the client's hello, read and written, at the names of both kinds."""
    seen = origin(lambda connection, me: me.note(connection.recv(1 << 16)))
    app = http_origin(name="app")
    config = https(app.address, tls=secured(pki.pem("a.test"), passthrough="untouched"))
    config["listeners"]["web"]["accept_proxy_from"] = ["127.0.0.1"]
    config["tables"] = {"untouched": {"*.inner.test": "inner"}}
    config["backends"]["inner"] = {"servers": [seen.address], "proxy_protocol": "v1"}
    target = start(config).address("web")
    packed = socket.inet_aton
    for header in (
        proxy_v1("192.0.2.7", "192.0.2.8", 4711, 443),
        proxy_v2(packed("192.0.2.7"), packed("192.0.2.8"), 4711, 443),
    ):
        with TlsClient(target, pki.client(), before=header) as client:
            assert client.ask(get()).status == 200
        assert app.requests[-1].get("x-forwarded-for") == "192.0.2.7"
        with pytest.raises(ssl.SSLError):
            TlsClient(target, pki.client(), "x.inner.test", before=header)
        until(lambda: seen.received)
        assert seen.received.pop().startswith(b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 443\r\n\x16\x03\x01")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        TlsClient(target, pki.client())


# What servers are told by the PROXY protocol.


def told(start: Start, origin: MakeOrigin, tls: Config, client: ssl.SSLContext, name: str = "a.test") -> list[bytes]:
    """What a server gets of two connections, the second of which resumes the first's session."""
    app = origin(note_all)
    target = start(raw(app.address, tls=tls, proxy_protocol="v2")).address("raw")
    session = None
    for _ in range(2):
        with TlsClient(target, client, name, session=session) as one:
            assert one.exactly(5) == b"hello"
            one.send(b"word")
            session = one.secure.session
            one.secure.unwrap().close()
    until(lambda: len(app.received) == 2)
    return app.received


def test_servers_are_told_of_tls(start: Start, origin: MakeOrigin, pki: Pki) -> None:
    tls = secured(pki.pem("a.test"), alpn=["echo/1"])
    for received in told(start, origin, tls, pki.client(version="1.3", alpn=("echo/1",))):
        header = read(received)
        assert (header.source, header.rest) == ("127.0.0.1", b"word")
        assert header.values[ALPN] == b"echo/1"
        assert header.values[AUTHORITY] == b"a.test"
        assert header.values[SSL_VERSION] == b"TLSv1.3"
        assert header.values[SSL_CIPHER] == b"TLS_AES_128_GCM_SHA256"
        assert (header.flags, header.verified, header.values.get(SSL_CN)) == (1, False, None)
    (old, _) = told(start, origin, tls, pki.client(version="1.2"))
    assert read(old).values[SSL_CIPHER] == b"ECDHE-ECDSA-AES128-GCM-SHA256"
    assert read(old).values[SSL_VERSION] == b"TLSv1.2"


def test_servers_are_told_of_the_client_s_certificate(
    start: Start, origin: MakeOrigin, pki: Pki, tmp_path: Path
) -> None:
    members = root("Members")
    ann = members.leaf("ann")
    (tmp_path / "members.pem").write_text(members.pem)
    (tmp_path / "ann.pem").write_text(ann.chain_pem + ann.key_pem)
    tls = secured(pki.pem("a.test"), client_certificates={"ca": [str(tmp_path / "members.pem")]})
    client = pki.client(certificate=tmp_path / "ann.pem")
    first, resumed = map(read, told(start, origin, tls, client))
    assert (first.flags, first.verified, first.values[SSL_CN]) == (1 | 2 | 4, True, b"ann")
    assert (resumed.flags, resumed.verified, resumed.values[SSL_CN]) == (1 | 4, True, b"ann")


def test_requests_too_come_behind_such_a_header(start: Start, origin: MakeOrigin, pki: Pki) -> None:
    """Each connection to the server is of one client then."""

    def answer(connection: socket.socket, origin: Origin) -> None:
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += connection.recv(1 << 16)
        origin.note(received)
        connection.sendall(b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nhi")

    app = origin(answer)
    target = start(https(app.address, tls=secured(pki.pem("a.test")), proxy_protocol="v2")).address("web")
    assert ask_tls(target, pki.client(alpn=("http/1.1",))).body == b"hi"
    header = read(app.received[0])
    assert header.rest.startswith(b"GET / HTTP/1.1\r\n")
    assert (header.values[ALPN], header.values[AUTHORITY]) == (b"http/1.1", b"a.test")
