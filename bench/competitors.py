"""The proxies that are compared: where each is found, its version, and one small well-tuned configuration per task.

A competitor is found through the environment (`HAPROXY=/path`) or on PATH; one that is missing is skipped and said.
To add one: a class with `arguments`, and a line in COMPETITORS. All of them get one worker, no log, and
timeouts that never bite; every other line of tuning says why it is there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a proxy has to do: listen on a port, route `names` (none: plain TCP) to the origin."""

    listen: int
    origin: int
    names: Sequence[str]
    bulk: bool
    descriptors: int
    directory: Path

    @property
    def sessions(self) -> int:
        """How many sessions of two descriptors each fit, with some descriptors left for the rest."""
        return (self.descriptors - 500) // 2

    def write(self, name: str, text: str) -> Path:
        """Write a file of the configuration."""
        path = self.directory / name
        path.write_text(text)
        return path


class Competitor(ABC):
    """A proxy, or a variant of one."""

    program: str
    version_option = "-v"
    routes_names = True
    passes_plain_tcp = True

    def find(self) -> Path | None:
        """Return its program: the environment variable of its name first, then PATH."""
        named = os.environ.get(self.program.upper())
        found = named or shutil.which(self.program) or shutil.which(self.program, path="/usr/sbin:/usr/local/sbin")
        return Path(found) if found else None

    def version(self, program: Path) -> str:
        """Return what it says of its version, in one line."""
        ran = subprocess.run([str(program), self.version_option], capture_output=True, text=True, check=False)
        said = (ran.stdout + ran.stderr).strip().splitlines()
        return said[0] if said else "unknown"

    def can(self, *, routed: bool) -> bool:
        """Whether it can route by name, or pass plain TCP."""
        return self.routes_names if routed else self.passes_plain_tcp

    @abstractmethod
    def arguments(self, program: Path, task: Task) -> list[str]:
        """Write the configuration for `task` and return the command line."""


class Headworks(Competitor):
    """Ourselves: `headworks run FILE`."""

    program = "headworks"
    version_option = "--version"

    def find(self) -> Path | None:
        """Prefer the environment and PATH, then the repository's own virtual environment."""
        own = ROOT / ".venv" / "bin" / "headworks"
        return super().find() or (own if own.exists() else None)

    def arguments(self, program: Path, task: Task) -> list[str]:
        """`workers = 1`: one thread moves bytes; access records off as everywhere; short drain: the run is over."""
        routing = 'protocol = "tls"\ntable = "names"' if task.names else 'protocol = "tcp"\nbackend = "origin"'
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
        return [str(program), "run", str(task.write("headworks.toml", text))]


class HAProxy(Competitor):
    """HAProxy in TCP mode; `req.ssl_sni` and a string map (a tree lookup) choose the backend.

    `splice` is how bulk moves inside the kernel: not at all, when HAProxy sees a fast stream, or always. `pipe` is the
    size of its pipes in bytes; 0 keeps the kernel's 64 KiB.
    """

    program = "haproxy"

    def __init__(self, *, splice: Literal["", "auto", "always"] = "", pipe: int = 0) -> None:
        """Choose the variant."""
        self.splice = splice
        self.pipe = pipe

    def arguments(self, program: Path, task: Task) -> list[str]:
        """`-db`: foreground, one process."""
        task.write("names.map", "".join(f"{name} origin\n" for name in task.names))
        text = f"""
global
    nbthread 1                      # one worker
    maxconn {task.sessions}         # two descriptors each; all of them fit the limit
    # no "log" line anywhere: nothing is logged
    {self._pipes()}
defaults
    mode tcp
    maxconn {task.sessions}
    timeout connect 10s
    timeout client 1h               # never bites
    timeout server 1h
    option tcp-smart-accept         # no ACK of its own for the first bytes: one packet less
    option tcp-smart-connect        # the same towards the server
    {self._splicing()}
frontend bench
    bind 127.0.0.1:{task.listen} backlog 65535   # bursts of connections are queued, not retried after a second
    {self._routing(task)}
backend origin
    server origin 127.0.0.1:{task.origin}
"""
        return [str(program), "-db", "-f", str(task.write("haproxy.cfg", text))]

    def _pipes(self) -> str:
        """Enough pipes for every stream: the default would take the sessions' descriptors."""
        size = f"tune.pipesize {self.pipe}" if self.pipe else ""
        return f"maxpipes 100\n    {size}" if self.splice else ""

    def _splicing(self) -> str:
        always = "option splice-request\n    option splice-response"
        return {"": "", "auto": "option splice-auto", "always": always}[self.splice]

    def _routing(self, task: Task) -> str:
        if not task.names:
            return "default_backend origin"
        return f"""tcp-request inspect-delay 10s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}   # waits for the hello, no longer
    use_backend %[req.ssl_sni,lower,map_str({task.directory}/names.map)]"""


