"""Fields: which fields of requests a configuration looks at, and rules that take them down while it is recorded.

Owns the keys under which access records have them. Must never change what becomes of a request: the rules only log.
"""

import json
import linecache
import re
from collections.abc import Iterator, Sequence
from typing import Any

from headworks.config import Config
from headworks.config.document import plain
from headworks.config.loaded import Loaded
from headworks.config.protocols import PROTOCOLS
from headworks.inherited import inherited

KEY = "recorded_"
LONGEST = 4096
"""Characters of a field that are kept: rules may make 64 KiB of text for a request, and the site's own come after."""
MOST = 32
_ALWAYS = ("content-length",)
"""Limits of bodies are decided by it."""
_VARIABLE = re.compile(r"\{header\.([!#$%&'*+.^_`~0-9A-Za-z-]+)")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LOOKS = ("header", "has_header")


def looked_at(loaded: Loaded) -> tuple[str, ...]:
    """Return the fields that the decisions of a configuration, and the heads it writes, depend on."""
    spec = json.loads(loaded.config.spec(inherited(), loaded.store))
    return tuple(dict.fromkeys((*_ALWAYS, *sorted(set(_within(spec)) - {"host"}))))


def _within(value: Any) -> Iterator[str]:
    """Yield the fields that a part of a Spec names, in lower case."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield from map(str.lower, _VARIABLE.findall(text))
            case list() as items:
                waiting += items
            case dict() as keys:
                yield from _named(keys)
                waiting += keys.values()


def _named(keys: dict[str, Any]) -> Iterator[str]:
    for look in _LOOKS:
        if isinstance(name := keys.get(look), dict) and isinstance(name.get("text"), str):
            yield name["text"].lower()
    if keys.get("affinity") or "cookie" in keys:
        yield "cookie"
    if isinstance(name := keys.get("hash_header"), str):
        yield name.lower()


def chosen(loaded: Loaded, more: Sequence[str]) -> tuple[str, ...]:
    """Return the fields to take down: those that are looked at, and ``more``. Raises ValueError for what is no name."""
    for name in more:
        if not _NAME.fullmatch(name):
            raise ValueError(f'"{name}" is not a name of a field such as User-Agent')
    every = tuple(dict.fromkeys((*looked_at(loaded), *map(str.lower, more))))
    if len(every) > MOST:
        raise ValueError(f"{len(every)} fields are more than the {MOST} that can be recorded: {', '.join(every)}")
    return every


def capturing(config: Config, fields: Sequence[str], listeners: Sequence[str]) -> Config:
    """Return the configuration with rules before its own that take fields down, and without an access log.

    What they take down would be in the log otherwise, in plain.
    """
    whole = plain(config)
    rules = [_rule(number, name) for number, name in enumerate(fields)]
    for name in listeners:
        if PROTOCOLS[config.listeners[name].protocol].requests:
            whole["listeners"][name]["rules"] = [*rules, *config.listeners[name].rules]
    whole.setdefault("logs", {})["access"] = "off"
    return Config.parse(whole)


def _rule(number: int, name: str) -> Any:
    """Return a rule that takes down one field."""
    key = f"{KEY}{number}"
    text = (
        "import headworks\n\n"
        "@headworks.rule\n"
        f"def {key}(request: headworks.Request) -> headworks.Verdict | None:\n"
        f"    value = request.headers.get({name!r})\n"
        "    if value is not None:\n"
        f"        return headworks.log({key}=value[:{LONGEST}])\n"
        "    return None\n"
    )
    file = f"<headworks recording {name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, Any] = {"__name__": "headworks_recording"}
    exec(compile(text, file, "exec"), names)  # noqa: S102  (the text is ours; the name is a literal of it)
    return names[key]
