"""`headworks sniproxy` in place of sniproxy, and sniproxy itself beside it where it is installed."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headworks import Proxy
from rig.clients import Target, connect, served_by, to_end
from rig.hello import client_hello
from rig.origins import Origin, named_echo
from rig.process import HEADWORKS, Running, command
from rig.waiting import PATIENCE, until

MakeOrigin = Callable[..., Origin]
USER = pwd.getpwuid(os.getuid()).pw_name
USAGE = "Usage: headworks sniproxy [-c <config>] [-f] [-n <max file descriptor limit>] [-V]\n"


@pytest.fixture
def file(tmp_path: Path, origin: MakeOrigin) -> Path:
    """A configuration that stays who we are, so that its files are ours."""
    path = tmp_path / "sniproxy.conf"
    path.write_text(
        f"user {USER}\npidfile {tmp_path}/pid\nerror_log {{ filename {tmp_path}/error.log; }}\n"
        f"access_log {{ filename {tmp_path}/access.log; }}\n"
        f"listener unix:{tmp_path}/front.sock {{\n protocol tls\n table sites\n}}\n"
        f"table sites {{\n ^a\\\\.example$ {origin(name='a').address}\n}}\n"
    )
    return path


def front(file: Path) -> Target:
    return str(file.with_name("front.sock")), 0


# ---- options


def test_the_version_is_one_line() -> None:
    done = command("sniproxy", "-V")
    assert done.returncode == 0
    assert done.stdout.startswith("sniproxy 0.7.0 (headworks ")


@pytest.mark.parametrize("words", [["-x"], ["-c"], ["--test"], ["-n", "many"], ["-fnx"]])
def test_wrong_options_show_how_it_is_used(words: list[str]) -> None:
    done = command("sniproxy", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(USAGE)


def test_help_has_an_example() -> None:
    done = command("sniproxy", "--help")
    assert done.returncode == 0
    assert "headworks sniproxy -c /etc/sniproxy.conf" in done.stdout


@pytest.mark.parametrize("foreground", [[], ["-f"]])
def test_a_file_that_cannot_be_loaded(file: Path, foreground: list[str]) -> None:
    missing = command("sniproxy", "-c", file.with_name("none"), *foreground)
    assert missing.returncode == 1
    assert f"Unable to load {file.with_name('none')}\n{USAGE}" in missing.stderr
    file.write_text(file.read_text().replace("table sites", "table sitse", 1).replace("protocol", "protocl"))
    wrong = command("sniproxy", "-c", file, *foreground)
    assert wrong.returncode == 1
    assert f'{file}:6: "protocl" is no keyword here' in wrong.stderr
    assert f'{file}:7: there is no table "sitse"' in wrong.stderr
    assert wrong.stderr.endswith(f"Unable to load {file}\n{USAGE}")
    text = file.read_text().replace("protocl", "protocol").replace("sitse", "sites")
    file.write_text(text.replace("table sites {", "table sites {\n ^(?!www) 127.0.0.1:1"))
    unsupported = command("sniproxy", "-c", file, *foreground)
    assert (unsupported.returncode, "not supported: ^(?!www)" in unsupported.stderr) == (1, True), unsupported.stderr


# ---- in front


@contextlib.contextmanager
def in_front(file: Path, *words: str) -> Iterator[Running]:
    process = subprocess.Popen(
        [HEADWORKS, "sniproxy", "-fc", str(file), *words], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    started = Running(process)
    try:
        yield started
    finally:
        started.end()


def said(file: Path, *words: str) -> str:
    """Wait for a line of the error log that has all the words."""
    log = file.with_name("error.log")

    def look() -> str | None:
        lines = log.read_text().splitlines() if log.exists() else []
        return next((line for line in lines if all(word in line for word in words)), None)

    return str(until(look, f"a line with {words}"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_in_front_and_leaves_at_once(file: Path, number: signal.Signals) -> None:
    with in_front(file, "-n", "512") as running:
        said(file, " ready ")
        assert served_by(front(file), client_hello("a.example")) == "a"
        assert running.status("Umask")
        limits = Path(f"/proc/{running.pid}/limits").read_text()
        assert next(line.split()[3:5] for line in limits.splitlines() if "open files" in line) == ["512", "512"]
        with connect(front(file)) as client:
            client.sendall(client_hello("a.example"))
            assert client.recv(1) == b"a"
            running.signal(number)
            assert running.wait() == 0
        assert not file.with_name("pid").exists()
        # The first client may not have been forgotten yet.
        assert re.search(r"closed=[12]\b", said(file, " stopped "))


def test_reload_reads_the_file_again_and_reopens_logs(file: Path) -> None:
    with in_front(file) as running:
        said(file, " ready ")
        file.with_name("error.log").rename(file.with_name("old.log"))
        file.write_text(file.read_text().replace("a\\\\.example", "b\\\\.example"))
        running.signal(signal.SIGHUP)
        until(lambda: " reloaded " in file.with_name("old.log").read_text())
        assert served_by(front(file), client_hello("b.example")) == "a"
        until(lambda: file.with_name("error.log").exists())
        file.write_text("nonsense {\n")
        running.signal(signal.SIGHUP)
        said(file, " not reloaded ")
        assert served_by(front(file), client_hello("b.example")) == "a"


def test_the_open_connections_are_written_down(file: Path) -> None:
    with in_front(file) as running:
        said(file, " ready ")
        with connect(front(file)) as client:
            client.sendall(client_hello("a.example"))
            assert client.recv(1) == b"a"
            running.signal(signal.SIGUSR1)
            dump = Path(said(file, "Dumped connections to").rpartition("file=")[2])
            try:
                assert dump.name.startswith("sniproxy-connections-")
                assert dump.parent == Path("/tmp")
                assert stat.S_IMODE(dump.stat().st_mode) == 0o600
                title, line = dump.read_text().splitlines()
                assert title == "Running connections:"
                assert "a.example" in line
                assert line.startswith("relaying")
            finally:
                dump.unlink()


# ---- in the background


def is_over(pid: int) -> bool:
    """Whether a process that is nobody's child here has ended."""
    try:
        return ") Z" in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


