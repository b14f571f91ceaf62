"""The rooms of the house: arrows point one way, and what must never be somewhere is not there.

python package -> crates/python -> crates/engine -> crates/core -> crates/scan
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "headworks"

NEVER_DEPENDS_ON = {
    "scan": {"headworks-core", "headworks-engine", "headworks-python", "libc", "mio", "pyo3", "rustix", "tokio"},
    "core": {"headworks-engine", "headworks-python", "libc", "mio", "pyo3", "rustix", "socket2", "tokio"},
    "engine": {"headworks-python", "pyo3", "tokio"},
    "python": {"libc", "mio", "rustix", "socket2", "tokio"},
}

NEVER_SAYS = {
    "scan": {r"\bstd::(net|thread|process|fs|env|vec|string)\b|\bVec\b": "scan looks at bytes and has none"},
    "core": {
        r"\bstd::net::(Tcp|Udp|Unix)\w+": "core has no sockets",
        r"\b(Tcp|Unix)(Stream|Listener)\b|\bUdpSocket\b": "core has no sockets",
        r"\bstd::(thread|process|fs|env)\b": "core starts, reads and asks for nothing",
        r"\b(Instant|SystemTime)\b": "core is told the time",
        r"\bunsafe\b(?!_code)": "unsafe is for crates/engine/src/sys only",
    },
    "engine": {r"\bpyo3\b|\bPython<": "the engine does not know of Python"},
    "python": {r"\bunsafe\b(?!_code)": "unsafe is for crates/engine/src/sys only"},
}

NEVER_IMPORTS = {
    "config": {"cli", "service", "proxy", "demo", "explanation", "stats", "privileges", "binder"},
    "certificates": {"cli", "service", "proxy", "demo", "config", "listing", "renewal", "stats"},
    "admin": {"cli", "service", "demo", "recording"},
    "errors": {"cli", "service", "proxy", "demo", "config"},
    "stats": {"cli", "service", "proxy", "demo", "config"},
    "explanation": {"cli", "service", "demo"},
    "importing": {"cli", "service", "proxy", "demo", "explanation", "stats", "privileges", "binder"},
    "listing": {"cli", "service", "proxy", "demo"},
    "proxy": {"cli", "service", "demo", "listing"},
    "renewal": {"cli", "service", "proxy", "demo", "listing"},
    "service": {"cli", "demo"},
    "testing": {"cli", "service", "demo", "privileges", "binder"},
    "binder": {"cli", "service", "proxy", "demo", "config", "_engine"},
}
"""A room of the Python package and the rooms above it, which it must not know."""

CLI_MAY_IMPORT = {"collections", "contextlib", "enum", "pathlib", "sys", "typer", "typing"}
"""At the top of files of cli/: everything else is imported by the command that needs it, so that `check` is quick."""


def rust_files(crate: str) -> list[Path]:
    """List the sources of one crate, its tests left aside."""
    return sorted((ROOT / "crates" / crate / "src").rglob("*.rs"))


def code_of(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a Rust file that are code, up to its own tests, without comments."""
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if line.startswith("#[cfg(test)]") and "mod " in file.read_text().splitlines()[number]:
            return
        yield number, line.partition("//")[0]


def python_files() -> list[Path]:
    """List the modules of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every module that a tree imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def room_of(module: str) -> str | None:
    """Name the room of a module of ours: ``headworks.config.models`` is in ``config``."""
    parts = module.split(".")
    return parts[1] if parts[0] == "headworks" and len(parts) > 1 else None


@pytest.mark.parametrize("crate", NEVER_DEPENDS_ON)
def test_crates_depend_one_way(crate: str) -> None:
    manifest = tomllib.loads((ROOT / "crates" / crate / "Cargo.toml").read_text())
    named = set(manifest.get("dependencies", {})) | set(manifest.get("build-dependencies", {}))
    wrong = named & NEVER_DEPENDS_ON[crate]
    assert not wrong, f"crates/{crate}/Cargo.toml must not depend on {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("crate", NEVER_SAYS)
def test_crates_keep_to_their_own_work(crate: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{number}: {reason}: {code.strip()}"
        for file in rust_files(crate)
        for number, code in code_of(file)
        for pattern, reason in NEVER_SAYS[crate].items()
        if re.search(pattern, code)
    ]
    assert not wrong, "\n".join(wrong)


def test_unsafe_is_in_one_room_of_the_engine() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{number}: unsafe is for crates/engine/src/sys only"
        for file in rust_files("engine")
        if "sys" not in file.relative_to(ROOT / "crates/engine/src").parts[0]
        for number, code in code_of(file)
        if re.search(r"\bunsafe\b(?!_)", code)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("file", python_files(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_python_rooms_do_not_know_those_above_them(file: Path) -> None:
    room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    forbidden = NEVER_IMPORTS.get(room, set())
    for line, module in imports(ast.parse(file.read_text())):
        assert room_of(module) not in forbidden, f"{file.relative_to(ROOT)}:{line}: {room} must not import {module}"
        assert room == "testing" or room_of(module) != "testing", (
            f"{file.relative_to(ROOT)}:{line}: testing is for people's tests: {room} must not import {module}"
        )
        if file == PACKAGE / "testing" / "plugin.py" and module.split(".")[0] == "pytest":
            continue
        assert module.split(".")[0] not in {"tests", "tools", "pytest"}, (
            f"{file.relative_to(ROOT)}:{line}: the package must not import {module}"
        )


@pytest.mark.parametrize("file", sorted((PACKAGE / "cli").glob("*.py")), ids=lambda file: file.name)
def test_the_command_line_imports_when_a_command_runs(file: Path) -> None:
    tree = ast.parse(file.read_text())
    at_once = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for line, module in imports(ast.Module(body=list(at_once), type_ignores=[])):
        is_ours = module == "headworks.cli" or module.startswith("headworks.cli.")
        is_quick = is_ours or module.split(".")[0] in CLI_MAY_IMPORT
        assert is_quick, f"cli/{file.name}:{line}: import {module} where it is used"


def test_importing_the_package_imports_no_room() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            assert module in {"importlib", "typing"}, f"__init__.py:{node.lineno}: {module} is imported at once"


def test_every_source_file_says_what_it_owns() -> None:
    silent = [
        str(file.relative_to(ROOT))
        for crate in ("core", "engine", "python")
        for file in rust_files(crate)
        if not file.read_text().startswith("//!")
    ]
    silent += [
        str(file.relative_to(ROOT)) for file in python_files() if ast.get_docstring(ast.parse(file.read_text())) is None
    ]
    assert not silent, f"no module doc: {', '.join(silent)}"
