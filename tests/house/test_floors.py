"""The floors of the house: no room imports from above, no two rooms from each other, in the package or in a crate.

A name means one thing a crate, and what is too wide or too roundabout may only become less.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "headworks"
CRATES = ("core", "engine", "python")

Edges = dict[str, dict[str, str]]
"""Who imports whom, with a place where it does."""


# ---- the Python package


def module_of(file: Path) -> str:
    """Name the module of a file of the package."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_for_types(node: ast.AST) -> bool:
    """Whether a statement is an ``if TYPE_CHECKING``."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield what a module imports, inside functions too, but for what is imported for types only."""
    if is_for_types(node):
        return
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def python_edges() -> Edges:
    """Return which module of the package imports which."""
    files = {module_of(file): file for file in sorted(PACKAGE.rglob("*.py"))}
    edges: Edges = {module: {} for module in files}
    for module, file in files.items():
        for line, name in imported(ast.parse(file.read_text())):
            found = name if name in files else name.rpartition(".")[0]
            if found in files and found != module:
                edges[module].setdefault(found, f"{file.relative_to(ROOT)}:{line}: {name}")
    return edges


def circles(edges: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    """Return the sets of names that reach each other (Tarjan), each sorted."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        path.append(name)
        for other in edges.get(name, ()):
            if other not in order:
                visit(other)
            if other in path:
                low[name] = min(low[name], low[other])
        if low[name] == order[name]:
            at = path.index(name)
            if len(path) - at > 1:
                found.append(sorted(path[at:]))
            del path[at:]

    for name in edges:
        if name not in order:
            visit(name)
    return found


def test_no_modules_of_the_package_stand_in_a_circle() -> None:
    edges = python_edges()
    assert len(edges) > 50
    wrong = [
        "\n".join(["a circle:", *(place for one in circle for other, place in edges[one].items() if other in circle)])
        for circle in circles(edges)
    ]
    assert not wrong, "\n".join(wrong)


def test_a_circle_would_be_found() -> None:
    assert circles({"a": {"b": ""}, "b": {"c": ""}, "c": {"a": ""}, "d": {"a": ""}}) == [["a", "b", "c"]]
    assert circles({"a": {"b": "", "c": ""}, "b": {"c": ""}, "c": {}}) == []


# ---- rooms of the crates


DIVIDED = {"http", "wire", "supervisor"}
"""Folders whose files and folders are rooms of their own; every other file or folder below src/ is one room."""


def source_of(crate: str) -> Path:
    """Return where the sources of a crate are."""
    return ROOT / "crates" / crate / "src"


def code_of(file: Path) -> str:
    """Return a Rust file without comments and without its tests; lines keep their numbers."""
    text = file.read_text()
    tests = re.search(r"^#\[cfg\(test\)\]\n(?:#\[[^\n]*\n)*mod \w+ \{", text, re.MULTILINE)
    return re.sub(r"//[^\n]*", "", text[: tests.start()] if tests else text)


def rust_files(crate: str) -> list[Path]:
    """List the sources of a crate, files of tests left aside."""
    return [
        file
        for file in sorted(source_of(crate).rglob("*.rs"))
        if "tests" not in (*file.relative_to(source_of(crate)).parts[:-1], file.stem)
    ]


def path_of(crate: str, file: Path) -> tuple[str, ...]:
    """Return the path of the module in a file: ``http::facts``, the root empty."""
    parts = file.relative_to(source_of(crate)).with_suffix("").parts
    return parts[:-1] if parts[-1] in ("mod", "lib") else parts


def leaves(text: str, at: int) -> Iterator[tuple[str, ...]]:
    """Yield the paths of a tree as ``use`` has them, ``a::{b, c::d}``, that begins at ``at``."""
    found = re.compile(r"\s*(?:(r#)?(\w+)|\*)\s*(::)?\s*").match(text, at)
    if found is None:
        if text[at : at + 1] == "{":
            for start in branches(text, at):
                yield from leaves(text, start)
        return
    name = found[2] or "*"
    if not found[3] or text[found.end()] == "<":
        yield (name,)
        return
    for below in leaves(text, found.end()):
        yield (name, *below)


def branches(text: str, at: int) -> Iterator[int]:
    """Yield where each branch of the braces at ``at`` begins."""
    depth = 0
    for place in range(at, len(text)):
        match text[place]:
            case "{":
                depth += 1
            case "}":
                depth -= 1
        if depth == 0:
            return
        if depth == 1 and text[place] in "{,":
            yield place + 1


class Rooms:
    """The modules of one crate, and which of its rooms each belongs to."""

    def __init__(self, crate: str) -> None:
        self.crate = crate
        self.files = {path_of(crate, file): file for file in rust_files(crate)}
        self.code = {module: code_of(file) for module, file in self.files.items()}
        self.renamed = {module: dict(self._published(module)) for module in self.files}

    def room(self, module: tuple[str, ...]) -> str:
        """Name the room of a module."""
        depth = 2 if module[0] in DIVIDED else 1
        return "/".join(module[:depth])

    def edges(self) -> Edges:
        """Return which room imports which, ``mod.rs`` and ``lib.rs`` as their children do left aside."""
        found: Edges = {self.room(module): {} for module in self.files if module}
        for module in self.files:
            for line, path in self.paths(module) if module else ():
                home = self.home(path)
                if not home or home == module[: len(home)]:
                    continue
                here, there = self.room(module), self.room(home)
                if here != there:
                    file = self.files[module].relative_to(ROOT)
                    found[here].setdefault(there, f"{file}:{line}: {'::'.join(path)}")
        return found

    def paths(self, module: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield every path into the crate that the code of a module names, with its line."""
        code = self.code[module]
        for found in re.finditer(r"(?<![\w$:])(crate|super(?:::super)*)::", code):
            above = found[1].count("super")
            base = module[: len(module) - above] if above else ()
            line = code.count("\n", 0, found.start()) + 1
            yield from ((line, (*base, *path)) for path in leaves(code, found.end()))

    def home(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """Return the module that a path leads to, names that a ``pub use`` hands on followed."""
        module: tuple[str, ...] = ()
        for name in path:
            if (*module, name) in self.files:
                module = (*module, name)
            elif name in self.renamed[module]:
                return self.home(self.renamed[module][name])
            else:
                break
        return module

    def _published(self, module: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
        code = self.code[module]
        for found in re.finditer(r"^pub(?:\([^)]*\))? use ((?:self|crate)::)?", code, re.MULTILINE):
            base = () if found[1] == "crate::" else module
            for path in leaves(code, found.end()):
                if (*base, *path) != (*module, path[-1]) and (*base, path[0]) in self.files:
                    yield path[-1], (*base, *path)


FLOORS: dict[str, tuple[tuple[str, ...], ...]] = {
    "core": (
        (
            "short_text",
            "wire/der",
        ),
        (
            "address",
            "buffer",
            "close",
            "host",
            "http",
            "http/coding",
            "http/names",
            "http/text",
            "lock",
            "message",
            "networks",
            "problem",
            "table",
            "time",
            "wire",
            "wire/chunk_writer",
            "wire/client_hello",
            "wire/kind",
        ),
        (
            "balance",
            "histogram",
            "http/accept_encoding",
            "http/request_id",
            "names",
            "spec",
            "wire/distinguished_name",
            "wire/http1",
        ),
        (
            "http/accepts",
            "http/affinity",
            "http/compression",
            "http/status",
            "tally",
            "tls",
            "wire/chunked",
        ),
        (
            "http/facts",
            "wire/body",
            "wire/http2",
            "wire/proxy_protocol",
            "wire/x509",
        ),
        (
            "spoken",
            "wire/first_host",
        ),
        (
            "http/check",
            "http/forwarded",
            "http/target",
            "http/template",
        ),
        (
            "http/headers",
            "http/limits",
            "http/pages",
            "http/redirect",
        ),
        ("connection_rate",),
        ("program",),
        (
            "consult",
            "http/answers",
            "http/rewrite",
        ),
        (
            "action",
            "http/listener",
        ),
        (
            "analyze",
            "bandwidth",
            "flow",
            "http/rules",
            "pool",
        ),
        ("protocol",),
        ("listener",),
        ("plan",),
        (
            "http/exchange",
            "session",
        ),
        ("explain",),
    ),
    "engine": (
        (
            "clock",
            "date",
            "notice",
            "hops",
            "ids",
            "refusals",
            "outcome",
            "random",
            "row",
            "sys",
            "tap",
            "timer",
            "token",
        ),
        ("options",),
        (
            "bind",
            "consult",
            "listing",
            "names",
            "roster",
        ),
        ("tls",),
        (
            "deployment",
            "io",
            "metrics",
            "stats",
        ),
        (
            "health",
            "record",
        ),
        (
            "access_log",
            "following",
        ),
        ("look_up",),
        ("tools",),
        ("arrival",),
        (
            "admission",
            "supervisor",
            "supervisor/connections",
        ),
        (
            "supervisor/handshakes",
            "supervisor/http",
            "supervisor/lobby",
            "worker",
        ),
        ("engine",),
    ),
    "python": (
        (
            "consult",
            "toml",
        ),
        ("plan",),
        (
            "engine",
            "judge",
        ),
    ),
}
"""The rooms of each crate from the ground up: one imports only from the floors below its own."""

KNOWN: dict[str, set[tuple[str, str]]] = {
    "core": set(),
    "engine": set(),
    "python": set(),
}
"""Imports that climb today, to be gone. What is gone is taken out here."""

TWICE: dict[str, set[str]] = {
    "core": set(),
    "engine": set(),
    "python": set(),
}
"""Names that stand for two types today. What is gone is taken out here."""

WIDEST = {"crates": 110, "python": 120}
"""Columns of a line."""

TOO_WIDE = {"core": 11, "engine": 12, "python": 0, "package": 0}
"""Lines that are wider today: the number may only fall."""

MATCHED = {"core": 0, "engine": 0, "python": 0}
"""Times that ``match`` is on a flag today, where if and else say it: the number may only fall."""


@pytest.mark.parametrize("crate", CRATES)
def test_every_room_has_a_floor(crate: str) -> None:
    built = [room for floor in FLOORS[crate] for room in floor]
    assert len(built) == len(set(built))
    rooms = set(Rooms(crate).edges())
    assert set(built) == rooms, f"no floor: {rooms - set(built)}; no room: {set(built) - rooms}"


@pytest.mark.parametrize("crate", CRATES)
def test_rooms_import_from_the_floors_below(crate: str) -> None:
    level = {room: number for number, floor in enumerate(FLOORS[crate]) for room in floor}
    climbing = {
        (room, other): place
        for room, others in Rooms(crate).edges().items()
        for other, place in others.items()
        if level.get(other, 0) >= level.get(room, len(level))
    }
    wrong = [f"{place} is not below {room}" for (room, _), place in climbing.items() if (room, _) not in KNOWN[crate]]
    assert not wrong, "\n".join(wrong)
    gone = KNOWN[crate] - climbing.keys()
    assert not gone, f"no longer climbing, take it out of KNOWN: {sorted(gone)}"


@pytest.mark.parametrize("crate", CRATES)
def test_no_rooms_of_a_crate_stand_in_a_circle(crate: str) -> None:
    edges = {
        room: {other: place for other, place in others.items() if (room, other) not in KNOWN[crate]}
        for room, others in Rooms(crate).edges().items()
    }
    assert not circles(edges)


def test_paths_into_a_crate_are_read() -> None:
    assert list(leaves("a::{b, c::{D, E as F}, self};", 0)) == [
        ("a", "b"),
        ("a", "c", "D"),
        ("a", "c", "E"),
        ("a", "self"),
    ]
    assert list(leaves(" wire::http1::parse::<u8>(x)", 0)) == [("wire", "http1", "parse")]
    rooms = Rooms("core")
    assert rooms.home(("analyze", "Sni")) == ("analyze", "sni")
    assert rooms.room(("tls", "names")) == "tls"


@pytest.mark.parametrize("crate", CRATES)
def test_a_name_stands_for_one_type(crate: str) -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for module, code in Rooms(crate).code.items():
        for found in re.finditer(r"^\s*pub(?:\([^)]*\))? (?:struct|enum|trait|type|union) (\w+)", code, re.MULTILINE):
            homes[found[1]].append("::".join(module))
    twice = {name: where for name, where in homes.items() if len(where) > 1}
    wrong = [f"{name}: {', '.join(where)}" for name, where in twice.items() if name not in TWICE[crate]]
    assert not wrong, "\n".join(wrong)
    gone = TWICE[crate] - twice.keys()
    assert not gone, f"one type now, take it out of TWICE: {sorted(gone)}"


@pytest.mark.parametrize("crate", CRATES)
def test_lines_of_crates_are_not_too_wide(crate: str) -> None:
    wide = too_wide(sorted(source_of(crate).rglob("*.rs")), WIDEST["crates"])
    assert len(wide) <= TOO_WIDE[crate], "\n".join(["more lines are too wide than there were:", *wide])


def test_lines_of_the_package_are_not_too_wide() -> None:
    wide = too_wide(sorted(PACKAGE.rglob("*.py")), WIDEST["python"])
    assert len(wide) <= TOO_WIDE["package"], "\n".join(["more lines are too wide than there were:", *wide])


def too_wide(files: list[Path], most: int) -> list[str]:
    """List the lines with more columns than ``most``."""
    return [
        f"{file.relative_to(ROOT)}:{number}: {len(line)} columns"
        for file in files
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if len(line) > most
    ]


@pytest.mark.parametrize("crate", CRATES)
def test_flags_are_not_matched(crate: str) -> None:
    matched = [
        f"{file.relative_to(ROOT)}:{code.count(chr(10), 0, found.start()) + 1}: {found[0]}"
        for file in rust_files(crate)
        for code in [code_of(file)]
        for found in re.finditer(r"\btrue =>", code)
    ]
    assert len(matched) <= MATCHED[crate], "\n".join(["match is on more flags than it was:", *matched])


PRONOUNS = re.compile(
    r"(It|Its|They|Their|This|That|These|Those|He|She|What|Who|Whom|Whose|Whoever|Whatever|Where|When)\b"
)
"""A docstring names what a thing holds, or begins with a verb."""


def test_no_docstring_of_the_package_begins_with_a_pronoun() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{node.lineno}: {node.value.value.splitlines()[0]}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        if PRONOUNS.match(node.value.value)
    ]
    assert not wrong, "\n".join(wrong)


BEGUN_BY_A_PRONOUN = {"core": 0, "engine": 6, "python": 2}
"""Comments of crates that begin with a pronoun today: the number may only fall."""


@pytest.mark.parametrize("crate", CRATES)
def test_comments_of_crates_do_not_begin_with_a_pronoun(crate: str) -> None:
    begun = [
        f"{file.relative_to(ROOT)}:{number}: {lines[number].strip()}"
        for file in sorted(source_of(crate).rglob("*.rs"))
        for lines in [["", *file.read_text().splitlines()]]
        for number in range(1, len(lines))
        if not lines[number - 1].lstrip().startswith("///")
        if PRONOUNS.match(lines[number].lstrip().removeprefix("/// "))
        if lines[number].lstrip().startswith("/// ")
    ]
    assert len(begun) <= BEGUN_BY_A_PRONOUN[crate], "\n".join(["more begin with a pronoun than did:", *begun])
