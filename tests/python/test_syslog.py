"""Syslog: how lines become messages, and that a server which is gone or slow holds nobody up."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks import Proxy
from headworks.config import Config, ConfigError
from headworks.sniproxy_log import line_of
from headworks.syslog import LONGEST, Form, Pipe, Place, Sender

PATIENCE = 20
NEW = re.compile(rb"<(\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (\S+) (\S+) (\d+) - - (.*)", re.DOTALL)
OLD = re.compile(rb"<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (\S+ )?([^ \[]+)\[\d+\]: (.*)", re.DOTALL)


@contextmanager
def datagrams(family: int = socket.AF_INET, address: object = ("127.0.0.1", 0)) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind(address)  # type: ignore[arg-type]
        server.settimeout(PATIENCE)
        yield server


@contextmanager
def sending(place: Place, form: Form | None = None, **keys: int) -> Iterator[Sender]:
    sender = Sender(place, form or Form(), **keys)
    try:
        yield sender
    finally:
        sender.close()


def until(holds: object, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("syslog", Place("unix", "/dev/log")),
        ("syslog:/run/x.sock", Place("unix", "/run/x.sock")),
        ("syslog:udp:192.0.2.1:5514", Place("udp", "192.0.2.1", 5514)),
        ("syslog:udp:logs.internal", Place("udp", "logs.internal", 514)),
        ("syslog:tcp:[::1]:601", Place("tcp", "::1", 601)),
        ("syslog:", None),
        ("syslog:udp:", None),
        ("syslog:udp:a:0", None),
        ("syslog:tls:a:1", None),
        ("/var/log/x", None),
    ],
)
def test_places_are_read(text: str, place: Place | None) -> None:
    assert Place.read(text) == place


def test_messages_are_of_rfc_5424() -> None:
    message = Form("local3", "edge").message(6, b"a=b", is_local=False, now=time.time())
    found = NEW.fullmatch(message)
    assert found is not None
    assert (found[1], found[3], found[5]) == (b"158", b"edge", b"a=b")


@pytest.mark.parametrize("is_local", [True, False])
def test_old_messages_are_of_rfc_3164(*, is_local: bool) -> None:
    found = OLD.fullmatch(Form("mail", "sniproxy", is_old=True).message(3, b"x", is_local=is_local, now=0.0))
    assert found is not None
    assert (found[1], found[2] is None, found[3], found[4]) == (b"19", is_local, b"sniproxy", b"x")


@given(st.binary(max_size=LONGEST + 100), st.text(max_size=50))
def test_any_line_is_a_message_within_bounds(line: bytes, tag: str) -> None:
    message = Form("daemon", tag).message(6, line, is_local=False, now=0.0)
    assert len(message) <= LONGEST
    assert NEW.fullmatch(message)


def test_udp_gets_a_message_a_datagram() -> None:
    with datagrams() as server, sending(Place("udp", *server.getsockname())) as sender:
        sender.send("error", b"one")
        sender.send("info", b"two")
        first, second = NEW.fullmatch(server.recv(9000)), NEW.fullmatch(server.recv(9000))
    assert first is not None
    assert second is not None
    assert [(one[1], one[5]) for one in (first, second)] == [(b"27", b"one"), (b"30", b"two")]


def test_a_unix_socket_gets_a_message_a_datagram(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    with datagrams(socket.AF_UNIX, path) as server, sending(Place("unix", path), Form(is_old=True)) as sender:
        sender.send("warning", b"x y")
        found = OLD.fullmatch(server.recv(9000))
    assert found is not None
    assert (found[1], found[4]) == (b"28", b"x y")


def test_tcp_gets_counted_messages() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, sending(Place("tcp", *server.getsockname())) as sender:
        sender.send("info", b"one")
        sender.send("info", b"two\nlines")
        sender.close()
        accepted, _ = server.accept()
        with accepted:
            accepted.settimeout(PATIENCE)
            heard = b""
            while read := accepted.recv(65536):
                heard += read
    messages = []
    while heard:
        size, _, rest = heard.partition(b" ")
        messages.append(rest[: int(size)])
        heard = rest[int(size) :]
    assert [one.rpartition(b" - - ")[2] for one in messages] == [b"one", b"two\nlines"]


def test_a_server_that_is_gone_costs_lines_and_nothing_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    with sending(Place("tcp", *address), most=10) as sender:
        begun = time.monotonic()
        for _ in range(1000):
            sender.send("info", b"x")
        assert time.monotonic() - begun < PATIENCE / 4
        assert sender.dropped >= 989
        # Once it is there, what waited comes, and how much did not.
        with socket.create_server(address) as server:
            server.settimeout(PATIENCE)
            accepted, _ = server.accept()
            with accepted:
                accepted.settimeout(PATIENCE)
                heard = b""
                while b"dropped lines=" not in heard:
                    heard += accepted.recv(65536)
    assert heard.count(b" - - x") >= 1


def test_a_server_that_reads_nothing_holds_nobody_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        sending(Place("tcp", *server.getsockname()), most=5) as sender,
    ):
        begun = time.monotonic()
        for _ in range(20_000):
            sender.send("info", b"x" * 4000)
        assert time.monotonic() - begun < PATIENCE
        until(lambda: sender.dropped > 0, "nothing was dropped")
        begun = time.monotonic()
        sender.close(0.2)
        assert time.monotonic() - begun < PATIENCE / 2


def test_a_pipe_hands_out_whole_lines() -> None:
    taken: list[bytes] = []
    pipe = Pipe(taken.append)
    with open(pipe.path, "ab", buffering=0) as file:  # noqa: PTH123
        file.writelines((b"on", b"e\ntwo\nth", b"ree\n"))
        until(lambda: len(taken) == 3, "the lines did not come")
    pipe.close()
    assert taken == [b"one", b"two", b"three"]


def test_access_records_go_there(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    with datagrams(socket.AF_UNIX, path) as server:
        config = {
            "logs": {"access": f"syslog:{path}", "syslog": {"facility": "local0", "tag": "edge"}},
            "listeners": {"web": {"bind": "127.0.0.1:0", "protocol": "http", "respond": {"status": 200}}},
        }
        with Proxy(config) as proxy:
            proxy.reopen_logs()
            with socket.create_connection(proxy.address("web"), timeout=PATIENCE) as client:
                client.sendall(b"GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
                assert b" 200 " in client.recv(9000)
            found = NEW.fullmatch(server.recv(9000))
        assert found is not None
        assert (found[1], found[3]) == (b"134", b"edge")
        assert b"path=/x status=200" in found[5]
    assert not [one.name for one in threading.enumerate() if one.name in ("headworks-syslog", "headworks-access")]


@pytest.mark.parametrize(
    ("logs", "reason"),
    [
        ({"access": "syslog:here"}, "is no syslog server"),
        ({"program": "/var/log/x"}, 'is neither "-" nor a syslog server'),
        ({"syslog": {"facility": "local9"}}, "not a known facility"),
        ({"syslog": {"tag": "a b"}}, "a name of 1 to 32 characters"),
    ],
)
def test_what_is_wrong_is_said(logs: dict[str, object], reason: str) -> None:
    listeners = {"web": {"bind": "127.0.0.1:0", "protocol": "http", "respond": {"status": 200}}}
    with pytest.raises(ConfigError, match=reason):
        Config.parse({"logs": logs, "listeners": listeners})


# ---- the lines of sniproxy


def test_records_are_told_as_sniproxy_does() -> None:
    record = {"client": "192.0.2.7:5000", "sni": "a.test", "bytes_in": 20, "bytes_out": 10, "total_ms": 125}
    assert line_of(record | {"server": "192.0.2.10:443"}, "192.0.2.1:443") == (
        "192.0.2.7:5000 -> 192.0.2.1:443 -> 192.0.2.10:443 [a.test] 10/10 bytes tx 20/20 bytes rx 0.125 seconds"
    )
    assert " -> NONE [] 0/0 bytes tx 0/0 bytes rx 0.000 seconds" in line_of({"client": "unix"}, "-")
