"""Write the reference of everything public in Python, from signatures and docstrings.

``python tools/api_docs.py docs/api.md`` replaces what follows the marker in that file; with ``--check`` it writes
nothing and exits 1 when the file is not up to date. Signatures are those of the source, so that the page does not
depend on the interpreter.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

import renewing

from headworks.testing.streams import PATIENCE

N = TypeVar("N", ast.FunctionDef, ast.ClassDef)

MARKER = "<!-- What follows is written by tools/api_docs.py from signatures and docstrings: edit those. -->"

GROUPS: dict[str, tuple[str, ...]] = {
    "A running proxy": (
        "Proxy",
        "Stats",
        "Counters",
        "ListenerStats",
        "BackendStats",
        "ServerStats",
        "AnalyzerStats",
        "Connection",
        "stats.Connections",
        "Notice",
        "AccessRecord",
        "records.Refusal",
        "feed.Subscription",
        "BindError",
        "BindFailure",
        "__version__",
    ),
    "Configuration": ("Config", "ConfigError", "Problem", "explain", "Explanation", "ServerChoice"),
    "Rules": ("rule", "Rule", "RuleError", "networks", "rules.networks.Networks", "sample", "now", "load"),
    "What rules and analyzers look at": (
        "Request",
        "Response",
        "Hello",
        "Tls",
        "rules.fields.Headers",
        "rules.fields.Cookies",
        "rules.fields.QueryParams",
    ),
    "Verdicts": ("Verdict", "route", "respond", "redirect", "reject", "rewrite", "limit", "log", "consult"),
    "Analyzers": ("Analyzer", "Exchange", "analyzers.connection.Connection"),
    "Providers": ("Provider",),
    "Verdicts of analyzers alone": ("bypass", "wait", "read_body", "replace", "drop", "finish"),
    "Recording": (
        "Recording",
        "recording.tape.Tape",
        "replay",
        "recording.Replayed",
        "recording.Difference",
        "recording.RecordingError",
    ),
    "Testing": (
        "testing.decide",
        "testing.matches_snapshot",
        "testing.Scene",
        "testing.Proxies",
        "testing.TestedProxy",
        "testing.Origins",
        "testing.Origin",
        "testing.Answer",
        "testing.Received",
        "testing.Client",
        "testing.Reply",
        "testing.Heard",
        "testing.Faults",
        "testing.Middleman",
    ),
}
"""Every public name, and the types of what they return, in the order of the page. Names are below ``headworks``."""

ALIASES = {
    "Source": "config.loaded",
    "Answer": "analyzers.base",
    "Done": "analyzers.base",
    "Buckets": "stats",
    "Script": "testing.origins",
    "Address": "testing.clients",
    "Fields": "testing.streams",
}
"""Names of types in signatures, and where each is declared."""

VALUES = {"__version__": "The version of the package, a text."}
"""Public names that are neither functions nor classes."""

GIVEN = {"feed.Subscription", "recording.tape.Tape", "rules.networks.Networks"}
"""Classes that nobody makes but the package."""

CONSTANTS = {"PATIENCE": str(PATIENCE)}
"""Names that stand for defaults."""

_WIDEST = 100
"""Columns of a signature in one line."""

INNER = {"decode", "of", "compiled"}
"""Methods that the package calls itself."""


@dataclass(frozen=True)
class Member:
    """A method, a property or an attribute of a class."""

    name: str
    signature: str
    doc: str | None
    node: ast.AST


@dataclass(frozen=True)
class Entry:
    """A public name."""

    name: str
    """As it is imported: ``headworks.Proxy``."""
    signature: str
    doc: str | None
    node: ast.AST | None
    bases: tuple[str, ...] = ()
    """Names on this page that it has everything of."""
    fields: tuple[Member, ...] = ()
    methods: tuple[Member, ...] = field(default=())


def renewed(text: str) -> str:
    """Return the page with everything below the marker written anew."""
    return renewing.below(MARKER, text) + "\n\n" + reference()


def reference() -> str:
    """Return one section a group, one entry a name, and the names of types."""
    lines: list[str] = []
    for title, names in GROUPS.items():
        lines.append(f"## {title}\n")
        for name in names:
            lines += _shown(entry(name))
    lines.append("## Names of types\n")
    lines.append("| in signatures | stands for |\n|---|---|")
    lines += [f"| `{name}` | `{_alias(name, module)}` |".replace(" | ", " \\| ") for name, module in ALIASES.items()]
    # The columns of the table are not alternatives of a type.
    text = "\n".join(lines) + "\n"
    return re.sub(r"^\| (`\w+`) \\\| ", r"| \1 | ", text, flags=re.MULTILINE)


def every_entry() -> Iterator[Entry]:
    """Yield every entry of the page."""
    for names in GROUPS.values():
        yield from map(entry, names)


@cache
def entry(name: str) -> Entry:
    """Return what is known of a name below ``headworks``."""
    full = f"headworks.{name}"
    if name in VALUES:
        return Entry(full, "", VALUES[name], None)
    module, _, own = full.rpartition(".")
    thing = getattr(import_module(module), own)
    if inspect.isfunction(thing):
        node = _found(thing, ast.FunctionDef)
        return Entry(full, _signature(node), _doc(node), node)
    return _class(full, thing if inspect.isclass(thing) else type(thing))


def _class(full: str, kind: type[Any]) -> Entry:
    node = _found(kind, ast.ClassDef)
    bases = tuple(_listed(base) for base in kind.__mro__[1:] if _listed(base))
    fields: list[Member] = []
    methods: list[Member] = []
    # Classes that are not on the page themselves are told of where they are derived from.
    for one in reversed([kind, *(base for base in kind.__mro__[1:] if _is_ours(base) and not _listed(base))]):
        source = _found(one, ast.ClassDef)
        is_model = hasattr(one, "model_fields")
        fields += [] if is_model else _fields(source)
        methods += _methods(source)
    made = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
    own = full.rpartition(".")[2]
    is_given = full.removeprefix("headworks.") in GIVEN or kind.__name__ != own
    signature = "" if is_given or not made else own + _signature(made[0])
    return Entry(full, signature, _doc(node), node, bases, tuple(_last(fields)), tuple(_last(methods)))


def _last(members: list[Member]) -> list[Member]:
    """Leave out what a derived class has again."""
    return list({one.name: one for one in members}.values())


def _fields(node: ast.ClassDef) -> list[Member]:
    """Return the attributes that a class declares, those of its ``__init__`` with a docstring, and its properties."""
    found = list(_declared(node.body, "", every=True))
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and one.name == "__init__":
            found += _declared(one.body, "self.", every=False)
        elif isinstance(one, ast.FunctionDef) and _is_property(one) and not one.name.startswith("_"):
            returned = ast.unparse(one.returns) if one.returns is not None else ""
            found.append(Member(one.name, _plain(returned), _doc(one), one))
    return found


def _declared(body: list[ast.stmt], before: str, *, every: bool) -> Iterator[Member]:
    for one, following in zip(body, [*body[1:], None], strict=True):
        target = (
            one.target if isinstance(one, ast.AnnAssign) else one.targets[0] if isinstance(one, ast.Assign) else None
        )
        if target is None or not ast.unparse(target).startswith(before):
            continue
        name = ast.unparse(target).removeprefix(before)
        is_told = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        doc = inspect.cleandoc(str(following.value.value)) if is_told else None  # type: ignore[union-attr]
        if not name.isidentifier() or name.startswith("_") or (doc is None and not every):
            continue
        kind = _plain(ast.unparse(one.annotation)) if isinstance(one, ast.AnnAssign) else ""
        default = one.value if isinstance(one, ast.AnnAssign) else None
        shown = _plain(f" = {ast.unparse(default)}") if isinstance(default, ast.Constant) and every else ""
        yield Member(name, kind + shown, doc, one)


def _methods(node: ast.ClassDef) -> list[Member]:
    found = []
    for one in node.body:
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) or _is_property(one) or one.name in INNER:
            continue
        if any(ast.unparse(decorator) == "overload" for decorator in one.decorator_list):
            continue
        if one.name.startswith("_") and one.name != "__call__":
            continue
        found.append(Member(one.name, _signature(one), _doc(one), one))
    return found


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(one) in ("property", "cached_property") for one in node.decorator_list)


def _is_ours(kind: type[Any]) -> bool:
    return kind.__module__.startswith("headworks.")


@cache
def _places() -> dict[type[Any], str]:
    """Return the classes of the page with their names."""
    places: dict[type[Any], str] = {}
    for name in (name for names in GROUPS.values() for name in names if name not in VALUES):
        module, _, own = f"headworks.{name}".rpartition(".")
        thing = getattr(import_module(module), own)
        if inspect.isclass(thing):
            places[thing] = f"headworks.{name}"
    return places


def _listed(kind: type[Any]) -> str:
    return _places().get(kind, "")


@cache
def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def _found(thing: Any, kind: type[N]) -> N:
    """Return the source of a function or class."""
    named = (node for node in _tree(sys.modules[thing.__module__]).body if isinstance(node, kind))
    return next(node for node in named if node.name == thing.__name__)


def _doc(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str | None:
    return ast.get_docstring(node)


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return how a function is called, with types: in one line, or a line for each argument where that is long."""
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    called = "" if node.name == "__init__" else f"{word} {node.name}"
    returned = f" -> {ast.unparse(node.returns)}" if node.returns is not None and called else ""
    given = [_plain(one) for one in _given(node.args)]
    line = _plain(f"{called}({', '.join(given)}){returned}")
    if len(line) <= _WIDEST:
        return line
    return f"{called}(\n" + "".join(f"    {one},\n" for one in given) + _plain(f"){returned}")


