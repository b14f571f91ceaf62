"""What clients get that cannot be served: the alert or nothing, to the byte, and then the end."""

import contextlib
import socket
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from headworks import Proxy
from rig.clients import answer, connect, exactly, refusal, served_by, to_close, to_end
from rig.configs import Config, tcp, tls
from rig.hello import (
    HANDSHAKE_FAILURE,
    INTERNAL_ERROR,
    SSLV2,
    UNRECOGNIZED_NAME,
    client_hello,
    handshake,
    records,
    server_name,
)
from rig.origins import Origin, refusing_port, unanswering_port
from rig.process import command, write
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]

GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "zeros": bytes(64),
    "ones": b"\xff" * 64,
    "sslv2": SSLV2,
    "an alert": b"\x15\x03\x01\x00\x02\x01\x00",
    "application data": b"\x17\x03\x03\x00\x10" + bytes(16),
    "a server hello": b"\x16\x03\x03\x00\x40\x02\x00\x00\x3c\x03\x03" + bytes(58),
    "ssl 4": b"\x16\x04\x00\x00\x40\x01\x00\x00\x3c" + bytes(60),
    "an empty record": b"\x16\x03\x01\x00\x00",
    "a record too long": b"\x16\x03\x01\xff\xff" + bytes(100),
    "a hello too short": records(b"\x01\x00\x00\x02\x03\x03"),
    "extensions cut off": records(
        b"\x01\x00\x00\x2f\x03\x03" + bytes(32) + b"\0\0\x02\x13\x01\x01\0\0\x0a\0\0\0\x0b\0\x09\0"
    ),
    "a name with a NUL": client_hello("example.com\0.evil.test"),
    "a name with a space": client_hello("example com"),
    "a name not ASCII": client_hello("exämple.com"),
    "an empty name": client_hello(""),
    "a dot": client_hello("."),
    "two dots": client_hello("a..example"),
    "a leading dot": client_hello(".example.com"),
    "a label too long": client_hello("a" * 64 + ".example"),
    "a name too long": client_hello(".".join(["a" * 60] * 5)),
    "a name of 300": client_hello("a." * 150),
    "two names": client_hello("example.com", extra=server_name(b"other.example")),
    "a PROXY header": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + client_hello("example.com"),
}


@pytest.fixture
def closed(start: Start, origin: MakeOrigin) -> Proxy:
    """A proxy that knows only example.com, and has no fallback."""
    return start(tls({"example.com": "app"}, {"app": origin(name="app").address}, timeouts={"first_bytes": "60s"}))


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_cannot_be_parsed(closed: Proxy, sent: bytes) -> None:
    assert refusal(closed.address("secure"), sent) == HANDSHAKE_FAILURE
    assert answer(closed.address("secure"), sent) == HANDSHAKE_FAILURE
    assert served_by(closed.address("secure"), client_hello("example.com")) == "app"


