"""Headworks: a proxy and load balancer, configured and programmed in Python, moving bytes at native speed.

Names are imported when they are first used, so that ``import headworks`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headworks.analyzers.base import Analyzer
    from headworks.analyzers.exchange import Exchange
    from headworks.analyzers.verdicts import bypass, drop, finish, read_body, replace, wait
    from headworks.config import Config, ConfigError, Problem
    from headworks.errors import BindError, BindFailure
    from headworks.explanation import Explanation, ServerChoice, explain
    from headworks.notice import Notice
    from headworks.providers.base import Provider
    from headworks.proxy import Proxy
    from headworks.recording import Recording, replay
    from headworks.records import AccessRecord
    from headworks.rules.networks import networks
    from headworks.rules.now import now
    from headworks.rules.problems import RuleError
    from headworks.rules.rule import Rule, rule
    from headworks.rules.sampling import sample
    from headworks.rules.subjects import Hello, Request, Response, Tls
    from headworks.rules.tables import load
    from headworks.rules.verdicts import Verdict, consult, limit, log, redirect, reject, respond, rewrite, route
    from headworks.stats import (
        AnalyzerStats,
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
    "Analyzer": "analyzers.base",
    "AnalyzerStats": "stats",
    "BackendStats": "stats",
    "BindError": "errors",
    "BindFailure": "errors",
    "Config": "config",
    "ConfigError": "config",
    "Connection": "stats",
    "Counters": "stats",
    "Exchange": "analyzers.exchange",
    "Explanation": "explanation",
    "Hello": "rules.subjects",
    "ListenerStats": "stats",
    "Notice": "notice",
    "Problem": "config",
    "Provider": "providers.base",
    "Proxy": "proxy",
    "Recording": "recording",
    "Request": "rules.subjects",
    "Response": "rules.subjects",
    "Rule": "rules.rule",
    "RuleError": "rules.problems",
    "ServerChoice": "explanation",
    "ServerStats": "stats",
    "Stats": "stats",
    "Tls": "rules.subjects",
    "Verdict": "rules.verdicts",
    "bypass": "analyzers.verdicts",
    "consult": "rules.verdicts",
    "drop": "analyzers.verdicts",
    "explain": "explanation",
    "finish": "analyzers.verdicts",
    "limit": "rules.verdicts",
    "load": "rules.tables",
    "log": "rules.verdicts",
    "networks": "rules.networks",
    "now": "rules.now",
    "read_body": "analyzers.verdicts",
    "redirect": "rules.verdicts",
    "reject": "rules.verdicts",
    "replace": "analyzers.verdicts",
    "replay": "recording",
    "respond": "rules.verdicts",
    "rewrite": "rules.verdicts",
    "route": "rules.verdicts",
    "rule": "rules.rule",
    "sample": "rules.sampling",
    "wait": "analyzers.verdicts",
}

__all__ = [
    "AccessRecord",
    "Analyzer",
    "AnalyzerStats",
    "BackendStats",
    "BindError",
    "BindFailure",
    "Config",
    "ConfigError",
    "Connection",
    "Counters",
    "Exchange",
    "Explanation",
    "Hello",
    "ListenerStats",
    "Notice",
    "Problem",
    "Provider",
    "Proxy",
    "Recording",
    "Request",
    "Response",
    "Rule",
    "RuleError",
    "ServerChoice",
    "ServerStats",
    "Stats",
    "Tls",
    "Verdict",
    "__version__",
    "bypass",
    "consult",
    "drop",
    "explain",
    "finish",
    "limit",
    "load",
    "log",
    "networks",
    "now",
    "read_body",
    "redirect",
    "reject",
    "replace",
    "replay",
    "respond",
    "rewrite",
    "route",
    "rule",
    "sample",
    "wait",
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
