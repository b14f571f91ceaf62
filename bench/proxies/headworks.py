"""Ourselves: `headworks run FILE`."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import tempfile
from pathlib import Path

from proxies.base import ROOT, Competitor, Protocol, Task
from proxies.certificates import Certificate, made


class Headworks(Competitor):
    """Ourselves: `headworks run FILE`."""

    program = "headworks"
    version_option = "--version"

    def find(self) -> Path | None:
        """Prefer the environment and PATH, then the repository's own virtual environment."""
        own = ROOT / ".venv" / "bin" / "headworks"
        return super().find() or (own if own.exists() else None)

    def can(self, protocol: Protocol) -> bool:
        """HTTP and HTTPS only when this build accepts such a listener."""
        if protocol not in ("http", "https"):
            return True
        program = self.find()
        return program is not None and _accepts(program, protocol)

    def arguments(self, program: Path, task: Task) -> list[str]:
        """Write the configuration; everything that is not named here is a default."""
        return [str(program), "run", str(task.write("headworks.toml", configuration(task)))]

    def reload(self, program: Path, task: Task, pid: int) -> None:
        """HUP reads the file again."""
        self.arguments(program, task)
        os.kill(pid, signal.SIGHUP)


def configuration(task: Task) -> str:
    """One worker (`skew`: two) moves bytes; access records off as everywhere; short drain: the run is over."""
    routing = {
        "tls": 'protocol = "tls"\ntable = "names"',
        "tcp": 'protocol = "tcp"\nbackend = "origin"',
        "http": 'protocol = "http"\nbackend = "origin"',
        "https": 'protocol = "https"\nbackend = "origin"',
    }[task.protocol]
    text = f"""
[proxy]
workers = {task.workers}
drain = "1s"
[logs]
access = "off"
[listeners.bench]
bind = "127.0.0.1:{task.listen}"
{routing}
max_connections = {task.sessions}
[listeners.bench.timeouts]
idle = "1h"
{_HTTP_TIMEOUTS if task.http else ""}
{_tls(task.certificate) if task.certificate else ""}
[backends.origin]
servers = [{", ".join(f'"{address}"' for address in task.addresses)}]
{_HTTP_POOL if task.http else ""}
"""
    if task.names:
        text += "[tables.names]\n" + "".join(f'"{name}" = "origin"\n' for name in task.names)
    return text


# Never bites; X-Forwarded-For is added by default.
_HTTP_TIMEOUTS = 'keep_alive = "1h"'
# Server connections that are kept; all clients of a scenario have one.
_HTTP_POOL = '[backends.origin.pool]\nsize = 1000\ntimeout = "1h"'


def _tls(certificate: Certificate) -> str:
    """Tickets and HTTP/1.1 by ALPN are defaults; of the groups clients choose, and these have one."""
    return f"""[listeners.bench.tls]
certificates = [{{ certificate = "{certificate.certificate}", key = "{certificate.key}" }}]
min_version = "1.3"
"""


_SMALLEST = """
[listeners.bench]
bind = "127.0.0.1:0"
protocol = "{protocol}"
backend = "origin"
{tls}
[backends.origin]
servers = ["127.0.0.1:1"]
"""


@functools.cache
def _accepts(program: Path, protocol: Protocol) -> bool:
    """Ask with the smallest configuration: one that is wrong in another way must not pass for a missing protocol."""
    with tempfile.TemporaryDirectory(prefix="headworks-bench-") as directory:
        file = Path(directory) / "headworks.toml"
        tls = _tls(made()) if protocol == "https" else ""
        file.write_text(_SMALLEST.format(protocol=protocol, tls=tls))
        checked = subprocess.run([str(program), "check", str(file)], capture_output=True, check=False)
        return checked.returncode == 0
