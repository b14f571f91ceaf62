"""One meaning a word: words that we do not use appear in no name of ours (see docs/lexicon.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

UNUSED = {
    "peer": "client or server: who is at the other end",
    "upstream": "server",
    "downstream": "client",
    "frontend": "listener",
    "context": "say what it is (scene, facts, plan)",
    "manager": "supervisor, or what it does",
    "handler": "analyzer, or what it does",
    "util": "the file's real subject",
    "utils": "the file's real subject",
    "helper": "the file's real subject",
    "helpers": "the file's real subject",
    "data": "what it holds: bytes, head, record",
    "info": "what it tells: facts, stats, row",
}

ALLOWED = {
    "context_settings": "typer calls it so",
    "contextmanager": "Python's own name",
    "contextlib": "Python's own name",
    "getpeername": "the system call's name",
    "peer_addr": "the standard library's name",
    "info": "a level of log lines, which everybody calls so",
    "PEER": "OpenSSL and the kernel call it so",
    "SOCK_DATA": "the kernel calls it so",
    "data_received": "asyncio's own name",
    "handler": "pydantic calls it so, in the schema hooks",
    "data": "tests/data is where Rust projects keep recorded bytes; syn and mio call a member so",
}

PYDANTIC_HOOKS = {"__get_pydantic_core_schema__", "__get_pydantic_json_schema__"}


def parts(name: str) -> list[str]:
    """Split a name into its words: ``PeerInfo`` and ``peer_info`` are peer, info."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def unused(name: str) -> str | None:
    """Return the word in a name that we do not use."""
    if name in ALLOWED:
        return None
    # RFC 8446 calls it early data, and so does everybody.
    name = re.sub(r"(?i)early_?data", "", name)
    return next((word for word in parts(name) if word in UNUSED), None)


def rust_names(text: str) -> Iterator[tuple[int, str]]:
    """Yield what Rust code of ours names: items, fields, parameters and variables. Not what it calls."""
    declared = re.compile(
        r"\b(?:fn|struct|enum|trait|mod|type|const|static|let(?: mut)?|for)\s+(?:r#)?(\w+)|\b(\w+)\s*:\s*[&A-Z(\[d]"
    )
    for number, line in enumerate(text.splitlines(), 1):
        code = re.sub(r'"(?:[^"\\]|\\.)*"', '""', line).partition("//")[0]
        for found in declared.finditer(code):
            yield number, found[1] or found[2]


def python_names(text: str) -> Iterator[tuple[int, str]]:
    """Yield what Python code of ours names: functions, classes, arguments, attributes and variables."""
    tree = ast.parse(text)
    forced = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in PYDANTIC_HOOKS
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in forced:
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def test_files_are_named_with_our_words() -> None:
    files = [*(ROOT / "crates").rglob("*.rs"), *(ROOT / "python").rglob("*.py")]
    wrong = [f"{file.relative_to(ROOT)}: {unused(file.stem)}" for file in files if unused(file.stem)]
    assert not wrong, "\n".join(wrong)


def test_names_are_made_of_our_words() -> None:
    wrong = []
    for kind, names in (("crates/**/src/**/*.rs", rust_names), ("python/**/*.py", python_names)):
        for file in ROOT.glob(kind):
            for line, name in names(file.read_text()):
                if word := unused(name):
                    instead = UNUSED[word]
                    wrong.append(f"{file.relative_to(ROOT)}:{line}: {name}: not {word} but {instead}")
    assert not wrong, "\n".join(wrong)


def test_the_lexicon_lists_the_words_we_do_not_use() -> None:
    lexicon = (ROOT / "docs" / "lexicon.md").read_text()
    missing = [word for word in UNUSED if word not in ("utils", "helpers") and f"| {word} |" not in lexicon]
    assert not missing, f"docs/lexicon.md does not say what to write instead of {', '.join(missing)}"


NAMED_BY_CONFIGURATION = {"analyze", "balance", "protocol", "rules"}
"""Folders whose files beside mod.rs are items of one registry: configuration and recipes name them."""


def lexicon() -> tuple[set[str], set[str]]:
    """Return the words of the lexicon's tables, and the endings that stand for many."""
    text = (ROOT / "docs" / "lexicon.md").read_text().partition("## Words we do not use")[0]
    first, _, second = text.partition("| ending | meaning |")
    endings, _, third = second.partition("| word |")
    cells = "\n".join(re.findall(r"^\| ([^|]+) \|", f"{first}\n{third}", re.MULTILINE))
    return set(re.findall(r"\w+", cells)), set(re.findall(r"^\| (\w+) \|", endings, re.MULTILINE))


def public_types(crate: str) -> Iterator[tuple[Path, str]]:
    """Yield the public types of a crate, each with its file; items of registries and tests are left aside."""
    source = ROOT / "crates" / crate / "src"
    declared = re.compile(r"^\s*pub(?:\([^)]*\))? (?:struct|enum|trait|type|union) (\w+)", re.MULTILINE)
    for file in sorted(source.rglob("*.rs")):
        is_item = file.parent.name in NAMED_BY_CONFIGURATION and file.stem != "mod"
        if not is_item and "tests" not in (*file.relative_to(source).parts[:-1], file.stem):
            code = file.read_text().partition("\n#[cfg(test)]\nmod ")[0]
            yield from ((file.relative_to(ROOT), found[1]) for found in declared.finditer(code))


def test_every_public_type_has_its_line_in_the_lexicon() -> None:
    words, endings = lexicon()
    assert "Session" in words
    assert "Spec" in endings
    missing = [
        f"{file}: {name}"
        for crate in ("core", "engine")
        for file, name in public_types(crate)
        if name not in words and not name.endswith(tuple(endings))
    ]
    assert not missing, "docs/lexicon.md has no line for\n" + "\n".join(missing)
