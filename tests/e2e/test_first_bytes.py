"""first_bytes: kinds of clients at one address, told apart by what they say first, or by saying nothing."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headworks
from headworks import Analyzer, ConfigError, Proxy
from headworks.testing import decide
from rig.clients import Target, connect, exactly, line, refusal, served_by, to_close
from rig.configs import Config
from rig.hello import HANDSHAKE_FAILURE, INTERNAL_ERROR, UNRECOGNIZED_NAME, client_hello, proxy_v1
from rig.origins import Origin, refusing_port, says_name
from rig.process import command, write
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
STARTUP = bytes.fromhex("00000029") + b"\0\x03\0\0user\0someone\0database\0app\0\0\0\0\0\0\0"
SSH = b"SSH-2.0-OpenSSH_9.9\r\n"
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000") + (
    bytes.fromhex("00000e010500000001828684") + b"\x41\x09a.example"
)  # fmt: skip

KINDS: dict[str, Any] = {
    "tls": {"table": "names", "fallback": "tls"},
    "http": {"table": "hosts"},
    "ssh": "ssh",
    "postgres": "postgres",
    "prefixes": {"RFB ": "vnc", "hex:000e38": "vpn", "X": "x"},
}
NAMES = ("tls", "named", "acme", "hosted", "ssh", "postgres", "vnc", "vpn", "x", "other")


def config(servers: dict[str, str], kinds: dict[str, Any] | None = None, **listener: Any) -> Config:
    """Return a listener ``front`` that tells kinds apart."""
    front = {"bind": "127.0.0.1:0", "protocol": "first_bytes", "first_bytes": KINDS if kinds is None else kinds}
    return {
        "listeners": {"front": front | listener},
        "tables": {
            "names": {"a.example": {"alpn": {"acme-tls/1": "acme", "*": "named"}}},
            "hosts": {"a.example": "hosted", "gone.example": "gone"},
        },
        "backends": {name: {"servers": [address]} for name, address in ({"gone": "127.0.0.1:1"} | servers).items()},
    }


@pytest.fixture
def servers(origin: MakeOrigin) -> dict[str, str]:
    """Origins that say their names."""
    return {name: origin(name=name).address for name in NAMES}


CLIENTS = [
    (client_hello("a.example"), "named"),
    (client_hello("b.example"), "tls"),
    (client_hello(None), "tls"),
    (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "hosted"),
    (b"PROPFIND / HTTP/1.1\nHost: a.example\n\n", "hosted"),
    (HTTP2, "hosted"),
    (SSH, "ssh"),
    (SSL_REQUEST, "postgres"),
    (STARTUP, "postgres"),
    (b"RFB 003.008\n", "vnc"),
    (b"\x00\x0e\x38" + bytes(13), "vpn"),
    (b"X", "x"),
    (b"EHLO mail.example\r\n", "other"),
    (b"GETS", "other"),
    (b"SSL", "other"),
    (b"\x16\x04", "other"),
    (bytes(9), "other"),
    (b"\xff", "other"),
]


@pytest.mark.parametrize(("sent", "name"), CLIENTS)
def test_every_kind_goes_its_way(start: Start, servers: dict[str, str], sent: bytes, name: str) -> None:
    """However the bytes come. As soon as they decide: none of these clients says more before it is answered."""
    target = start(config(servers, fallback="other")).address("front")
    assert served_by(target, sent) == name
    with connect(target) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in sent:
            client.sendall(bytes([byte]))
        assert line(client) == name
        assert exactly(client, len(sent)) == sent


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (client_hello("nobody.example"), UNRECOGNIZED_NAME),
        (b"\x16\x03\x01\x00\x00", HANDSHAKE_FAILURE),
        (b"GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n", b"HTTP/1.1 421 "),
        (b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET / HTTP/1.1\r\nHost: gone.example\r\n\r\n", b"HTTP/1.1 503 "),
        (HTTP2.replace(b"a.example", b"b.example"), bytes.fromhex("000000040000000000000000")[:9]),
        (SSH, b""),
        (b"EHLO x\r\n", b""),
    ],
)
def test_refusals_are_said_in_what_the_client_speaks(
    start: Start, servers: dict[str, str], sent: bytes, said: bytes
) -> None:
    with refusing_port() as gone:
        kinds = {"tls": {"table": "names"}, "http": {"table": "hosts"}, "ssh": "gone"}
        target = start(config(servers | {"gone": gone}, kinds)).address("front")
        answered = refusal(target, sent) if said else to_closed(target, sent)
        assert answered[: len(said)] == said
        assert bool(answered) is bool(said)


def to_closed(target: Target, sent: bytes) -> bytes:
    """Send, and return all up to the end or a reset."""
    with connect(target) as client:
        client.sendall(sent)
        return to_close(client)


def test_a_kind_with_one_backend_that_is_gone(start: Start, servers: dict[str, str]) -> None:
    with refusing_port() as gone:
        target = start(config(servers | {"gone": gone}, {"tls": "gone", "http": "gone"})).address("front")
        assert refusal(target, client_hello("a.example")) == INTERNAL_ERROR
        assert refusal(target, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503 ")


def test_servers_that_speak_first(start: Start, servers: dict[str, str], origin: MakeOrigin) -> None:
    mail = origin(says_name, name="mail")
    kinds = KINDS | {"silent": "mail", "silent_after": "50ms"}
    proxy = start(config(servers | {"mail": mail.address}, kinds, fallback="other"))
    records = proxy.records()
    with connect(proxy.address("front")) as client:
        assert line(client) == "mail"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    record = next(records)
    assert (record.kind, record.backend, record.end) == ("silent", "mail", "client_closed")
    assert record.wait_ms is not None
    assert record.wait_ms >= 50
    # Whoever has begun to speak is not silent, however slowly the rest comes.
    with connect(proxy.address("front")) as client:
        client.sendall(b"SS")
        with connect(proxy.address("front")) as other:
            assert line(other) == "mail"
        client.sendall(b"H-2.0-x\r\n")
        assert line(client) == "ssh"


def test_silence_behind_proxy_headers(start: Start, servers: dict[str, str], origin: MakeOrigin) -> None:
    """Who must send a header is silent only behind it; who may not send one is looked at for one all the same."""
    mail = origin(says_name, name="mail")
    kinds = {"silent": "mail", "silent_after": "50ms", "ssh": "ssh"}
    made = config(
        servers | {"mail": mail.address}, kinds, accept_proxy_from=["127.0.0.2"], timeouts={"first_bytes": "1s"}
    )
    proxy = start(made)
    records, header = proxy.records(), proxy_v1("192.0.2.1", "192.0.2.2")
    with connect(proxy.address("front"), source="127.0.0.2") as client:
        client.sendall(header)
        assert line(client) == "mail"
    assert next(records).client.startswith("192.0.2.1:")
    assert to_close_from(proxy.address("front"), "127.0.0.2") == b""
    assert next(records).end == "first_bytes_timeout"
    with connect(proxy.address("front"), source="127.0.0.2") as client:
        client.sendall(header + SSH)
        assert line(client) == "ssh"
    assert next(records).kind == "ssh"
    with connect(proxy.address("front")) as client:
        assert line(client) == "mail"
        client.sendall(header)
        assert to_close(client) == b""
    assert next(records).end == "bad_request"


def to_close_from(target: Target, source: str) -> bytes:
    """Connect, say nothing, and return all up to the end or a reset."""
    with connect(target, source=source) as client:
        return to_close(client)


def test_a_silent_client_that_leaves(start: Start, servers: dict[str, str], origin: MakeOrigin) -> None:
    mail = origin(says_name, name="mail")
    proxy = start(config(servers | {"mail": mail.address}, {"silent": "mail", "silent_after": "1m"}))
    records = proxy.records()
    with connect(proxy.address("front")):
        until(lambda: len(proxy.connections()) == 1)
    record = next(records)
    assert (record.end, record.kind, record.bytes_in) == ("client_closed", None, 0)
    assert mail.accepted == 0


def test_without_silent_a_client_is_closed(start: Start, servers: dict[str, str]) -> None:
    proxy = start(config(servers, timeouts={"first_bytes": "50ms"}))
    records = proxy.records()
    with connect(proxy.address("front")) as client:
        assert to_close(client) == b""
    assert next(records).end == "first_bytes_timeout"


class Door(Analyzer):
    """Says where clients go before they say anything."""

    def accepted(self, connection: Any) -> headworks.Verdict:
        return headworks.route("x")


def test_analyzers_that_are_asked_at_the_door(start: Start, servers: dict[str, str]) -> None:
    made = config(servers, analyzers=["door"])
    made["analyzers"] = {"door": {"python": Door}}
    assert served_by(start(made).address("front"), SSH) == "x"


class Nosy(Analyzer):
    """Notes what it is asked about."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes | str | None]] = []

    def first_bytes(self, connection: Any, held: memoryview) -> None:
        self.asked.append(("first_bytes", bytes(held[:4])))

    def hello(self, connection: Any, hello: Any) -> None:
        self.asked.append(("hello", hello.name))


