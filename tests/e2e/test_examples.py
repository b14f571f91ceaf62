"""Examples that say they can be tried: they are."""

import re
import socket
import ssl
import subprocess
import sys
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from rig.process import running

ROOT = Path(__file__).resolve().parents[2]


def free_ports(count: int) -> list[int]:
    """Find ports that nobody has just now: what a redirect names cannot be port 0."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def test_the_example_of_https_can_be_tried_at_once(tmp_path: Path) -> None:
    https, http, mqtt = free_ports(3)
    text = (ROOT / "examples" / "https.toml").read_text()
    for written, free in ((8443, https), (8080, http), (8883, mqtt)):
        text, count = re.subn(rf"^bind = .*:{written}\"\]?$", f'bind = "127.0.0.1:{free}"', text, flags=re.MULTILINE)
        assert count == 1
    file = tmp_path / "https.toml"
    file.write_text(text)
    with running(file):
        plain = HTTPConnection("127.0.0.1", http, timeout=10)
        plain.request("GET", "/x?y", headers={"Host": f"localhost:{http}"})
        answer = plain.getresponse()
        assert (answer.status, answer.headers["Location"]) == (308, f"https://localhost:{https}/x?y")
        # As curl --insecure does it.
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        secure = HTTPSConnection("localhost", https, timeout=10, context=trusting)
        secure.request("GET", "/x?y")
        answer = secure.getresponse()
        assert (answer.status, answer.read()) == (200, b"It works.\n")
        plain.close()
        secure.close()


@pytest.mark.parametrize(
    ("name", "tests"),
    [("rules", "test_policy.py"), ("analyzers", "test_examples.py"), ("discovery", "test_discovery.py")],
)
def test_examples_in_folders_are_right_and_so_are_their_tests(name: str, tests: str) -> None:
    folder = ROOT / "examples" / name
    for told in (
        ["headworks", "check", "headworks.toml"],
        ["pytest", "-q", "-p", "no:cacheprovider", tests],
    ):
        ran = subprocess.run(
            [sys.executable, "-m", *told], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