def _given(args: ast.arguments) -> Iterator[str]:
    """Yield each argument as it is written, without the object itself."""
    positional = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(positional) - len(args.defaults)) + list(args.defaults)
    for number, (one, default) in enumerate(zip(positional, defaults, strict=True), 1):
        if one.arg not in ("self", "cls"):
            yield _argument(one, default)
            if number == len(args.posonlyargs):
                yield "/"
    if args.vararg is not None:
        yield f"*{_argument(args.vararg, None)}"
    elif args.kwonlyargs:
        yield "*"
    for one, value in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield _argument(one, value)
    if args.kwarg is not None:
        yield f"**{_argument(args.kwarg, None)}"


def _argument(one: ast.arg, default: ast.expr | None) -> str:
    kind = f": {ast.unparse(one.annotation)}" if one.annotation is not None else ""
    equals = " = " if kind else "="
    return one.arg + kind + (f"{equals}{_value(default)}" if default is not None else "")


def _value(default: ast.expr) -> str:
    written = ast.unparse(default)
    return CONSTANTS.get(written, written)


def _plain(signature: str) -> str:
    """Take the quotes off types that are written as texts; those that stay are double, as everywhere."""
    bare = re.sub(r"'((?:[A-Za-z_][\w.]*\[)?[A-Z][\w.\[\], |]*|[a-z]+\[[\w.\[\], |]+\])'", r"\1", signature)
    return re.sub(r"'([^'\"]*)'", r'"\1"', bare)


