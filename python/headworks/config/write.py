"""From a Config to TOML: normalised, every default written out, unset keys as comments.

Must never lose anything: what it writes parses to an equal Config.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from headworks.config.config import Config
from headworks.config.models import Health, Listener, Target
from headworks.config.models.base import HTTP, applies
from headworks.config.values import Duration, Mode, Size

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def write(config: Config) -> str:
    """Return the configuration as TOML."""
    http = any(listener.protocol in HTTP for listener in config.listeners.values())
    kind = "http" if http else "tcp"
    sections = [_section(("proxy",), config.proxy, kind), _section(("logs",), config.logs, kind)]
    sections += [_section(("listeners", name), listener, kind) for name, listener in config.listeners.items()]
    sections += [_table(("tables", name), table) for name, table in config.tables.items()]
    sections += [_section(("backends", name), backend, kind) for name, backend in config.backends.items()]
    return "\n".join(sections)


def _section(path: tuple[str, ...], model: BaseModel, kind: str) -> str:
    """One table: its values first, then the tables below it, as TOML wants. What is not for ``kind`` is left out."""
    lines = [_header(path)]
    below = []
    match model:
        case Listener():
            kind = model.protocol
        case Health():
            kind = model.kind
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if not applies(field, kind) and value == field.default:
            continue
        if isinstance(value, BaseModel):
            below.append(_section((*path, name), value, kind))
        else:
            lines.append(_line(name, field, value))
    return "\n".join(["\n".join(lines) + "\n", *below])


def _table(path: tuple[str, ...], table: Mapping[str, Target]) -> str:
    entries = (f"{_key(name)} = {_value(_short(target))}" for name, target in table.items())
    return "\n".join([_header(path), *entries]) + "\n"


def _short(target: Target) -> Target | str:
    return target if target.backend is None else target.backend


def _header(path: tuple[str, ...]) -> str:
    return f"[{'.'.join(map(_key, path))}]"


def _line(name: str, field: FieldInfo, value: Any) -> str:
    if value is None:
        extra = field.json_schema_extra
        unset = extra.get("unset", "not set") if isinstance(extra, dict) else "not set"
        return f"# {name}: {unset}"
    return f"{name} = {_value(_written(field, value))}"


def _written(field: FieldInfo, value: Any) -> Any:
    scalar = next((item for item in field.metadata if isinstance(item, Duration | Size | Mode)), None)
    return scalar.show(value) if scalar else value


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case tuple():
            items = [_value(item) for item in value]
            if any(isinstance(item, BaseModel) for item in value):
                return "[\n" + "".join(f"  {item},\n" for item in items) + "]"
            return f"[{', '.join(items)}]"
        case BaseModel() | dict():
            return _braces(value)
        case _:
            return str(value)


def _braces(value: BaseModel | dict[str, Any]) -> str:
    items = value.items() if isinstance(value, dict) else _given(value)
    inside = ", ".join(f"{_key(name)} = {_value(item)}" for name, item in items)
    return f"{{ {inside} }}" if inside else "{}"


def _given(model: BaseModel) -> Iterator[tuple[str, Any]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if value is not None:
            yield name, _written(field, value)


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