def test_analyzers_are_asked_about_what_there_is(start: Start, servers: dict[str, str], origin: MakeOrigin) -> None:
    """A hello is one of TLS, and of clients that say nothing there are no first bytes."""
    mail, nosy = origin(says_name, name="mail"), Nosy()
    made = config(servers | {"mail": mail.address}, KINDS | {"silent": "mail", "silent_after": "50ms"})
    made["analyzers"] = {"nosy": {"python": nosy, "deadline": "30s"}}
    made["backends"]["named"]["analyzers"] = made["backends"]["hosted"]["analyzers"] = ["nosy"]
    made["backends"]["mail"]["analyzers"] = ["nosy"]
    target = start(made).address("front")
    assert served_by(target, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n") == "hosted"
    assert nosy.asked == [("first_bytes", b"GET ")]
    with connect(target) as client:
        assert line(client) == "mail"
    assert len(nosy.asked) == 1
    assert served_by(target, client_hello("a.example")) == "named"
    assert nosy.asked[1:] == [("first_bytes", b"\x16\x03\x01\x00"), ("hello", "a.example")]


def test_records_lists_and_reload(start: Start, servers: dict[str, str], origin: MakeOrigin) -> None:
    proxy = start(config(servers))
    records = proxy.records()
    for sent, expected in (
        (client_hello("a.example"), ("tls", "a.example", None)),
        (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", ("http", None, "a.example")),
        (b"RFB 003.008\n", ("RFB ", None, None)),
    ):
        served_by(proxy.address("front"), sent)
        record = next(records)
        assert (record.kind, record.sni, record.host) == expected
    with connect(proxy.address("front")) as client:
        client.sendall(b"SSH")
        until(lambda: sum(row.bytes_in == 3 for row in proxy.connections()))
        # Fewer kinds now, in another order: who had come before keeps those of its time.
        proxy.reload(config({"vnc": origin(name="new").address}, {"prefixes": {"SSH-": "vnc"}}) | {"tables": {}})
        client.sendall(b"-2.0-x\r\n")
        assert line(client) == "ssh"
    assert served_by(proxy.address("front"), SSH) == "new"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"sni": "a.example"}, ("tls", "named", None)),
        ({"sni": "a.example", "alpn": ["acme-tls/1"]}, ("tls", "acme", None)),
        ({"host": "A.example:80"}, ("http", "hosted", None)),
        ({"host": "b.example"}, ("http", None, "no_match")),
        ({"kind": "http"}, ("http", None, "no_name")),
        ({"kind": "ssh"}, ("ssh", "ssh", None)),
        ({"kind": "RFB "}, ("RFB ", "vnc", None)),
        ({"kind": "silent"}, ("silent", "x", None)),
        ({}, (None, None, "no_match")),
    ],
)
def test_explain_and_decide(asked: dict[str, Any], expected: tuple[str | None, ...]) -> None:
    made = config(dict.fromkeys(NAMES, "127.0.0.1:1"), KINDS | {"silent": "x"})
    for told in (headworks.explain(made, listener="front", **asked), decide(made, **asked)):
        assert (told.kind, told.backend, told.refusal) == expected