def _alias(name: str, module: str) -> str:
    """Return what a name of a type stands for, as it is declared."""
    tree = _tree(import_module(f"headworks.{module}"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return _plain(ast.unparse(node.value))
    raise SystemExit(f"headworks.{module} declares no {name}")


def _shown(one: Entry) -> Iterator[str]:
    yield f"### `{one.name}`\n"
    if one.signature:
        yield f"```python\n{one.signature}\n```\n"
    if one.doc:
        yield f"{_markdown(one.doc)}\n"
    for base in one.bases:
        yield f"It has everything of [`{base}`](#{_anchor(base)}).\n"
    if one.name == "headworks.Config":
        yield "Its attributes are the tables of the file: see [Configuration](configuration.md).\n"
    if one.fields:
        yield "| attribute | type | is |\n|---|---|---|"
        for member in one.fields:
            kind = member.signature.replace("|", "\\|")
            yield f"| `{member.name}` | {f'`{kind}`' if kind else ''} | {_cell(member.doc or '')} |"
        yield ""
    for member in one.methods:
        yield f"#### `{one.name.rpartition('.')[2]}.{member.name}`\n"
        yield f"```python\n{member.signature}\n```\n"
        if member.doc:
            yield f"{_markdown(member.doc)}\n"


def _anchor(name: str) -> str:
    return re.sub(r"[^\w-]", "", name.lower())


def _markdown(doc: str) -> str:
    """Return a docstring as Markdown: code in single backticks, examples fenced."""
    parts = []
    for paragraph in re.split(r"\n\n(?! )", doc):
        text, colons, example = paragraph.partition("::\n\n")
        shown = text.replace("``", "`").replace("\n", " ") + (":" if colons else "")
        parts.append(shown)
        if colons:
            parts.append(f"```python\n{inspect.cleandoc(example)}\n```")
    return "\n\n".join(parts)


def _cell(doc: str) -> str:
    """Return a docstring as a cell of a table; that of a property says what it is."""
    doc = doc.removeprefix("Return ")
    doc = doc[:1].upper() + doc[1:]
    return " ".join(doc.replace("``", "`").replace("|", "\\|").split())


if __name__ == "__main__":
    sys.exit(renewing.run(__doc__, renewed))
