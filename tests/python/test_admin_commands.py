"""Commands that talk to a running proxy: what they print, in a pipe and on a terminal, and when nobody is there."""

import fcntl
import json
import os
import pty
import pwd
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import tomllib
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
from typer.testing import CliRunner

from headworks.admin.client import Client, RefusedError, UnreachableError
from headworks.admin.screen import HEAD, View
from headworks.cli import app
from headworks.cli.asking import length

TEXT = """\
[proxy]
workers = 1
{more}
[logs]
access = "off"
[admin]
bind = "unix:{socket}"
[listeners.raw]
bind = "127.0.0.1:0"
protocol = "tcp"
backend = "app"
[backends.app]
servers = ["{origin}", {{ address = "127.0.0.1:1", weight = 3 }}]
"""


class Running:
    """A `headworks run`."""

    def __init__(self, directory, origin, more=""):
        self.socket = str(directory / "admin.sock")
        self.file = directory / "headworks.toml"
        self.file.write_text(TEXT.format(socket=self.socket, origin=origin, more=more))
        command = [sys.executable, "-m", "headworks", "run", str(self.file)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        found = re.search(r"address=127.0.0.1:(\d+)", self.line(" ready "))
        assert found is not None
        self.address = ("127.0.0.1", int(found[1]))

    def line(self, word):
        for line in self.process.stderr:
            if word in line:
                return line
        raise AssertionError(f"ended without {word}")

    def __call__(self, *words, code=0):
        ran = CliRunner().invoke(app, words, env={"HEADWORKS_ADMIN": self.socket})
        assert ran.exit_code == code, ran.output
        return ran.output

    def json(self, *words):
        return json.loads(self(*words, "--json"))


@pytest.fixture
def proxy(tmp_path, origin):
    running = Running(tmp_path, origin)
    yield running
    running.process.kill()
    running.process.wait()
    running.process.stderr.close()


def test_status_is_one_screen(proxy):
    said = proxy("status")
    assert re.match(r"headworks \S+, pid \d+, up .*, .*headworks.toml\n0 connections, 1 workers", said)
    assert re.search(r"raw +tcp +127.0.0.1:\d+ +0 ", said)
    assert re.search(r"app +2 up ", said)
    assert "\x1b" not in said
    assert len(said.splitlines()) < 24
    assert proxy.json("status")["pid"] == proxy.process.pid


def test_servers_and_what_is_changed_about_them(proxy, origin):
    assert [one["server"] for one in proxy.json("servers")] == sorted([origin, "127.0.0.1:1"])
    said = proxy("server", "app", "127.0.0.1:1", "--drain", "--weight", "7")
    assert re.search(r"127.0.0.1:1 +drain +weight 3 +drain, weight 7 \(\w+, .*Z\) +7 ", said)
    assert proxy.json("server", "app", "127.0.0.1:1")["override"]["weight"] == 7
    # The weight stays as it was made.
    assert proxy.json("server", "app", "127.0.0.1:1", "--ready")["observed"]["weight"] == 7
    assert proxy.json("server", "app", "127.0.0.1:1", "--weight", "configured")["override"] is None
    assert proxy.json("add-server", "app", "127.0.0.1:2", "--weight", "5")["observed"]["weight"] == 5
    assert proxy("remove-server", "app", "127.0.0.1:2") == "removed 127.0.0.1:2 from app\n"
    assert len(proxy.json("servers", "app")) == 2
    assert [one["kind"] for one in proxy.json("events")].count("admin_changed") == 5
    assert 'what="backends.app.servers 127.0.0.1:1" before="ready weight=3"' in proxy("events")
    assert "admin_changed by=" in proxy.line("admin_changed")


def test_waiting_until_nobody_is_left(proxy, origin):
    with socket.create_connection(proxy.address) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        assert proxy.json("connections")[0]["server"] == origin
        assert len(proxy("connections", "--server", origin).splitlines()) == 2
        assert proxy("connections", "--server", "127.0.0.1:1") == "no connections\n"
        assert proxy("connections", "--client", "192.0.2.0/24") == "no connections\n"
        assert len(proxy.json("connections", "--client", "127.0.0.0/8", "--idle-over", "0")) == 1
        assert "query" not in proxy("connections", "--client", "nobody", code=2)
        said = proxy("server", "app", origin, "--drain", "--wait", "--within", "0.1", code=1)
        assert said == f"headworks: {origin}: 1 connections left\n"
        command = [
            sys.executable,
            "-m",
            "headworks",
            "server",
            "app",
            origin,
            "--drain",
            "--wait",
            "--socket",
            proxy.socket,
        ]
        waiting = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert waiting.poll() is None
    assert waiting.wait(30) == 0
    waiting.stdout.close()
    assert proxy.json("server", "app", origin, "--ready", "--wait")["state"] == "up"


def test_reload_and_its_trial(proxy):
    right = proxy.file.read_text()
    assert proxy("reload", "--dry-run") == "nothing would change\n"
    proxy.file.write_text(
        right.replace("workers = 1", 'workers = 2\ndrain = "5s"').replace("listeners.raw", "listeners.new")
    )
    said = proxy("reload", "--dry-run")
    assert said.splitlines() == [
        "+ listeners.new",
        "- listeners.raw",
        "~ proxy.workers: 1 -> 2",
        '~ proxy.drain: "30s" -> "5s"',
        "needs a restart to change: proxy.workers",
    ]
    assert proxy("reload") == "reloaded\nneeds a restart to change: proxy.workers\n"
    assert proxy.line(" reloaded ")
    proxy.file.write_text(right.replace('backend = "app"', 'backend = "ap"'))
    wrong = proxy("reload", "--dry-run", code=2)
    assert 'line 11: listeners.raw.backend: there is no backend "ap"; did you mean "app"?' in wrong
    assert "headworks: listeners.raw.backend: there is no backend" in proxy("reload", code=2)
    assert proxy.line("not reloaded")
    assert "the last reload failed: " in proxy("status")


def test_the_level_of_the_log(proxy):
    assert proxy("log-level", "error") == "log level: error\n"
    proxy("server", "app", "127.0.0.1:1", "--drain")
    assert proxy.json("status")["log_level"] == "error"
    proxy("log-level", "info")
    proxy("server", "app", "127.0.0.1:1", "--ready")
    assert 'before="drain' in proxy.line('what="backends')
    assert "Invalid value" in proxy("log-level", "loud", code=2)


def test_stop(proxy):
    with socket.create_connection(proxy.address) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        assert proxy("stop") == "stopping\n"
        assert "connections=1" in proxy.line("draining")
        assert proxy.json("status")["is_draining"]
        assert "draining: nothing is loaded any more" in proxy("reload", code=1)
    assert proxy.process.wait(30) == 0
    assert not Path(proxy.socket).exists()


def test_stop_and_wait(proxy):
    assert proxy("stop", "--wait") == "stopped\n"
    assert proxy.process.wait(30) == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("servers", "none"), 2, 'there is no backend "none"'),
        (("server", "app", "none"), 2, 'backend "app" has no server "none"'),
        (("server", "app", "127.0.0.1:1", "--weight", "many"), 2, "--weight is a number from 0 to 256"),
        (("server", "app", "127.0.0.1:1", "--weight", "257"), 2, "weight: "),
        (("server", "app", "127.0.0.1:1", "--drain", "--ready"), 2, "--ready and --drain exclude each other"),
        (("server", "app", "127.0.0.1:1", "--wait"), 2, "--wait is for --ready"),
        (("add-server", "app", "nowhere at all"), 2, "nowhere at all"),
        (("remove-server", "app", "127.0.0.1:9"), 2, 'has no server "127.0.0.1:9"'),
        (("top", "--sort", "luck"), 2, 'there is no order "luck"; known: name, active'),
    ],
)
def test_what_is_wrong_is_said(proxy, words, code, said):
    assert said in proxy(*words, code=code)