class Nginx(Competitor):
    """nginx's stream module; `ssl_preread` and a hash map choose the upstream."""

    program = "nginx"

    def arguments(self, program: Path, task: Task) -> list[str]:
        """In the foreground; a master and one worker."""
        # 16k (the default) reads a hello or a small request in one go; bulk gains from fewer, larger reads (past
        # 256k it still does, but then every session of the listener may take megabytes).
        buffer = "256k" if task.bulk else "16k"
        text = f"""
{self._module(program)}
daemon off;
worker_processes 1;                    # one worker
worker_rlimit_nofile {task.descriptors};
pid {task.directory}/nginx.pid;
error_log /dev/null crit;              # no log; stream has no access log unless asked
{"user root;" if os.geteuid() == 0 else ""}
events {{
    use epoll;
    worker_connections {2 * task.sessions};
    multi_accept on;                   # take all waiting connections in one turn
}}
stream {{
    tcp_nodelay on;
    proxy_connect_timeout 10s;
    proxy_timeout 1h;                  # never bites
    proxy_buffer_size {buffer};
    upstream origin {{ server 127.0.0.1:{task.origin}; }}
    {self._map(task)}
    server {{
        listen 127.0.0.1:{task.listen} backlog=65535;   # bursts of connections are queued
        {"ssl_preread on;" if task.names else ""}
        proxy_pass {"$pool" if task.names else "origin"};   # an upstream's name: nothing to resolve
    }}
}}
"""
        return [str(program), "-p", str(task.directory), "-c", str(task.write("nginx.conf", text))]

    def _map(self, task: Task) -> str:
        if not task.names:
            return ""
        entries = "".join(f"{name} origin;" for name in task.names)
        # The hash is sized for the table, so that a lookup is one step.
        size = max(2048, 4 * len(task.names))
        head = f"map_hash_bucket_size 128; map_hash_max_size {size};"
        return f"{head} map $ssl_preread_server_name $pool {{ {entries} }}"

    def _module(self, program: Path) -> str:
        """Debian keeps stream in a module of its own; other builds have it inside."""
        ran = subprocess.run([str(program), "-V"], capture_output=True, text=True, check=False)
        where = re.search(r"--modules-path=(\S+)", ran.stderr)
        if "--with-stream=dynamic" not in ran.stderr or where is None:
            return ""
        return f"load_module {where[1]}/ngx_stream_module.so;"


class Sniproxy(Competitor):
    """sniproxy: TLS (and HTTP) by name only. Its table is tried in order, so it suits few names."""

    program = "sniproxy"
    version_option = "-V"
    passes_plain_tcp = False

    def arguments(self, program: Path, task: Task) -> list[str]:
        """One process, as always with sniproxy; without access_log nothing is logged per connection."""
        entries = "".join(f"    {name} 127.0.0.1:{task.origin}\n" for name in task.names)
        text = f"""
pidfile {task.directory}/sniproxy.pid
listen 127.0.0.1:{task.listen} {{
    proto tls
    table names
}}
table names {{
{entries}}}
"""
        config = task.write("sniproxy.conf", text)
        # -f: foreground; -n: descriptors for all sessions.
        return [str(program), "-f", "-n", str(task.descriptors), "-c", str(config)]


class Floor(Competitor):
    """No proxy: a bare loop that passes bytes on unseen. What it costs is the kernel's work, which all pay."""

    program = "load"

    def find(self) -> Path | None:
        """Take the load generator, which has it built in."""
        from generator import build

        return build()

    def version(self, program: Path) -> str:  # noqa: ARG002  (the same question to all)
        """Say what it is."""
        return "a bare epoll loop, no proxy"

    def arguments(self, program: Path, task: Task) -> list[str]:
        """Pass everything to the origin, whatever the names."""
        return [str(program), "relay", "--listen", f"127.0.0.1:{task.listen}", "--target", f"127.0.0.1:{task.origin}"]


COMPETITORS: dict[str, Competitor] = {
    "floor": Floor(),
    "headworks": Headworks(),
    "sniproxy": Sniproxy(),
    "nginx": Nginx(),
    "haproxy": HAProxy(),
    "haproxy-splice-auto": HAProxy(splice="auto"),
    "haproxy-splice": HAProxy(splice="always"),
    # A pipe of 1 MiB moves many more bytes per call; the largest that needs no privilege by default.
    "haproxy-splice-1m": HAProxy(splice="always", pipe=1 << 20),
}