def test_it_serves_in_the_background(file: Path) -> None:
    done = command("sniproxy", "-c", file)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # It returns when everything is bound.
    pid = int(file.with_name("pid").read_text())
    try:
        assert file.with_name("pid").read_text() == f"{pid}\n"
        assert served_by(front(file), client_hello("a.example")) == "a"
        process = Path(f"/proc/{pid}")
        assert (process / "cwd").readlink() == Path("/")
        assert {str((process / "fd" / str(number)).readlink()) for number in (0, 1)} == {os.devnull}
        status = (process / "status").read_text()
        assert "Umask:\t0022\n" in status
        # Of a session, and not at its head: no terminal comes back.
        session = (process / "stat").read_text().rpartition(")")[2].split()[3]
        assert int(session) not in (pid, os.getsid(0))
        os.kill(pid, signal.SIGTERM)
        until(lambda: is_over(pid))
        assert not file.with_name("pid").exists()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_who_waits_in_front_learns_that_it_failed(file: Path) -> None:
    file.write_text(file.read_text().replace("listener unix:", "listener unix:/nowhere"))
    done = command("sniproxy", "-c", file)
    assert done.returncode == 1
    assert "/nowhere" in done.stderr
    assert not file.with_name("pid").exists()
    file.write_text(file.read_text().replace("pidfile ", "pidfile /nowhere"))
    done = command("sniproxy", "-c", file)
    assert (done.returncode, "/nowhere" in done.stderr) == (1, True)


# ---- beside sniproxy itself

SNIPROXY = shutil.which("sniproxy")

TABLES = {
    "shapes": r"""
        ^a\\.example$ {a}
        ^(.*\\.)?b\\.example$ {b}
        example\\.org {a}
        ^.*\\.example\\.org$ {b}
        (^|\\.)c\\.example$ {c}""",
    "order": r"""
        ^www[0-9]\\. {a}
        \\.example$ {b}
        ^www1\\.example$ {c}
        .* {c}""",
    "quotes": r"""
        "^a\\.exam(ple|x){{1,2}}$" {a}; ^b\.example$ {b}
        ^[^.]+\\.c\\.example$ {c}  # others""",
    "nothing": "",
    "nameless": r"""
        ^$ {a}
        ^b\\.example$ {b}""",
}
ASKED = [
    "a.example", "b.example", "x.b.example", "xb.example", "c.example", "x.c.example", "x.y.c.example", "www1.example",
    "www1.x", "www.example", "x.example.org", "example.org", "example.org.evil.test", "bXexample", "a.examplex", "z",
]  # fmt: skip


