"""A protocol is one file and one line: nobody in the package knows one by its name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from headworks import _engine
from headworks.config.models import Whole
from headworks.config.protocols import PROTOCOLS

PACKAGE = Path(__file__).resolve().parents[2] / "python" / "headworks"
NAMES = frozenset(_engine.protocols())

KINDS_OF_CHECKS = "config/models/server.py"
"""Health checks have kinds of their own, of which two are called as protocols are."""
THEIRS = ("importing/haproxy/", "importing/nginx/", "importing/patterns.py")
"""Translations: their modes are words of other programs, and each becomes one of our protocols by its name."""
LITERALS = "config/models/literals.py"
"""Type checkers must be told the names: tests/house/test_literals.py looks at what else is there, and compares."""
SCHEMES = {
    ("config/advice.py", "http"),
    ("config/advice.py", "https"),
    ("config/models/answers.py", "https"),
    ("config/models/table.py", "https"),
    ("config/providers.py", "https"),
    ("config/redirects.py", "https"),
    ("testing/consulted.py", "https"),
    ("importing/sniproxy/listeners.py", "https"),
    ("importing/sniproxy/translation.py", "http_host"),
    ("syslog.py", "tcp"),
}
"""Schemes of redirects and URLs, and words of sniproxy and of syslog, that are called as a protocol is."""


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Yield the names of all keys at or below a model: some are called as protocols are."""
    for name, field in model.model_fields.items():
        yield name
        for below in models(field.annotation):
            yield from keys(below)


def models(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from models(argument)


def named(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every protocol's name in quotes."""
    for found in code(node):
        if isinstance(found, ast.Constant) and found.value in NAMES:
            yield found.lineno, str(found.value)


def compared(node: ast.AST) -> Iterator[int]:
    """Yield the lines where something that is said to be a protocol or a kind meets a name in quotes."""
    parts: list[ast.AST | None]
    for found in code(node):
        match found:
            case ast.Compare(left=left, comparators=others):
                parts = [left, *others]
            case ast.Dict(keys=names, values=values):
                parts = [
                    part for pair in zip(names, values, strict=True) if "protocol" in told(pair[0]) for part in pair
                ]
            case ast.Call(args=arguments, func=called) if told(called) == "applies":
                parts = [ast.Name("protocol"), *arguments[1:]]
            case ast.Match(subject=subject, cases=cases) if "protocol" in told(subject):
                parts = [subject, *(case.pattern for case in cases)]
            case _:
                continue
        written = [name for part in parts if part is not None for name in named(part)]
        if written and any("protocol" in told(part) for part in parts):
            yield found.lineno


def code(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a tree's nodes, examples and descriptions of keys aside."""
    if not isinstance(node, ast.keyword) or node.arg not in ("examples", "description"):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from code(child)


def told(node: ast.AST | None) -> str:
    """Return the source of a node."""
    return "" if node is None else ast.unparse(node)


FILES = [file for file in sorted(PACKAGE.rglob("*.py")) if "demo" not in file.parts]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_protocol_is_known_by_its_name(file: Path) -> None:
    tree, where = ast.parse(file.read_text()), str(file.relative_to(PACKAGE))
    if where in (KINDS_OF_CHECKS, LITERALS) or where.startswith(THEIRS):
        return
    tables = set(keys(Whole))
    wrong = [
        f"{where}:{line}: {name}" for line, name in named(tree) if name not in tables and (where, name) not in SCHEMES
    ]
    wrong += [f"{where}:{line}: asks for a name, where a fact of protocols.py would do" for line in compared(tree)]
    assert not wrong, "\n".join(wrong)


def test_a_name_would_be_found() -> None:
    assert list(compared(ast.parse('listener.protocol == "tls"'))) == [1]
    assert list(compared(ast.parse('listener.protocol in ("a", "http")'))) == [1]
    assert list(compared(ast.parse('{"bind": 1, "protocol": "tls"}'))) == [1]
    assert list(compared(ast.parse('applies(field, "http")'))) == [1]
    assert list(compared(ast.parse('match listener.protocol:\n case "http": pass'))) == [1]
    assert list(compared(ast.parse('listener.protocol == wanted and path == ("tls",)'))) == []


def test_every_protocol_can_be_configured() -> None:
    assert list(PROTOCOLS) == list(_engine.protocols())
    for protocol in PROTOCOLS.values():
        if protocol.kinds:
            continue  # their routes are those of kinds
        assert "backend" in protocol.routes(ends_tls=False)
        assert "table" in protocol.routes(ends_tls=True)
        assert protocol.versions or not protocol.requests
