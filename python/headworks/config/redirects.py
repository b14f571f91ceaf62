"""Redirects to https: the port that their clients are sent to.

``to = "https"`` is the port of the https listener, ``to = "https:8443"`` that port. Must never change any other
redirect.
"""

from collections.abc import Iterator
from typing import Any

from headworks.config.models import Listener
from headworks.config.models.whole import Whole
from headworks.config.problems import Path, Problem
from headworks.config.protocols import HTTPS

STANDARD = 443


def settle(value: dict[str, Any], config: Whole) -> None:
    """Put ports into the redirects of a Spec's listeners and tables."""
    ports = _ports(config)
    if not ports or STANDARD in ports:
        return
    for redirect in _redirects(value):
        redirect["to"] = f"https:{ports[0]}"


def doubtful_ports(config: Whole) -> Iterator[Problem]:
    """Yield a warning for every redirect that could mean several ports."""
    ports = _ports(config)
    if len(ports) < 2 or STANDARD in ports:  # noqa: PLR2004
        return
    for path in _paths(config):
        reason = f"https listeners have the ports {', '.join(map(str, ports))}: clients are sent to {ports[0]}"
        yield Problem(path=path, reason=reason, suggestion=f'write "https:{ports[0]}" or another', is_warning=True)


def _ports(config: Whole) -> list[int]:
    """Return the ports of https listeners, in the order of the file; those that the system chooses are left out."""
    listeners: list[Listener] = [one for one in config.listeners.values() if one.protocol in HTTPS]
    written = [
        address.rpartition(":")[2] for one in listeners for address in one.bind if address[:3] not in ("uni", "fd:")
    ]
    return list(dict.fromkeys(int(port) for port in written if port.isdigit() and int(port)))


def _redirects(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the redirects to https; those of https listeners go in circles, and are reported as they are written."""
    listeners = value["listeners"].values()
    circular = {one["table"] for one in listeners if one["protocol"] in HTTPS}
    entries = [entry for name, table in value["tables"].items() if name not in circular for entry in table.values()]
    for one in [*(one for one in listeners if one["protocol"] not in HTTPS), *entries]:
        redirect = one.get("redirect")
        if redirect is not None and redirect["to"] == "https":
            yield redirect


def _paths(config: Whole) -> Iterator[Path]:
    for name, listener in config.listeners.items():
        if listener.redirect is not None and listener.redirect.to == "https":
            yield ("listeners", name, "redirect")
    for table, entries in config.tables.items():
        for pattern, target in entries.items():
            if target.redirect is not None and target.redirect.to == "https":
                yield ("tables", table, pattern)
