"""Daemon: going to the background, and telling whoever waits in front how that went.

Must be done before anything has a thread: a copy of the process has none of them. Must never keep a terminal.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

from headworks.signals import HELD

_UMASK = 0o022


class Background:
    """A process that went to the background. The one in front waits until ``ready`` or ``failed`` is called."""

    def __init__(self, told: int) -> None:
        self._told: int | None = told

    @classmethod
    def enter(cls) -> "Background":
        """Go there; only the copy returns. The process in front exits 0 when all is ready, else 1 with what failed."""
        sys.stdout.flush()
        sys.stderr.flush()
        hears, tells = os.pipe()
        if child := os.fork():
            os.close(tells)
            _wait(child, hears)
        os.close(hears)
        os.setsid()
        if os.fork():
            # A process that leads no session never gets a terminal again.
            os._exit(0)
        os.chdir("/")
        os.umask(_UMASK)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        os.close(nothing)
        return cls(tells)

    def ready(self) -> None:
        """Let the process in front go."""
        self._tell(b"\0")

    def failed(self, reason: str) -> None:
        """Let the process in front say why, and fail."""
        self._tell(reason.encode(errors="backslashreplace"))

    def _tell(self, text: bytes) -> None:
        if self._told is None:
            return
        with contextlib.suppress(OSError):
            os.write(self._told, text)
        os.close(self._told)
        self._told = None


def _wait(child: int, hears: int) -> None:
    """Wait as the process in front, and exit."""
    # Whoever waits in vain may end it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    os.waitpid(child, 0)
    heard = b""
    while piece := os.read(hears, 1 << 16):
        heard += piece
    if heard != b"\0":
        os.write(2, heard or b"it ended before it was ready\n")
    os._exit(0 if heard == b"\0" else 1)


class PidFile:
    """A file with the number of this process, while it runs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self) -> None:
        """Write it anew. Raises OSError."""
        self._path.unlink(missing_ok=True)
        self._path.write_text(f"{os.getpid()}\n")

    def remove(self) -> None:
        """Remove it; empty it, where its directory may no longer be written."""
        with contextlib.suppress(OSError):
            if self._path.read_text() != f"{os.getpid()}\n":
                return
            try:
                self._path.unlink()
            except OSError:
                os.truncate(self._path, 0)
