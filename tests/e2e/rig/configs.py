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