def test_nobody_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr("headworks.admin.client.DIRECTORY", tmp_path / "run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("HEADWORKS_ADMIN", raising=False)
    ran = CliRunner().invoke(app, ["status"])
    assert ran.exit_code == 1
    assert f"no socket at {tmp_path}/run/admin.sock and {tmp_path}/headworks/admin.sock" in ran.output
    assert "with [admin] in its configuration?" in ran.output
    for place in ("run", "headworks"):
        (tmp_path / place).mkdir()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "run" / "admin.sock"))
    with left:
        ran = CliRunner().invoke(app, ["status"])
        assert "nobody listens there any more: the proxy has ended" in ran.output
        left.listen()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(tmp_path / "headworks" / "admin.sock"))
            other.listen()
            ran = CliRunner().invoke(app, ["status"])
            assert "several proxies run here: " in ran.output
            assert ran.output.strip().endswith("name one with --socket")
    for place in ("nowhere", "http://127.0.0.1:1", "http://[", "ftp://x"):
        ran = CliRunner().invoke(app, ["status", "--socket", place])
        assert ran.exit_code == 1, place
        assert ran.output.startswith("headworks: "), place


def test_whoever_answers_may_be_somebody_else(tmp_path):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "x"))
        other.listen()
        asking = subprocess.Popen(
            [sys.executable, "-m", "headworks", "status", "--socket", str(tmp_path / "x")],
            stderr=subprocess.PIPE,
            text=True,
        )
        accepted, _ = other.accept()
        with accepted:
            accepted.recv(4096)
            accepted.sendall(b"SSH-2.0-x\r\n")
        said = asking.communicate(timeout=30)[1]
        assert asking.returncode == 1
        assert "whoever answers there is no Headworks" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_no_rights(proxy):
    program = (
        "import os, pwd, sys\n"
        "from headworks.admin.client import Client, UnreachableError\n"
        "os.setgroups([]); nobody = pwd.getpwnam('nobody')\n"
        "os.setresgid(*[nobody.pw_gid] * 3); os.setresuid(*[nobody.pw_uid] * 3)\n"
        "try:\n    Client(sys.argv[1]).ask('GET', '/status')\n"
        "except UnreachableError as error:\n    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program, proxy.socket], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(f"{proxy.socket}: not for you: it is ")


def test_by_a_url_and_a_token(tmp_path, origin, monkeypatch):
    from rig.admin import SECRETS, opened

    raw = {
        "logs": {"access": "off"},
        "listeners": {"raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"}},
        "backends": {"app": {"servers": [origin]}},
    }
    with opened(raw, tmp_path) as door:
        place = f"http://127.0.0.1:{door.port}"
        with pytest.raises(RefusedError, match="a token is needed"):
            Client(place).ask("GET", "/status")
        monkeypatch.setenv("HEADWORKS_TOKEN", SECRETS["ops"])
        assert Client.find(place).ask("GET", "/me") == {"name": "ops", "role": "operate"}
        ran = CliRunner().invoke(app, ["servers", "--socket", place])
        assert origin in ran.output
    with pytest.raises(UnreachableError):
        Client(place).ask("GET", "/status")