def reached(target: Target, sent: bytes, protocol: str) -> str | None:
    """Name the origin that a client gets; None when it is refused."""
    with connect(target) as client, contextlib.suppress(ConnectionResetError):
        client.sendall(sent)
        client.settimeout(PATIENCE)
        if protocol == "tls":
            first = client.recv(1)
            return first.decode() if first in (b"a", b"b", b"c", b"f") else None
        found = to_end(client).partition(b"\r\n\r\n")[2].decode()
        return found if found in ("a", "b", "c", "f") else None
    return None


def named_answer(connection: socket.socket, origin: Origin) -> None:
    """Answer each request with the origin's name."""
    while (received := connection.recv(65536)) and b"\r\n\r\n" not in received:
        pass
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{origin.name}".encode())


@pytest.mark.skipif(SNIPROXY is None, reason="sniproxy is not installed")
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("fallback", [True, False])
@pytest.mark.parametrize("protocol", ["tls", "http"])
def test_names_reach_the_same_server_as_with_sniproxy(
    tmp_path: Path,
    origin: MakeOrigin,
    table: str,
    fallback: bool,  # noqa: FBT001
    protocol: str,
) -> None:
    behaviour = named_echo if protocol == "tls" else named_answer
    addresses = {name: origin(behaviour, name=name).address for name in "abcf"}
    inside = TABLES[table].format(**addresses)
    fallen = f"fallback {addresses['f']}" if fallback else ""
    files = {}
    for name in ("theirs", "ours"):
        files[name] = tmp_path / f"{name}.conf"
        files[name].write_text(
            f"user {USER}\nlistener unix:{tmp_path}/{name}.sock {{\n protocol {protocol}\n {fallen}\n}}\n"
            f"table {{\n{inside}\n}}\n"
        )
    assert SNIPROXY is not None
    theirs = subprocess.Popen([SNIPROXY, "-f", "-c", str(files["theirs"])], stderr=subprocess.DEVNULL)
    try:
        until((tmp_path / "theirs.sock").exists, "their socket")
        with Proxy(files["ours"]):
            for asked in [*ASKED, None]:
                sent = hello(asked, protocol)
                found = {one: reached((str(tmp_path / f"{one}.sock"), 0), sent, protocol) for one in files}
                if asked is None and not fallback and table == "order":
                    found["theirs"] = found["theirs"] or "c"  # what takes everything takes these, too: a difference
                assert found["ours"] == found["theirs"], (asked, found)
    finally:
        theirs.terminate()
        theirs.wait(PATIENCE)


def hello(name: str | None, protocol: str) -> bytes:
    if protocol == "tls":
        return client_hello(name)
    # Of 1.1 every request has a host.
    head = f"1.1\r\nHost: {name}\r\nConnection: close" if name else "1.0\r\nX: y"
    return f"GET / HTTP/{head}\r\n\r\n".encode()


# ---- the access log


LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (\S+) -> (\S+) -> (\S+) \[(\S*)\] "
    r"(\d+)/\d+ bytes tx (\d+)/\d+ bytes rx \d+\.\d{3} seconds"
)


def test_the_access_log_has_the_lines_of_sniproxy(file: Path) -> None:
    access = file.with_name("access.log")
    with in_front(file) as running:
        until(lambda: Path(front(file)[0]).exists(), "the socket")
        sent = client_hello("a.example")
        assert served_by(front(file), sent) == "a"
        until(lambda: access.exists() and "a.example" in access.read_text(), "a line")
        access.rename(access.with_suffix(".1"))
        running.signal(signal.SIGHUP)
        until(access.exists, "the log that was opened again")
        assert served_by(front(file), sent) == "a"
        until(lambda: "a.example" in access.read_text(), "another line")
    found = LINE.fullmatch(access.read_text().splitlines()[0])
    assert found is not None
    assert found[2] == f"unix:{front(file)[0]}"
    assert (found[4], int(found[6])) == ("a.example", len(sent))
