"""Ourselves: `headworks run FILE`."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from proxies.base import ANSWER, ROOT, Competitor, Protocol, Task
from proxies.certificates import Certificate, made


class Headworks(Competitor):
    """Ourselves: `headworks run FILE`.

    `python`: what people wrote for its requests: nothing, a rule of 20 nodes, or an analyzer that looks at a field and
    the path, as a plain method or a coroutine; `busy`: the plain method, while another thread of the interpreter computes
    all the time; `busy-5ms`: the same with the interpreter's own switch interval in place of ours.
    """

    program = "headworks"
    version_option = "--version"

    def __init__(self, *, python: Literal["", "rule", "analyzer", "async", "busy", "busy-5ms"] = "") -> None:
        """Choose the variant."""
        self.python = python

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
        task.write("bench_site.py", _PROGRAM.replace("{answer}", ANSWER))
        text = configuration(task, listener=_LISTENER[self.python], more=_MORE[self.python])
        return [str(program), "run", str(task.write("headworks.toml", text))]

    def reload(self, program: Path, task: Task, pid: int) -> None:
        """HUP reads the file again."""
        self.arguments(program, task)
        os.kill(pid, signal.SIGHUP)


def configuration(task: Task, *, listener: str = "", more: str = "") -> str:
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
{listener}
max_connections = {task.sessions}
[listeners.bench.timeouts]
idle = "1h"
{_HTTP_TIMEOUTS if task.http else ""}
{_tls(task.certificate) if task.certificate else ""}
[backends.origin]
servers = [{", ".join(f'"{address}"' for address in task.addresses)}]
{'rules = ["bench_site:answer"]' if task.answers else ""}
{_HTTP_POOL if task.http else ""}
"""
    text += more
    if task.names:
        text += "[tables.names]\n" + "".join(f'"{name}" = "origin"\n' for name in task.names)
    return text


_PROGRAM = '''"""What people write: a rule of 20 nodes, and analyzers that have nothing against a request."""

import sys
import threading
import time

import headworks

OFFICE = headworks.networks("10.0.0.0/8", "2001:db8::/32")


@headworks.rule
def route(request: headworks.Request) -> headworks.Verdict | None:
    """Decide by host, path, a field and the client."""
    if request.path.startswith("/admin") and request.client not in OFFICE:
        return headworks.respond(403)
    if request.method not in ("GET", "HEAD", "POST") or len(request.query) > 2000:
        return headworks.reject("odd")
    agent = request.headers.get("user-agent")
    if agent is not None and "badbot" in agent.lower():
        return headworks.respond(429)
    return None


@headworks.rule
def answer(request: headworks.Request) -> headworks.Verdict | None:
    """Answer in the place of a server: of a backend, and so after what the listener asks."""
    return headworks.respond(200, "{answer}")


class Plain(headworks.Analyzer):
    """Looks at a field and the path."""

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        """Answer about a request."""
        request = exchange.request
        if request.headers.get("x-bad") is not None or request.path.startswith("/admin"):
            return headworks.respond(403)
        return None


class Async(Plain):
    """The same as a coroutine, which waits for nothing."""

    async def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        """Answer about a request."""
        request = exchange.request
        if request.headers.get("x-bad") is not None or request.path.startswith("/admin"):
            return headworks.respond(403)
        return None


class Busy(Plain):
    """The plain one, beside a thread that computes all the time, as long as there are requests.

    While other proxies are measured it leaves the cores to them.
    """

    interval = 0.0
    asked = 0.0

    def start(self, proxy: headworks.Proxy) -> None:
        """Begin to compute."""
        threading.Thread(target=self.compute, daemon=True).start()

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        """Answer about a request."""
        self.asked = time.monotonic()
        return super().request(exchange)

    def compute(self) -> None:
        """Hold the interpreter for as long as it lets."""
        while True:
            if time.monotonic() > self.asked + 0.5:
                time.sleep(0.05)
                continue
            if self.interval:
                sys.setswitchinterval(self.interval)
            for _ in range(100_000):
                pass


class Busy5ms(Busy):
    """The same with the interval that the interpreter has by itself."""

    interval = 0.005
'''
_LISTENER = {
    "": "",
    "rule": 'rules = ["bench_site:route"]',
    "analyzer": 'analyzers = ["bench"]',
    "async": 'analyzers = ["bench"]',
    "busy": 'analyzers = ["bench"]',
    "busy-5ms": 'analyzers = ["bench"]',
}
_MORE = {
    "": "",
    "rule": "",
    "analyzer": '[analyzers.bench]\npython = "bench_site:Plain"\n',
    "async": '[analyzers.bench]\npython = "bench_site:Async"\n',
    "busy": '[analyzers.bench]\npython = "bench_site:Busy"\n',
    "busy-5ms": '[analyzers.bench]\npython = "bench_site:Busy5ms"\n',
}
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
