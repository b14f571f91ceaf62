"""The table of the proxies that are compared. Each has a file in `proxies/` with its configurations.

To add one: a class with `arguments` (and `reload`), a line here, and its name in the lanes of the scenarios.
"""

from __future__ import annotations

from proxies.base import ROOT, Competitor, Protocol, Task
from proxies.caddy import Caddy
from proxies.envoy import Envoy, EnvoyExtProc
from proxies.floor import Floor
from proxies.haproxy import HAProxy, HAProxyNewer
from proxies.headworks import Headworks
from proxies.mitmproxy import Mitmproxy
from proxies.nginx import Nginx, NginxJs, NginxMainline
from proxies.sniproxy import Sniproxy
from proxies.traefik import Traefik

__all__ = ["COMPETITORS", "ROOT", "Competitor", "Protocol", "Task"]

COMPETITORS: dict[str, Competitor] = {
    "floor": Floor(),
    "headworks": Headworks(),
    "headworks-rule": Headworks(python="rule"),
    "headworks-analyzer": Headworks(python="analyzer"),
    "headworks-async": Headworks(python="async"),
    "headworks-busy": Headworks(python="busy"),
    "headworks-busy-5ms": Headworks(python="busy-5ms"),
    "sniproxy": Sniproxy(),
    "nginx": Nginx(),
    "nginx-js": NginxJs(),
    "nginx-mainline": NginxMainline(),
    "haproxy": HAProxy(),
    "haproxy-newer": HAProxyNewer(),
    "haproxy-lua": HAProxy(lua=True),
    "haproxy-splice-auto": HAProxy(splice="auto"),
    "haproxy-splice": HAProxy(splice="always"),
    # A pipe of 1 MiB moves many more bytes per call; the largest that needs no privilege by default.
    "haproxy-splice-1m": HAProxy(splice="always", pipe=1 << 20),
    "envoy": Envoy(),
    "envoy-ext-proc": EnvoyExtProc(),
    "mitmproxy": Mitmproxy(),
    "traefik": Traefik(),
    "caddy": Caddy(),
}
