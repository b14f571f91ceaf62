"""Commands of docs/admin.md, run one after the other against the proxy of that page."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "admin.md").read_text()
SECRET = "a secret of this test"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_what_the_page_shows_works(tmp_path: Path) -> None:
    config, entry = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    tokens = tmp_path / "tokens"
    tokens.write_text(re.sub(r"[0-9a-f]{64}", digest, entry))
    tokens.chmod(0o600)
    file = tmp_path / "headworks.toml"
    moved = config.replace("/run/headworks/", f"{tmp_path}/").replace(":9900", ":0").replace(":8080", ":0")
    assert moved.count(":0") == 2
    file.write_text(moved)
    command = [sys.executable, "-m", "headworks", "run", str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stderr is not None
            found = re.search(r"address=127\.0\.0\.1:(\d+)", next(one for one in proxy.stderr if "operators" in one))
            assert found is not None
            run_all(tmp_path, found[1])
        finally:
            proxy.terminate()


def run_all(directory: Path, port: str) -> None:
    """Run every command, moved to where the proxy is."""
    shell = directory / "headworks"
    shell.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m headworks "$@"\n')
    shell.chmod(0o755)
    environment = {
        **os.environ,
        "HEADWORKS_ADMIN": f"{directory}/admin.sock",
        "HEADWORKS_TOKEN": SECRET,
        "PATH": f"{directory}:{os.environ['PATH']}",
    }
    tried = 0
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            moved = line.replace("/run/headworks/", f"{directory}/").replace(":9900", f":{port}")
            ran = subprocess.run(
                ["/bin/sh", "-c", moved], env=environment, text=True, capture_output=True, timeout=30, check=False
            )
            assert ran.returncode == 0, f"{line}\n{ran.stdout}{ran.stderr}"
            tried += 1
    assert tried > 15
