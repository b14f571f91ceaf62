"""Text that is not TOML: every error at once, in words, and the other formats that it may be.

An error is found, its line is left out, and the rest is read again. Must never change what is read where nothing is
wrong: it is asked only then.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from headworks import _engine
from headworks.config.problems import Path, did_you_mean, show_path

_MOST = 20
"""Errors that are told at once."""

_HEADER = re.compile(r"\s*\[\[?\s*(.+?)\s*\]\]?\s*(#.*)?$")
_KEY = r"\s*(?:[A-Za-z0-9_.-]+|\"[^\"]*\"|'[^']*')+\s*"
_COLON = re.compile(rf"({_KEY}):(?:\s|$)")
_BARE = re.compile(rf"{_KEY}=\s*([A-Za-z_/:*~.][^\s,#\"'\[\]{{}}=]*)\s*(#.*)?$")
_OPENS = re.compile(r"=\s*\[(?![^\]#\"']*\])|=\s*\[[^#]*,\s*(#.*)?$")

_FOREIGN = (
    (
        "sniproxy's",
        "coming-from-sniproxy",
        r"(?m)^\s*(listen(er)?|table)\b[^=;]*\{\s*$|^\s*(user|username)\s+[\w-]+\s*$",
    ),
    ("nginx's", "coming-from-nginx", r"(?m)^\s*(server|http|upstream|events|location)\b[^=]*\{|^\s*listen\s[^=;]*;"),
    ("HAProxy's", "coming-from-haproxy", r"(?m)^\s*(global|defaults|frontend|backend|listen)(\s+[\w.-]+)?\s*$"),
)
"""Files of other programs: whose they are, the page about them, and what their lines look like."""


@dataclass(frozen=True)
class Mistake:
    """One thing that makes text no TOML. Line and column count from 1."""

    reason: str
    line: int
    column: int
    suggestion: str | None = None


def mistakes(text: str) -> list[Mistake]:
    """Return everything that keeps ``text`` from being TOML, at most 20; empty when it is TOML."""
    lines = text.split("\n")
    found: list[Mistake] = []
    twice: list[tuple[int, int, Path]] = []
    positions: dict[Path, int] = {}
    for _ in range(_MOST):
        try:
            parsed = json.loads(_engine.parse_toml("\n".join(lines)))
        except _engine.TomlError as error:
            if not found and not twice and (format_ := foreign(text)):
                return [format_]
            reason, line, column = error.args
            if reason == "duplicate key" and (path := _path(lines, line - 1)):
                twice.append((line, column, path))
            else:
                found.append(_told(lines, reason, line, column))
                line = found[-1].line
            _leave_out(lines, line - 1, error.args[1] - 1)
        else:
            positions = {tuple(path): line for path, line, _ in parsed["positions"]}
            break
    for line, column, path in twice:
        other = f": it is in line {positions[path]} already" if path in positions else ""
        found.append(Mistake(f"duplicate key {show_path(path)}{other}", line, column))
    return sorted(found, key=lambda one: (one.line, one.column))


def foreign(text: str) -> Mistake | None:
    """Say what the text is when it is a configuration in another format."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if text.lstrip().startswith("{"):
        return Mistake("this is JSON, and a configuration is TOML: [listeners.NAME] and key = value", 1, 1)
    if any("=" in line and "{" not in line.partition("=")[0] for line in lines if re.match(rf"{_KEY}=", line)):
        return None
    for whose, page, pattern in _FOREIGN:
        if re.search(pattern, text):
            return Mistake(f"this is {whose} format, and a configuration is TOML; see docs/{page}.md", 1, 1)
    likes = sum(bool(re.match(r"\s*(- )?[\w.\"'*-]+:(\s|$)|\s*- |---", line)) for line in lines)
    if lines and likes == len(lines):
        return Mistake("this is YAML, and a configuration is TOML: [listeners.NAME] and key = value", 1, 1)
    return None


def _told(lines: list[str], reason: str, line: int, column: int) -> Mistake:
    """Put one error of the parser into our words, where the line shows what was meant."""
    source = lines[line - 1] if line <= len(lines) else ""
    if "array" in reason:
        opened = next((n for n in range(min(line, len(lines)), 0, -1) if _OPENS.search(lines[n - 1])), None)
        if opened is not None:
            column = lines[opened - 1].index("[", lines[opened - 1].index("=")) + 1
            return Mistake("the list that begins here is not closed, expected `]`", opened, column)
    if colon := _COLON.match(source):
        shown = f"{colon[1].strip()} = {source[colon.end() :].strip()}"
        return Mistake("between a key and its value is =, not a colon", line, column, did_you_mean(shown))
    if (bare := _BARE.match(source)) and bare[1] not in ("true", "false"):
        word = bare[1].lower()
        meant = {"yes": "true", "on": "true", "True": "true", "no": "false", "off": "false"}.get(word, f'"{bare[1]}"')
        meant = word if word in ("true", "false") else meant
        return Mistake(f"text is written in quotes, and {bare[1]} has none", line, column, did_you_mean(meant))
    return Mistake(reason, line, column)


def _leave_out(lines: list[str], line: int, stopped: int) -> None:
    """Take an error out. A header gets another name, so that what follows does not become part of another table."""
    is_header = line < len(lines) and lines[line].lstrip().startswith("[")
    for number in range(line, max(line + 1, stopped)):
        if number < len(lines):
            lines[number] = ""
    if is_header:
        lines[line] = f"[__left_out_{line}]"


def _path(lines: list[str], line: int) -> Path | None:
    """Return the path of the key, or of the table, that a line gives."""
    if header := _HEADER.fullmatch(lines[line]):
        return None if lines[line].lstrip().startswith("[[") else _keys(f"[{header[1]}]")
    above = next((found for n in range(line, -1, -1) if (found := _HEADER.fullmatch(lines[n]))), None)
    key = re.match(_KEY, lines[line])
    if key is None or not key[0].strip():
        return None
    table = _keys(f"[{above[1]}]") if above else ()
    own = _keys(f"{key[0]} = 1")
    return None if table is None or own is None else table + own


def _keys(text: str) -> Path | None:
    """Return the keys that lead to the one value in ``text``."""
    try:
        value: Any = json.loads(_engine.parse_toml(text))["value"]
    except _engine.TomlError:
        return None
    path: Path = ()
    while isinstance(value, dict) and len(value) == 1:
        key, value = next(iter(value.items()))
        path += (key,)
    return path
