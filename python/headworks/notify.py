"""Telling systemd what we do (sd_notify(3)): ready, reloading, stopping.

Does nothing where ``NOTIFY_SOCKET`` is not set. Must never fail the program: a supervisor that does not listen is its
own problem.
"""

import contextlib
import os
import socket
import time


def notify(state: str) -> None:
    """Send one state such as ``READY=1``; ``RELOADING=1`` gets the time that systemd wants with it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if state == "RELOADING=1":
        state += f"\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        # A name in the abstract namespace is written with @ and begins with NUL.
        datagrams.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
