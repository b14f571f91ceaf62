"""From a Config to the Spec that the engine takes (crates/core/src/spec.rs): plain numbers, names and lists.

Must never decide anything. Where the Spec is not shaped as the file is (what http listeners alone have is one struct
there), this is where that is said; ``fd:NAME`` becomes numbers, error pages become text, and files of TLS certificates.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from headworks.certificates import Store
from headworks.config import pages
from headworks.config.models import Backend, Health, HttpSettings, Listener
from headworks.config.models.base import is_for_requests, only
from headworks.config.models.whole import Whole
from headworks.config.problems import ConfigError, Problem
from headworks.config.protocols import HTTP
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
    names = _stand_ins(config) if inherited is None else inherited
    tls = TlsSpecs(config, store, problems)
    listeners = {name: _listener(name, listener, problems) for name, listener in config.listeners.items()}
    for name, listener in listeners.items():
        path = ("listeners", name, "bind")
        listener["bind"] = [
            address for written in listener["bind"] for address in _resolve(written, names, path, problems)
        ]
        listener["tls"] = tls.listener(name, config.listeners[name])
    value = {
        "listeners": listeners,
        "tables": {
            name: [{"pattern": pattern, **_plain(target)} for pattern, target in table.items()]
            for name, table in config.tables.items()
        },
        "backends": {
            name: {**_backend(name, backend, problems), "tls": tls.backend(name)}
            for name, backend in config.backends.items()
        },
    }
    return json.dumps(value)


_PLACES: dict[tuple[str, str], tuple[str, ...]] = {
    **{("listeners", key): ("http", key) for key in HttpSettings.model_fields},
    ("listeners", "keep_alive_timeout"): ("timeouts", "keep_alive"),
    ("listeners", "body_timeout"): ("timeouts", "body"),
    ("listeners", "tunnel_timeout"): ("timeouts", "tunnel"),
    ("backends", "pool_size"): ("pool", "size"),
    ("backends", "pool_timeout"): ("pool", "timeout"),
}
"""Places in the file of the keys of the Spec's HTTP, if not in the table of the listener or backend itself."""


def place(path: list[str]) -> list[str]:
    """Return the path of a key of the Spec as it is in the file."""
    match path:
        case [section, name, key, *below] if (section, key) in _PLACES:
            return [section, name, *_PLACES[section, key], *below]
        case ["backends", name, "health", "http", *below]:
            return ["backends", name, "health", *below]
        # A place may hold several certificates: their numbers are the Spec's own.
        case ["listeners" | "backends", _, "tls", "certificates" | "certificate", *_]:
            return path[:4]
        case ["backends", name, "tls", "roots", *_]:
            return ["backends", name, "tls", "ca"]
        case _:
            return path


def _listener(name: str, listener: Listener, problems: list[Problem]) -> dict[str, Any]:
    timeouts = _common(listener.timeouts)
    http = _http(name, listener, problems) if listener.protocol in HTTP else None
    return {**_common(listener), "timeouts": timeouts, "http": http}


def _http(name: str, listener: Listener, problems: list[Problem]) -> dict[str, Any]:
    waits = listener.timeouts
    limit = _plain(listener.rate_limit)
    if listener.rate_limit is not None:
        limit["burst"] = listener.rate_limit.burst or listener.rate_limit.requests
    return {
        **_plain(listener.http),
        "keep_alive_timeout": _plain(waits.keep_alive),
        "body_timeout": _plain(waits.body),
        "tunnel_timeout": _plain(waits.tunnel),
        "request_headers": _plain(listener.request_headers),
        "response_headers": _plain(listener.response_headers),
        "rate_limit": limit,
        "compression": _plain(listener.compression),
        "error_pages": pages.read(listener.error_pages, ("listeners", name, "error_pages"), problems),
        "redirect": _plain(listener.redirect),
        "respond": _plain(listener.respond),
    }


def _backend(name: str, backend: Backend, problems: list[Problem]) -> dict[str, Any]:
    http = {key: _plain(getattr(backend, key)) for key in _HTTP_KEYS}
    http |= {
        "pool_size": backend.pool.size,
        "pool_timeout": _plain(backend.pool.timeout),
        "affinity": _plain(backend.affinity),
        "error_pages": pages.read(backend.error_pages, ("backends", name, "error_pages"), problems),
    }
    if backend.affinity is not None and backend.affinity.max_age is not None:
        http["affinity"]["max_age"] = backend.affinity.max_age // timedelta(seconds=1)
    return {**_common(backend), "health": _health(backend.health), "http": http}


_HTTP_KEYS = tuple(
    name
    for name, field in Backend.model_fields.items()
    if only(field) == HTTP and name not in ("pool", "affinity", "error_pages")
)


def _health(health: Health | None) -> dict[str, Any] | None:
    if health is None:
        return None
    http = {name: _plain(getattr(health, name)) for name, field in Health.model_fields.items() if only(field)}
    return {**_common(health), "http": http if health.kind == "http" else None}


def _common(model: BaseModel) -> dict[str, Any]:
    """The keys that are not for http alone, TLS left aside."""
    fields = type(model).model_fields
    return {
        name: _plain(getattr(model, name))
        for name, field in fields.items()
        if not is_for_requests(field) and name != "tls"
    }


def _plain(value: Any) -> Any:
    match value:
        case BaseModel():
            return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
        case tuple():
            return [_plain(item) for item in value]
        case dict():
            return [[name, text] for name, text in value.items()]
        case timedelta():
            return value // timedelta(milliseconds=1)
        case _:
            return value


def _descriptor_name(address: str) -> str | None:
    """NAME of ``fd:NAME``; numbers are the engine's to read."""
    name = address.removeprefix("fd:")
    return name if name != address and name and not name.lstrip("-").isdigit() else None


def _stand_ins(config: Whole) -> dict[str, tuple[int, ...]]:
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