@pytest.mark.parametrize(
    ("protocol", "more", "sent"),
    [
        ("tls", {}, GARBAGE["ssh"]),
        ("https", {"tls": {"self_signed": True}}, GARBAGE["ssh"]),
        ("http", {"http": {"body_limit": 9}}, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"),
    ],
    ids=["tls", "https", "http"],
)
def test_a_client_that_stays_is_closed_after_linger(
    start: Start, origin: MakeOrigin, protocol: str, more: Config, sent: bytes
) -> None:
    """What it sends meanwhile is thrown away."""
    common = {"bind": "127.0.0.1:0", "protocol": protocol, "backend": "app"} | more
    waits = {"brief": "150ms", "long": "1h"}
    listeners = {name: common | {"timeouts": {"linger": linger}} for name, linger in waits.items()}
    proxy = start({"listeners": listeners, "backends": {"app": {"servers": [origin().address]}}})

    def left() -> list[str]:
        return sorted(row.listener for row in proxy.connections())

    with connect(proxy.address("brief")) as brief, connect(proxy.address("long")) as long:
        begun = time.monotonic()
        for client in (brief, long):
            client.sendall(sent)
            assert to_end(client)
        assert left().count("long") == 1
        until(lambda: left() == ["long"])
        assert time.monotonic() - begun >= 0.15
        # Longer than it would be by itself.
        while time.monotonic() - begun < 2.3:
            long.sendall(b"more")
            time.sleep(0.05)
        assert left() == ["long"]
        long.close()
        until(lambda: not left())


@pytest.mark.parametrize("name", [None, "192.0.2.1", "[2001:db8::1]", "::1"])
def test_no_name_and_no_fallback(closed: Proxy, name: str | None) -> None:
    assert refusal(closed.address("secure"), client_hello(name)) == HANDSHAKE_FAILURE


@pytest.mark.parametrize(
    "name", ["example.org", "www.example.com", "com", "a" * 63 + ".example", "xn--bcher-kva.example"]
)
def test_no_entry_matches(closed: Proxy, name: str) -> None:
    assert refusal(closed.address("secure"), client_hello(name)) == UNRECOGNIZED_NAME
    until(lambda: closed.stats().listeners["secure"].failed == 1)


def test_much_garbage_does_not_swallow_the_alert(closed: Proxy) -> None:
    """Closing a socket with unread bytes is a reset, and a reset destroys what the client has not read yet."""
    for size in (1, 100, 1000, 10_000, 100_000, 500_000):
        assert refusal(closed.address("secure"), b"x" * size) == HANDSHAKE_FAILURE


def test_garbage_without_end_is_cut_off(closed: Proxy) -> None:
    with connect(closed.address("secure")) as client:

        def cut_off() -> bool:
            try:
                client.sendall(b"x" * 65536)
            except ConnectionError:
                return True
            return False

        until(cut_off)
    until(lambda: closed.stats().connections == 0)


def test_a_refused_client_that_never_closes_is_let_go(closed: Proxy) -> None:
    with connect(closed.address("secure")) as client:
        client.sendall(client_hello("no.match"))
        assert to_end(client) == UNRECOGNIZED_NAME
        until(lambda: closed.stats().connections == 0, "the connection was let go")


def test_no_server(start: Start, stack: contextlib.ExitStack) -> None:
    table = {"refuses.test": "refuses", "hangs.test": "hangs"}
    servers = {"refuses": stack.enter_context(refusing_port()), "hangs": stack.enter_context(unanswering_port())}
    config = tls(table, dict(servers))
    config["backends"]["hangs"]["connect_timeout"] = "100ms"
    target = start(config).address("secure")
    assert refusal(target, client_hello("refuses.test")) == INTERNAL_ERROR
    assert refusal(target, client_hello("hangs.test")) == INTERNAL_ERROR


def test_no_server_behind_tcp_is_the_end(start: Start, stack: contextlib.ExitStack) -> None:
    proxy = start(tcp(stack.enter_context(refusing_port())))
    with connect(proxy.address("raw")) as client:
        assert to_close(client) == b""


def test_a_silent_client(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tls({"*": "app"}, {"app": origin().address}, timeouts={"first_bytes": "200ms"}))
    assert refusal(proxy.address("secure"), b"") == HANDSHAKE_FAILURE
    assert refusal(proxy.address("secure"), client_hello("a.test")[:-1]) == HANDSHAKE_FAILURE


def test_a_dripping_hello_has_one_deadline_for_all_of_it(start: Start, origin: MakeOrigin) -> None:
    """Every byte is in time, the hello is not: the deadline runs from accept."""
    served = origin()
    proxy = start(tls({"*": "app"}, {"app": served.address}, timeouts={"first_bytes": "500ms"}))
    hello = client_hello("drip.test", key_share=2000)
    with connect(proxy.address("secure")) as client:
        client.settimeout(0.005)
        said = b""
        for at in range(len(hello) - 1):
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                client.send(hello[at : at + 1])
            with contextlib.suppress(TimeoutError):
                said = client.recv(100)
                break
        assert said == HANDSHAKE_FAILURE
        assert at < len(hello) - 2
    assert served.accepted == 0


def test_the_deadline_is_not_for_what_comes_after_the_hello(start: Start, origin: MakeOrigin) -> None:
    config = tls({"*": "app"}, {"app": origin(name="app").address}, timeouts={"first_bytes": "100ms"})
    proxy = start(config)
    with connect(proxy.address("secure")) as client:
        client.sendall(client_hello("a.test"))
        until(lambda: [row.age_ms > 400 for row in proxy.connections()] == [True])
        client.sendall(b"late")
        assert exactly(client, 4 + len(client_hello("a.test")) + 4).endswith(b"late")


def test_too_large(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tls({"*": "app"}, {"app": origin(name="app").address}, first_bytes_limit="1KiB"))
    assert served_by(proxy.address("secure"), client_hello("a.test", key_share=700)) == "app"
    assert refusal(proxy.address("secure"), client_hello("a.test", key_share=1200)) == HANDSHAKE_FAILURE
    # It is told as soon as it is certain, not when all has come.
    assert refusal(proxy.address("secure"), client_hello("a.test", key_share=5000)[:100]) == HANDSHAKE_FAILURE
    # In records of one byte each it takes six times the room.
    assert refusal(proxy.address("secure"), records(handshake("a.test"), [1])) == HANDSHAKE_FAILURE


@pytest.mark.parametrize(
    ("lists", "served"),
    [
        ({"deny": ["127.0.0.2"]}, {"127.0.0.1": True, "127.0.0.2": False}),
        ({"allow": ["127.0.0.2"]}, {"127.0.0.1": False, "127.0.0.2": True}),
        (
            {"allow": ["127.0.0.0/24"], "deny": ["127.0.0.128/25"]},
            {"127.0.0.1": True, "127.0.0.200": False, "127.0.1.1": False},
        ),
        ({"allow": ["10.0.0.0/8", "::1"]}, {"127.0.0.1": False}),
    ],
)
@pytest.mark.parametrize("protocol", ["tls", "tcp"])
def test_client_not_allowed_gets_not_a_byte(
    start: Start, origin: MakeOrigin, protocol: str, lists: Config, served: dict[str, bool]
) -> None:
    app = origin(name="app")
    config = tls({"*": "app"}, {"app": app.address}, **lists) if protocol == "tls" else tcp(app.address, listener=lists)
    proxy = start(config)
    target = proxy.address("secure" if protocol == "tls" else "raw")
    for source, allowed in served.items():
        if allowed:
            assert served_by(target, client_hello("a.test"), source=source) == "app"
        else:
            with connect(target, source=source) as client:
                assert to_close(client) == b""
    (stats,) = proxy.stats().listeners.values()
    assert stats.denied == list(served.values()).count(False)


def test_access_lists_hold_for_ipv4_clients_of_a_dual_stack_listener(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tcp(origin(name="app").address, listener={"bind": ":0", "deny": ["127.0.0.2", "::1"]}))
    port = proxy.address("raw")[1]
    assert served_by(("127.0.0.1", port), b"x") == "app"
    for denied in ("127.0.0.2", "::1"):
        host = "::1" if ":" in denied else "127.0.0.1"
        with connect((host, port), source=denied) as client:
            assert to_close(client) == b""


def test_max_connections(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tls({"*": "app"}, {"app": origin(name="app").address}, max_connections=3))
    target = proxy.address("secure")
    hello = client_hello("a.test")
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(connect(target)) for _ in range(3)]
            for client in clients:
                client.sendall(hello)
                assert exactly(client, 4) == b"app\n"
            with connect(target) as one_too_many:
                assert to_close(one_too_many) == b""
        until(lambda: proxy.stats().connections == 0)
    assert proxy.stats().listeners["secure"].denied == 3


