"""Access records: one a connection, its keys in order, wherever it is written; what cannot be written blocks nobody."""

import contextlib
import json
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from headworks import Proxy
from rig.clients import Target, answer, connect, dial, exactly, refusal, reset, served_by, to_close, to_end
from rig.configs import Config, tcp, tls
from rig.hello import client_hello, proxy_v1
from rig.origins import (
    Origin,
    closes_first,
    echo,
    hangs,
    named_echo,
    refusing_port,
    resets_after_first_byte,
    unanswering_port,
)
from rig.process import Running, running, write
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]
Record = dict[str, Any]

HELLO = client_hello("a.test")
KEYS = ["ts", "listener", "client", "sni", "backend", "server", "bytes_in", "bytes_out", "wait_ms", "connect_ms",
        "total_ms", "end", "retries", "id"]  # fmt: skip
NUMBERS = ["bytes_in", "bytes_out", "wait_ms", "connect_ms", "total_ms", "retries", "id"]


def _parse_text(line: str) -> Record:
    pairs = re.findall(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S+)', line)
    assert " ".join(f"{key}={value}" for key, value in pairs) == line
    values = {key: json.loads(value) if value.startswith('"') else value for key, value in pairs}
    return {key: int(value) if key in NUMBERS else value for key, value in values.items()}


@pytest.fixture(params=["text", "json"])
def log(request: pytest.FixtureRequest, tmp_path: Path, start: Start) -> Callable[..., Any]:
    """Start a proxy that logs to a file, and read its records."""
    file = tmp_path / "access.log"

    def make(config: Config) -> tuple[Proxy, Callable[[int], list[Record]]]:
        proxy = start(config | {"logs": {"access": str(file), "format": request.param}})

        def records(count: int) -> list[Record]:
            until(lambda: file.read_text().count("\n") >= count, f"{count} records are written")
            lines = file.read_text().splitlines()
            assert len(lines) == count
            return [json.loads(line) if request.param == "json" else _parse_text(line) for line in lines]

        return proxy, records

    return make


def test_a_whole_record(log: Callable[..., Any], origin: MakeOrigin) -> None:
    app = origin(name="app")
    proxy, records = log(tls({"*": "app"}, {"app": app.address}))
    before = datetime.now(UTC)
    with connect(proxy.address("secure")) as client:
        client.sendall(client_hello("WWW.Example.COM."))
        size = len(client_hello("WWW.Example.COM."))
        exactly(client, 4 + size)
        host, port = client.getsockname()
        client.shutdown(socket.SHUT_WR)
        assert to_end(client) == b""
    (record,) = records(1)
    assert list(record) == KEYS
    stamp = datetime.fromisoformat(record.pop("ts"))
    assert before - timedelta(seconds=1) <= stamp <= datetime.now(UTC) + timedelta(seconds=1)
    assert record.pop("wait_ms") <= record["total_ms"]
    assert record.pop("connect_ms") <= record["total_ms"]
    assert 0 <= record.pop("total_ms") < 30_000
    assert record.pop("id") > 0
    assert record == {
        "listener": "secure",
        "client": f"{host}:{port}",
        "sni": "www.example.com",
        "backend": "app",
        "server": app.address,
        "bytes_in": size,
        "bytes_out": size + 4,
        "end": "client_closed",
        "retries": 0,
    }


def test_timestamps_have_milliseconds(log: Callable[..., Any], origin: MakeOrigin) -> None:
    proxy, records = log(tcp(origin().address))
    served_by(proxy.address("raw"), b"x")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", records(1)[0]["ts"])