def test_events_are_followed(proxy):
    command = [sys.executable, "-m", "headworks", "events", "--follow", "--json", "--socket", proxy.socket]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        proxy("server", "app", "127.0.0.1:1", "--drain")
        assert json.loads(following.stdout.readline())["facts"]["after"] == "drain weight=3"
        proxy("server", "app", "127.0.0.1:1", "--ready")
        assert json.loads(following.stdout.readline())["facts"]["after"] == "ready weight=3"
        proxy("stop")
        assert json.loads(following.stdout.readline())["facts"]["what"] == "running"
        assert following.wait(30) == 0


def test_commands_start_without_what_serves(proxy):
    program = (
        "import sys\nfrom headworks.cli import main\nsys.argv = ['headworks', 'status', '--json']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "serves = ('starlette', 'uvicorn', 'asyncio', 'headworks.proxy')\n"
        "print(*(one for one in serves if one in sys.modules), file=sys.stderr)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HEADWORKS_ADMIN": proxy.socket},
    )
    assert json.loads(ran.stdout)
    assert ran.stderr.split() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_is_given_up_and_operators_still_come(tmp_path, origin):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    running = Running(tmp_path, origin, 'user = "nobody"')
    try:
        assert Path(running.socket).stat().st_uid == pwd.getpwnam("nobody").pw_uid
        for what in ("status", "listeners", "servers", "certificates", "config", "limits", "rules", "openapi.json"):
            assert Client(running.socket).ask("GET", f"/{what}") is not None
        explained = Client(running.socket).ask("POST", "/explain", {"listener": "raw"})
        assert explained["backend"] == "app"
        running.file.chmod(0o644)
        assert running("reload") == "reloaded\n"
        assert running("stop", "--wait") == "stopped\n"
        assert running.process.wait(30) == 0
    finally:
        running.process.kill()
        running.process.wait()
        running.process.stderr.close()