def test_max_connections_per_client(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tls({"*": "app"}, {"app": origin(name="app").address}, max_connections_per_client=2))
    target = proxy.address("secure")
    hello = client_hello("a.test")
    with contextlib.ExitStack() as stack:
        for source in ("127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2"):
            client = stack.enter_context(connect(target, source=source))
            client.sendall(hello)
            assert exactly(client, 4) == b"app\n"
        for source in ("127.0.0.1", "127.0.0.2"):
            with connect(target, source=source) as client:
                assert to_close(client) == b""
        assert served_by(target, hello, source="127.0.0.3") == "app"
    until(lambda: proxy.stats().connections == 0)
    assert served_by(target, hello) == "app"


def test_hostile_regular_expressions_are_refused_by_check(tmp_path: Path) -> None:
    hostile = [
        "~" + "(" * 500 + "a" + ")" * 500,
        "~(a{1000}){1000}",
        "~((a{100}){100}){100}",
        "~" + "|".join(f"{letter}{{900}}" for letter in "abcdefghij" * 20),
        "~(a",
        "~[z-a]",
        "~(?=lookahead)",
        "~(a)\\1",
        "~",
        "~*",
    ]
    table = "".join(f"'{one}' = 'app'\n" for one in hostile)
    file = tmp_path / "hostile.toml"
    text = "[listeners.s]\nbind='127.0.0.1:0'\nprotocol='tls'\ntable='t'\n[backends.app]\nservers='127.0.0.1:1'\n"
    text += "[tables.t]\n"
    file.write_text(text + table)
    done = command("check", file)
    assert done.returncode == 2
    first = text.count("\n") + 1
    reported = [line for line in done.stdout.splitlines() if line.startswith(f"{file}:")]
    lines = [int(line.split(":")[1]) for line in reported]
    assert sorted(set(lines)) == list(range(first, first + len(hostile))), done.stdout
    assert all(before <= after for before, after in pairwise(lines))


def test_expressions_that_are_slow_elsewhere_are_quick_here(start: Start, origin: MakeOrigin) -> None:
    """Those that a backtracking matcher takes exponential time for take linear time."""
    table = {f"~^(([a-z])+.)+[A-Z]([a-z])+{number}$": "app" for number in range(20)} | {
        "~^(a+)+$": "app", "~^(a|aa)+$": "app", "~(.*)*(.*)*(.*)*x$": "app",
    }  # fmt: skip
    proxy = start(tls(table, {"app": origin(name="app").address}))
    name = ".".join(["a" * 62] * 4)
    assert refusal(proxy.address("secure"), client_hello(name + "b")) == UNRECOGNIZED_NAME


def test_config_of_this_rig_is_right(tmp_path: Path) -> None:
    """The configurations of these tests are accepted by `check` as files, too."""
    file = write(tmp_path / "a.toml", tls({"*": "app"}, {"app": "127.0.0.1:1"}, fallback="app"))
    assert command("check", file).stdout == f"{file}: ok\n"


def test_half_closed_refusals(closed: Proxy) -> None:
    """A client that ended before its hello was complete gets the end, in good time."""
    with connect(closed.address("secure")) as client:
        client.sendall(client_hello("example.com")[:20])
        client.shutdown(socket.SHUT_WR)
        assert to_close(client) == b""
