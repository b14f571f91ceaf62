"""Entries by ALPN: the protocols that a client offers decide, in the client's order."""

import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import headworks
from headworks import ConfigError, Proxy
from headworks.testing import decide
from rig.clients import Target, connect, refusal, served_by
from rig.configs import Config, http, tls
from rig.hello import UNRECOGNIZED_NAME, client_hello
from rig.origins import Origin

NO_APPLICATION_PROTOCOL = bytes([21, 3, 1, 0, 2, 2, 120])

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]

TABLE = {
    "a.example": {"alpn": {"h2": "two", "acme-tls/1": "acme", "*": "rest"}},
    "*.b.example": {"alpn": {"acme-tls/1": "acme"}},
    "~^c[0-9]": {"alpn": {"http/1.1": "one", "h2": "two"}},
    "plain.example": "rest",
    "*": {"alpn": {"acme-tls/1": "acme", "*": "one"}},
}

OFFERS = [
    ("a.example", ["h2", "http/1.1"], "two"),
    ("a.example", ["http/1.1", "h2"], "two"),
    ("a.example", ["acme-tls/1"], "acme"),
    ("a.example", ["acme-tls/1", "h2"], "acme"),
    ("a.example", ["h2", "acme-tls/1"], "two"),
    ("a.example", ["H2"], "rest"),
    ("a.example", ["*"], "rest"),
    ("a.example", [], "rest"),
    ("x.b.example", ["acme-tls/1"], "acme"),
    ("x.b.example", ["h2"], None),
    ("x.b.example", [], None),
    ("c1.example", ["h2", "http/1.1"], "two"),
    ("c1.example", ["http/1.1", "h2"], "one"),
    ("c1.example", ["spdy/3"], None),
    ("plain.example", ["acme-tls/1"], "rest"),
    ("other.example", ["acme-tls/1"], "acme"),
    ("other.example", ["h2"], "one"),
]


def hello(name: str, offered: list[str]) -> bytes:
    """Return the ClientHello of a client of Python's that offers these."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if offered:
        context.set_alpn_protocols(offered)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


@pytest.fixture
def servers(origin: MakeOrigin) -> dict[str, str | list[object]]:
    """Origins that say their names."""
    return {name: origin(name=name).address for name in ("one", "two", "acme", "rest")}


@pytest.fixture
def secure(start: Start, servers: dict[str, str | list[object]]) -> Target:
    """A tls listener with ``TABLE``, and a fallback that takes clients without a name."""
    return start(tls(TABLE, servers, fallback="rest")).address("secure")  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "offered", "backend"), OFFERS)
def test_the_clients_order_decides(secure: Target, name: str, offered: list[str], backend: str | None) -> None:
    sent = hello(name, offered)
    if backend is None:
        assert refusal(secure, sent) == NO_APPLICATION_PROTOCOL
    else:
        assert served_by(secure, sent) == backend
        with connect(secure) as client:
            for start in range(0, len(sent), 7):
                client.sendall(sent[start : start + 7])
            assert client.recv(len(backend)).decode() == backend


@pytest.mark.parametrize(("name", "offered", "backend"), OFFERS)
def test_explain_and_decide_agree(name: str, offered: list[str], backend: str | None) -> None:
    config = tls(TABLE, dict.fromkeys(("one", "two", "acme", "rest"), "127.0.0.1:1"), fallback="rest")  # type: ignore[arg-type]
    for told in (
        headworks.explain(config, listener="secure", sni=name, alpn=offered),
        decide(config, sni=name, alpn=offered),
    ):
        assert (told.backend, told.refusal) == (backend, None if backend else "no_match")
        assert (name == "plain.example") or any("by ALPN the client offers" in step for step in told.steps)


def test_clients_without_a_name(secure: Target, start: Start, servers: dict[str, str | list[object]]) -> None:
    assert served_by(secure, client_hello(None)) == "rest"
    bare = start(tls(TABLE, servers)).address("secure")  # type: ignore[arg-type]
    assert served_by(bare, client_hello(None)) == "one"
    strict = start(tls({"a.example": TABLE["a.example"]}, servers)).address("secure")  # type: ignore[dict-item]
    assert refusal(strict, client_hello("b.example")) == UNRECOGNIZED_NAME


def test_records_say_no_match(start: Start, servers: dict[str, str | list[object]]) -> None:
    proxy = start(tls(TABLE, servers))  # type: ignore[arg-type]
    records = proxy.records()
    refusal(proxy.address("secure"), hello("x.b.example", ["h2"]))
    record = next(records)
    assert (record.end, record.sni, record.backend) == ("no_match", "x.b.example", None)


def test_beside_names_that_end_here(start: Start, origin: MakeOrigin) -> None:
    """The typical use: challenges of ACME go to who answers them, everything else ends here."""
    acme, app = origin(name="acme"), origin(name="app")
    proxy = start(
        {
            "listeners": {
                "secure": {
                    "bind": "127.0.0.1:0",
                    "protocol": "tcp",
                    "backend": "app",
                    "tls": {"self_signed": True, "passthrough": "challenges"},
                }
            },
            "tables": {"challenges": {"a.example": {"alpn": {"acme-tls/1": "acme"}}}},
            "backends": {"acme": {"servers": [acme.address]}, "app": {"servers": [app.address]}},
        }
    )
    target = proxy.address("secure")
    assert served_by(target, hello("a.example", ["acme-tls/1"])) == "acme"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connect(target) as plain, context.wrap_socket(plain, server_hostname="a.example") as client:
        client.sendall(b"x")
        assert client.recv(4) == b"app\n"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_as_client(start: Start, tls_origin: MakeOrigin, trusted: Path) -> None:
    names = {name: tls_origin(name, "a.example").address for name in ("two", "rest")}
    table = {"a.example": {"alpn": {"h2": "two", "http/1.1": "rest"}}}
    host, port = start(tls(table, dict(names))).address("secure")  # type: ignore[arg-type]
    for offered, expected in (("h2,http/1.1", "two TLS"), ("http/1.1,h2", "rest TLS"), ("imap", "alert number 120")):
        ran = subprocess.run(
            [
                *("openssl", "s_client", "-connect", f"{host}:{port}", "-servername", "a.example"),
                *("-alpn", offered, "-CAfile", str(trusted), "-quiet"),
            ],
            input="hello\n",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert expected in ran.stdout + ran.stderr, (offered, ran)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"alpn": {}}, "between one and 64 protocols"),
        ({"alpn": {"h2": "nowhere"}}, "nowhere"),
        ({"alpn": {"x" * 256: "one"}}, "1 to 255 bytes"),
        ({"alpn": {"h2": "one"}, "backend": "one"}, "give only one of"),
    ],
)
def test_entries_that_are_wrong(target: Config, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        headworks.explain(tls({"a.example": target}, {"one": "127.0.0.1:1"}), listener="secure", sni="a.example")  # type: ignore[dict-item]


def test_listeners_that_see_no_hello() -> None:
    for protocol in ("http", "http_host"):
        config = http("127.0.0.1:1", listener={"protocol": protocol, "table": "sites"})
        del config["listeners"]["web"]["backend"]
        config["tables"] = {"sites": {"a.example": {"alpn": {"h2": "app"}}}}
        with pytest.raises(ConfigError, match="goes by ALPN"):
            headworks.explain(config, listener="web", host="a.example")