# ---- top


def test_top_prints_once_in_a_pipe(proxy, origin):
    said = proxy("top", "--interval", "0.1", "--sort", "connections")
    assert said.split("\n")[0].split() == " ".join(HEAD).split()
    assert origin in said
    assert "\x1b" not in said
    assert [one["server"] for one in proxy.json("top", "--filter", "127.0.0.1:1", "--interval", "0.1")].count(
        origin
    ) == 0 or origin.startswith("127.0.0.1:1")


def test_top_on_a_terminal(proxy):
    """At 80 columns and 24 lines: it shows servers, sorts, filters, and leaves the terminal as it was."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    before = termios.tcgetattr(follower)
    command = [sys.executable, "-m", "headworks", "top", "--socket", proxy.socket, "--interval", "0.2"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    shown = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment)
    try:
        screen = Screen(leader)
        screen.until("q quits")
        assert "sorted by name" in screen.text
        os.write(leader, b"s")
        screen.until("sorted by active")
        os.write(leader, b"/none at all")
        screen.until("filter: none at all")
        os.write(leader, b"\r")
        screen.until("filter: none at all")
        os.write(leader, b"q")
        assert shown.wait(30) == 0
        assert termios.tcgetattr(follower) == before
        lines = re.split(r"\r\n|\x1b\[H", re.sub(r"\x1b\[[0-9;?]*[a-zA-GI-Z]", "", screen.text))
        assert all(len(line) <= 80 for line in lines)
    finally:
        shown.kill()
        shown.wait()
        os.close(leader)
        os.close(follower)


class Screen:
    """What a terminal was sent."""

    def __init__(self, leader):
        self.leader = leader
        self.text = ""

    def until(self, word):
        """Read until a word comes that was not there before; the test's time limit is the limit."""
        fresh = ""
        while word not in fresh:
            ready, _, _ = select.select([self.leader], [], [], 30)
            assert ready, f"never shown: {word}: {fresh}"
            fresh += os.read(self.leader, 65536).decode(errors="replace")
        self.text += fresh


def observed(**more):
    return {
        "weight": 1,
        "active": 0,
        "connections": 0,
        "requests": 0,
        "bytes_in": 0,
        "bytes_out": 0,
        "failed": 0,
        "latency_p99_ms": 0.0,
        **more,
    }


def test_rates_order_and_filter():
    view = View(sort="requests")
    rows = [
        {"backend": "a", "server": "one", "state": "up", "observed": observed(requests=10)},
        {"backend": "a", "server": "two", "state": "up", "observed": observed(requests=20)},
    ]
    assert [row[1] for row in view.rows(rows, 100.0)] == ["one", "two"]
    rows[1]["observed"] = observed(requests=50)
    laid = view.rows(rows, 102.0)
    assert [(row[1], row[6]) for row in laid] == [("two", 15.0), ("one", 0.0)]
    for key in "/one":
        assert view.press(key)
    assert [row[1] for row in view.rows(rows, 103.0)] == ["one"]
    assert view.press("q"), "a letter of the filter"
    assert view.press("\x7f")
    assert view.press("\r")
    assert view.wanted == "one"
    assert not view.press("q")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (90061, "1 d 1 h")]
)
def test_lengths_of_time(seconds, said):
    assert length(seconds) == said


