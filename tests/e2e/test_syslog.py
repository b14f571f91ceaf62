"""The program's own lines and its access records at a syslog server, rsyslog's where it is installed."""

import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from rig.process import HEADWORKS, Running
from rig.waiting import PATIENCE, until

FILE = """
[logs]
access = "syslog:{path}"
program = "syslog:{path}"
syslog.facility = "local1"
[listeners.web]
bind = "unix:{front}"
protocol = "http"
respond = {{ status = 200 }}
"""


def start(tmp_path: Path, path: Path) -> Running:
    """Run with both logs at a socket; what it says on stderr is kept."""
    file = tmp_path / "headworks.toml"
    file.write_text(FILE.format(path=path, front=tmp_path / "front"))
    return Running(subprocess.Popen([HEADWORKS, "run", file], stderr=subprocess.PIPE, text=True))


def ask(front: Path) -> None:
    until(front.exists, "the listener")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(front))
        client.sendall(b"GET /asked HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        assert b" 200 " in client.recv(9000)


@pytest.mark.skipif(shutil.which("rsyslogd") is None, reason="rsyslog is not installed")
def test_rsyslog_reads_what_is_sent(tmp_path: Path) -> None:
    path, out = tmp_path / "log", tmp_path / "out"
    rules = tmp_path / "rsyslog.conf"
    rules.write_text(
        f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{path}" UseSpecialParser="off")\n'
        'template(name="t" type="string" string="%syslogfacility-text% %syslogseverity-text% %app-name%%msg%\\n")\n'
        f'*.* action(type="omfile" file="{out}" template="t")\n'
    )
    server = subprocess.Popen(["rsyslogd", "-n", "-f", str(rules), "-i", str(tmp_path / "pid")])
    try:
        until(path.exists, "the socket of rsyslog")
        proxy = start(tmp_path, path)
        try:
            ask(tmp_path / "front")
            until(lambda: out.exists() and "path=/asked status=200" in out.read_text(), "the record")
        finally:
            proxy.end()
        assert "local1 info headworks" in out.read_text()
    finally:
        server.terminate()
        server.wait(PATIENCE)


def test_own_lines_and_records_have_their_severity(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        server.settimeout(PATIENCE)
        proxy = start(tmp_path, path)
        try:
            # local1, info: 17 * 8 + 6
            heard = [server.recv(9000)]
            while b" ready " not in heard[-1]:
                heard.append(server.recv(9000))
            assert all(one.startswith(b"<142>1 ") for one in heard)
            ask(tmp_path / "front")
            while b"path=/asked" not in heard[-1]:
                heard.append(server.recv(9000))
            proxy.signal(signal.SIGTERM)
            while b"stopped" not in heard[-1]:
                heard.append(server.recv(9000))
            assert proxy.wait() == 0
        finally:
            proxy.end()
    assert not proxy.lines
