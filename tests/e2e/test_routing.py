"""TLS connections reach the server that their name asks for, undisturbed: with real clients and with made-up hellos."""

import contextlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from headworks import Proxy, explain
from rig.clients import Target, connect, exactly, line, served_by
from rig.configs import Config, tls
from rig.hello import HANDSHAKE_FAILURE, client_hello, handshake, records
from rig.origins import Origin
from rig.waiting import PATIENCE, until

TABLE = {
    "example.com": "exact",
    "*.example.org": "wildcard",
    "*.deep.example.org": "longest",
    "only.deep.example.org": "exact",
    "~^(www|api)\\.example\\.net$": "first",
    "~^.*\\.example\\.net$": "second",
    "*": "anything",
}

NAMES = {
    "example.com": "exact",
    "EXAMPLE.Com": "exact",
    "example.com.": "exact",
    "a.example.org": "wildcard",
    "a.b.example.org": "wildcard",
    "A.B.Example.ORG.": "wildcard",
    "x.deep.example.org": "longest",
    "x.y.deep.example.org": "longest",
    "deep.example.org": "wildcard",
    "only.deep.example.org": "exact",
    "www.example.net": "first",
    "WWW.example.net.": "first",
    "api.example.net": "first",
    "xwww.example.net": "second",
    "example.org": "anything",
    "example.net": "anything",
    "www.example.net.evil.test": "anything",
    "_under-score.example.org": "wildcard",
}


@pytest.fixture
def sites(start: Callable[[Config], Proxy], origin: Callable[..., Origin]) -> Target:
    """A proxy with ``TABLE`` in front of origins that echo."""
    servers = {name: origin(name=name).address for name in sorted({*TABLE.values(), "nameless"})}
    return start(tls(TABLE, dict(servers), fallback="nameless")).address("secure")


@pytest.fixture
def secure(start: Callable[[Config], Proxy], tls_origin: Callable[..., Origin]) -> Target:
    """A proxy in front of two TLS origins; names that nothing matches go to the first."""
    one = tls_origin("one", "one.example", "other.test")
    two = tls_origin("two", "*.two.example")
    table = {"one.example": "one", "*.two.example": "two"}
    return start(tls(table, {"one": one.address, "two": two.address}, fallback="one")).address("secure")


def _talk(target: Target, name: str | None, context: ssl.SSLContext) -> str:
    """Shake hands, checking the certificate, and return what the origin says: its name and the TLS version."""
    with connect(target) as plain, context.wrap_socket(plain, server_hostname=name) as client:
        client.sendall(b"hello\n")
        said = b""
        while more := client.recv(1024):
            said += more
        return said.decode().strip()


def _context(trusted: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(trusted))
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize(("name", "backend"), NAMES.items())
def test_name_goes_to_its_backend(sites: Target, name: str, backend: str) -> None:
    assert served_by(sites, client_hello(name)) == backend


def test_explain_agrees_with_what_happens(sites: Target) -> None:
    servers = dict.fromkeys({*TABLE.values(), "nameless"}, "127.0.0.1:1")
    config = tls(TABLE, dict(servers), fallback="nameless")
    for name in NAMES:
        assert explain(config, listener="secure", sni=name).backend == served_by(sites, client_hello(name))


def test_no_name_goes_to_the_fallback(sites: Target) -> None:
    assert served_by(sites, client_hello(None)) == "nameless"


def test_an_address_is_no_name(sites: Target) -> None:
    assert served_by(sites, client_hello("192.0.2.1")) == "nameless"
    assert served_by(sites, client_hello("2001:db8::1")) == "nameless"


def test_no_name_and_no_fallback_takes_the_star(
    start: Callable[[Config], Proxy], origin: Callable[..., Origin]
) -> None:
    proxy = start(tls({"*": "any"}, {"any": origin(name="any").address}))
    assert served_by(proxy.address("secure"), client_hello(None)) == "any"


def test_order_of_expressions_decides(start: Callable[[Config], Proxy], origin: Callable[..., Origin]) -> None:
    servers = {name: origin(name=name).address for name in ("first", "second")}
    proxy = start(tls({"~^a": "first", "~b$": "second"}, dict(servers)))
    assert served_by(proxy.address("secure"), client_hello("a.b")) == "first"
    proxy = start(tls({"~b$": "second", "~^a": "first"}, dict(servers)))
    assert served_by(proxy.address("secure"), client_hello("a.b")) == "second"


def test_a_listener_with_a_backend_routes_any_name(
    start: Callable[[Config], Proxy], origin: Callable[..., Origin]
) -> None:
    config = tls({}, {"app": origin(name="app").address}, backend="app")
    del config["listeners"]["secure"]["table"]
    target = start(config).address("secure")
    assert served_by(target, client_hello("whatever.test")) == "app"
    assert served_by(target, client_hello(None)) == "app"
    with connect(target) as client:
        client.sendall(b"no hello at all")
        assert exactly(client, 100) == HANDSHAKE_FAILURE


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_python(secure: Target, trusted: Path, version: ssl.TLSVersion) -> None:
    context = _context(trusted, version)
    shown = version.name.replace("_", ".")
    assert _talk(secure, "one.example", context) == f"one {shown}"
    assert _talk(secure, "www.two.example", context) == f"two {shown}"
    assert _talk(secure, "ONE.example", context) == f"one {shown}"
    assert _talk(secure, "other.test", context) == f"one {shown}"


