"""Providers on their way to running: references among servers become what asks for them, and stand-ins in the Spec.

Owns which reference means what, and that its settings suit. Must never make a provider: that is done to run.
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from headworks.config import classes
from headworks.config.models.base import listed, strangers
from headworks.config.models.providers import PYTHON, ProviderSettings
from headworks.config.models.references import KINDS, NAMED, Reference, reference
from headworks.config.models.server import Server
from headworks.config.models.whole import Whole
from headworks.config.modules import Failed, Modules
from headworks.config.problems import Path as Keys
from headworks.config.problems import Problem, closest, did_you_mean
from headworks.config.values import quote
from headworks.providers.declared import Declared
from headworks.stand_ins import stand_in

if TYPE_CHECKING:
    from headworks.providers.base import Provider

_NEEDS_CLIENT = ("http", "docker", "consul")
_CLIENT = "httpx"
_SETTINGS_OF_A_SERVER = ("weight", "backup", "max_connections")
_SCHEMES = ("http", "https")
_KEYS = {
    "file": (),
    "http": ("timeout", "token", "ca"),
    "docker": ("timeout", "socket", "network"),
    "consul": ("timeout", "token", "ca", "address", "datacenter", "tags", "passing", "stale"),
}
"""Settings that providers of each kind are made with, besides ``interval``."""


def settle(value: dict[str, Any], config: Whole, problems: list[Problem], modules: dict[Path, Modules]) -> None:
    """Put stand-ins for references into the Spec. ``problems`` gets what cannot be used, or would do nothing."""
    for name, settings in config.providers.items():
        problems += _wrong(name, settings, modules)
    for backend, number, server, found in references(config):
        path: Keys = ("backends", backend, "servers", number, "address")
        if found.kind == NAMED:
            problems += _unnamed(config, path, found.target)
        else:
            problems += ((Problem(path=path, reason=why)) for why in _unfit(found))
        same = [one.address for one in config.backends[backend].servers[:number]]
        if server.address in same:
            problems.append(Problem(path=path, reason=f"{server.address} is listed twice"))
        value["backends"][backend]["servers"][number] = {
            **value["backends"][backend]["servers"][number],
            "address": stand_in(number),
            # It is there for a moment: nobody is to be sent to it.
            "weight": 0,
            "backup": True,
        }


def references(config: Whole) -> Iterator[tuple[str, int, Server, Reference]]:
    """Yield every reference among servers: its backend, its place there, and how it is written."""
    for backend, settings in config.backends.items():
        for number, server in enumerate(settings.servers):
            if (found := reference(server.address)) is not None:
                yield backend, number, server, found


def weighed(value: dict[str, Any], config: Whole) -> dict[str, Any]:
    """Return a Spec in which stand-ins may be chosen, as what they stand for may be: for explaining."""
    for backend, number, server, _ in references(config):
        value["backends"][backend]["servers"][number].update(weight=server.weight, backup=server.backup)
    return value


def declared(config: Whole) -> tuple[Declared, ...]:
    """Return the providers of a configuration that was checked."""
    return tuple(_declared(config, *one) for one in references(config))


def _declared(config: Whole, backend: str, number: int, server: Server, found: Reference) -> Declared:
    if found.kind == NAMED:
        settings = config.providers[found.target]
        followed = reference(settings.source)
    else:
        settings = config.providers.get(found.kind, ProviderSettings())
        followed = found
    keys = {key: value for key in _SETTINGS_OF_A_SERVER if (value := getattr(server, key)) is not None}
    stale = settings.stale_after
    make, said = _maker(settings, followed)
    return Declared(
        backend=backend,
        source=server.address,
        number=number,
        path=("backends", backend, "servers", number, "address"),
        make=make,
        version=classes.version(said, repr(keys), str(settings.min_servers), str(stale)),
        defaults=keys,
        min_servers=settings.min_servers,
        stale_after=None if stale is None else stale.total_seconds(),
    )


def _maker(settings: ProviderSettings, followed: Reference | None) -> "tuple[Callable[[], Provider], str]":
    """Return what makes a provider, and a text that is another one where that would be another one."""
    if followed is None:
        return _of_python(settings)
    interval = {} if settings.interval is None else {"interval": settings.interval}
    keys = {**interval, **{key: getattr(settings, key) for key in _KEYS[followed.kind]}}
    given = {key: one.total_seconds() if isinstance(one, timedelta) else one for key, one in keys.items()}

    def make() -> "Provider":
        return _shipped(followed.kind)(followed.target, **given)

    return make, f"{followed} {given}"


def _of_python(settings: ProviderSettings) -> "tuple[Callable[[], Provider], str]":
    if settings.python is None:
        raise ValueError("the configuration was not checked")
    kind, source = settings.python.made
    arguments, interval = dict(settings.arguments), settings.interval

    def make() -> "Provider":
        made: Provider = kind(**arguments) if isinstance(kind, type) else kind
        if interval is not None:
            made.interval = interval.total_seconds()
        return made

    return make, "\n".join((settings.python, classes.written(arguments), str(interval), source))


def _shipped(kind: str) -> "Callable[..., Provider]":
    """Return the class of a kind. What it needs is imported now."""
    match kind:
        case "file":
            from headworks.providers.file import File

            return File
        case "http":
            from headworks.providers.http import Http

            return Http
        case "docker":
            from headworks.providers.docker import Docker

            return Docker
        case _:
            from headworks.providers.consul import Consul

            return Consul


def _wrong(name: str, settings: ProviderSettings, modules: dict[Path, Modules]) -> Iterator[Problem]:
    """Find what is wrong with a table of providers."""
    path: Keys = ("providers", name)
    kind = name if name in KINDS else None
    if kind is not None and (settings.source is not None or settings.python is not None):
        key = "source" if settings.source is not None else PYTHON
        reason = f"[providers.{name}] is for every {name}: among servers; give it another name to follow one source"
        yield Problem(path=(*path, key), reason=reason)
        return
    if kind is None and (settings.source is None) == (settings.python is None):
        yield Problem(path=path, reason="it has source, or python: one of them, and not both")
        return
    if settings.source is not None:
        found = reference(settings.source)
        if found is None or found.kind == NAMED:
            known = ", ".join(f"{one}:" for one in KINDS if one != "http")
            reason = f"{quote(settings.source)} is no source: {known} or the URL of a list, with a path"
            yield Problem(path=(*path, "source"), reason=reason)
            return
        yield from (Problem(path=(*path, "source"), reason=why) for why in _unfit(found))
        kind = found.kind
    if settings.python is not None:
        kind = PYTHON
        yield from _class(name, settings, modules)
    if kind == "consul":
        # A path may be before that of the API.
        yield from (Problem(path=(*path, "address"), reason=why) for why in _unfit_url(settings.address))
    for key, field in strangers(settings, kind or PYTHON):
        extra = field.json_schema_extra
        only = extra.get("only") if isinstance(extra, dict) else None
        kinds = listed([str(one) for one in only] if isinstance(only, list) else [])
        yield Problem(path=(*path, key), reason=f"is for {kinds} providers, and this is a {kind} provider")


def _class(name: str, settings: ProviderSettings, modules: dict[Path, Modules]) -> Iterator[Problem]:
    """Find the class of a provider of a user's."""
    import inspect

    from headworks.providers.base import Provider

    path: Keys = ("providers", name, PYTHON)
    if settings.python is None:
        return
    try:
        kind, source = settings.python.made or classes.found(settings.python, Provider, modules)
    except Failed as error:
        yield Problem(path=path, reason=error.reason, file=error.file, line=error.line)
        return
    except LookupError as error:
        yield Problem(path=path, reason=error.args[0], suggestion=error.args[1])
        return
    settings.python.made = (kind, source)
    if isinstance(kind, type) and inspect.isabstract(kind):
        yield Problem(path=path, reason=f"{kind.__name__} has no servers", suggestion="async def servers(self): yield")
    elif inspect.iscoroutinefunction(kind.servers):
        yield Problem(path=path, reason=f"servers of {settings.python} yields nothing: it is to yield sets of servers")
    yield from classes.wrong_arguments(("providers", name, "arguments"), settings.python, kind, settings.arguments)


