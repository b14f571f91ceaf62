"""The reference of the API is what the package is, and what is public has types, units and errors."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import api_docs
import pytest

import headworks
from headworks import testing

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "api.md"
ENTRIES = list(api_docs.every_entry())
UNITS = {
    "timeout": "second",
    "patience": "second",
    "delay": "second",
    "interval": "second",
    "seconds": "second",
    "watch_interval": "second",
    "need": "byte",
    "limit": "byte|connection",
    "send": "byte",
    "piece": "byte",
    "split": "byte",
    "percent": "0 to 100",
}
"""Names of arguments and attributes that are numbers of something, and the word that says of what."""
ENDINGS = {"_ms": "millisecond|the same", "bytes_in": "byte", "bytes_out": "byte"}


def told() -> Iterator[tuple[str, api_docs.Entry | api_docs.Member, str]]:
    """Yield everything public: its name, itself, and what its class says, which may be said of it too."""
    for entry in ENTRIES:
        yield entry.name, entry, ""
        for member in (*entry.fields, *entry.methods):
            yield f"{entry.name}.{member.name}", member, entry.doc or ""


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """Yield everything that can be called, with what is said of it; the class speaks for its ``__init__``."""
    for name, one, _ in told():
        if isinstance(one.node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, one.node, one.doc or ""
        elif isinstance(one.node, ast.ClassDef):
            for node in one.node.body:
                if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                    yield name, node, one.doc or ""


def test_the_page_is_what_the_package_says() -> None:
    page = PAGE.read_text()
    assert api_docs.renewed(page) == page, "docs/api.md is not up to date: make docs"
    assert api_docs.renewed(page + "\nrubbish\n") == page


def test_every_public_name_is_on_the_page_once() -> None:
    names = [entry.name.removeprefix("headworks.") for entry in ENTRIES]
    assert len(names) == len(set(names))
    public = {*headworks.__all__, *(f"testing.{name}" for name in testing.__all__)}
    assert public <= set(names), f"tools/api_docs.py lacks {', '.join(sorted(public - set(names)))}"
    page = PAGE.read_text()
    missing = [name for name in public if f"### `headworks.{name}`\n" not in page]
    assert not missing


def test_nothing_private_is_on_the_page() -> None:
    headings = re.findall(r"^#+ `([\w.]+)`$", PAGE.read_text(), re.MULTILINE)
    assert len(headings) > 150
    private = {part for heading in headings for part in heading.split(".") if part.startswith("_")}
    assert private == {"__version__", "__call__"}
    arguments = [argument.arg for _, node, _ in functions() for argument in node.args.args + node.args.kwonlyargs]
    assert not [name for name in arguments if name.startswith("_")]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_everything_public_is_documented(entry: api_docs.Entry) -> None:
    silent = [f"{entry.name}.{one.name}" for one in (*entry.fields, *entry.methods) if not one.doc]
    assert entry.doc, f"{entry.name} has no docstring"
    assert not silent, f"no docstring: {', '.join(silent)}"


def test_everything_that_can_be_called_has_types() -> None:
    untyped = [
        f"{name}({argument.arg})"
        for name, node, _ in functions()
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        if argument.annotation is None and argument.arg not in ("self", "cls")
    ]
    untyped += [name for name, node, _ in functions() if node.returns is None]
    assert not untyped, f"no type: {', '.join(untyped)}"


def test_what_is_raised_is_said() -> None:
    unsaid = []
    for name, node, doc in functions():
        for one in ast.walk(node):
            if isinstance(one, ast.Raise) and isinstance(one.exc, ast.Call):
                raised = ast.unparse(one.exc.func)
                # What has a running proxy only raises RuntimeError elsewhere: the class says so.
                if raised not in doc and raised not in ("RuntimeError", "NotImplementedError"):
                    unsaid.append(f"{name} raises {raised}")
    assert not unsaid, "\n".join(unsaid)


def test_numbers_have_units() -> None:
    unsaid = []
    for name, node, doc in functions():
        for argument in (*node.args.args, *node.args.kwonlyargs):
            unit = UNITS.get(argument.arg)
            if unit and not re.search(unit, doc, re.IGNORECASE):
                unsaid.append(f"{name}({argument.arg}): {unit}")
    for name, one, said in told():
        own = name.rpartition(".")[2]
        unit = next((unit for ending, unit in ENDINGS.items() if own.endswith(ending)), UNITS.get(own))
        is_value = isinstance(one.node, ast.AnnAssign)
        if unit and is_value and not re.search(unit, f"{one.doc} {said}", re.IGNORECASE):
            unsaid.append(f"{name}: {unit}")
    assert not unsaid, "\n".join(unsaid)


def test_signatures_are_those_that_are_called() -> None:
    for name in ("Proxy", "respond", "limit", "explain", "testing.decide"):
        module, _, own = f"headworks.{name}".rpartition(".")
        thing = getattr(__import__(module, fromlist=[own]), own)
        entry = api_docs.entry(name)
        wanted = [one for one in inspect.signature(thing).parameters if one != "self"]
        shown = re.findall(r"(?:^|[(, ])\*{0,2}(\w+): ", entry.signature)
        assert shown == wanted, entry.signature
