"""A start imports what serving needs: help, colours, quoting and certificates are imported by whoever needs them."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from headworks.cli.quick import plain
from headworks.late import LATE

PROGRAM = """
import json, sys
from headworks import late
load = late.load

def once_it_serves():
    print(json.dumps(sorted(sys.modules)), flush=True)
    return load()

late.load = once_it_serves
from headworks.cli import main
main()
"""

NEVER = {
    "asyncio",
    "click",
    "concurrent",
    "difflib",
    "email",
    "http",
    "importlib.metadata",
    "logging",
    "rich",
    "subprocess",
    "tomlkit",
    "typer",
    "unittest",
    "zipfile",
    "headworks.cli.commands",
    "headworks.demo",
    "headworks.explanation",
    "headworks.listing",
    "headworks.notebook",
    "headworks.records",
    "headworks.testing",
}
"""Modules that serving needs none of."""

ONLY_WITH_TLS = {"cryptography", "ssl", "headworks.renewal"}


def imported(file: Path) -> set[str]:
    """Return the modules that a process has imported that was started by ``headworks run``, served and was stopped."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "run", str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert started.stderr is not None
    said = []
    try:
        for line in started.stderr:
            said.append(line)
            if " ready " in line:
                started.send_signal(signal.SIGTERM)
        assert started.wait(30) == 0, "".join(said)
        assert started.stdout is not None
        return set(json.loads(started.stdout.read()))
    finally:
        started.kill()
        started.wait()
        for stream in (started.stdout, started.stderr):
            if stream is not None:
                stream.close()


def test_what_is_imported_late_is_there_before_anything_can_change() -> None:
    """Modules that serve imports when it acts on a signal may be gone by then."""
    assert {name.partition(".")[0] for name in LATE} <= {"difflib", "headworks"}
    for name in LATE:
        import_module(name)


def below(modules: set[str], names: set[str]) -> set[str]:
    """Return the modules that are, or are below, one of ``names``."""
    return {module for module in modules for name in names if module == name or module.startswith(f"{name}.")}


def written(directory: Path, *tls: str) -> Path:
    file = directory / "headworks.toml"
    lines = ['logs.access = "off"', "[listeners.web]", 'bind = "127.0.0.1:0"', 'respond = { body = "hi" }', *tls]
    file.write_text("\n".join(lines))
    tomllib.loads(file.read_text())
    return file


def test_a_start_without_tls_imports_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    modules = imported(written(tmp_path, 'protocol = "http"'))
    assert {"headworks.service", "headworks.proxy", "pydantic"} <= modules
    found = below(modules, NEVER | ONLY_WITH_TLS | {*LATE, "headworks.binder"})
    assert not found, f"headworks run imports {', '.join(sorted(found))}"


def test_a_start_with_tls_imports_cryptography_besides(tmp_path: Path) -> None:
    modules = imported(written(tmp_path, 'protocol = "https"', "tls = { self_signed = true }"))
    assert "cryptography" in modules
    # cryptography itself takes some of the standard library.
    found = below(modules, {name for name in NEVER if name.startswith("headworks") or name in ("rich", "typer")})
    assert not found, f"headworks run imports {', '.join(sorted(found))}"


def test_importing_the_package_imports_no_dependency() -> None:
    program = "import json, sys, headworks; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True, check=True)
    found = below(set(json.loads(ran.stdout)), {"pydantic", "cryptography", "typer", "rich", "tomlkit", "asyncio"})
    assert not found, f"import headworks imports {', '.join(sorted(found))}"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["check", "a.toml"],
        ["run", "--help"],
        ["run", "-h"],
        ["run", "a.toml", "b.toml"],
        ["--version"],
        ["run", "--", "a"],
    ],
)
def test_whatever_is_not_plain_is_the_command_line_s(words: list[str]) -> None:
    assert plain(words) is None


def test_run_with_a_file_is_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plain(["run", "a.toml"]) == Path("a.toml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "headworks.toml").touch()
    assert plain(["run"]) == Path("headworks.toml")
