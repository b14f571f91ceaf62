"""Analyzers on their way to the engine: names become classes, classes what the engine and the runners need of them.

Owns which hook can be asked where, and that arguments suit. Must never make an analyzer: that is done to run.
"""

import hashlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headworks.config.models.table import target_backends
from headworks.config.models.whole import Whole
from headworks.config.modules import Failed, Modules
from headworks.config.problems import Path as Keys
from headworks.config.problems import Problem, closest, did_you_mean
from headworks.config.protocols import PROTOCOLS
from headworks.config.routes import backends_of, tables_of
from headworks.config.values import quote

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
        found, source = _found(settings, modules)
    except Failed as error:
        return [Problem(path=path, reason=error.reason, file=error.file, line=error.line)]
    except LookupError as error:
        return [Problem(path=path, reason=error.args[0], suggestion=error.args[1])]
    kind: type[Analyzer] = found if isinstance(found, type) else type(found)
    hooks = defined(kind)
    problems = [*_hooks(name, settings, kind, hooks), *_arguments(name, settings, found)]
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


def _found(settings: "AnalyzerSettings", modules: dict[Path, Modules]) -> "tuple[type[Analyzer] | Analyzer, str]":
    """Return the class or object, and what stands for its source. Raises LookupError and Failed."""
    from headworks.analyzers.base import Analyzer

    name = settings.python
    if name.given is not None:
        known: Any = name.given
        return known, f"given {id(known)}"
    directory = name.directory or Path.cwd()
    those = modules.setdefault(directory, Modules(directory))
    module_name, _, below = name.partition(":")
    module = those.get(module_name)
    found: Any = module
    for part in below.split("."):
        found = getattr(found, part, None)
    if isinstance(found, Analyzer) or (isinstance(found, type) and issubclass(found, Analyzer)):
        return found, those.source(module_name)
    if found is not None:
        raise LookupError(f"{below} of {module_name} is no analyzer", f"class {below}(headworks.Analyzer)")
    there = [
        one
        for one, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Analyzer) and value is not Analyzer
    ]
    near = closest(below, there)
    listed = f"its analyzers: {', '.join(there)}" if there else "it has no analyzers"
    raise LookupError(f"{module_name} has no {below}", did_you_mean(near and quote(f"{module_name}:{near}")) or listed)


def _version(settings: "AnalyzerSettings", source: str, hooks: tuple[str, ...]) -> str:
    try:
        arguments = json.dumps(settings.arguments, sort_keys=True, default=repr)
    except (TypeError, ValueError, RecursionError):
        # Given in Python: keys of several types, or objects within themselves.
        arguments = repr(settings.arguments)
    said = "\n".join((settings.python, arguments, " ".join(hooks), str(settings.concurrency), source))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


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


def _arguments(name: str, settings: "AnalyzerSettings", found: object) -> Iterator[Problem]:
    """Find arguments that the class does not take, and those that it needs."""
    path: Keys = ("analyzers", name, "arguments")
    if not isinstance(found, type):
        if settings.arguments:
            yield Problem(path=path, reason=f"{settings.python} was made already: it takes no arguments")
        return
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return
    kinds = inspect.Parameter
    named = [one for one in parameters if one.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    known = [one.name for one in named]
    takes_all = any(one.kind is kinds.VAR_KEYWORD for one in parameters)
    for key in () if takes_all else settings.arguments.keys() - set(known):
        near = closest(key, known)
        takes = f"{found.__name__} takes {', '.join(known)}" if known else f"{found.__name__} takes none"
        yield Problem(path=(*path, key), reason=f"unknown argument; {takes}", suggestion=did_you_mean(near))
    for one in named:
        if one.default is kinds.empty and one.name not in settings.arguments:
            yield Problem(path=path, reason=f"{found.__name__} needs {one.name}")


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
