"""Sets: what a provider yields, or a file or a list behind a URL says, as servers.

Owns the forms: a plain list, and groups of targets with labels, as Prometheus has them. A set is good as a whole or
refused: half a set is none. Must never connect to anything.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from headworks.config.models.server import Server
from headworks.config.problems import ConfigError
from headworks.providers.base import ProviderError

MOST = 10_000
"""Servers of a set at most, as of a backend."""
_KEYS = ("address", "weight", "backup", "max_connections")
_LONG = 10
"""Digits of a number that is no setting of a server."""
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def settled(given: object, defaults: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the servers of a set as JSON of the file's shape, each address once, in order. Raises ProviderError."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise ProviderError(f"a set is a list of servers, and this is {_kind(given)}")
    found: dict[str, str] = {}
    for number, one in enumerate(given):
        if number >= MOST:
            raise ProviderError(f"more than {MOST:,} servers")
        server = _server(one, defaults)
        # The first word on each address.
        found.setdefault(server.address, json.dumps({key: getattr(server, key) for key in Server.model_fields}))
    return tuple(found[address] for address in sorted(found))


def read(value: object) -> tuple[Any, ...]:
    """Return the servers of a document: a list of servers, or of groups; or a table with such. Raises ProviderError."""
    if isinstance(value, Mapping):
        value = value.get("servers", value.get("groups"))
    if not isinstance(value, list):
        raise ProviderError("it is no list of servers, nor of groups with targets")
    return tuple(server for one in value for server in (_grouped(one) if _is_group(one) else [one]))


def _server(one: object, defaults: Mapping[str, Any]) -> Server:
    if not isinstance(one, (str, Mapping, Server)):
        raise ProviderError(f"a server is an address or a table with address, and this is {_kind(one)}")
    if isinstance(one, Server):
        one = {key: getattr(one, key) for key in one.model_fields_set}
    keys: Mapping[str, Any] = {"address": one} if isinstance(one, str) else one
    try:
        return Server(**{**defaults, **keys})
    except ConfigError as error:
        raise ProviderError(f"{_shown(keys)}: {'; '.join(map(str, error.problems))}") from None
    except TypeError:
        raise ProviderError(f"{_shown(keys)}: its keys are no names") from None


def _is_group(one: object) -> bool:
    return isinstance(one, Mapping) and "targets" in one


def _grouped(group: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the targets of a group, with what its labels say of them; labels that mean nothing here are left out."""
    targets, labels = group["targets"], group.get("labels") or {}
    if not isinstance(targets, list) or not isinstance(labels, Mapping):
        raise ProviderError("a group has a list of targets and a table of labels")
    settings = {key: labelled(key, labels[key]) for key in _KEYS[1:] if key in labels}
    yield from ({**settings, "address": target} for target in targets)


def labelled(key: str, value: object) -> object:
    """Return what a label says, which is text: a number, or true or false. Raises ProviderError."""
    if not isinstance(value, str):
        return value
    if key == "backup" and value.lower() in _FLAGS:
        return _FLAGS[value.lower()]
    if key != "backup" and value.isascii() and value.isdigit() and len(value) < _LONG:
        return int(value)
    what = "neither true nor false" if key == "backup" else "no number"
    raise ProviderError(f'the label {key} = "{value[:40]}" is {what}')


def _shown(keys: Mapping[str, Any]) -> str:
    return str(keys.get("address", "a server without address"))[:80]


def _kind(value: object) -> str:
    return "none" if value is None else f"{type(value).__name__}"
