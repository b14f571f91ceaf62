"""A configuration as TOML, as people would type it, with the comments of the file that it comes from.

Must never say anything but what it is given: whoever reads the TOML back gets the same mapping.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from headworks.importing.report import Remarks

Path = tuple[str, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_LONGEST_LINE = 90
_NAMED = frozenset({"listeners", "tables", "backends"})
"""Tables of tables."""


def write(value: Mapping[str, Any], remarks: Mapping[Path, Remarks], order: Sequence[Path] = ()) -> str:
    """Return the TOML. ``order`` has sections with an order of their own; the comments at ``()`` frame it."""
    paths = [
        path for kind in value for path in ([(kind, name) for name in value[kind]] if kind in _NAMED else [(kind,)])
    ]
    known = set(order) & set(paths)
    ordered = iter([path for path in order if path in known])
    sections = [_section(next(ordered) if path in known else path, value, remarks) for path in paths]
    frame = remarks.get((), Remarks())
    return "\n".join([*_framed(frame.before), *sections, *_framed(frame.after)])


def _framed(comments: Sequence[str]) -> list[str]:
    return ["".join(f"{line}\n" for line in _comments(comments))] if comments else []


def _section(path: Path, value: Mapping[str, Any], remarks: Mapping[Path, Remarks]) -> str:
    section: Any = value
    for key in path:
        section = section[key]
    here = remarks.get(path, Remarks())
    lines = [*_comments(here.before), f"[{'.'.join(map(_key, path))}]{_beside(here.beside)}"]
    for key, one in section.items():
        at = remarks.get((*path, key), Remarks())
        lines += _comments(at.before)
        written = [f"{_key(key)} = {_value(one)}"] if path[0] == "tables" else [*_assigned((key,), one)]
        lines += [f"{line}{_beside(at.beside)}" for line in written]
        lines += _comments(at.after)
    return "\n".join([*lines, *_comments(here.after)]) + "\n"


def _assigned(path: Path, value: Any) -> Iterator[str]:
    """Yield ``key = value``, with dotted keys for what is in tables."""
    if isinstance(value, Mapping) and value:
        for key, one in value.items():
            yield from _assigned((*path, key), one)
    else:
        yield f"{'.'.join(map(_key, path))} = {_value(value)}"


def _comments(texts: Iterable[str]) -> list[str]:
    return [f"# {_plain(line)}".rstrip() if line else "" for text in texts for line in text.split("\n")]


def _beside(text: str | None) -> str:
    return "" if text is None else f"  # {_plain(text)}".rstrip()


def _plain(text: str) -> str:
    return "".join(one if one.isprintable() or one == "\t" else "?" for one in text)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case list() | tuple():
            return _listed([_value(one) for one in value])
        case Mapping():
            inside = ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case _:
            return _text(str(value))


def _listed(items: Sequence[str]) -> str:
    """Return a list: in one line, where that is not too long to be read."""
    line = f"[{', '.join(items)}]"
    if len(line) <= _LONGEST_LINE or any("\n" in item for item in items):
        return line
    return "\n".join(["[", *(f"    {item}," for item in items), "]"])


def _text(text: str) -> str:
    """Quote a text; one with backslashes as it is, where that is possible."""
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
