"""`headworks check`: what it reads, what it looks for on this machine, and keys that sign."""

import os
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from headworks.cli import app
from rig.certificates import root
from rig.invoked import headworks

TEXT = """\
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
def file(tmp_path: Path) -> Path:
    """Write a right configuration."""
    path = tmp_path / "right.toml"
    path.write_text(TEXT)
    return path


def test_check_reads_stdin():
    done = CliRunner().invoke(app, ["check", "-"], input=TEXT)
    assert (done.exit_code, done.stdout) == (0, "<stdin>: ok\n")
    done = CliRunner().invoke(app, ["check", "-"], input=TEXT.replace("tls", "tsl"))
    assert done.exit_code == 2
    assert re.match(r"<stdin>:\d+: listeners\.", done.stdout)


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version(option):
    code, shown, _ = headworks(option)
    assert code == 0
    assert re.fullmatch(r"headworks \d+\.\d+\.\d+\S*\n", shown)


def test_check_looks_for_users_groups_and_folders(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(f'[logs]\naccess = "{tmp_path}/absent/a.log"\n' + TEXT.replace("[logs]", "[x]"))
    code, shown, _ = headworks("check", path)
    assert code == 0, shown
    assert f"{path}:2: logs.access: warning: there is no folder {tmp_path}/absent\n" in shown
    path.write_text('[proxy]\nuser = "no-such-user"\ngroup = "no-such-group"\n' + TEXT)
    code, shown, _ = headworks("check", path)
    assert code == 2
    assert shown.startswith(f'{path}:2: proxy.user: this system has no user "no-such-user"')
    assert f'{path}:3: proxy.group: this system has no group "no-such-group"' in shown


def test_unreadable_files_are_told_in_words(file):
    code, _, said = headworks("check", file.parent)
    assert (code, said) == (
        2,
        f"{file.parent}: cannot be read: it is a directory; name the file in it, such as {file}\n",
    )
    _, _, said = headworks("check", file.with_name("rigth.toml"))
    assert said.endswith(f"No such file or directory; did you mean {file}?\n")
    _, _, said = headworks("show", file.parent / "absent" / "a.toml")
    assert said.endswith(f"No such file or directory; there is no directory {file.parent / 'absent'}\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_somebody_else(file):
    file.chmod(0)
    _, _, said = headworks("check", file)
    assert "Permission denied: it is " in said
    assert "mode 0000" in said


SECURE = """\
[listeners.web]
bind = "127.0.0.1:0"
protocol = "https"
respond = { status = 200 }
tls.certificates = { certificate = "a.pem", key = "a.key" }
"""


def test_check_signs_with_every_key(tmp_path):
    good = rsa.generate_private_key(65537, 2048)
    numbers = good.private_numbers()
    # Its public half is that of the certificate; what it signs nobody can verify.
    bad = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d + 2, numbers.dmp1 + 2, numbers.dmq1 + 2, numbers.iqmp, numbers.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    path = tmp_path / "secure.toml"
    path.write_text(SECURE)
    for key, code in ((good, 0), (bad, 2), (ec.generate_private_key(ec.SECP256R1()), 2)):
        leaf = root().leaf("app.test", key=good)
        (tmp_path / "a.pem").write_text(leaf.pem)
        (tmp_path / "a.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        found, shown, _ = headworks("check", path)
        assert found == code, shown
        if code:
            assert shown.startswith(f"{path}:5: listeners.web.tls.certificates")
        if key is bad:
            assert 'the key of "app.test"' in shown
