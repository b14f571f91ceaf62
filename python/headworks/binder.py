"""The binder: a small process that keeps root and binds what the proxy, an ordinary user by then, may not.

Run as ``python -m headworks.binder FD`` with one end of a stream socketpair. A request is one JSON line
``{"address": "0.0.0.0:443", "ipv6_only": false, "backlog": 4096, "unix_mode": 432, "transparent": false, "interface":
null, "mark": null}``, where all but the address may be left out. The answer is the byte ``+``
with a bound, listening, non-blocking socket (SCM_RIGHTS), or ``-``, the reason and a newline. It ends when the other
end is closed. Imports only the standard library and signals.py; must never do anything but bind.
"""

import array
import json
import os
import signal
import socket
import stat
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

from headworks.signals import HELD

_LONGEST_REQUEST = 4096
_IPV6_TRANSPARENT = 75
"""Of linux/in6.h; the module socket has no name for it."""


@dataclass(frozen=True)
class Binder:
    """A running binder, as the process that started it sees it."""

    process: "subprocess.Popen[bytes]"
    connection: socket.socket

    @classmethod
    def start(cls) -> "Binder":
        """Start one. Raises OSError."""
        import subprocess

        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            process = subprocess.Popen(  # noqa: S603  (our own module, by our own interpreter)
                [sys.executable, "-m", "headworks.binder", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        return cls(process, ours)

    def fileno(self) -> int:
        """Return the descriptor to ask through."""
        return self.connection.fileno()

    def stop(self) -> None:
        """Let it end and collect it."""
        self.connection.close()
        self.process.wait()


@dataclass(frozen=True, kw_only=True)
class Privileged:
    """Options that an ordinary user may not set."""

    transparent: bool = False
    interface: str | None = None
    mark: int | None = None

    def set(self, listening: socket.socket) -> None:
        """Set them on an IP socket. Raises OSError."""
        if self.transparent and listening.family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
        elif self.transparent:
            listening.setsockopt(socket.IPPROTO_IP, socket.IP_TRANSPARENT, 1)
        if self.interface is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode())
        if self.mark is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", self.mark))


def bind(
    address: str, *, ipv6_only: bool = False, backlog: int = 4096, unix_mode: int = 0o660, **privileged: Any
) -> socket.socket:
    """Return a bound, listening, non-blocking socket for ``IP:PORT``, ``:PORT`` or ``unix:PATH``.

    ``privileged`` are fields of Privileged.

    Raises OSError when the system refuses, ValueError when ``address`` is none of these.
    """
    options = Privileged(**privileged)
    if address.startswith("unix:"):
        return _bind_unix(address.removeprefix("unix:"), backlog, unix_mode)
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "::"
    if not port.isdigit():
        raise ValueError(f"{address} has no port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        options.set(listening)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(ipv6_only))
        listening.bind((host, int(port)))
        listening.listen(backlog)
    except BaseException:
        listening.close()
        raise
    return listening


def serve(connection: socket.socket) -> None:
    """Answer requests until the other end is closed."""
    with connection.makefile("rb") as requests:
        while line := requests.readline(_LONGEST_REQUEST):
            try:
                listening = bind(**_request(line))
            except (OSError, ValueError, TypeError, OverflowError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                connection.sendall(b"-" + reason.replace("\n", " ").encode() + b"\n")
                continue
            with listening:
                rights = array.array("i", [listening.fileno()])
                connection.sendmsg([b"+"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def main() -> None:
    """Serve on the descriptor given as the one argument."""
    # Signals to the whole group (Ctrl-C, systemd) are the proxy's to act on: while it drains it may reload.
    for number in HELD:
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        serve(connection)


def _request(line: bytes) -> dict[str, Any]:
    request = json.loads(line)
    if not isinstance(request, dict) or not isinstance(request.get("address"), str):
        raise TypeError("a request is an object with an address")
    return request


def _bind_unix(path: str, backlog: int, mode: int) -> socket.socket:
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # The mode holds from the first moment: nobody connects before a chmod.
        before = os.umask(0o777 & ~mode)
        try:
            listening.bind(path)
        finally:
            os.umask(before)
        listening.listen(backlog)
    except BaseException:
        listening.close()
        raise
    return listening


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on any more; anything else in the way is left and makes bind fail."""
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
        except OSError:
            return


if __name__ == "__main__":
    main()