def test_every_end(  # noqa: PLR0915  (one after another, as they are in the log)
    log: Callable[..., Any], origin: MakeOrigin, stack: contextlib.ExitStack
) -> None:
    """Each way a connection can end has its word."""
    servers = {
        "echoes": origin(echo).address,
        "closes": origin(closes_first).address,
        "resets": origin(resets_after_first_byte).address,
        "hangs": origin(hangs).address,
        "refuses": stack.enter_context(refusing_port()),
    }
    config = tls({f"{name}.test": name for name in servers}, dict(servers))
    config["listeners"]["secure"] |= {"deny": ["127.0.0.9"], "max_connections_per_client": 1}
    impatient = config["listeners"]["secure"] | {"bind": "127.0.0.1:0", "first_bytes_limit": "1KiB"}
    config["listeners"]["impatient"] = impatient | {
        "timeouts": {"first_bytes": "100ms", "idle": "200ms", "half_close": "100ms"},
    }
    proxy, records = log(config)
    secure, impatient_at = proxy.address("secure"), proxy.address("impatient")
    expected: list[tuple[str, str | None, str]] = []

    def happened(end: str, name: str | None, listener: str = "secure") -> None:
        expected.append((listener, name and f"{name}.test", end))
        found = records(len(expected))
        assert (found[-1]["listener"], found[-1].get("sni"), found[-1]["end"]) == expected[-1]

    def hello(name: str) -> bytes:
        return client_hello(f"{name}.test")

    assert answer(secure, hello("echoes")) == hello("echoes")
    happened("client_closed", "echoes")
    with connect(secure) as client:
        client.sendall(hello("closes"))
        to_end(client)
    happened("server_closed", "closes")
    client = dial(secure)
    client.sendall(hello("echoes"))
    exactly(client, 1)
    reset(client)
    happened("client_reset", "echoes")
    with connect(secure) as client:
        client.sendall(hello("resets"))
        to_close(client)
    happened("server_reset", "resets")
    refusal(secure, hello("nothing"))
    happened("no_match", "nothing")
    refusal(secure, client_hello(None))
    happened("no_name", None)
    refusal(secure, hello("refuses"))
    happened("no_server", "refuses")
    refusal(secure, b"garbage")
    happened("bad_request", None)
    with connect(secure, source="127.0.0.9") as client:
        to_close(client)
    happened("denied", None)
    refusal(impatient_at, b"")
    happened("first_bytes_timeout", None, "impatient")
    refusal(impatient_at, client_hello("echoes.test", key_share=1000))
    happened("too_large", None, "impatient")
    with connect(secure) as client:
        client.sendall(hello("echoes"))
        exactly(client, 1)
        with connect(secure) as second:
            to_close(second)
        happened("limit_reached", None)
    happened("client_reset", "echoes")
    with connect(impatient_at) as client:
        client.sendall(hello("hangs"))
        to_close(client)
    happened("idle_timeout", "hangs", "impatient")
    with connect(impatient_at) as client:
        client.sendall(hello("hangs"))
        client.shutdown(socket.SHUT_WR)
        to_close(client)
    happened("half_close_timeout", "hangs", "impatient")
    client = dial(secure)
    client.sendall(hello("echoes")[:9])
    client.close()
    happened("client_closed", None)
    with connect(secure) as client:
        client.sendall(hello("echoes"))
        exactly(client, 1)
        proxy.stop()
    happened("drained", "echoes")


def test_retries_and_the_last_server_are_told(
    log: Callable[..., Any], origin: MakeOrigin, stack: contextlib.ExitStack
) -> None:
    dead = stack.enter_context(refusing_port())
    app = origin(name="app").address
    config = tls({"a.test": "mixed", "b.test": "dead", "c.test": "hangs"}, {
        "mixed": [{"address": dead, "weight": 256}, app],
        "dead": [dead, stack.enter_context(refusing_port()), stack.enter_context(refusing_port())],
        "hangs": stack.enter_context(unanswering_port()),
    })  # fmt: skip
    for backend in config["backends"].values():
        backend |= {"ejection": {"failures": 0}, "retries": 1}
    config["backends"]["hangs"]["connect_timeout"] = "150ms"
    proxy, records = log(config)
    target = proxy.address("secure")
    assert served_by(target, HELLO) == "app"
    assert (records(1)[0]["retries"], records(1)[0]["server"]) == (1, app)
    refusal(target, client_hello("b.test"))
    assert (records(2)[1]["retries"], records(2)[1]["end"]) == (1, "no_server")
    refusal(target, client_hello("c.test"))
    last = records(3)[2]
    assert (last["retries"], last["end"], last["backend"]) == (0, "no_server", "hangs")
    assert last["total_ms"] >= 150


def test_waits_are_told(log: Callable[..., Any], origin: MakeOrigin) -> None:
    proxy, records = log(tls({"*": "app"}, {"app": origin(name="app").address}))
    with connect(proxy.address("secure")) as client:
        until(lambda: [row.age_ms >= 150 for row in proxy.connections()] == [True])
        client.sendall(HELLO)
        exactly(client, 4)
        until(lambda: [row.age_ms >= 400 for row in proxy.connections()] == [True])
    (record,) = records(1)
    assert 150 <= record["wait_ms"] <= record["total_ms"] - 100
    assert record["connect_ms"] < record["total_ms"]


