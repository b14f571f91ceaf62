"""Headworks: a proxy and load balancer, configured and programmed in Python, moving bytes at native speed.

Names are imported when they are first used, so that ``import headworks`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headworks.config import Config, ConfigError, Problem
    from headworks.errors import BindError, BindFailure
    from headworks.explanation import Explanation, ServerChoice, explain
    from headworks.notice import Notice
    from headworks.proxy import Proxy
    from headworks.records import AccessRecord
    from headworks.stats import (
        BackendStats,
        Connection,
        Counters,
        ListenerStats,
        ServerStats,
        Stats,
    )

    __version__: str

_HOMES = {
    "AccessRecord": "records",
    "BackendStats": "stats",
    "BindError": "errors",
    "BindFailure": "errors",
    "Config": "config",
    "ConfigError": "config",
    "Connection": "stats",
    "Counters": "stats",
    "Explanation": "explanation",
    "ListenerStats": "stats",
    "Notice": "notice",
    "Problem": "config",
    "Proxy": "proxy",
    "ServerChoice": "explanation",
    "ServerStats": "stats",
    "Stats": "stats",
    "explain": "explanation",
}

__all__ = [
    "AccessRecord",
    "BackendStats",
    "BindError",
    "BindFailure",
    "Config",
    "ConfigError",
    "Connection",
    "Counters",
    "Explanation",
    "ListenerStats",
    "Notice",
    "Problem",
    "Proxy",
    "ServerChoice",
    "ServerStats",
    "Stats",
    "__version__",
    "explain",
]


def __getattr__(name: str) -> object:
    """Import a public name from where it lives (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("headworks")
    if name not in _HOMES:
        raise AttributeError(f"module 'headworks' has no attribute {name!r}")
    value = getattr(import_module(f"headworks.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
