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
from headworks.config.values import Duration, Mode, Size

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def write(config: Config) -> str:
    """Return the configuration as TOML."""
    sections = [_section(("proxy",), config.proxy), _section(("logs",), config.logs)]
    sections += [_section(("listeners", name), listener) for name, listener in config.listeners.items()]
    sections += [_table(("tables", name), table) for name, table in config.tables.items()]
    sections += [_section(("backends", name), backend) for name, backend in config.backends.items()]
    return "\n".join(sections)


def _section(path: tuple[str, ...], model: BaseModel) -> str:
    """One table: its values first, then the tables below it, as TOML wants."""
    lines = [_header(path)]
    below = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            below.append(_section((*path, name), value))
        else:
            lines.append(_line(name, field, value))
    return "\n".join(["\n".join(lines) + "\n", *below])


def _table(path: tuple[str, ...], table: Mapping[str, str]) -> str:
    return "\n".join([_header(path), *(f"{_key(name)} = {_value(value)}" for name, value in table.items())]) + "\n"


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
        case BaseModel():
            return f"{{ {', '.join(_inline(value))} }}"
        case _:
            return str(value)


def _inline(model: BaseModel) -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if value is not None:
            yield f"{name} = {_value(_written(field, value))}"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