# ---- without a file, the first file, the schema


def test_a_proxy_without_a_file(origin):
    command = [sys.executable, "-m", "headworks", "proxy", "--listen", "127.0.0.1:0", "--to", origin, "--tcp"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            found = next(
                re.search(r"ready .*address=127.0.0.1:(\d+)", line) for line in process.stderr if " ready " in line
            )
            with socket.create_connection(("127.0.0.1", int(found[1]))) as client:
                client.sendall(b"a")
                assert client.recv(1) == b"a"
                process.send_signal(signal.SIGHUP)
                assert next(line for line in process.stderr if "there is no file to read again" in line)
                client.sendall(b"b")
                assert client.recv(1) == b"b"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "http://127.0.0.1:3000"), '--to: "http://127.0.0.1:3000" is a URL'),
        (("--to", "127.0.0.1:1", "--listen", "x"), "--listen: "),
        (("--to", "127.0.0.1:1", "--tcp", "--tls"), "exclude each other"),
        ((), "Missing option '--to'"),
    ],
)
def test_a_proxy_that_cannot_be(words, said):
    ran = CliRunner().invoke(app, ["proxy", *words], env={"COLUMNS": "200"})
    assert ran.exit_code == 2
    assert said in ran.output


@pytest.mark.parametrize("tls", ["--tls", "--no-tls"])
def test_the_first_file_is_right(tmp_path, tls):
    from headworks import Config

    file = tmp_path / "headworks.toml"
    words = ["init", str(file), "--name", "example.com", "--name", "*.example.org", "--to", "127.0.0.1:3000", tls]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    config = Config.load(file)
    assert config.tables["sites"].keys() == {"example.com", "*.example.org"}
    assert config.listeners["web"].protocol == ("https" if tls == "--tls" else "http")
    assert CliRunner().invoke(app, words).exit_code == 2
    assert CliRunner().invoke(app, [*words, "--force"]).exit_code == 0


def test_the_first_file_says_what_is_wrong_and_is_not_written(tmp_path):
    file = tmp_path / "x.toml"
    for words in (["--to", 'a"b c'], ["--name", "a b"]):
        ran = CliRunner().invoke(app, ["init", str(file), *words])
        assert ran.exit_code == 2, ran.output
        assert not file.exists()
    assert "[listeners.web]" in CliRunner().invoke(app, ["init", "-"]).output
    assert "cannot be written" in CliRunner().invoke(app, ["init", str(tmp_path / "none" / "x.toml")]).output


def test_the_schema_takes_what_is_right_and_refuses_what_is_not(mapping):
    ran = CliRunner().invoke(app, ["schema"])
    schema = json.loads(ran.output)
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    root = Path(__file__).resolve().parents[2]
    texts = [file.read_text() for file in root.rglob("examples/**/*.toml")]
    for page in (root / "docs").glob("*.md"):
        texts += re.findall(r"^```toml\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    checked = 0
    for text in texts:
        value = tomllib.loads(text)
        if "listeners" in value and value.keys() <= schema["properties"].keys():
            assert [f"{one.json_path}: {one.message}" for one in validator.iter_errors(value)] == [], text
            checked += 1
    assert checked > 20
    for wrong in (
        {"odd": 1},
        {**mapping, "proxy": {"workers": "2"}},
        {**mapping, "proxy": {"workers": 0}},
        {**mapping, "proxy": {"drain": "2"}},
        {**mapping, "proxy": {"drain": 2}},
        {**mapping, "listeners": {"x": {"bind": "127.0.0.1:1", "protocol": "gopher"}}},
        {**mapping, "listeners": {"x": {"bnid": "127.0.0.1:1"}}},
        {**mapping, "backends": {"x": {"servers": [{"weight": 1}]}}},
    ):
        assert list(validator.iter_errors(wrong)), wrong


def test_completion_knows_every_command():
    ran = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    for command in (
        "status",
        "top",
        "servers",
        "server",
        "add-server",
        "remove-server",
        "connections",
        "events",
        "stop",
    ):
        assert f" {command} " in ran.output
