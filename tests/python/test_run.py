"""`headworks run` as a process: ready, signals from the first instruction on, reloads, exit codes, root given up."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headworks.binder import Binder
from headworks.signals import HELD, IGNORED, STOP
from rig.certificates import root

TEXT = """\
[proxy]
workers = 1
drain = "{drain}"
[logs]
access = "off"
[listeners.raw]
bind = "127.0.0.1:0"
protocol = "tcp"
backend = "app"
[backends.app]
servers = ["{origin}"]
"""


class Running:
    """A `headworks run` whose lines are read as they come."""

    def __init__(self, file: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headworks", "run", str(file)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        assert self.process.stderr is not None
        self.lines = self.process.stderr

    def line(self, word: str) -> str:
        """Read lines until one has ``word``; the test's time limit is the limit."""
        for line in self.lines:
            if word in line:
                return line
        raise AssertionError(f"ended without {word!r}: {self.process.wait()}")

    def address(self) -> tuple[str, int]:
        """Wait for the ready line and return its first address."""
        found = re.search(r"address=([0-9.]+):(\d+)", self.line(" ready "))
        assert found is not None
        return found[1], int(found[2])

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)


@contextlib.contextmanager
def running(file: Path, **environment: str) -> Iterator[Running]:
    """Start, and leave nothing behind."""
    proxy = Running(file, **environment)
    try:
        yield proxy
    finally:
        proxy.process.kill()
        proxy.process.wait()
        proxy.lines.close()


@pytest.fixture
def file(tmp_path: Path, origin: str) -> Path:
    """Write a configuration in front of an origin that echoes."""
    path = tmp_path / "headworks.toml"
    path.write_text(TEXT.format(origin=origin, drain="30s"))
    return path


