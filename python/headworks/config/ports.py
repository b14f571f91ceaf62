"""Ports that servers inherit: one that is written without a port has that of the listeners that lead to it.

Must never choose: where listeners of several ports lead there, the port is to be said.
"""

import re
from ipaddress import IPv6Address
from typing import Any

from headworks.config.models.whole import Whole
from headworks.config.problems import Problem
from headworks.config.routes import backends_of, table_backends

_HOST = re.compile(r"\*|\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*\.?")
"""A name, an address or ``*``, without a port."""


def settle(value: dict[str, Any], config: Whole, problems: list[Problem]) -> None:
    """Give every server of ``value`` that has no port the one that it inherits."""
    for name, backend in value["backends"].items():
        found = ((index, _bare(server["address"])) for index, server in enumerate(backend["servers"]))
        portless = {index: host for index, host in found if host is not None}
        ports = _ports(config, name) if portless else set()
        for index, host in portless.items():
            server = backend["servers"][index]
            if len(ports) == 1:
                server["address"] = f"{host}:{min(ports)}"
            elif ports:
                lead = " and ".join(map(str, sorted(ports)))
                reason = f'"{server["address"]}" lacks a port, and listeners of ports {lead} lead there'
                problems.append(Problem(path=("backends", name, "servers", index, "address"), reason=reason))
                server["address"] = f"{host}:{min(ports)}"


def _bare(address: str) -> str | None:
    """Return what a port can be put behind; None when there is one, or none is due."""
    if address == "original":
        return None
    try:
        return f"[{IPv6Address(address)}]"
    except ValueError:
        return address if _HOST.fullmatch(address) and not address.isdigit() else None


def _ports(config: Whole, backend: str) -> set[int]:
    """Return the ports of the listeners that lead to a backend."""
    found: set[int] = set()
    for listener in config.listeners.values():
        passed = table_backends(config, listener.tls.passthrough) if listener.tls is not None else set()
        if backend in backends_of(config, listener) | passed:
            found |= {int(port) for port in map(_port, listener.bind) if port is not None}
    return found


def _port(address: str) -> str | None:
    """Return the port of an address that is bound; None where it has none, or the system chooses one."""
    port = address.rpartition(":")[2]
    return port if not address.startswith(("unix:", "fd:")) and port.isdigit() and int(port) else None
