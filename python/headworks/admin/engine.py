"""Engine: the one place for what not every engine can do: choosing connections, closing them, refusals, metrics.

Must never offer what the engine at hand has not: `has_facts` says so, and operations, routes and description go by it.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from headworks.stats import Connection

if TYPE_CHECKING:
    from headworks.proxy import Proxy

_MOST = 10_000
"""Connections that are looked at where the engine cannot choose."""


def has_facts(proxy: "Proxy") -> bool:
    """Whether connections have numbers and can be closed, and refusals and metrics are kept."""
    return hasattr(proxy, "close_connections")


def connections(proxy: "Proxy", limit: int, wanted: Mapping[str, Any]) -> tuple[list[Connection], str | None]:
    """Return a page of live connections, and its cursor. Raises ValueError for what cannot be looked for."""
    if has_facts(proxy):
        choosing: Any = proxy
        page = choosing.connections(limit, **wanted)
        return page, page.cursor
    if "cursor" in wanted:
        raise ValueError("there is no other page")
    if "client" in wanted:
        ip_network(wanted["client"], strict=False)
    chosen = [one for one in proxy.connections(_MOST) if _holds(one, wanted)]
    return chosen[:limit], None


def close(proxy: "Proxy", numbers: Iterable[int]) -> int:
    """Close connections by their numbers; returns how many there were."""
    closing: Any = proxy
    closed: int = closing.close_connections(list(numbers))
    return closed


def number(one: Connection) -> int:
    """Return the number of a connection."""
    numbered: Any = one
    found: int = numbered.id
    return found


def refusals(proxy: "Proxy") -> tuple[dict[str, Any], ...]:
    """Return the last refusals as JSON has them, the oldest first."""
    refusing: Any = proxy
    rows = (asdict(one) for one in refusing.refusals())
    return tuple({**row, "first_bytes": b64encode(row["first_bytes"]).decode()} for row in rows)


def metrics(proxy: "Proxy", form: str, scopes: Sequence[str]) -> tuple[str, str]:
    """Return all counters for scrapers, and their media type. Raises ValueError for an unknown scope."""
    from headworks import stats

    types: Any = getattr(stats, "METRICS_TYPES", {})
    measuring: Any = proxy
    return measuring.metrics(form, scopes), types[form]


def _holds(one: Connection, wanted: Mapping[str, Any]) -> bool:
    same = ("listener", "backend", "server", "state")
    return (
        all(getattr(one, name) == wanted[name] for name in same if name in wanted)
        and ("client" not in wanted or _is_within(one.client, wanted["client"]))
        and ("host" not in wanted or _is_named(one, wanted["host"].lower()))
        and one.idle_ms >= wanted.get("idle_over", 0) * 1000
        and one.age_ms >= wanted.get("age_over", 0) * 1000
    )


def _is_within(client: str, network: str) -> bool:
    within = ip_network(network, strict=False)
    try:
        return ip_address(client.rpartition(":")[0].strip("[]")) in within
    except ValueError:
        return False


def _is_named(one: Connection, host: str) -> bool:
    names = {name.lower().partition(":")[0] for name in (one.sni, one.host) if name}
    return any(name.endswith(host[1:]) if host.startswith("*.") else name == host for name in names)
