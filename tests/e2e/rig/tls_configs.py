"""Short ways to write configurations with TLS. Certificates are paths."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Config = dict[str, Any]


def secured(certificates: Any, **tls: Any) -> Config:
    """``[listeners.NAME.tls]`` with these certificates: one or a list."""
    several = certificates if isinstance(certificates, list) else [certificates]
    return {"certificates": [str(one) if isinstance(one, Path) else one for one in several]} | tls


def https(*servers: str | Mapping[str, Any], tls: Config, listener: Config | None = None, **backend: Any) -> Config:
    """One ``https`` listener called ``web`` in front of one backend called ``app``."""
    return {
        "listeners": {
            "web": {"bind": "127.0.0.1:0", "protocol": "https", "backend": "app", "tls": tls} | (listener or {})
        },
        "backends": {"app": {"servers": list(servers)} | backend},
    }


def https_sites(table: Mapping[str, Any], servers: Mapping[str, Any], *, tls: Config, **listener: Any) -> Config:
    """One ``https`` listener called ``web`` with a table; ``servers`` names backends, by address or as a whole."""
    backends = {name: value if isinstance(value, dict) else {"servers": [value]} for name, value in servers.items()}
    return {
        "listeners": {"web": {"bind": "127.0.0.1:0", "protocol": "https", "table": "sites", "tls": tls} | listener},
        "tables": {"sites": dict(table)},
        "backends": backends,
    }


def raw(*servers: str | Mapping[str, Any], tls: Config, **backend: Any) -> Config:
    """One ``tcp`` listener called ``raw``, where TLS ends, in front of one backend called ``app``."""
    return {
        "listeners": {"raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app", "tls": tls}},
        "backends": {"app": {"servers": list(servers)} | backend},
    }
