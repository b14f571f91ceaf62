"""From a Config to the Spec that the engine takes (crates/core/src/spec.rs): plain numbers, names and lists.

Must never decide anything: it renames nothing and fills nothing in but what ``fd:NAME`` stands for.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from headworks.config.config import Config
from headworks.config.problems import ConfigError, Problem

_FIRST_INHERITED = 3


def spec(config: Config, inherited: Mapping[str, tuple[int, ...]] | None) -> str:
    """Return the Spec as JSON. Raises ConfigError when an inherited descriptor is not there."""
    names = _stand_ins(config) if inherited is None else inherited
    value = {
        "listeners": {name: _plain(listener) for name, listener in config.listeners.items()},
        "tables": {
            name: [{"pattern": pattern, "backend": backend} for pattern, backend in table.items()]
            for name, table in config.tables.items()
        },
        "backends": {name: _plain(backend) for name, backend in config.backends.items()},
    }
    problems: list[Problem] = []
    for name, listener in value["listeners"].items():
        path = ("listeners", name, "bind")
        listener["bind"] = [
            address for written in listener["bind"] for address in _resolve(written, names, path, problems)
        ]
    if problems:
        raise ConfigError(problems)
    return json.dumps(value)


def _plain(value: Any) -> Any:
    match value:
        case BaseModel():
            return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
        case tuple():
            return [_plain(item) for item in value]
        case timedelta():
            return value // timedelta(milliseconds=1)
        case _:
            return value


def _descriptor_name(address: str) -> str | None:
    """NAME of ``fd:NAME``; numbers are the engine's to read."""
    name = address.removeprefix("fd:")
    return name if name != address and name and not name.lstrip("-").isdigit() else None


def _stand_ins(config: Config) -> dict[str, tuple[int, ...]]:
    """A number for every name, none of them one that is written as a number."""
    written = [address for listener in config.listeners.values() for address in listener.bind]
    taken = {address for address in written if address.startswith("fd:")}
    free = (number for number in range(_FIRST_INHERITED, 1 << 20) if f"fd:{number}" not in taken)
    names = dict.fromkeys(name for address in written if (name := _descriptor_name(address)))
    return {name: (next(free),) for name in names}


def _resolve(
    address: str, names: Mapping[str, tuple[int, ...]], path: tuple[str, ...], problems: list[Problem]
) -> list[str]:
    name = _descriptor_name(address)
    if name is None:
        return [address]
    if name not in names:
        known = ", ".join(names) or "there is none"
        problems.append(
            Problem(path=path, reason=f'no inherited descriptor is called "{name}" (LISTEN_FDNAMES: {known})')
        )
        return []
    return [f"fd:{number}" for number in names[name]]
