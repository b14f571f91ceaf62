"""`headworks demo` as people run it: the tour, the commands that it prints, and a clean end."""

import contextlib
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import headworks.demo
from headworks.config.write import sketch
from headworks.demo import clients, origins, stage, tour
from headworks.demo.report import Result, Step
from headworks.demo.steps import STEPS

DEMO = [sys.executable, "-m", "headworks", "demo"]
BOUND = 60


class Staying:
    """A `headworks demo` that stays up, and the lines that it printed until then."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            DEMO, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(directory)}
        )
        assert self.process.stdout is not None
        self.stdout = self.process.stdout
        self.lines = list(self._until("Press Ctrl-C"))

    def _until(self, word: str) -> Iterator[str]:
        for line in self.stdout:
            yield line.rstrip("\n")
            if word in line:
                return
        raise AssertionError(f"ended without {word!r}: {self.process.wait()}")

    def until(self, word: str) -> str:
        """Read until a line has ``word``."""
        return list(self._until(word))[-1]

    def command(self, begin: str, part: str = "") -> str:
        """Return the printed command that begins so and has ``part`` in it."""
        return next(line for line in self.lines if line.startswith(begin) and part in line)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        self.stdout.read()
        return self.process.wait(BOUND)


@contextlib.contextmanager
def staying(directory: Path) -> Iterator[Staying]:
    """Start, and leave nothing behind."""
    demo = Staying(directory)
    try:
        yield demo
    finally:
        demo.process.kill()
        demo.process.wait()
        demo.stdout.close()


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staying]:
    """Share one demo among the tests that do not end it."""
    with staying(tmp_path_factory.mktemp("playground")) as demo:
        yield demo


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a printed command; in bash, as it would be pasted."""
    program = line.split(maxsplit=1)[0]
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    bash = shutil.which("bash") or "/bin/sh"
    return subprocess.run([bash, "-c", line], capture_output=True, text=True, timeout=BOUND, check=False)


def test_once_goes_through_every_step(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--once"],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert re.findall(r"^ok (\w+) ", done.stdout, re.MULTILINE) == [step.name for step in STEPS]
    assert "unrecognized_name (112)" in done.stdout
    assert "handshake_failure (40)" in done.stdout
    assert "0 failed." in done.stdout
    assert "certificate by Headworks throwaway authority, verified" in done.stdout
    assert "certificate_refused" in done.stdout
    assert "\x1b" not in done.stdout, "no colours in a pipe"
    assert list(tmp_path.iterdir()) == []


def test_a_site_by_curl(playground: Staying) -> None:
    done = shell(playground.command("curl", "shop.example"))
    assert done.returncode == 0, done.stderr
    assert "server: shop-1" in done.stdout
    assert "told by a PROXY header" in done.stdout


def test_two_servers_by_curl(playground: Staying) -> None:
    done = shell(playground.command("curl", "blog.example"))
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"server: (\S+)", done.stdout)) == {"blog-1", "blog-2"}


def test_a_refusal_by_curl(playground: Staying) -> None:
    done = shell(playground.command("curl", "nobody.example"))
    assert done.returncode == 35, "curl's code for a failed handshake"


def test_requests_by_curl(playground: Staying) -> None:
    done = shell(playground.command("curl", "http://www.example"))
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"server: (\S+)", done.stdout)) == {"web-1", "web-2", "users-1"}
    assert "request: /users\n" in done.stdout
    assert "client: 127.0.0.1 " in done.stdout


def test_a_redirect_by_curl(playground: Staying) -> None:
    done = shell(playground.command("curl", "old.example"))
    assert done.stdout.startswith("HTTP/1.1 308")
    assert re.search(r"(?im)^location: https://www.example/page\r?$", done.stdout)


def test_a_rate_limit_by_curl(playground: Staying) -> None:
    statuses = shell(playground.command("curl", "http_code")).stdout.split()
    assert len(statuses) == 7
    assert set(statuses) <= {"200", "429"}
    assert "429" in statuses


def test_a_handshake_by_openssl(playground: Staying) -> None:
    done = shell(playground.command("openssl"))
    assert done.returncode == 0, done.stderr
    assert "CN = *.apps.example" in (done.stdout + done.stderr).replace("CN=", "CN = ")


def test_the_echo(playground: Staying) -> None:
    line = next(line for line in playground.lines if "import socket" in line)
    assert shell(line).stdout == "b'hello'\n"


def test_https_by_curl(playground: Staying) -> None:
    done = shell(playground.command("curl", "https://www.example"))
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"server: (\S+)", done.stdout)) == {"web-1", "web-2", "users-1"}
    assert done.stdout.count("scheme: https ") == 3


def test_from_http_to_https_by_curl(playground: Staying) -> None:
    done = shell(playground.command("curl", "http://www.example/about"))
    assert done.returncode == 0, done.stderr
    assert "request: /about\n" in done.stdout
    assert "scheme: https " in done.stdout


def test_a_name_that_is_passed_through_by_curl(playground: Staying) -> None:
    done = shell(playground.command("curl", "?passed"))
    assert done.returncode == 0, done.stderr
    assert "server: shop-1" in done.stdout


