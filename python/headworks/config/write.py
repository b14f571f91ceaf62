"""TOML that we write: a Config normalised, every default written out and unset keys as comments; or a mapping as it is.

Keys and values are tomlkit's to write; tables stand one after the other here, since appending to a document of its own
costs more with each entry. Must never lose anything: what it writes of a Config parses to an equal one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import tomlkit
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from headworks.config.models import Health, Listener, Target
from headworks.config.models.base import applies
from headworks.config.models.providers import kind_of
from headworks.config.models.whole import Whole
from headworks.config.protocols import HTTP
from headworks.config.values import Duration, Mode, Size


def write(config: Whole) -> str:
    """Return the configuration as TOML."""
    # Backends have what is for requests where any listener sees some.
    kind = max((listener.protocol for listener in config.listeners.values()), key=HTTP.__contains__)
    process = {"proxy": config.proxy, "logs": config.logs, "resolver": config.resolver}
    sections = [_section((name,), one, kind) for name, one in process.items()]
    sections += [_section(("listeners", name), listener, kind) for name, listener in config.listeners.items()]
    sections += [_table(("tables", name), table) for name, table in config.tables.items()]
    sections += [_section(("backends", name), backend, kind) for name, backend in config.backends.items()]
    sections += [_section(("analyzers", name), one, kind) for name, one in config.analyzers.items()]
    sections += [_section(("providers", name), one, kind_of(name, one)) for name, one in config.providers.items()]
    sections += [] if config.admin is None else [_section(("admin",), config.admin, kind)]
    return "\n".join(sections)


def sketch(mapping: Mapping[str, Any]) -> str:
    """Return a configuration as people would type it: nothing filled in, what is below two levels inline."""
    sections: list[tuple[tuple[str, ...], Mapping[str, Any]]] = []
    for kind, value in mapping.items():
        has_names = all(isinstance(one, Mapping) for one in value.values())
        sections += [((kind, name), one) for name, one in value.items()] if has_names else [((kind,), value)]
    return "\n".join(
        "\n".join([_header(path), *(f"{_key(name)} = {_value(value)}" for name, value in values.items())]) + "\n"
        for path, values in sections
    )


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
    return target if target.backend is None or target.analyzers else target.backend


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
    if isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
        return "[\n" + "".join(f"  {_value(item)},\n" for item in value) + "]"
    return str(tomlkit.item(_plain(value)).as_string())


def _plain(value: Any) -> Any:
    """Models become inline tables of what was given."""
    match value:
        case BaseModel():
            return _inline({name: _written(field, getattr(value, name)) for name, field in _given(value)})
        case Mapping():
            return _inline(value)
        case tuple() | list():
            return [_plain(item) for item in value]
        case _:
            return value


def _inline(values: Mapping[str, Any]) -> tomlkit.items.InlineTable:
    table = tomlkit.inline_table()
    for name, value in values.items():
        table.append(name, _plain(value))
    return table


def _given(model: BaseModel) -> Iterator[tuple[str, FieldInfo]]:
    fields = type(model).model_fields.items()
    return ((name, field) for name, field in fields if getattr(model, name) is not None)


def _key(name: str) -> str:
    return tomlkit.key(name).as_string()
