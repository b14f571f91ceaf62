"""Root is given up after binding, for good; the binder still binds low ports at a reload."""

import contextlib
import os
import pwd
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.clients import served_by
from rig.configs import tcp
from rig.origins import Origin
from rig.process import Running, command, running, write
from rig.waiting import until

MakeOrigin = Callable[..., Origin]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root")


def _low_port() -> int:
    """A free port that only root may bind."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if lowest < 100:
        pytest.skip("this system lets everybody bind low ports")
    for port in range(lowest - 1, lowest - 300, -1):
        with socket.socket() as finder, contextlib.suppress(OSError):
            finder.bind(("127.0.0.1", port))
            return port
    pytest.skip("no low port is free")


@pytest.fixture
def app(origin: MakeOrigin) -> str:
    return str(origin(name="app").address)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory that anybody may read and write."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.getuid() and "pytest" in str(directory):
            directory.chmod(0o777)
    return tmp_path


@pytest.fixture
def nobody(stack: contextlib.ExitStack, home: Path, app: str) -> Running:
    """A proxy that runs as nobody, with a unix socket and a log."""
    config = tcp(app, listener={"bind": ["127.0.0.1:0", f"unix:{home / 'front.sock'}"]})
    config |= {"proxy": {"user": "nobody", "workers": 2}, "logs": {"access": str(home / "access.log")}}
    return stack.enter_context(running(write(home / "headworks.toml", config)))


def test_it_runs_as_nobody(nobody: Running) -> None:
    entry = pwd.getpwnam("nobody")
    served_by(nobody.address("raw"), b"x")
    for task in Path(f"/proc/{nobody.pid}/task").iterdir():
        status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        assert status["Uid"].split() == [str(entry.pw_uid)] * 4
        assert status["Gid"].split() == [str(entry.pw_gid)] * 4
        assert "0" not in status["Groups"].split()
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0


def test_a_reload_still_binds_low_ports(nobody: Running, home: Path) -> None:
    port = _low_port()
    file = home / "headworks.toml"
    text = file.read_text()
    assert "127.0.0.1:0" in text
    file.write_text(text.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    said = nobody.reload()
    assert nobody.address("raw", said) == ("127.0.0.1", port)
    for _ in range(10):
        assert served_by(("127.0.0.1", port), b"x") == "app"
    nobody.signal(signal.SIGTERM)
    assert nobody.wait() == 0


def test_what_the_binder_cannot_bind_is_said_too(nobody: Running, home: Path) -> None:
    port = _low_port()
    file = home / "headworks.toml"
    good = file.read_text()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        file.write_text(good.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        before = len(nobody.lines)
        nobody.signal(signal.SIGHUP)
        logged = nobody.line("not reloaded", after=before)
    assert f"127.0.0.1:{port}" in logged
    assert "in use" in logged
    assert served_by(nobody.address("raw"), b"x") == "app"


def test_the_log_can_be_reopened(nobody: Running, home: Path) -> None:
    log = home / "access.log"
    assert log.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    served_by(nobody.address("raw"), b"x")
    until(lambda: log.read_text().count("\n") == 1)
    log.rename(home / "old")
    nobody.reload()
    until(log.exists)
    served_by(nobody.address("raw"), b"x")
    until(lambda: log.read_text().count("\n") == 1)


def test_no_process_is_left(nobody: Running) -> None:
    children = Path(f"/proc/{nobody.pid}/task/{nobody.pid}/children").read_text().split()
    assert len(children) == 1, "the binder"
    nobody.signal(signal.SIGTERM)
    assert nobody.wait() == 0
    until(lambda: not Path(f"/proc/{children[0]}").exists())


def test_the_binder_ends_when_the_proxy_is_killed(nobody: Running) -> None:
    children = Path(f"/proc/{nobody.pid}/task/{nobody.pid}/children").read_text().split()
    nobody.signal(signal.SIGKILL)
    nobody.wait()
    until(lambda: not Path(f"/proc/{children[0]}").exists() or "Z" in Path(f"/proc/{children[0]}/stat").read_text())


def test_an_unknown_user(home: Path, app: str) -> None:
    file = write(home / "a.toml", tcp(app) | {"proxy": {"user": "nobodi"}})
    done = command("run", file)
    assert done.returncode == 2
    assert f"{file}:" in done.stderr
    assert "proxy.user" in done.stderr
    assert '"nobody"' in done.stderr


def test_others_cannot_become_somebody_else(home: Path, app: str) -> None:
    file = write(home / "a.toml", tcp(app) | {"proxy": {"user": "root"}})
    with running(file, prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], ready="") as proxy:
        assert proxy.wait() == 2
        assert "only root" in proxy.line("proxy.user")
