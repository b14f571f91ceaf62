"""`headworks record` and `headworks replay`: what is typed, read, and the exit codes."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from headworks.testing import Client
from rig.invoked import headworks
from rig.process import HEADWORKS

TEXT = """\
[listeners.web]
bind = "127.0.0.1:0"
protocol = "http"
table = "sites"
[tables.sites]
"a.example" = { respond = { status = 200 } }
"b.example" = { redirect = { to = "https" } }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a configuration."""
    path = tmp_path / "site.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def recording(file: Path, tmp_path: Path) -> Path:
    """Record one request to each name."""
    out = tmp_path / "day.hwrec"
    command = [str(one) for one in (HEADWORKS, "record", "--config", file, "--listener", "web", "--out", out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        ready = next(line for line in lines if " ready " in line)
        address = ready.rpartition("address=")[2].strip()
        client = Client()
        for name in ("a.example", "b.example", "c.example"):
            client.get(address, "/x", host=name)
        client.close()
        process.send_signal(signal.SIGTERM)
        last = process.stderr.read().splitlines()[-1]
        assert process.wait(20) == 0
    assert last == f"{out}: 3 requests"
    return out


def test_the_same_file_decides_the_same(file, recording):
    code, out, err = headworks("replay", recording, file)
    assert (code, out, err) == (0, "3 requests: all are decided as before\n", "")


def test_differences_are_a_table_or_json(file, recording, tmp_path):
    new = tmp_path / "new.toml"
    new.write_text(TEXT.replace("status = 200", "status = 404"))
    code, out, _ = headworks("replay", recording, new)
    assert code == 1
    assert "status" in out
    assert "1 of 3 requests would be decided otherwise" in out
    code, out, _ = headworks("replay", recording, new, "--json")
    told = json.loads(out)
    assert (code, told["requests"], told["changed"]) == (1, 3, 1)
    (one,) = told["differences"]
    assert (one["kind"], one["before"], one["after"], one["example"]["host"]) == ("status", "200", "404", "a.example")
    assert headworks("replay", recording, file, "--against", file)[0] == 0
    assert headworks("replay", recording, new, "--against", file)[0] == 1


def test_wrong_files_are_told(file, recording, tmp_path):
    for arguments, reason in (
        ((file, file), ":1: it is no recording of Headworks"),
        ((tmp_path / "none.hwrec", file), "none.hwrec: cannot be read"),
        ((recording, tmp_path / "none.toml"), "none.toml: cannot be read"),
    ):
        code, _, err = headworks("replay", *arguments)
        assert (code, reason in err) == (2, True), err
    bad = tmp_path / "bad.toml"
    bad.write_text(TEXT.replace("protocol", "protocl"))
    code, _, err = headworks("replay", recording, bad)
    assert (code, "protocl" in err) == (2, True)


def test_wrong_usage_of_record_is_told(file, tmp_path):
    out = tmp_path / "out.hwrec"
    for more, reason in (
        (("--listener", "wen"), 'did you mean "web"?'),
        (("--for", "5"), "lacks a unit"),
        (("--field", "a b"), "not a name of a field"),
    ):
        code, _, err = headworks("record", "--config", file, "--out", out, *more)
        assert (code, reason in err) == (2, True), err
        assert not out.exists()
    out.write_text("precious")
    code, _, err = headworks("record", "--config", file, "--out", out)
    assert (code, "is there already" in err) == (2, True)


def test_a_recording_ends_by_itself(file, tmp_path):
    out = tmp_path / "short.hwrec.gz"
    done = subprocess.run(
        [HEADWORKS, "record", "--config", file, "--out", out, "--for", "100ms"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, out.exists()) == (0, True), done.stderr
    assert "draining signal=SIGTERM" in done.stderr


def test_a_full_disk_is_told(file):
    done = subprocess.run(
        [HEADWORKS, "record", "--config", file, "--out", "/proc/none.hwrec", "--for", "100ms"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "none.hwrec" in done.stderr
