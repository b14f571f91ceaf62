"""From a Config to the Spec that the engine takes (crates/core/src/spec): the same shape and names, plain values.

Owns what must be computed: durations become milliseconds, ``fd:NAME`` becomes numbers, error pages become text,
rules programs, and files of TLS certificates what is in them. Must never rename a key or decide anything.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from headworks.certificates import Store
from headworks.config import analyzers, pages, ports, providers, redirects, rules
from headworks.config.models.whole import Whole
from headworks.config.modules import Modules
from headworks.config.problems import ConfigError, Problem
from headworks.config.tls import TlsSpecs

_FIRST_INHERITED = 3


def spec(config: Whole, inherited: Mapping[str, tuple[int, ...]] | None, store: Store) -> str:
    """Return the Spec as JSON. Raises ConfigError for what it names and is not there or cannot be used."""
    problems: list[Problem] = []
    text = draft(config, inherited, store, problems)
    if wrong := [problem for problem in problems if not problem.is_warning]:
        raise ConfigError(wrong)
    return text


def draft(config: Whole, inherited: Mapping[str, tuple[int, ...]] | None, store: Store, problems: list[Problem]) -> str:
    """Return the Spec as far as it goes. What is not there is left out; ``problems`` gets that and what is doubtful."""
    value: dict[str, Any] = {
        section: plain(getattr(config, section)) for section in ("listeners", "tables", "backends")
    }
    # The rest of [proxy] is not read by the engine.
    value["proxy"] = {"resources": plain(config.proxy.resources)}
    value["resolver"] = plain(config.resolver)
    redirects.settle(value, config)
    modules: dict[Path, Modules] = {}
    rules.settle(value, config, problems, modules)
    analyzers.settle(value, config, problems, modules)
    providers.settle(value, config, problems, modules)
    ports.settle(value, config, problems)
    names = stand_ins(config, {}) if inherited is None else inherited
    tls = TlsSpecs(config, store, problems)
    for name, listener in value["listeners"].items():
        path = ("listeners", name)
        listener["bind"] = [
            address for written in listener["bind"] for address in _resolve(written, names, (*path, "bind"), problems)
        ]
        listener["error_pages"] = pages.read(listener["error_pages"], (*path, "error_pages"), problems)
        listener["tls"] = tls.listener(name, listener["tls"])
    for name, backend in value["backends"].items():
        path = ("backends", name)
        backend["error_pages"] = pages.read(backend["error_pages"], (*path, "error_pages"), problems)
        backend["tls"] = tls.backend(name, backend["tls"])
    return json.dumps(value)


def plain(value: Any) -> Any:
    """Return models as dicts of all their keys, and durations in milliseconds; sizes are bytes already."""
    match value:
        case BaseModel():
            return {name: plain(getattr(value, name)) for name in type(value).model_fields}
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case tuple():
            return [plain(item) for item in value]
        case timedelta():
            return value // timedelta(milliseconds=1)
        case _:
            return value


def _descriptor_name(address: str) -> str | None:
    """NAME of ``fd:NAME``; numbers are the engine's to read."""
    name = address.removeprefix("fd:")
    return name if name != address and name and not name.lstrip("-").isdigit() else None


def stand_ins(config: Whole, inherited: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return ``inherited`` and a number for every other name, none of them one that is written or inherited."""
    written = [address for listener in config.listeners.values() for address in listener.bind]
    taken = {address for address in written if address.startswith("fd:")}
    taken |= {f"fd:{number}" for numbers in inherited.values() for number in numbers}
    free = (number for number in range(_FIRST_INHERITED, 1 << 20) if f"fd:{number}" not in taken)
    names = dict.fromkeys(name for address in written if (name := _descriptor_name(address)))
    return {**{name: (next(free),) for name in names if name not in inherited}, **inherited}


def not_inherited(config: Whole, inherited: Mapping[str, tuple[int, ...]]) -> list[Problem]:
    """Return a problem for every ``fd:NAME`` that is not among ``inherited``."""
    problems: list[Problem] = []
    for name, listener in config.listeners.items():
        for address in listener.bind:
            _resolve(address, inherited, ("listeners", name, "bind"), problems)
    return problems


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
