"""What people type at `headworks`, what they read, and the exit codes."""

import json
import os
import pty
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from headworks import _engine, explain
from headworks.config import Config
from rig.certificates import root
from rig.invoked import headworks

TEXT = """\
[listeners.secure]
bind = "127.0.0.1:0"
protocol = "tls"
table = "sites"
deny = ["10.9.0.0/16"]
[listeners.raw]
bind = "127.0.0.1:0"
protocol = "tcp"
backend = "app"
[tables.sites]
"example.com" = "app"
"*.example.org" = "app"
[backends.app]
servers = ["127.0.0.1:8001", { address = "127.0.0.1:8002", backup = true }]
"""


WEB = """\
[listeners.web]
bind = "127.0.0.1:0"
protocol = "http"
table = "sites"
[tables.sites]
"example.com/api" = "app"
"example.com/users" = "users"
"example.com/old" = { redirect = { to = "/new", code = 301 } }
[backends.app]
servers = "127.0.0.1:8001"
[backends.users]
servers = ["127.0.0.1:8002", "127.0.0.1:8003"]
balance = "header_hash"
hash_header = "X-User"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a right configuration."""
    path = tmp_path / "right.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """Write one with two problems."""
    path = tmp_path / "wrong.toml"
    path.write_text(TEXT.replace("tls", "tsl").replace('= "app"\n"*', '= "ap"\n"*'))
    return path


def test_check_says_ok(file):
    assert headworks("check", file) == (0, f"{file}: ok\n", "")


def test_check_says_every_problem(wrong):
    known = ", ".join(_engine.protocols())
    code, stdout, _ = headworks("check", wrong)
    assert code == 2
    assert stdout.splitlines() == [
        f'{wrong}:3: listeners.secure.protocol: "tsl" is not a known protocol; known: {known}; did you mean "tls"?',
        f'{wrong}:11: tables.sites."example.com": there is no backend "ap"; did you mean "app"?',
    ]


def test_check_takes_several_files(file, wrong):
    code, stdout, stderr = headworks("check", file, wrong, "absent.toml")
    assert code == 2
    assert len(stdout.splitlines()) == 3
    assert stderr == "absent.toml: cannot be read: No such file or directory\n"


def test_check_needs_a_file():
    assert headworks("check")[0] == 2


def test_show_is_the_whole_configuration(file):
    code, stdout, _ = headworks("show", file)
    assert code == 0
    assert Config.parse(tomllib.loads(stdout)) == Config.load(file)
    assert 'idle = "10m"' in stdout


@pytest.mark.parametrize("command", ["show", "run", "explain"])
def test_a_wrong_or_absent_file_is_exit_2(wrong, command):
    more = ("--listener", "secure") if command == "explain" else ()
    code, _, stderr = headworks(command, wrong, *more)
    assert (code, len(stderr.splitlines())) == (2, 2)
    code, _, stderr = headworks(command, wrong / "absent", *more)
    assert code == 2
    assert "cannot be read" in stderr


def test_run_without_any_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("headworks.cli.shared.DEFAULT_FILES", (Path("headworks.toml"), tmp_path / "etc.toml"))
    code, _, stderr = headworks("run")
    assert code == 2
    assert "headworks.toml" in stderr


def test_run_names_the_unknown_user_with_its_line(file):
    file.write_text(TEXT + '[proxy]\nuser = "nobodyy"\n')
    code, _, stderr = headworks("run", file)
    assert code == 2
    assert stderr == f'{file}:16: proxy.user: this system has no user "nobodyy"; did you mean "nobody"?\n'


def test_run_names_the_descriptor_that_is_not_there(file):
    file.write_text(TEXT.replace("127.0.0.1:0", "fd:web", 1))
    assert headworks("check", file)[0] == 0
    code, _, stderr = headworks("run", file)
    assert code == 2
    assert stderr.startswith(f'{file}:2: listeners.secure.bind: no inherited descriptor is called "web"')


def test_explain_for_people(file):
    code, stdout, _ = headworks("explain", file, "--listener", "secure", "--sni", "www.Example.org")
    assert code == 0
    assert "entry    *.example.org" in stdout
    assert "server   127.0.0.1:8001" in stdout
    assert "not 127.0.0.1:8002: is a backup" in stdout


def test_explain_for_programs(file):
    code, stdout, _ = headworks("explain", file, "--listener", "secure", "--sni", "x.test", "--json")
    assert code == 0
    explanation = json.loads(stdout)
    assert explanation["listener"] == "secure"
    assert explanation["refusal"] == "no_match"
    assert explanation["server"] is None


def test_explain_a_request(file):
    file.write_text(WEB)
    code, stdout, _ = headworks("explain", file, "--listener", "web", "--host", "Example.com:80", "--path", "/api/x?y")
    assert code == 0
    assert "request  GET /api/x?y" in stdout
    assert "entry    example.com/api" in stdout
    assert "server   127.0.0.1:8001" in stdout
    code, stdout, _ = headworks(
        "explain", file, "--listener", "web", "--host", "example.com", "--path", "/old", "--json"
    )
    explanation = json.loads(stdout)
    assert (code, explanation["entry"], explanation["target"]) == (0, "example.com/old", "redirect")
    assert (explanation["status"], explanation["server"]) == (301, None)


def test_explain_chooses_by_a_field_of_the_request(file):
    file.write_text(WEB)
    web = (file, "--listener", "web", "--host", "example.com", "--path", "/users", "--method", "POST")
    found = {
        json.loads(headworks("explain", *web, "--header", f"X-User: {user}", "--json")[1])["server"]
        for user in range(32)
    }
    assert found == {"127.0.0.1:8002", "127.0.0.1:8003"}


def test_explain_a_request_that_nothing_takes(file):
    file.write_text(WEB)
    _, stdout, _ = headworks("explain", file, "--listener", "web", "--host", "example.net")
    assert "refused  no_match (421)" in stdout


def test_explain_a_client_gives_one_name(file):
    with pytest.raises(ValueError, match="sni or host, not both"):
        explain(file, listener="secure", sni="a.example", host="a.example")


def test_explain_a_refused_client(file):
    _, stdout, _ = headworks("explain", file, "--listener", "secure", "--client", "10.9.1.1")
    assert "refused  denied" in stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--listener", "secur"), 'did you mean "secure"?'),
        (("--listener", "secure", "--host", "a"), "--host is for http listeners"),
        (("--listener", "secure", "--path", "/"), "--path is for http listeners"),
        (("--listener", "secure", "--method", "GET"), "--method is for http listeners"),
        (("--listener", "secure", "--header", "A: b"), "--header is for http listeners"),
        (("--listener", "raw", "--sni", "a"), "--sni is for tls listeners"),
        (("--listener", "web", "--sni", "a"), "use --host"),
        (("--listener", "web", "--path", "a"), '--path begins with /, not "a"'),
        (("--listener", "web", "--header", "a"), "--header is 'NAME: VALUE', not \"a\""),
        (("--listener", "secure", "--client", "local"), '"local" is not an IP address'),
        ((), "--listener"),
    ],
)
def test_explain_misused(file, arguments, said):
    file.write_text(TEXT + '[listeners.web]\nbind = "127.0.0.1:0"\nprotocol = "http"\nbackend = "app"\n')
    code, stdout, stderr = headworks("explain", file, *arguments)
    assert (code, stdout) == (2, "")
    assert said in stderr


def test_version():
    code, stdout, _ = headworks("--version")
    assert code == 0
    assert stdout.startswith("headworks 0.")


@pytest.mark.parametrize("command", ["run", "check", "show", "explain", "demo"])
def test_help_has_an_example(command):
    code, stdout, _ = headworks(command, "--help")
    assert code == 0
    assert f"Example: headworks {command}" in stdout


def test_completion_can_be_shown():
    done = subprocess.run(
        [sys.executable, "-m", "headworks", "--show-completion", "bash"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )
    assert done.returncode == 0
    assert "headworks" in done.stdout


def test_colours_and_excerpts_on_a_terminal_only(wrong):
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    subprocess.run(
        [sys.executable, "-m", "headworks", "check", str(wrong)], stdout=theirs, env=environment, check=False
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "\x1b[" in shown
    assert "^^^^^^^^" in shown


def test_check_imports_nothing_it_does_not_need(file):
    program = (
        "import sys; from headworks.cli import app\n"
        f"app(['check', {str(file)!r}], standalone_mode=False)\n"
        "print(sorted({'rich', 'tomlkit', 'asyncio', 'headworks.proxy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_importing_the_package_is_cheap():
    program = (
        "import sys, headworks; print(sorted(name for name in sys.modules if name.startswith(('headworks', 'pyd'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['headworks']"


def test_every_public_name_is_there():
    import headworks

    assert all(getattr(headworks, name) for name in headworks.__all__)
    assert set(headworks.__all__) <= set(dir(headworks))
    with pytest.raises(AttributeError):
        headworks.Absent  # noqa: B018


SECURE = """\
[listeners.web]
bind = "127.0.0.1:0"
protocol = "https"
respond = { status = 200 }
tls.certificates = "all.pem"
[listeners.dev]
bind = "127.0.0.1:0"
protocol = "tcp"
backend = "app"
tls.self_signed = ["app.test"]
[backends.app]
servers = "127.0.0.1:8001"
tls = { ca = "ca.pem", certificate = "all.pem" }
"""


@pytest.fixture
def secure(tmp_path: Path) -> Path:
    """Write a configuration with certificates, and these."""
    authority = root()
    leaf = authority.leaf("app.example.com", "www.example.com")
    (tmp_path / "all.pem").write_text(leaf.pem + leaf.key_pem)
    (tmp_path / "old.pem").write_text(authority.leaf("old.example.com", days=(-90, -3)).pem)
    (tmp_path / "ca.pem").write_text(authority.pem)
    path = tmp_path / "secure.toml"
    path.write_text(SECURE)
    return path


def test_certs_of_a_configuration(secure):
    code, shown, _ = headworks("certs", secure)
    assert code == 0
    rows = [line.split() for line in shown.splitlines()]
    assert rows[0] == ["used", "by", "names", "expires", "issuer", "key", "chain", "ocsp", "file"]
    assert rows[1][:2] == ["listeners.web", "app.example.com"]
    assert [row[0] for row in rows if row[0].startswith(("listeners", "backends"))] == [
        "listeners.web",
        "listeners.dev",
        "backends.app",
    ]
    assert "89 d left" in shown
    assert str(secure.with_name("all.pem")) in shown


def test_certs_as_json(secure):
    code, shown, _ = headworks("certs", secure, "--json")
    first, dev, _ = json.loads(shown)
    assert (code, first["user"], dev["user"]) == (0, "listeners.web", "listeners.dev")
    assert first["names"] == ["app.example.com", "www.example.com"]
    assert (first["days_left"], first["chain"], first["key"]) == (89, "private", "ECDSA P-256")
    assert first["not_after"] > first["not_before"]
    assert dev["file"] == "self_signed"


def test_certs_of_a_file_or_directory(secure):
    code, shown, _ = headworks("certs", secure.with_name("old.pem"))
    assert code == 1
    assert "expired" in shown
    code, shown, _ = headworks("certs", secure.parent, "--json")
    assert code == 1
    assert {name for row in json.loads(shown) for name in row["names"]} >= {"app.example.com", "old.example.com"}


def test_certs_of_what_is_wrong(secure, tmp_path):
    secure.with_name("all.pem").write_text("nothing")
    code, shown, complaint = headworks("certs", secure)
    assert (code, shown) == (2, "")
    assert f"{secure}:5: listeners.web.tls.certificates: " in complaint
    assert headworks("certs", tmp_path / "absent")[0] == 2
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    assert headworks("certs", tmp_path / "broken.pem")[0] == 2


def test_certs_where_there_are_none(file):
    assert headworks("certs", file) == (0, "no certificates\n", "")


def test_check_warns_of_what_is_doubtful(secure):
    secure.write_text(SECURE.replace('ca = "ca.pem"', "verify = false"))
    code, shown, _ = headworks("check", secure)
    first, last = shown.splitlines()
    assert code == 0
    assert first.startswith(f"{secure}:13: backends.app.tls.verify: warning: nothing is verified")
    assert last == f"{secure}: ok"


def test_explain_takes_both_names_where_tls_ends(secure):
    arguments = ("--listener", "web", "--sni", "app.example.com", "--host", "www.example.com", "--path", "/")
    code, shown, _ = headworks("explain", secure, *arguments)
    assert code == 0
    assert str(secure.with_name("all.pem")) in shown
    code, shown, _ = headworks("explain", secure, "--listener", "dev", "--sni", "app.test")
    assert code == 0
    assert "self_signed" in shown
