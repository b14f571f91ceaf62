"""Short ways to write the configurations that most tests need."""

from collections.abc import Mapping
from typing import Any

Config = dict[str, Any]


def tcp(*servers: str | Mapping[str, Any], listener: Config | None = None, **backend: Any) -> Config:
    """One ``tcp`` listener called ``raw`` in front of one backend called ``app``."""
    return {
        "listeners": {"raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"} | (listener or {})},
        "backends": {"app": {"servers": list(servers)} | backend},
    }


def tls(table: Mapping[str, str], servers: Mapping[str, str | list[Any]], **listener: Any) -> Config:
    """One ``tls`` listener called ``secure``; ``servers`` names backends."""
    backends = {name: {"servers": value if isinstance(value, list) else [value]} for name, value in servers.items()}
    return {
        "listeners": {"secure": {"bind": "127.0.0.1:0", "protocol": "tls", "table": "sites"} | listener},
        "tables": {"sites": dict(table)},
        "backends": backends,
    }


def http(*servers: str | Mapping[str, Any], listener: Config | None = None, **backend: Any) -> Config:
    """One ``http`` listener called ``web`` in front of one backend called ``app``."""
    return {
        "listeners": {"web": {"bind": "127.0.0.1:0", "protocol": "http", "backend": "app"} | (listener or {})},
        "backends": {"app": {"servers": list(servers)} | backend},
    }


def sites(table: Mapping[str, Any], servers: Mapping[str, Any], **listener: Any) -> Config:
    """One ``http`` listener called ``web`` with a table; ``servers`` names backends, by address or as a whole."""
    backends = {name: value if isinstance(value, dict) else {"servers": [value]} for name, value in servers.items()}
    return {
        "listeners": {"web": {"bind": "127.0.0.1:0", "protocol": "http", "table": "sites"} | listener},
        "tables": {"sites": dict(table)},
        "backends": backends,
    }
