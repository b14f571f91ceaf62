"""Routes of HAProxy: what `use_backend` decides in turn, as a table where that decides the same, else as rules."""

import re
from dataclasses import dataclass
from typing import Any

from headworks.importing.haproxy.conditions import (
    Condition,
    ConditionError,
    Test,
    choices,
)
from headworks.importing.patterns import is_ours
from headworks.importing.targets import Key

_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.ASCII)
_PATH = re.compile(r"(/[!-\"$->@-~]+)*/?")
_HOSTS = ("host", "sni")
_MOST_KEYS = 5000


@dataclass(slots=True)
class Told:
    """Entries of a table that take what a condition takes."""

    keys: list[Key]
    differences: list[str]


def told(condition: Condition) -> Told | None:
    """Return the entries of a table that take what a condition takes; None where no table says that."""
    found = Told([], [])
    try:
        for option in choices(condition):
            made = _keys(option, found.differences)
            if made is None or len(found.keys) + len(made) > _MOST_KEYS:
                return None
            found.keys += made
    except ConditionError:
        return None
    return Told(list(dict.fromkeys(found.keys)), list(dict.fromkeys(found.differences)))


def _keys(option: list[Condition], differences: list[str]) -> list[Key] | None:
    """Return the entries for tests that must hold together: one of the host, one of the path."""
    found: dict[str, list[str]] = {}
    for part in option:
        if not isinstance(part, Test):
            return None
        kind = "host" if part.sample.kind in _HOSTS else part.sample.kind
        is_prefix = kind == "path" and part.match == "beg" and not part.any_case
        made = _hosts(part, differences) if kind == "host" else _paths(part, differences) if is_prefix else None
        if made is None or kind in found:
            return None
        found[kind] = made
    keys = [Key(host, path) for host in found.get("host", ["*"]) for path in found.get("path", [""])]
    return None if any(key.path and key.host.startswith("~") for key in keys) else keys


def _hosts(test: Test, differences: list[str]) -> list[str] | None:
    hosts: list[str] = []
    for value in test.values:
        name = value.lower()
        bare = name.strip(".")
        match test.match:
            case "str" if _NAME.fullmatch(name):
                hosts.append(name.removesuffix("."))
            case "end" if name.startswith(".") and _NAME.fullmatch(bare):
                hosts.append(f"*.{bare}")
            case "end" if _NAME.fullmatch(bare):
                hosts.append(f"~{re.escape(bare)}$")
            case "beg" if _NAME.fullmatch(bare):
                hosts.append(f"~^{re.escape(name)}")
            case "sub" if _NAME.fullmatch(bare):
                hosts.append(f"~{re.escape(name)}")
            case "dom" if _NAME.fullmatch(bare):
                hosts += [bare, f"*.{bare}"]
                differences.append(f"names that go on after {bare} are not taken")
            case "reg" if is_ours(value):
                hosts.append(f"~{name if _is_lower_safe(value) else value}")
            case _:
                return None
    return hosts


def _is_lower_safe(pattern: str) -> bool:
    """Whether an expression means the same in lower case: none of its letters follows a backslash."""
    return not re.search(r"\\[A-Za-z]", pattern)


def _paths(test: Test, differences: list[str]) -> list[str] | None:
    paths: list[str] = []
    for value in test.values:
        if not _PATH.fullmatch(value) or "//" in value:
            return None
        bare = value.rstrip("/")
        if value.endswith("/") and bare:
            differences.append(f"{bare} itself is taken, too")
        elif bare:
            differences.append(f"{bare} is taken on segment bounds: {bare}x is not")
        paths.append(bare)
    return paths


def entries(ways: list[tuple[list[Key], Any]]) -> dict[str, Any]:
    """Return the entries of a table, those that are never reached left out."""
    made: dict[str, Any] = {}
    for keys, target in ways:
        for key in keys:
            made.setdefault(key.text, target)
    return made