def test_a_certificate_of_another_name_is_still_noticed(secure: Target, trusted: Path) -> None:
    context = ssl.create_default_context(cafile=str(trusted))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid"):
        _talk(secure, "unlisted.test", context)


def test_no_sni(secure: Target, trusted: Path) -> None:
    context = ssl.create_default_context(cafile=str(trusted))
    context.check_hostname = False
    assert _talk(secure, None, context).startswith("one ")


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_openssl(secure: Target, trusted: Path, version: str) -> None:
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("there is no openssl command")
    host, port = secure
    done = subprocess.run(
        [openssl, "s_client", "-connect", f"{host}:{port}", "-servername", "a.b.two.example", f"-{version}",
         "-CAfile", trusted, "-verify_return_error", "-ign_eof"],
        input="hello\n", capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert "two TLSv1." in done.stdout, done.stdout + done.stderr
    assert "Verify return code: 0 (ok)" in done.stdout


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl(secure: Target, trusted: Path, version: str) -> None:
    curl = shutil.which("curl")
    if not curl:
        pytest.skip("there is no curl command")
    port = secure[1]
    for name, expected in (("one.example", "one"), ("www.two.example", "two")):
        done = subprocess.run(
            [curl, "--silent", "--show-error", "--noproxy", "*", f"--tlsv{version}", "--tls-max", version,
             "--cacert", trusted, "--resolve", f"{name}:{port}:127.0.0.1", f"https://{name}:{port}/"],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, f"{expected} TLSv{version}\n"), done.stderr


def test_a_hello_of_several_segments(start: Callable[[Config], Proxy], origin: Callable[..., Origin]) -> None:
    """A post-quantum key share makes a hello longer than a packet; it may come in pieces."""
    hello = client_hello("big.example", key_share=1216 + 1184)
    assert len(hello) > 1500
    proxy = start(tls({"big.example": "app"}, {"app": origin(name="app").address}))
    target = proxy.address("secure")
    assert served_by(target, hello) == "app"
    pieces = [hello[at : at + 500] for at in range(0, len(hello), 500)]
    with connect(target) as client:
        sent = 0
        for piece in pieces[:-1]:
            client.sendall(piece)
            sent += len(piece)
            until(lambda: [row.bytes_in for row in proxy.connections()] == [sent], f"{sent} bytes were seen")  # noqa: B023
        client.sendall(pieces[-1])
        assert line(client) == "app"
        assert exactly(client, len(hello)) == hello


@pytest.mark.parametrize("sizes", [(1,), (4, 1000), (5, 1, 1, 100), (60,), (200, 1, 1, 1, 300)], ids=str)
def test_a_hello_over_several_records(sites: Target, sizes: tuple[int, ...]) -> None:
    framed = records(handshake("x.deep.example.org", key_share=300), sizes)
    assert served_by(sites, framed) == "longest"


def test_what_follows_the_hello_at_once_is_passed_on(sites: Target) -> None:
    early = b"\x17\x03\x03\x00\x10" + bytes(16)
    assert served_by(sites, client_hello("example.com") + early * 100) == "exact"


def test_a_hello_of_just_the_limit(start: Callable[[Config], Proxy], origin: Callable[..., Origin]) -> None:
    """`first_bytes_limit` is what may be held; a hello that is complete needs no holding."""
    small = len(client_hello("a.example", key_share=0))
    proxy = start(tls({"*": "app"}, {"app": origin(name="app").address}, first_bytes_limit="4KiB"))
    target = proxy.address("secure")
    fits = client_hello("a.example", key_share=4095 - small)
    assert len(fits) == 4095
    assert served_by(target, fits) == "app"
    with connect(target) as client:
        client.sendall(client_hello("a.example", key_share=5000))
        assert exactly(client, 100) == HANDSHAKE_FAILURE


def test_a_hello_of_tls_1_2_from_long_ago(sites: Target) -> None:
    """No extensions but the name: what clients of 2010 sent."""
    name = b"\x00\x00\x00\x10\x00\x0e\x00\x00\x0bexample.com"
    body = b"\x03\x01" + bytes(32) + b"\0" + b"\x00\x02\x00\x2f" + b"\x01\x00" + len(name).to_bytes(2) + name
    message = b"\x01" + len(body).to_bytes(3) + body
    assert served_by(sites, records(message)) == "exact"


def test_every_connection_of_many_gets_its_own(sites: Target) -> None:
    """Names interleaved on open connections: nobody gets another's bytes."""
    with contextlib.ExitStack() as stack:
        clients: list[tuple[socket.socket, bytes, str]] = []
        for turn in range(10):
            for name, backend in NAMES.items():
                hello = client_hello(name, key_share=32 + turn)
                client = stack.enter_context(connect(sites))
                client.sendall(hello)
                clients.append((client, hello, backend))
        for client, hello, backend in clients:
            assert line(client) == backend
            assert exactly(client, len(hello)) == hello