def test_a_tcp_record_has_no_name(log: Callable[..., Any], origin: MakeOrigin, tmp_path: Path) -> None:
    config = tcp(origin(name="app").address, listener={"bind": ["127.0.0.1:0", f"unix:{tmp_path / 'a'}", "[::1]:0"]})
    proxy, records = log(config)
    for number, address in enumerate(proxy.addresses("raw")):
        target = (address.removeprefix("unix:"), 0) if "unix" in address else _ip(address)
        served_by(target, b"x")
        record = records(number + 1)[-1]
        assert list(record) == [key for key in KEYS if key != "sni"]
        assert record["client"].startswith(["127.0.0.1:", "unix", "[::1]:"][number])


def _ip(address: str) -> Target:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def test_the_client_of_a_proxy_header_is_told(log: Callable[..., Any], origin: MakeOrigin) -> None:
    proxy, records = log(tcp(origin(name="app").address, listener={"accept_proxy_from": "127.0.0.1"}))
    answer(proxy.address("raw"), proxy_v1("192.0.2.7", "192.0.2.1", 4321) + b"x")
    assert records(1)[0]["client"] == "192.0.2.7:4321"


def test_names_of_all_kinds_are_one_word(log: Callable[..., Any], origin: MakeOrigin) -> None:
    """Listener and backend names are anything TOML allows; a record stays one line and says what it means."""
    config = tcp(origin(name="app").address)
    name = 'odd "name"\n= end=x ü \\'
    config["listeners"] = {name: config["listeners"]["raw"]}
    proxy, records = log(config)
    served_by(proxy.address(name), b"x")
    assert records(1)[0]["listener"] == name


def test_many_connections_many_records(log: Callable[..., Any], origin: MakeOrigin) -> None:
    proxy, records = log(tls({"*": "app"}, {"app": origin(named_echo, name="app").address}))
    for number in range(300):
        answer(proxy.address("secure"), client_hello(f"n{number}.test"))
    found = records(300)
    assert sorted(record["sni"] for record in found) == sorted(f"n{number}.test" for number in range(300))
    assert proxy.stats().records_dropped == 0


# Logs that cannot be written.


@pytest.fixture
def process(stack: contextlib.ExitStack, tmp_path: Path) -> Callable[..., Running]:
    def make(config: Config, **logs: str) -> Running:
        config = {"proxy": {"workers": 1, "drain": "5s"}} | config | {"logs": logs}
        ready = '"ready"' if logs.get("format") == "json" else " ready "
        return stack.enter_context(running(write(tmp_path / "headworks.toml", config), ready=ready))

    return make


def test_records_on_stderr(process: Callable[..., Running], origin: MakeOrigin) -> None:
    proxy = process(tls({"*": "app"}, {"app": origin(name="app").address}), access="-")
    served_by(proxy.address("secure"), HELLO)
    record = _parse_text(proxy.line("sni=a.test").rstrip("\n"))
    assert list(record) == KEYS


def test_everything_on_stderr_is_json(process: Callable[..., Running], origin: MakeOrigin) -> None:
    proxy = process(tcp(origin(name="app").address), access="-", format="json")
    host, _, port = json.loads(proxy.line("ready"))["address"].rpartition(":")
    served_by((host, int(port)), b"x")
    proxy.line("client_closed")
    proxy.signal(signal.SIGTERM)
    proxy.wait()
    proxy.line("stopped")
    for line in proxy.lines:
        assert isinstance(json.loads(line), dict)


def test_records_come_before_the_end(process: Callable[..., Running], origin: MakeOrigin) -> None:
    """What was recorded is written when the program ends, also the connections that it cut."""
    proxy = process(tcp(origin(name="app").address) | {"proxy": {"workers": 1, "drain": "0s"}}, access="-")
    with connect(proxy.address("raw")) as client:
        client.sendall(b"x")
        exactly(client, 5)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
    proxy.line("end=drained")


