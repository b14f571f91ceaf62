"""A network of three machines, as namespaces: a client, a router with the proxy, and a server behind it.

```text
  client 10.81.1.2 ---- 10.81.1.1 router 10.81.2.1 ---- 10.81.2.2 server
       fd81:1::2 ---- fd81:1::1        fd81:2::1 ---- fd81:2::2
```
"""

import contextlib
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence

from rig.waiting import PATIENCE

CLIENT, SERVER = "10.81.1.2", "10.81.2.2"
CLIENT6, SERVER6 = "fd81:1::2", "fd81:2::2"
ROUTER = "10.81.1.1"

_SERVE = """
import socket, sys, threading
listening = socket.create_server((sys.argv[1], int(sys.argv[2])), family=int(sys.argv[3]))
print("ready", flush=True)
def serve(one):
    with one:
        while got := one.recv(4096):
            one.sendall(f"{one.getpeername()[0]} to {one.getsockname()[0]}:{one.getsockname()[1]} ".encode() + got)
while True:
    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
"""

_ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as one:
    try:
        one.sendall(sys.argv[3].encode())
        one.shutdown(socket.SHUT_WR)
        while got := one.recv(4096):
            sys.stdout.write(got.decode())
    except OSError:
        sys.stdout.write("reset")
"""


def why_not() -> str | None:
    """Return why there can be no such network; None: there can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    missing = [tool for tool in ("ip", "iptables", "ip6tables") if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} is not installed"
    probe = f"hw-{uuid.uuid4().hex[:8]}"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False).returncode:
        return "no network namespace can be made here"
    tables = ["iptables", "-t", "mangle", "-A", "PREROUTING", "-p", "tcp", "-j", "TPROXY", "--on-port", "1"]
    works = subprocess.run(["ip", "netns", "exec", probe, *tables], capture_output=True, check=False).returncode == 0
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return None if works else "this kernel has no TPROXY"


class Network:
    """The three namespaces; the router's is where the proxy runs."""

    def __init__(self) -> None:
        mark = uuid.uuid4().hex[:6]
        self.client, self.router, self.server = (f"hw-{mark}-{part}" for part in ("client", "router", "server"))
        self._processes: list[subprocess.Popen[str]] = []

    def prefix(self, namespace: str) -> list[str]:
        """Return what a command is put behind to be run there."""
        return ["ip", "netns", "exec", namespace]

    def run(self, namespace: str, *command: str) -> str:
        """Run a command there; returns what it says."""
        done = subprocess.run(
            [*self.prefix(namespace), *command], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def rules(self, *lines: str) -> None:
        """Run lines of iptables, ip6tables or ip on the router."""
        for line in lines:
            self.run(self.router, *line.split())

    def serve(self, address: str, port: int) -> None:
        """Have the server answer there: with whom it sees, and as whom it was reached."""
        family = "10" if ":" in address else "2"
        command = [*self.prefix(self.server), sys.executable, "-c", _SERVE, address, str(port), family]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"

    def ask(self, address: str, port: int, word: str = "hello") -> str:
        """Connect from the client and return the answer; empty: it was closed."""
        return self.run(self.client, sys.executable, "-c", _ASK, address, str(port), word)

    def up(self) -> None:
        """Make it."""
        for namespace in (self.client, self.router, self.server):
            _ip("netns", "add", namespace)
            self.run(namespace, "ip", "link", "set", "lo", "up")
        self._link(self.client, "toclient", "1")
        self._link(self.server, "toserver", "2")
        for key in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0"):
            self.run(self.router, "sysctl", "-qw", key)

    def down(self) -> None:
        """Leave nothing behind."""
        for process in self._processes:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        for namespace in (self.client, self.router, self.server):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)

    def _link(self, namespace: str, device: str, net: str) -> None:
        commands: Sequence[Sequence[str]] = (
            ("ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", namespace),
            ("ip", "addr", "add", f"10.81.{net}.1/24", "dev", device),
            ("ip", "-6", "addr", "add", f"fd81:{net}::1/64", "dev", device, "nodad"),
            ("ip", "link", "set", device, "up"),
        )
        for command in commands:
            self.run(self.router, *command)
        for command in (
            ("ip", "addr", "add", f"10.81.{net}.2/24", "dev", "eth0"),
            ("ip", "-6", "addr", "add", f"fd81:{net}::2/64", "dev", "eth0", "nodad"),
            ("ip", "link", "set", "eth0", "up"),
            ("ip", "route", "add", "default", "via", f"10.81.{net}.1"),
            ("ip", "-6", "route", "add", "default", "via", f"fd81:{net}::1"),
        ):
            self.run(namespace, *command)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, check=True)


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """Make a network, and leave nothing behind."""
    made = Network()
    try:
        made.up()
        yield made
    finally:
        made.down()
