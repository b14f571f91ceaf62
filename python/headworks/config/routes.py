"""Routes of a configuration as it is written: which listeners lead to which backends, and by which names.

For what depends on both ends of a route. Names that do not exist are passed over: the Plan reports them.
"""

from collections.abc import Iterator

from headworks.config.models import Listener
from headworks.config.models.first_bytes import kind_backends, kind_tables
from headworks.config.models.rules import Rules
from headworks.config.models.table import target_backends
from headworks.config.models.whole import Whole
from headworks.config.protocols import PROTOCOLS


def backends_of(config: Whole, listener: Listener) -> set[str]:
    """Return the backends that a listener leads to with what it has read itself; not what it passes through.

    Those are among them that its rules lead to, and the rules of backends that it leads to, once they are compiled.
    """
    named = {listener.backend, listener.fallback} | table_backends(config, listener.table) | _led_by(listener.rules)
    named |= kind_backends(listener.first_bytes)
    named |= {name for table in kind_tables(listener.first_bytes) for name in table_backends(config, table)}
    found: set[str] = set()
    waiting = [name for name in named if name is not None]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _led_by(config.backends[name].rules) if name in config.backends else ()
    return found


def _led_by(rules: Rules) -> set[str]:
    """Return the backends that verdicts of rules name."""
    return {lead.name for rule in rules if rule.compiled is not None for lead in rule.compiled.backends}


def tables_of(listener: Listener) -> set[str]:
    """Return the tables that a listener names."""
    own = {listener.table, listener.tls.passthrough if listener.tls is not None else None} - {None}
    return {name for name in own if name is not None} | kind_tables(listener.first_bytes)


def table_backends(config: Whole, table: str | None) -> set[str]:
    """Return the backends that a table leads to."""
    entries = config.tables.get(table, {}) if table is not None else {}
    return {backend for target in entries.values() for backend in target_backends(target)}


def led_to_by_http(config: Whole) -> dict[str, str]:
    """Return the backends that get requests, each with a listener that leads there."""
    listeners = [(name, one) for name, one in config.listeners.items() if PROTOCOLS[one.protocol].requests]
    return {backend: name for name, listener in listeners for backend in backends_of(config, listener)}


def led_to_by_tls(config: Whole) -> dict[str, str]:
    """Return the backends that get the TLS of clients as it is, each with a listener that leads there."""
    led: dict[str, str] = {}
    for name, listener in config.listeners.items():
        passed = table_backends(config, listener.tls.passthrough) if listener.tls is not None else set()
        if PROTOCOLS[listener.protocol].passes_tls:
            passed |= backends_of(config, listener)
        if listener.first_bytes is not None and (kind := listener.first_bytes.tls) is not None:
            passed |= {name for name in (kind.backend, kind.fallback) if name} | table_backends(config, kind.table)
        led |= dict.fromkeys(passed, name)
    return led


def names_of(config: Whole, table: str | None) -> Iterator[str]:
    """Yield the exact names and wildcards of a table, as certificates could have them."""
    for pattern in config.tables.get(table, {}) if table is not None else ():
        host = pattern.partition("/")[0].rstrip(".").lower()
        if pattern.startswith("~") or host in ("", "*"):
            continue
        try:
            yield host.encode("ascii").decode()
        except UnicodeEncodeError:
            continue