@pytest.mark.slow
def test_a_blocked_stderr_blocks_nobody(process: Callable[..., Running], origin: MakeOrigin) -> None:
    """Nobody reads the pipe: traffic, reloads and stopping go on; records are dropped and counted."""
    name = ".".join(["n" * 60] * 4)
    proxy = process(tls({"a.test": "app"}, {"app": origin(name="app").address}), access="-")
    target = proxy.address("secure")
    proxy.pause_reading()
    # About 500 bytes each: the pipe, our reader and what the proxy keeps take some 3000.
    for _ in range(5000):
        refusal(target, client_hello(name))
    for _ in range(50):
        assert served_by(target, HELLO) == "app"
    proxy.signal(signal.SIGHUP)
    for _ in range(50):
        assert served_by(target, HELLO) == "app"
    proxy.signal(signal.SIGTERM)
    until(lambda: _refused(target), "it stops accepting although nobody reads what it says of that")
    begun = time.monotonic()
    assert proxy.wait() == 0
    assert time.monotonic() - begun < 15
    proxy.resume_reading()
    written = until(lambda: proxy.count("end=no_match"))
    assert written < 5000


def _refused(target: Target) -> bool:
    try:
        dial(target).close()
    except ConnectionRefusedError:
        return True
    return False


def test_dropped_records_are_counted(
    start: Start, origin: MakeOrigin, tmp_path: Path, stack: contextlib.ExitStack
) -> None:
    """A full FIFO stands for any log that takes nothing."""
    import os

    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    stack.callback(os.close, reader)
    config = tls({"a.test": "app"}, {"app": origin(name="app").address})
    proxy = start(config | {"proxy": {"workers": 1}, "logs": {"access": str(fifo)}})
    target = proxy.address("secure")
    name = ".".join(["n" * 60] * 4)
    sent = 0
    while proxy.stats().records_dropped == 0:
        assert sent < 20_000
        for _ in range(200):
            refusal(target, client_hello(name))
        sent += 200
    assert served_by(target, HELLO) == "app"
    os.set_blocking(reader, True)
    written = 0
    until(lambda: proxy.stats().connections == 0)
    dropped = proxy.stats().records_dropped
    while written + dropped < sent + 1:
        written += os.read(reader, 1 << 16).count(b"\n")
    assert written + proxy.stats().records_dropped == sent + 1
    os.set_blocking(reader, False)


def test_a_full_disk_blocks_nobody(process: Callable[..., Running], origin: MakeOrigin) -> None:
    proxy = process(tls({"a.test": "app"}, {"app": origin(name="app").address}), access="/dev/full")
    for _ in range(20):
        assert served_by(proxy.address("secure"), HELLO) == "app"
    line = proxy.line("records_dropped")
    assert " warning " in line
    assert "No space left on device" in line
    assert proxy.process.poll() is None


def test_a_full_disk_is_counted(start: Start, origin: MakeOrigin) -> None:
    config = tcp(origin(name="app").address)
    proxy = start(config | {"logs": {"access": "/dev/full"}})
    for _ in range(7):
        served_by(proxy.address("raw"), b"x")
    until(lambda: proxy.stats().records_dropped == 7)


def test_a_log_that_cannot_be_opened(tmp_path: Path, origin: MakeOrigin) -> None:
    from rig.process import command

    file = write(tmp_path / "a.toml", tcp(origin().address) | {"logs": {"access": str(tmp_path / "no" / "a.log")}})
    done = command("run", file)
    assert done.returncode == 1
    assert "No such file" in done.stderr
    assert str(tmp_path / "no" / "a.log") in done.stderr
    assert "Traceback" not in done.stderr


def test_off_is_off(process: Callable[..., Running], origin: MakeOrigin) -> None:
    proxy = process(tcp(origin(name="app").address), access="off")
    served_by(proxy.address("raw"), b"x")
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0
    proxy.line("stopped")
    assert proxy.count("bytes_in") == 0


def test_standard_output_that_is_a_socket_takes_records(tmp_path: Path, origin: MakeOrigin) -> None:
    """As under systemd: a socket cannot be opened by its path. After a reload, too."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    config = tcp(origin(echo).address) | {"logs": {"access": "/dev/stdout"}}
    file, descriptor = write(tmp_path / "headworks.toml", config), theirs.fileno()
    prefix = [sys.executable, "-c", f"import os, sys; os.dup2({descriptor}, 1); os.execv(sys.argv[1], sys.argv[1:])"]
    with ours, theirs, running(file, prefix=prefix, descriptors=[descriptor]) as proxy:
        for _ in range(2):
            with connect(proxy.address("raw")) as client:
                client.sendall(b"hello")
                assert exactly(client, 5) == b"hello"
            assert b"listener=raw" in ours.recv(1 << 16)
            proxy.reload()
