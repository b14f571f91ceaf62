"""A configuration as people would type it: TOML of a mapping, with nothing filled in.

``Config.to_toml`` writes every default too, which is more than a demonstration wants to show.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(mapping: Mapping[str, Any]) -> str:
    """Return TOML of two levels of tables; what is deeper is written inline."""
    return "\n".join(_section(path, values) for path, values in _sections(mapping))


def _sections(mapping: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind, value in mapping.items():
        named = all(isinstance(one, Mapping) for one in value.values())
        yield from ((f"{kind}.{_key(name)}", one) for name, one in value.items()) if named else [(kind, value)]


def _section(path: str, values: Mapping[str, Any]) -> str:
    return "\n".join([f"[{path}]", *(f"{_key(name)} = {_value(value)}" for name, value in values.items())]) + "\n"


def _value(value: Any) -> str:
    match value:
        case bool() | int() | str():
            return json.dumps(value, ensure_ascii=False)
        case Mapping():
            return f"{{ {', '.join(f'{_key(key)} = {_value(one)}' for key, one in value.items())} }}"
        case _:
            return f"[{', '.join(map(_value, value))}]"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
