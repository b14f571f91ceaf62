"""Changes: what differs between two configurations, key by key. Must never decide what a difference means."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from headworks.admin.answers import Change
from headworks.config import Config
from headworks.config.problems import Path, show_path
from headworks.config.values import show_duration

NAMED = ("listeners", "tables", "backends", "analyzers")
"""Tables whose tables have names."""
MOST = 1000
"""Changes that are listed at most."""

Named = tuple[str, str]


def named(config: Config) -> set[Named]:
    """Return everything with a name."""
    return {(kind, name) for kind in NAMED for name in getattr(config, kind)}


def shown(names: set[Named]) -> tuple[str, ...]:
    """Show names as users write them."""
    return tuple(map(show_path, sorted(names)))


def changed(old: Config, new: Config) -> tuple[Change, ...]:
    """Return the keys with another value, of what is in both."""
    both = named(old) & named(new)
    before, after = (_values(config, both) for config in (old, new))
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    found = (Change(key=show_path(key), before=before.get(key), after=after.get(key)) for key in keys)
    return tuple(one for _, one in zip(range(MOST), found, strict=False))


def _values(config: Config, both: set[Named]) -> dict[Path, Any]:
    values: dict[Path, Any] = {}
    for kind in type(config).model_fields:
        if kind not in NAMED:
            values |= _flat((kind,), getattr(config, kind))
    for kind, name in both:
        values |= _flat((kind, name), getattr(config, kind)[name])
    return values


def _flat(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    match value:
        case BaseModel():
            for name in type(value).model_fields:
                yield from _flat((*path, name), getattr(value, name))
        case Mapping():
            for name, below in value.items():
                yield from _flat((*path, name), below)
        case _:
            yield path, plain(value)


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    match value:
        case timedelta():
            return show_duration(value)
        case BaseModel():
            given = {name: plain(getattr(value, name)) for name in value.model_fields_set}
            return {name: one for name, one in given.items() if one is not None}
        case Mapping():
            return {str(name): plain(one) for name, one in value.items()}
        case tuple() | list():
            return [plain(one) for one in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)
