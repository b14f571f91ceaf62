"""Docker: servers are containers that say so by their labels; Podman's socket speaks the same.

Owns what labels mean. Must never look at containers without our labels: they are somebody else's.
"""

import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from headworks.providers.base import Provider, ProviderError
from headworks.providers.client import Client, followed
from headworks.providers.sets import labelled

LOG = logging.getLogger("headworks.providers")
SOCKET = "/var/run/docker.sock"
_UNFIT = ("(unhealthy)", "(health: starting)", "(starting)", "(Paused)")
"""Ends of the status of a container that runs and is none to send clients to."""
_DATAGRAMS = ("udp", "sctp")
"""Ports that no connection is made to."""


class Docker(Provider):
    """The running containers with the label ``headworks.backend=NAME``, by the socket of Docker or Podman."""

    def __init__(
        self,
        name: str,
        *,
        socket: str = SOCKET,
        network: str | None = None,
        interval: float = 60.0,
        timeout: float = 10.0,
    ) -> None:
        self.name = name
        self.socket = socket
        self.network = network
        self.interval = interval
        self.timeout = timeout
        self._told: set[str] = set()

    async def servers(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield all of them whenever something happens to one, and every ``interval`` seconds at least."""
        label = {"label": [f"headworks.backend={self.name}"]}
        events = json.dumps({"type": ["container"], **label})
        async with (
            Client("http://localhost", socket=self.socket, timeout=self.timeout) as client,
            followed(client, "/events", filters=events) as changes,
        ):
            while True:
                # Whatever happens from now on is a change.
                reply = await client.get("/containers/json", filters=json.dumps(label))
                yield list(self._found(reply.value))
                await changes.wait(self.interval)

    def _found(self, containers: Any) -> Iterator[dict[str, Any]]:
        """Yield the fit ones as servers; what is wrong with one is its own problem, told once."""
        if not isinstance(containers, list):
            raise ProviderError("the answer is no list of containers")
        told = set()
        for one in containers:
            try:
                if self._is_ours(one):
                    yield self._server(one)
            except (ProviderError, AttributeError, KeyError, TypeError, ValueError) as error:
                names = one.get("Names") if isinstance(one, dict) else None
                told.add(f"{names[0].lstrip('/') if names else 'a container'}: {error}")
        for wrong in told - self._told:
            LOG.warning("docker:%s: %s", self.name, wrong)
        self._told = told

    def _is_ours(self, container: Mapping[str, Any]) -> bool:
        """Whether it is labelled so, runs, and is not held to be unfit."""
        is_labelled = container["Labels"].get("headworks.backend") == self.name
        is_running = container.get("State", "running") == "running"
        return is_labelled and is_running and not str(container.get("Status", "")).endswith(_UNFIT)

    def _server(self, container: Mapping[str, Any]) -> dict[str, Any]:
        labels = container["Labels"]
        address = self._address(container, labels.get("headworks.network"))
        found: dict[str, Any] = {"address": f"{address}:{_port(container, labels.get('headworks.port'))}"}
        for key in ("weight", "backup", "max_connections"):
            if (said := labels.get(f"headworks.{key}")) is not None:
                found[key] = labelled(key, said)
        return found

    def _address(self, container: Mapping[str, Any], wanted: str | None) -> str:
        """Return the address in the network that its label or the configuration names, or in the first that has one."""
        networks = container["NetworkSettings"]["Networks"] or {}
        wanted = wanted or self.network
        if wanted is not None and wanted not in networks:
            raise ProviderError(f"it is not in the network {wanted}")
        if "host" in networks and wanted in (None, "host"):
            return "127.0.0.1"
        for name in [wanted] if wanted is not None else sorted(networks):
            if ip := networks[name].get("IPAddress"):
                return str(ip)
            if ip := networks[name].get("GlobalIPv6Address"):
                return f"[{ip}]"
        raise ProviderError("it has no address in a network")


def _port(container: Mapping[str, Any], label: str | None) -> int:
    """Return the port that its label says, or the only one that it exposes."""
    if label is not None:
        return int(label)
    ports = {one["PrivatePort"] for one in container.get("Ports") or () if one.get("Type") not in _DATAGRAMS}
    if len(ports) != 1:
        raise ProviderError(f"it exposes {len(ports)} ports: the label headworks.port says which")
    return int(ports.pop())
