"""Testing: what people test their own configurations and rules with: fixtures for pytest, decisions without sockets.

Owns origins with a script, clients, faults between proxy and server, and a proxy on free ports that keeps its records.
Must never be imported by the rest of the package; pytest is imported by ``plugin`` alone. Names are imported when they
are first used, since the plugin is loaded in every run of pytest.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headworks.testing.answers import Answer, Received
    from headworks.testing.clients import Client, Heard, Reply
    from headworks.testing.decisions import decide
    from headworks.testing.faults import Faults, Middleman
    from headworks.testing.origins import Origin, Origins
    from headworks.testing.proxies import Proxies, TestedProxy
    from headworks.testing.scenes import Scene
    from headworks.testing.snapshots import matches_snapshot

_HOMES = {
    "Answer": "answers",
    "Client": "clients",
    "Faults": "faults",
    "Heard": "clients",
    "Middleman": "faults",
    "Origin": "origins",
    "Origins": "origins",
    "Proxies": "proxies",
    "Received": "answers",
    "Reply": "clients",
    "Scene": "scenes",
    "TestedProxy": "proxies",
    "decide": "decisions",
    "matches_snapshot": "snapshots",
}

__all__ = [
    "Answer",
    "Client",
    "Faults",
    "Heard",
    "Middleman",
    "Origin",
    "Origins",
    "Proxies",
    "Received",
    "Reply",
    "Scene",
    "TestedProxy",
    "decide",
    "matches_snapshot",
]


def __getattr__(name: str) -> object:
    """Import a public name from where it lives (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'headworks.testing' has no attribute {name!r}")
    value = getattr(import_module(f"headworks.testing.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
