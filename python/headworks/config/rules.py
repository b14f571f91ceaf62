"""Rules on their way to the engine: names become functions, functions programs, what is wrong problems.

Owns which rule is for which listener, and that a verdict leads to backends that exist. Must never run a rule.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headworks.config.models.rules import RuleName
from headworks.config.models.whole import Whole
from headworks.config.modules import Failed, Modules
from headworks.config.problems import Path as Keys
from headworks.config.problems import Problem, closest, did_you_mean
from headworks.config.protocols import PROTOCOLS
from headworks.config.values import quote
from headworks.rules.function import RuleFunction

Program = dict[str, Any]


def settle(value: dict[str, Any], config: Whole, problems: list[Problem], modules: dict[Path, Modules]) -> None:
    """Put programs for names into the Spec. ``problems`` gets what cannot be compiled, or would do nothing."""
    for path, name in every_rule(config):
        if name.compiled is None:
            problems += _compiled(path, name, modules)
        if name.compiled is not None:
            problems += _misplaced(config, path, name)
            problems += _leads(config, path, name)
    for section in ("listeners", "backends"):
        for key, one in getattr(config, section).items():
            programs = [rule.compiled.program for rule in one.rules if rule.compiled is not None]
            value[section][key]["rules"] = programs


def every_rule(config: Whole) -> Iterator[tuple[Keys, RuleName]]:
    """Yield every rule with its path."""
    for section in ("listeners", "backends"):
        for key, one in getattr(config, section).items():
            yield from (((section, key, "rules", number), name) for number, name in enumerate(one.rules))


def led_to(config: Whole) -> set[str]:
    """Return the backends that rules name, as far as that is known before requests come."""
    programs = [name.compiled for _, name in every_rule(config) if name.compiled is not None]
    return {lead.name for program in programs for lead in program.backends}


def consulted(config: Whole) -> set[str]:
    """Return the analyzers that rules name."""
    programs = [name.compiled for _, name in every_rule(config) if name.compiled is not None]
    return {lead.name for program in programs for lead in program.analyzers}


def _compiled(path: Keys, name: RuleName, modules: dict[Path, Modules]) -> list[Problem]:
    from headworks.rules.compiler import compile_rule
    from headworks.rules.problems import RuleError

    directory = name.directory or Path.cwd()
    try:
        rule = name.given or _found(name, modules.setdefault(directory, Modules(directory)))
        name.compiled = compile_rule(rule)
    except Failed as error:
        return [Problem(path=path, reason=error.reason, file=error.file, line=error.line)]
    except LookupError as error:
        return [Problem(path=path, reason=error.args[0], suggestion=error.args[1])]
    except RuleError as error:
        return [_placed(path, one, one.reason, one.instead) for one in error.problems]
    return []


def _found(name: RuleName, modules: Modules) -> RuleFunction:
    """Return the rule of a name. Raises LookupError, and Failed when its module cannot be imported."""
    module_name, _, below = name.partition(":")
    module = modules.get(module_name)
    found: Any = module
    for part in below.split("."):
        found = getattr(found, part, None)
    if isinstance(found, RuleFunction):
        return found
    if found is not None:
        raise LookupError(f"{below} of {module_name} is no rule", f"write @headworks.rule above def {below}")
    known = [one for one, value in vars(module).items() if isinstance(value, RuleFunction)]
    near = closest(below, known)
    there = f"its rules: {', '.join(known)}" if known else "it has no rules"
    raise LookupError(f"{module_name} has no {below}", did_you_mean(near and quote(f"{module_name}:{near}")) or there)


def _misplaced(config: Whole, path: Keys, name: RuleName) -> Iterator[Problem]:
    """Find a rule that is asked about what never comes there."""
    kind = name.compiled.kind if name.compiled is not None else ""
    if path[0] == "backends":
        if kind == "hello":
            reason = f"{name} is for hellos of TLS, which are judged before a backend is chosen"
            yield Problem(path=path, reason=reason, suggestion="put it on a listener")
        return
    protocol = PROTOCOLS[config.listeners[str(path[1])].protocol]
    if kind == "hello" and not protocol.passes_tls:
        reason = f"{name} is for hellos of TLS that is passed through, which {protocol.listener} does not"
        yield Problem(path=path, reason=reason, suggestion="write a rule for requests" if protocol.requests else None)
    if kind != "hello" and not protocol.requests:
        what = f"{kind}s, and {protocol.listener} looks into none"
        hint = "write a rule for the hello" if protocol.passes_tls else None
        yield Problem(path=path, reason=f"{name} is for {what}", suggestion=hint)


def _leads(config: Whole, path: Keys, name: RuleName) -> Iterator[Problem]:
    """Find backends and analyzers that do not exist."""
    if name.compiled is None:
        return
    for what, leads, known in (
        ("backend", name.compiled.backends, list(config.backends)),
        ("analyzer", name.compiled.analyzers, list(config.analyzers)),
    ):
        for lead in leads:
            if lead.name not in known:
                near = closest(lead.name, known)
                reason = f"no {what} is called {quote(lead.name)}"
                yield _placed(path, lead.place, reason, did_you_mean(near and quote(near)))


def _placed(path: Keys, place: Any, reason: str, suggestion: str | None) -> Problem:
    return Problem(
        path=path,
        reason=reason,
        suggestion=suggestion,
        file=place.file,
        line=place.line,
        column=place.column,
        width=place.width,
        source=place.source or None,
    )
