"""Users' type checkers: mypy and pyright take what runs, and find what does not, without any plugin of ours.

The programs stand outside the repository while they are checked, beside the installed package, as users' own do.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parent / "programs"
EXAMPLES = [PROGRAMS.parents[2] / "examples" / name for name in ("rules/policy.py", "discovery/leases.py")]
"""Rules, which type checkers see as the functions that they are, and a provider."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a directory with the programs and nothing else."""
    for file in PROGRAMS.glob("*.py"):
        shutil.copy(file, tmp_path)
    return tmp_path


def run(place: Path, *command: str) -> str:
    """Run a checker and return what it says."""
    ran = subprocess.run(
        [sys.executable, "-m", *command], cwd=place, text=True, capture_output=True, timeout=300, check=False
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return ran.stdout


def mypy(place: Path, file: str) -> dict[int, str]:
    """Return what mypy, strict, says of each line of a program."""
    (place / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    said = run(place, "mypy", "--config-file", "mypy.ini", "--cache-dir", ".cache", file)
    found = re.findall(rf"^{file}:(\d+): error: (.*)$", said, re.MULTILINE)
    assert found or "Success" in said, said
    return {int(line): text for line, text in found}


def pyright(place: Path, file: str) -> dict[int, str]:
    """Return what pyright, strict, says of each line of a program. basedpyright is pyright with its own node."""
    config = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "include": [file]}
    (place / "pyrightconfig.json").write_text(json.dumps(config))
    said = run(place, "basedpyright", "--outputjson", "--pythonpath", sys.executable)
    report = json.loads(said)
    assert report["summary"]["filesAnalyzed"] == 1
    errors = (one for one in report["generalDiagnostics"] if one["severity"] == "error")
    return {one["range"]["start"]["line"] + 1: one["message"] for one in errors}


CHECKERS = {"mypy": mypy, "pyright": pyright}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_good_program_is_good(checker: str, place: Path) -> None:
    assert shown(CHECKERS[checker](place, "good.py")) == ""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("checker", CHECKERS)
def test_everything_that_is_wrong_is_found_and_nothing_else(checker: str, place: Path) -> None:
    found = CHECKERS[checker](place, "bad.py")
    lines = (PROGRAMS / "bad.py").read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    missed = [lines[number - 1] for number in sorted(wrong - found.keys())]
    assert not missed, "\n".join(missed)
    assert shown({line: text for line, text in found.items() if line not in wrong}) == ""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.stem)
def test_examples_are_good(checker: str, example: Path, place: Path) -> None:
    shutil.copy(example, place)
    assert shown(CHECKERS[checker](place, example.name)) == ""


def shown(found: Mapping[int, str]) -> str:
    """Put findings into lines."""
    return "\n".join(f"{line}: {text}" for line, text in sorted(found.items()))
