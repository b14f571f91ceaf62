"""The command line: what is printed where, exit codes, help, completion, and no colours in a pipe."""

import json
from pathlib import Path

import pytest

from headworks import Config, explain
from rig.configs import tls
from rig.process import HEADWORKS, command, write

TABLE = {"example.com": "app", "*.example.org": "app", "~^x": "other", "*": "other"}
FILE = """\
[listeners.secure]
bind = "127.0.0.1:0"
protocol = "tls"
table = "sites"
[tables.sites]
"example.com" = "app"
[backends.app]
servers = ["127.0.0.1:8001"]
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    servers = {"app": ["127.0.0.1:8001", "127.0.0.1:8002"], "other": ["127.0.0.1:8003"]}
    return write(tmp_path / "good.toml", tls(TABLE, dict(servers)))


def test_the_command_is_installed() -> None:
    assert HEADWORKS.is_file()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], *([name, "--help"] for name in ("run", "check", "show", "explain", "demo"))]
)
def test_help(arguments: list[str]) -> None:
    done = command(*arguments)
    assert done.returncode == 0
    assert "Usage: headworks" in done.stdout
    assert "headworks" in done.stdout.split("Try:")[-1].split("Example:")[-1]
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


def test_help_lists_every_command() -> None:
    done = command("--help")
    for name in ("run", "check", "show", "explain", "demo"):
        assert f" {name} " in done.stdout


def test_version() -> None:
    done = command("--version")
    assert done.returncode == 0
    name, version = done.stdout.split()
    assert name == "headworks"
    assert version[0].isdigit()


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["check"], ["check", "--nonsense"], ["explain", "FILE"], ["run", "a", "b"], []]
)
def test_wrong_usage(arguments: list[str]) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert "Usage" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_check_says_ok(good: Path) -> None:
    done = command("check", good)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{good}: ok\n", "")


def test_check_says_every_problem_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        FILE.replace('protocol = "tls"', 'protocl = "tls"')
        .replace('"app"\n', '"ap"\n')
        .replace('"127.0.0.1:8001"', '"local..host:8001"')
        + 'balance = "round_robbin"\nretries = -1\nconnect_timeout = 5\n'
    )
    done = command("check", file)
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    where = {int(line.removeprefix(f"{file}:").split(":")[0]): line for line in lines if line.startswith(f"{file}:")}
    assert len(where) == len(lines), done.stdout
    for number, words in {
        3: ["listeners.secure", "protocl", "protocol"],
        8: ["backends.app.servers"],
        9: ["backends.app.balance", "round_robin"],
        10: ["backends.app.retries"],
        11: ["backends.app.connect_timeout", "unit"],
    }.items():
        assert all(word in where.get(number, "") for word in words), (number, done.stdout)
    assert "\x1b" not in done.stdout


def test_check_of_names_that_do_not_exist(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(FILE.replace('table = "sites"', 'table = "site"').replace('= "app"', '= "ap"'))
    done = command("check", file)
    assert done.returncode == 2
    assert f"{file}:4: listeners.secure.table: " in done.stdout
    assert f'{file}:6: tables.sites."example.com": ' in done.stdout
    assert '"sites"' in done.stdout
    assert '"app"' in done.stdout


def test_check_of_what_is_no_toml(tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("[listeners.secure\n")
    done = command("check", file)
    assert done.returncode == 2
    assert done.stdout.startswith(f"{file}:1: ")
    missing = command("check", tmp_path / "missing.toml")
    assert missing.returncode == 2
    assert "No such file" in missing.stderr


def test_run_with_a_wrong_file_says_what_check_says(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(FILE.replace("protocol", "protocl"))
    checked, run = command("check", file), command("run", file)
    assert (checked.returncode, run.returncode) == (2, 2)
    assert run.stderr == checked.stdout


def test_run_without_a_file(tmp_path: Path) -> None:
    done = command("run", cwd=tmp_path)
    assert done.returncode == 2
    assert "headworks.toml" in done.stderr
    (tmp_path / "headworks.toml").write_text("[[[")
    done = command("run", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("headworks.toml:1: ")


def test_show_is_a_round_trip(good: Path, tmp_path: Path) -> None:
    shown = command("show", good)
    assert shown.returncode == 0
    assert "\x1b" not in shown.stdout
    for default in ('first_bytes = "10s"', 'idle = "10m"', 'balance = "round_robin"', "retries = 2", 'drain = "30s"'):
        assert default in shown.stdout
    again = tmp_path / "again.toml"
    again.write_text(shown.stdout)
    assert command("check", again).stdout == f"{again}: ok\n"
    assert command("show", again).stdout == shown.stdout
    assert Config.load(again) == Config.load(good)


def test_explain(good: Path) -> None:
    done = command("explain", good, "--listener", "secure", "--sni", "WWW.Example.org.", "--client", "192.0.2.1")
    assert done.returncode == 0
    for word in ("www.example.org", "*.example.org", "app", "127.0.0.1:8001", "127.0.0.1:8002"):
        assert word in done.stdout
    assert "\x1b" not in done.stdout


def test_explain_in_json_is_what_python_gets(good: Path) -> None:
    done = command("explain", good, "--listener", "secure", "--sni", "xyz.test", "--json")
    told = json.loads(done.stdout)
    same = explain(str(good), listener="secure", sni="xyz.test")
    assert (told["entry"], told["backend"], told["server"]) == (same.entry, same.backend, same.server)
    assert (told["entry"], told["backend"], told["server"]) == ("~^x", "other", "127.0.0.1:8003")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--listener", "secur"], "secure"),
        (["--listener", "secure", "--host", "a.test"], "--sni"),
        (["--listener", "secure", "--path", "/"], "http"),
        (["--listener", "secure", "--client", "nonsense"], "nonsense"),
    ],
)
def test_explain_refuses_what_means_nothing(good: Path, arguments: list[str], word: str) -> None:
    done = command("explain", good, *arguments)
    assert done.returncode == 2
    assert word in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    done = command(_HEADWORKS_COMPLETE=f"source_{shell}")
    assert done.returncode == 0
    assert "headworks" in done.stdout
    assert "_HEADWORKS_COMPLETE" in done.stdout


def test_completion_completes() -> None:
    done = command(_HEADWORKS_COMPLETE="complete_bash", COMP_WORDS="headworks ch", COMP_CWORD="1")
    assert "check" in done.stdout
