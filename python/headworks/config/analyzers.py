"""Analyzers on their way to the engine: names become classes, classes what the engine and the runners need of them.

Owns which hook can be asked where, and that arguments suit. Must never make an analyzer: that is done to run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headworks.config import classes
from headworks.config.models.table import target_backends
from headworks.config.models.whole import Whole
from headworks.config.modules import Failed, Modules
from headworks.config.problems import Path as Keys
from headworks.config.problems import Problem
from headworks.config.protocols import PROTOCOLS
from headworks.config.routes import backends_of, tables_of

if TYPE_CHECKING:
    from headworks.analyzers.base import Analyzer
    from headworks.analyzers.declared import Declared
    from headworks.config.models.analyzers import AnalyzerSettings

_EXCHANGES = ("request", "request_body", "response", "response_body")


def settle(value: dict[str, Any], config: Whole, problems: list[Problem], modules: dict[Path, Modules]) -> None:
    """Put what the engine needs into the Spec. ``problems`` gets what cannot be used, or would do nothing."""
    value["analyzers"] = {}
    if not config.analyzers:
        return
    for name, settings in config.analyzers.items():
        if settings.python.declared is None:
            problems += _declare(config, name, settings, modules)
        declared = settings.python.declared
        if declared is not None:
            problems += _misplaced(config, declared)
        # Of one that cannot be made the Plan knows the name, and does not say that there is none.
        value["analyzers"][name] = {
            "version": declared.version if declared is not None else "",
            "deadline": round(settings.deadline.total_seconds() * 1000),
            "on_failure": settings.on_failure,
            "waiting": settings.waiting,
            "hooks": [hook for hook in (declared.hooks if declared is not None else ()) if hook != "ended"],
        }


def declared(config: Whole) -> "dict[str, Declared]":
    """Return the analyzers of a configuration that was checked."""
    found = ((name, one.python.declared) for name, one in config.analyzers.items())
    return {name: one for name, one in found if one is not None}


def places(config: Whole) -> Iterator[tuple[Keys, str]]:
    """Yield every name of an analyzer with its path."""
    for section in ("listeners", "backends"):
        for key, one in getattr(config, section).items():
            yield from (((section, key, "analyzers", number), name) for number, name in enumerate(one.analyzers))
    for key, table in config.tables.items():
        for pattern, target in table.items():
            names = enumerate(target.analyzers)
            yield from ((("tables", key, pattern, "analyzers", number), name) for number, name in names)


def _declare(config: Whole, name: str, settings: "AnalyzerSettings", modules: dict[Path, Modules]) -> list[Problem]:
    from headworks.analyzers.base import Analyzer, defined
    from headworks.analyzers.declared import Declared

    path: Keys = ("analyzers", name, "python")
    try:
        found, source = classes.found(settings.python, Analyzer, modules)
    except Failed as error:
        return [Problem(path=path, reason=error.reason, file=error.file, line=error.line)]
    except LookupError as error:
        return [Problem(path=path, reason=error.args[0], suggestion=error.args[1])]
    kind: type[Analyzer] = found if isinstance(found, type) else type(found)
    hooks = defined(kind)
    wrong = classes.wrong_arguments(("analyzers", name, "arguments"), settings.python, found, settings.arguments)
    problems = [*_hooks(name, settings, kind, hooks), *wrong]
    if problems:
        return problems
    asked = tuple(hook for hook in hooks if settings.hooks is None or hook in settings.hooks)
    listeners = {key for key, one in config.listeners.items() if name in one.analyzers}
    backends = {key for key, one in config.backends.items() if name in one.analyzers}
    targets = (target for table in config.tables.values() for target in table.values())
    backends |= {backend for target in targets if name in target.analyzers for backend in target_backends(target)}
    arguments = dict(settings.arguments)
    settings.python.declared = Declared(
        name=name,
        make=(lambda: kind(**arguments)) if isinstance(found, type) else (lambda: found),
        version=_version(settings, source, asked),
        hooks=asked,
        concurrency=settings.concurrency,
        waiting=settings.waiting,
        listeners=frozenset(listeners),
        backends=frozenset(backends),
    )
    return []


def _version(settings: "AnalyzerSettings", source: str, hooks: tuple[str, ...]) -> str:
    arguments = classes.written(settings.arguments)
    return classes.version(settings.python, arguments, " ".join(hooks), str(settings.concurrency), source)


def _hooks(
    name: str, settings: "AnalyzerSettings", kind: "type[Analyzer]", hooks: tuple[str, ...]
) -> Iterator[Problem]:
    if not hooks:
        reason = f"{kind.__name__} defines none of the methods that are called"
        yield Problem(path=("analyzers", name, "python"), reason=reason, suggestion="def request(self, exchange): ...")
    for number, hook in enumerate(settings.hooks or ()):
        if hooks and hook not in hooks:
            path = ("analyzers", name, "hooks", number)
            yield Problem(path=path, reason=f"{kind.__name__} has no {hook}; it has {', '.join(hooks)}")


def _misplaced(config: Whole, analyzer: "Declared") -> Iterator[Problem]:
    """Find places where an analyzer is named and never asked."""
    for path, name in places(config):
        if name != analyzer.name:
            continue
        possible = _possible(config, path)
        if not set(possible) & set(analyzer.hooks):
            reason = f"{name} has {', '.join(analyzer.hooks)}, and here {_listed(possible)} asked"
            yield Problem(path=path, reason=reason)


def _listed(hooks: tuple[str, ...]) -> str:
    return f"{', '.join(hooks)} are" if hooks else "nothing is"


def _possible(config: Whole, path: Keys) -> tuple[str, ...]:
    """Return the hooks that can be asked at a place."""
    if path[0] == "listeners":
        return ("accepted", *_of_protocol(config, str(path[1])), "ended")
    if path[0] == "backends":
        leading = [key for key, one in config.listeners.items() if str(path[1]) in backends_of(config, one)]
    else:
        leading = [key for key, one in config.listeners.items() if path[1] in tables_of(one)]
    # A rule may lead to any backend.
    keys = leading or list(config.listeners)
    return (*dict.fromkeys(hook for key in keys for hook in _of_protocol(config, key)), "ended")


def _of_protocol(config: Whole, listener: str) -> tuple[str, ...]:
    protocol = PROTOCOLS[config.listeners[listener].protocol]
    if protocol.requests:
        return _EXCHANGES
    return ("first_bytes", "hello") if protocol.passes_tls else ("first_bytes",)