def test_the_command(tmp_path: Path, servers: dict[str, str]) -> None:
    file = write(tmp_path / "headworks.toml", config(servers, fallback="other"))
    for options, kind, backend in (
        (("--kind", "postgres"), "postgres", "postgres"),
        (("--sni", "a.example"), "tls", "named"),
        (("--host", "a.example"), "http", "hosted"),
        ((), None, "other"),
    ):
        said = command("explain", str(file), "--listener", "front", *options, "--json")
        assert said.returncode == 0, said.stderr
        assert f'"backend": "{backend}"' in said.stdout
        assert (f'"kind": "{kind}"' if kind else '"kind": null') in said.stdout


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({"prefixes": {"A": "x", "AB": "x"}}, 'would never be told from "A"'),
        ({"prefixes": {"AB": "x", "A": "x"}}, '"AB" would never be told from it'),
        ({"prefixes": {"A": "x", "hex:41": "x"}}, 'the same as "A"'),
        ({"http": "x", "prefixes": {"GET /special": "x"}}, 'would never be told from "http"'),
        ({"http": "x", "prefixes": {"P": "x"}}, '"http" would never be told from it'),
        ({"ssh": "x", "prefixes": {"SSH-2.0-": "x"}}, 'would never be told from "ssh"'),
        ({"postgres": "x", "prefixes": {"hex:0000": "x"}}, '"postgres" would never be told from it'),
        ({"tls": "x", "prefixes": {"hex:160301": "x"}}, 'would never be told from "tls"'),
        ({"prefixes": {"hex:4": "x"}}, "pairs of hexadecimal digits"),
        ({"prefixes": {"hex:+1": "x"}}, "pairs of hexadecimal digits"),
        ({"prefixes": {"hex:": "x"}}, "at least one byte"),
        ({"prefixes": {"a" * 65: "x"}}, "64 bytes at most"),
        ({"prefixes": {"A": "nowhere"}}, "nowhere"),
        ({"ssh": "nowhere"}, "nowhere"),
        ({"ssh": {"table": "names"}}, "no name that could be looked up"),
        ({"tls": {"table": "nothing"}}, "nothing"),
        ({"tls": {"backend": "x", "table": "names"}}, "give either backend, or table and fallback"),
        ({"http": {"table": "names"}}, "goes by ALPN"),
        ({"silent": "nowhere"}, "nowhere"),
        ({}, "at least one kind is needed"),
    ],
)
def test_kinds_that_are_wrong(kinds: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as found:
        headworks.explain(config(dict.fromkeys(NAMES, "127.0.0.1:1"), kinds), listener="front")
    assert said in str(found.value)


def test_keys_that_do_not_belong_together() -> None:
    servers = dict.fromkeys(NAMES, "127.0.0.1:1")
    keys: Any
    for keys in ({"backend": "x"}, {"table": "names"}):
        with pytest.raises(ConfigError, match="each kind has a table or backend of its own"):
            headworks.explain(config(servers, **keys), listener="front")
    made = config(servers)
    made["listeners"]["front"] |= {"protocol": "tls", "table": "names"}
    with pytest.raises(ConfigError, match="is for first_bytes listeners"):
        headworks.explain(made, listener="front")
    del (made := config(servers))["listeners"]["front"]["first_bytes"]
    with pytest.raises(ConfigError, match="first_bytes is missing"):
        headworks.explain(made, listener="front")
