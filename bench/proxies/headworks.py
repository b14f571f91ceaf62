"""Ourselves: `headworks run FILE`."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import tempfile
from pathlib import Path

from proxies.base import ROOT, Competitor, Protocol, Task


class Headworks(Competitor):
    """Ourselves: `headworks run FILE`."""

    program = "headworks"
    version_option = "--version"

    def find(self) -> Path | None:
        """Prefer the environment and PATH, then the repository's own virtual environment."""
        own = ROOT / ".venv" / "bin" / "headworks"
        return super().find() or (own if own.exists() else None)

    def can(self, protocol: Protocol) -> bool:
        """HTTP only when this build accepts such a listener."""
        if protocol != "http":
            return True
        program = self.find()
        return program is not None and _accepts_http(program)

    def arguments(self, program: Path, task: Task) -> list[str]:
        """Write the configuration; everything that is not named here is a default."""
        return [str(program), "run", str(task.write("headworks.toml", configuration(task)))]

    def reload(self, program: Path, task: Task, pid: int) -> None:
        """HUP reads the file again."""
        self.arguments(program, task)
        os.kill(pid, signal.SIGHUP)


def configuration(task: Task) -> str:
    """`workers = 1`: one thread moves bytes; access records off as everywhere; short drain: the run is over."""
    routing = {
        "tls": 'protocol = "tls"\ntable = "names"',
        "tcp": 'protocol = "tcp"\nbackend = "origin"',
        "http": 'protocol = "http"\nbackend = "origin"',
    }[task.protocol]
    text = f"""
[proxy]
workers = 1
drain = "1s"
[logs]
access = "off"
[listeners.bench]
bind = "127.0.0.1:{task.listen}"
{routing}
max_connections = {task.sessions}
[listeners.bench.timeouts]
idle = "1h"
[backends.origin]
servers = ["127.0.0.1:{task.origin}"]
"""
    if task.names:
        text += "[tables.names]\n" + "".join(f'"{name}" = "origin"\n' for name in task.names)
    return text


@functools.cache
def _accepts_http(program: Path) -> bool:
    with tempfile.TemporaryDirectory(prefix="headworks-bench-") as directory:
        task = Task(listen=0, origin=1, names=(), bulk=False, descriptors=20_000, directory=Path(directory), http=True)
        file = task.write("headworks.toml", configuration(task))
        checked = subprocess.run([str(program), "check", str(file)], capture_output=True, check=False)
        return checked.returncode == 0