def test_the_proxy_s_own_handshake_by_openssl(playground: Staying) -> None:
    done = shell(playground.command("openssl", "www.example"))
    assert done.returncode == 0, done.stderr
    assert "Verification: OK" in done.stdout + done.stderr


def test_the_certificates_are_listed(playground: Staying) -> None:
    line = next(line for line in playground.lines if " certs " in line)
    done = shell(line)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("www.example") >= 2


def test_an_explanation_of_the_written_file(playground: Staying) -> None:
    line = next(line for line in playground.lines if " explain " in line and "--sni" in line)
    done = shell(line)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^backend +blog$", done.stdout, re.MULTILINE)


def test_an_explanation_of_a_request(playground: Staying) -> None:
    line = next(line for line in playground.lines if " explain " in line and "--path" in line)
    done = shell(line)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^backend +users$", done.stdout, re.MULTILINE)


def test_the_access_log_is_where_it_is_said_to_be(playground: Staying) -> None:
    path = Path(playground.command("tail -f").removeprefix("tail -f "))
    assert "sni=shop.example" in path.read_text()
    assert re.search("host=www.example method=GET path=/api/users/7 status=200 backend=users ", path.read_text())


def test_a_saved_file_is_swapped_in_and_a_mistake_is_not(tmp_path: Path) -> None:
    with staying(tmp_path) as demo:
        path = Path(next(line for line in demo.lines if line.endswith("headworks.toml") and " " not in line))
        right = path.read_text()
        path.write_text(right.replace('"news.example" = "news"', '"news.example" = "nwes"'))
        assert "not swapped in" in demo.until("swapped in")
        assert 'did you mean "news"' in demo.until("nwes")
        path.write_text(right.replace('"news.example"', '"fresh.example"'))
        assert demo.until("swapped in").startswith("swapped in (")
        assert demo.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_nothing_is_left(tmp_path: Path, number: signal.Signals) -> None:
    with staying(tmp_path) as demo:
        assert [path.name for path in tmp_path.iterdir()] != []
        assert demo.end(number) == 0
        assert list(tmp_path.iterdir()) == []


def test_live_counters_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TMPDIR": str(tmp_path), "TERM": "xterm", "COLUMNS": "120", "LINES": "60"}
    process = subprocess.Popen(DEMO, stdin=theirs, stdout=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while not re.search(rb"Ctrl-C.*to clients", shown, re.DOTALL):
            shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # EIO: the terminal's last user is gone
            while os.read(ours, 65536):
                pass
        assert process.wait(BOUND) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"\x1b[" in shown
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_finds_a_problem_fails_the_tour(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = Step(name="good", says="Goes well.", run=lambda _: Result(shown=("[seen]",)))
    bad = Step(name="bad", says="Does not.", run=lambda _: Result(problems=("the [water] is cold",)))
    monkeypatch.setattr(tour, "STEPS", (bad, good))
    assert headworks.demo.main(once=True) == 1
    shown = capsys.readouterr().out
    assert "failed: the [water] is cold" in shown
    assert "ok good" in shown, "the tour goes on"
    assert "\nfailed: bad (" in shown


def test_a_wrong_certificate_fails_the_step_that_meets_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(stage.HOSTS, "api-1", "impostor.example")
    monkeypatch.setattr(tour, "STEPS", STEPS[:1])
    assert headworks.demo.main(once=True) == 1
    assert "CERTIFICATE_VERIFY_FAILED" in capsys.readouterr().out


def test_a_signal_during_the_tour_is_no_success_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: stage.Stage) -> Result:
        signal.raise_signal(signal.SIGTERM)
        return Result()

    monkeypatch.setattr(tour, "STEPS", (Step(name="interrupted", says="", run=interrupted),))
    assert headworks.demo.main(once=True) == 1
    assert headworks.demo.main(once=False) == 0
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_configuration_is_written_as_people_would() -> None:
    with stage.Stage() as made:
        text = made.file.read_text()
        assert tomllib.loads(text) == made.settings == tomllib.loads(sketch(made.settings))


def test_messages_of_all_sizes_are_framed() -> None:
    from headworks.demo import web

    for size in (0, 1, 125, 126, 127, 65535):
        for mask in (b"", b"abcd"):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                message = bytes(number % 251 for number in range(size))
                sending = threading.Thread(target=ours.sendall, args=(web.frame(message, mask),), daemon=True)
                sending.start()
                assert web.read_frame(theirs) == message
                sending.join(BOUND)
    # The example of RFC 6455, section 1.3.
    assert web.accept_of("dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_dead_origin_refuses_and_keeps_its_port() -> None:
    echo = origins.EchoOrigin("echo")
    host, port = echo.address.split(":")
    try:
        for _ in range(3):
            echo.start()
            with socket.create_connection((host, int(port)), clients.PATIENCE) as connection:
                connection.sendall(b"alive")
                assert clients.receive(connection, 5) == b"alive"
                echo.kill()
                assert connection.recv(1) == b"", "what is open ends"
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, int(port)), clients.PATIENCE)
    finally:
        echo.close()