def _unnamed(config: Whole, path: Keys, name: str) -> Iterator[Problem]:
    """Find references to tables that are not there."""
    if name not in config.providers:
        near = closest(name, list(config.providers))
        suggestion = did_you_mean(near and quote(f"{NAMED}:{near}"))
        yield Problem(path=path, reason=f"there is no [providers.{name}]", suggestion=suggestion)
    elif name in KINDS:
        yield Problem(path=path, reason=f"[providers.{name}] is for every {name}: among servers, and follows nothing")


def _unfit(found: Reference) -> Iterator[str]:
    """Say what is wrong with a reference itself, and what is missing for it."""
    match found.kind:
        case "http":
            yield from _unfit_url(found.target)
        case "docker" | "consul" if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", found.target):
            yield f"{quote(found.target)} is no name of a service"
    if found.kind in _NEEDS_CLIENT and find_spec(_CLIENT) is None:
        yield f'{found.kind} providers need {_CLIENT}: pip install "headworks[{found.kind}]"'


def _unfit_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0
    except ValueError as error:
        yield f"{quote(url)} is no URL: {error}"
        return
    if (
        parts.scheme.lower() not in _SCHEMES
        or not parts.hostname
        or not has_port
        or not url.isprintable()
        or " " in url
    ):
        yield f"{quote(url)} is no URL"
    if parts.username is not None or parts.password is not None:
        yield "a URL shows in logs: give the secret as token of its [providers] table"
