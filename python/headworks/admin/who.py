"""The one that comes by a unix socket: what the kernel says of the process at its other end (SO_PEERCRED).

Must never trust our own process: a backend whose server is this very socket would let anybody in from outside.
"""

import os
import pwd
import socket
import struct
from dataclasses import dataclass

from headworks.config.tokens import Role

_CREDENTIALS = struct.Struct("3i")
_SO_PEERGROUPS = 59
_MOST_GROUPS = 65536


@dataclass(frozen=True)
class Who:
    """One that asks."""

    name: str
    """The user, or the name of the token."""
    role: Role | None
    """Everything that it may do; None: nothing, unless it has a token."""


def at(connection: socket.socket, group: int | None) -> Who:
    """Say who is at the other end of a unix socket; members of ``group`` may read."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, main = _CREDENTIALS.unpack(credentials)
    name = _name(user)
    # A process of another namespace has no number here: nobody can say that it is not one of ours.
    if pid in (0, os.getpid()):
        return Who("itself", None)
    if user in (0, os.geteuid()):
        return Who(name, "operate")
    if group is not None and group in {main, *_groups(connection)}:
        return Who(name, "read")
    return Who(name, None)


def _groups(connection: socket.socket) -> tuple[int, ...]:
    try:
        numbers = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUPS * 4)
    except OSError:
        return ()
    return struct.unpack(f"{len(numbers) // 4}I", numbers)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid {user}"