def exchange(client: socket.socket, sent: bytes) -> bytes:
    """Send and read back as much."""
    client.sendall(sent)
    return client.recv(len(sent), socket.MSG_WAITALL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_when_idle(file, number):
    with running(file) as proxy:
        proxy.address()
        proxy.signal(number)
        assert proxy.process.wait(10) == 0


def test_stop_lets_connections_finish(file):
    with running(file) as proxy:
        with socket.create_connection(proxy.address()) as client:
            assert exchange(client, b"a") == b"a"
            proxy.signal(signal.SIGTERM)
            assert "connections=1" in proxy.line("draining")
            assert exchange(client, b"b") == b"b"
        assert proxy.process.wait(10) == 0


def test_a_second_signal_stops_at_once(file):
    with running(file) as proxy, socket.create_connection(proxy.address()) as client:
        assert exchange(client, b"a") == b"a"
        proxy.signal(signal.SIGTERM)
        proxy.line("draining")
        proxy.signal(signal.SIGTERM)
        assert proxy.process.wait(10) == 0


def test_stop_closes_what_is_left_after_drain(file, origin):
    file.write_text(TEXT.format(origin=origin, drain="50ms"))
    with running(file) as proxy, socket.create_connection(proxy.address()) as client:
        assert exchange(client, b"a") == b"a"
        proxy.signal(signal.SIGTERM)
        assert "closed=1" in proxy.line("stopped")
        assert proxy.process.wait(10) == 0


def test_reloads_good_and_bad(file):
    with running(file) as proxy, socket.create_connection(proxy.address()) as client:
        right = file.read_text()
        file.write_text(right.replace('"app"', '"ap"') + "[listeners.x]\nbindd = 1\n")
        proxy.signal(signal.SIGHUP)
        assert f"{file}:9: listeners.raw.backend: there is no backend" in proxy.line("not reloaded").replace("\\", "")
        assert "listeners.x" in proxy.line("not reloaded")
        assert exchange(client, b"still") == b"still"
        file.write_text(right.replace("listeners.raw", "listeners.new").replace("workers = 1", "workers = 2"))
        proxy.signal(signal.SIGHUP)
        assert "listener=new" in proxy.line("info reloaded")
        assert "key=proxy.workers" in proxy.line("needs a restart")
        assert exchange(client, b"after") == b"after"
        file.unlink()
        proxy.signal(signal.SIGHUP)
        assert "No such file" in proxy.line("not reloaded")


def test_the_access_log_is_reopened(file, tmp_path):
    log = tmp_path / "access.log"
    file.write_text(file.read_text().replace('access = "off"', f'access = "{log}"'))
    with running(file) as proxy:
        address = proxy.address()
        log.rename(tmp_path / "rotated")
        proxy.signal(signal.SIGHUP)
        proxy.line("reloaded")
        proxy.signal(signal.SIGTERM)
        assert proxy.process.wait(10) == 0
        assert address
    assert log.exists()


def test_states_for_systemd(file, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        with running(file, NOTIFY_SOCKET=str(tmp_path / "notify")) as proxy:
            proxy.address()
            assert systemd.recv(100) == b"READY=1"
            proxy.signal(signal.SIGHUP)
            assert systemd.recv(100).startswith(b"RELOADING=1\n")
            assert systemd.recv(100) == b"READY=1"
            proxy.signal(signal.SIGTERM)
            assert systemd.recv(100) == b"STOPPING=1"


def test_json_lines(file):
    file.write_text(file.read_text().replace("[logs]", '[logs]\nformat = "json"'))
    with running(file) as proxy:
        assert '"message": "ready", "listener": "raw", "address": "127.0.0.1:' in proxy.line("ready")


def test_an_address_that_is_taken_is_exit_1(file):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        file.write_text(file.read_text().replace("127.0.0.1:0", address))
        with running(file) as proxy:
            assert f"listeners.raw: cannot bind {address}: " in proxy.line("cannot bind")
            assert proxy.process.wait(10) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_is_given_up_and_low_ports_can_still_be_bound(file, tmp_path):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    file.chmod(0o644)
    file.write_text(file.read_text().replace("[proxy]", '[proxy]\nuser = "nobody"'))
    with running(file) as proxy:
        proxy.address()
        status = Path(f"/proc/{proxy.process.pid}/status").read_text()
        assert re.search(r"^Uid:\t(\d+)\t\1\t\1\t\1$", status, re.MULTILINE)[1] != "0"
        assert " 0 " not in re.search(r"^Groups:\t(.*)$", status, re.MULTILINE)[1]
        port = _free_low_port()
        file.write_text(file.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        proxy.signal(signal.SIGHUP)
        assert f"address=127.0.0.1:{port}" in proxy.line("reloaded")
        with socket.create_connection(("127.0.0.1", port)) as client:
            assert exchange(client, b"low") == b"low"
        proxy.signal(signal.SIGTERM)
        assert proxy.process.wait(10) == 0


def _free_low_port() -> int:
    """A port below 1024 that nobody has: root may look."""
    for port in range(1023, 600, -1):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no free port")


def test_certificates_are_renewed_without_a_signal_and_refused_by_one(tmp_path):
    old, new = (root().leaf(name) for name in ("old.test", "new.test"))
    certificate = tmp_path / "a.pem"
    certificate.write_text(old.pem + old.key_pem)
    file = tmp_path / "headworks.toml"
    file.write_text("""\
[logs]
access = "off"
[listeners.web]
bind = "127.0.0.1:0"
protocol = "https"
respond = { status = 200 }
tls = { certificates = "a.pem" }
[listeners.dev]
bind = "127.0.0.1:0"
protocol = "https"
backend = "app"
tls = { self_signed = true, self_signed_ca = "ca.pem" }
[backends.app]
servers = "127.0.0.1:1"
tls.verify = false
""")
    with running(file) as proxy:
        assert f"listener=dev ca={tmp_path / 'ca.pem'}" in proxy.line(" info throwaway certificates ")
        assert "key=backends.app.tls.verify" in proxy.line(" warning doubtful ")
        proxy.address()
        certificate.write_text(new.pem + new.key_pem)
        assert f"file={certificate} names=new.test expires=" in proxy.line(" info certificate_renewed ")
        certificate.write_text("nothing")
        assert "has no PEM in it" in proxy.line(" error certificate_refused ")
        proxy.signal(signal.SIGHUP)
        assert "listeners.web.tls.certificates" in proxy.line(" error not reloaded ")
        certificate.write_text(old.pem + old.key_pem)
        proxy.signal(signal.SIGHUP)
        proxy.line(" reloaded ")
        proxy.signal(signal.SIGTERM)
        assert proxy.process.wait(10) == 0


SURPRISING = sorted(IGNORED | {signal.SIGWINCH, signal.SIGPIPE, signal.SIGCONT, signal.SIGURG})


def blocked(pid: int) -> int:
    """Return the mask of signals that a process holds back; 0 as long as it is another program."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("SigBlk:")).split()[1], 16)


def wait_until_held(pid: int) -> None:
    """Wait for the first instruction of ours."""
    while not blocked(pid):
        time.sleep(0)


@pytest.mark.parametrize("attempt", range(8))
def test_a_hup_right_after_the_start_is_a_reload(file, attempt):
    with running(file) as proxy:
        wait_until_held(proxy.process.pid)
        time.sleep(attempt * 0.03)
        proxy.signal(signal.SIGHUP)
        proxy.address()
        proxy.line("info reloaded")
        proxy.signal(signal.SIGTERM)
        assert proxy.process.wait(10) == 0


@pytest.mark.parametrize("number", sorted(STOP))
def test_a_stop_right_after_the_start_is_obeyed_when_it_runs(file, number):
    with running(file) as proxy:
        wait_until_held(proxy.process.pid)
        proxy.signal(number)
        proxy.address()
        assert f"signal={signal.Signals(number).name}" in proxy.line("draining")
        assert proxy.process.wait(10) == 0


def test_no_signal_ends_a_connection_by_surprise(file):
    with running(file) as proxy, socket.create_connection(proxy.address()) as client:
        assert exchange(client, b"a") == b"a"
        for number in SURPRISING:
            proxy.signal(number)
            if number in IGNORED:
                assert f"signal={signal.Signals(number).name}" in proxy.line("warning signal ignored")
            assert exchange(client, b"b") == b"b"
        proxy.signal(signal.SIGQUIT)
        proxy.line("draining")
        assert exchange(client, b"c") == b"c"
        client.close()
        assert proxy.process.wait(10) == 0


def test_usr1_reopens_the_logs_and_loads_nothing(file, tmp_path):
    log = tmp_path / "access.log"
    file.write_text(file.read_text().replace('access = "off"', f'access = "{log}"'))
    with running(file) as proxy:
        address = proxy.address()
        file.write_text("not loaded")
        log.rename(tmp_path / "rotated")
        proxy.signal(signal.SIGUSR1)
        proxy.line("info logs reopened")
        with socket.create_connection(address) as client:
            assert exchange(client, b"a") == b"a"
        proxy.signal(signal.SIGTERM)
        assert proxy.process.wait(10) == 0
    assert "listener=raw" in log.read_text()
    assert "listener" not in (tmp_path / "rotated").read_text()


def test_signals_while_draining(file, origin):
    file.write_text(TEXT.format(origin=origin, drain="30s"))
    with running(file) as proxy, socket.create_connection(proxy.address()) as client:
        assert exchange(client, b"a") == b"a"
        proxy.signal(signal.SIGQUIT)
        proxy.line("draining")
        proxy.signal(signal.SIGHUP)
        assert "draining" in proxy.line("signal ignored")
        proxy.signal(signal.SIGUSR1)
        proxy.line("logs reopened")
        assert exchange(client, b"b") == b"b"
        proxy.signal(signal.SIGQUIT)
        assert proxy.process.wait(10) == 0


def test_signals_to_the_group_leave_the_binder_alone():
    binder = Binder.start()
    try:
        # An answer shows that it has begun; it is not asked before.
        binder.connection.sendall(b'{"address": "127.0.0.1:0"}\n')
        assert binder.connection.recv(1) == b"+"
        for number in HELD:
            binder.process.send_signal(number)
        binder.connection.sendall(b'{"address": "127.0.0.1:0"}\n')
        assert binder.connection.recv(1) == b"+"
    finally:
        binder.stop()
    assert binder.process.returncode == 0


def test_one_line_for_each_listener_of_the_same_keys(file):
    file.write_text(
        file.read_text().replace("[logs]", '[logs]\nformat = "json"')
        + '[listeners.both]\nbind = ["127.0.0.1:0", "127.0.0.1:0"]\nprotocol = "tcp"\nbackend = "app"\n'
    )
    with running(file) as proxy:
        for name, addresses in (("raw", 1), ("both", 2)):
            line = json.loads(proxy.line('"listening"'))
            assert line["listener"] == name
            assert len(line["address"]) == addresses
        assert json.loads(proxy.line('"ready"'))["listener"] == ["raw", "both", "both"]
