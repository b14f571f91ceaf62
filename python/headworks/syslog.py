"""Syslog: lines to a syslog server, by a unix socket, UDP or TCP.

Owns how a line becomes a message (RFC 5424, or RFC 3164 for what is older) and one thread that sends. Must never hold
anybody up: a server that is gone or slow costs lines, which are counted, and told of when it is back.
"""

import contextlib
import os
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self

FACILITIES = {
    "kern": 0,
    "user": 1,
    "mail": 2,
    "daemon": 3,
    "auth": 4,
    "syslog": 5,
    "lpr": 6,
    "news": 7,
    "uucp": 8,
    "cron": 9,
    "authpriv": 10,
    "ftp": 11,
    **{f"local{number}": 16 + number for number in range(8)},
}
"""Numbers of facilities by name (RFC 5424, section 6.2.1)."""
SEVERITIES = {"error": 3, "warning": 4, "info": 6, "debug": 7}
"""Numbers of severities by our levels."""
MOST = 10_000
"""Lines that wait at most."""
LONGEST = 8192
"""Bytes of a message at most."""
LOCAL = "/dev/log"
"""The socket of this machine's own server."""

_HOST = r"[^:\[\]/]+|\[[^\]]+\]"
_PLACE = re.compile(rf"syslog(?::(?:(?P<path>/.+)|(?P<kind>udp|tcp):(?P<host>{_HOST})(?::(?P<port>\d{{1,5}}))?))?")
_PORTS = {"udp": 514, "tcp": 601}
_PATIENCE = 5.0
"""Seconds that one attempt to send or to connect may take."""
_PAUSES = (0.1, 0.5, 2.0, 5.0)
"""Seconds between attempts to reach a server that is gone."""
_NAME = re.compile(r"[^!-~]")

Kind = Literal["unix", "udp", "tcp"]


@dataclass(frozen=True, slots=True)
class Place:
    """A syslog server: where it is, and how it is spoken to."""

    kind: Kind
    address: str
    port: int = 0

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read ``syslog``, ``syslog:PATH``, ``syslog:udp:HOST:PORT`` or ``syslog:tcp:HOST:PORT``; None for no such."""
        found = _PLACE.fullmatch(text)
        if found is None:
            return None
        if found["kind"] is None:
            return cls("unix", found["path"] or LOCAL)
        port = int(found["port"] or _PORTS[found["kind"]])
        kind: Kind = "udp" if found["kind"] == "udp" else "tcp"
        return cls(kind, found["host"].strip("[]"), port) if 0 < port < 1 << 16 else None


@dataclass(frozen=True, slots=True)
class Form:
    """How lines become messages."""

    facility: str = "daemon"
    tag: str = "headworks"
    is_old: bool = False
    """RFC 3164 instead of RFC 5424."""

    def message(self, severity: int, line: bytes, *, is_local: bool, now: float) -> bytes:
        """Return one message. What is too long is cut."""
        priority = FACILITIES[self.facility] * 8 + severity
        tag = _NAME.sub("_", self.tag)[:32] or "-"
        host = _NAME.sub("_", socket.gethostname())[:255] or "-"
        if self.is_old:
            # The day is padded by a space, and a server of this machine knows the host.
            local = time.localtime(now)
            stamp = f"{_MONTHS[local.tm_mon - 1]} {local.tm_mday:2} {time.strftime('%H:%M:%S', local)}"
            head = f"<{priority}>{stamp} {'' if is_local else f'{host} '}{tag}[{os.getpid()}]: "
        else:
            stamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            head = f"<{priority}>1 {stamp} {host} {tag} {os.getpid()} - - "
        return (head.encode() + line)[:LONGEST]


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Sender:
    """Sends lines by a thread of its own."""

    def __init__(self, place: Place, form: Form, *, most: int = MOST) -> None:
        self._place = place
        self._form = form
        self._most = most
        self._waiting: deque[tuple[int, float, bytes]] = deque()
        self._changed = threading.Condition()
        self._ending = False
        self._lost = 0
        self._untold = 0
        self._socket: socket.socket | None = None
        self._is_stream = False
        self._thread = threading.Thread(target=self._run, name="headworks-syslog", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that were lost, since there were too many."""
        with self._changed:
            return self._lost

    def send(self, level: str, line: bytes) -> None:
        """Send a line, soon. Never waits: one that finds too many before it is lost."""
        with self._changed:
            if self._ending or len(self._waiting) >= self._most:
                self._lost += 1
                self._untold += 1
                return
            self._waiting.append((SEVERITIES[level], time.time(), line))
            self._changed.notify()

    def close(self, patience: float = 2.0) -> None:
        """Send what waits, for a while, and end."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(patience)
        if self._thread.is_alive():
            # Whatever it waits for ends with the socket.
            self._hang_up()

    def _run(self) -> None:
        failures = 0
        while (taken := self._next()) is not None:
            severity, when, line = taken
            message = self._form.message(severity, line, is_local=self._place.kind == "unix", now=when)
            while not self._sent(message):
                failures += 1
                if self._rest(_PAUSES[min(failures, len(_PAUSES)) - 1]):
                    self._hang_up()
                    return
            failures = 0
            self._tell()
        self._hang_up()

    def _next(self) -> tuple[int, float, bytes] | None:
        with self._changed:
            while not self._waiting and not self._ending:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting else None

    def _rest(self, seconds: float) -> bool:
        """Wait before another attempt. Return whether it is over."""
        with self._changed:
            return self._ending or self._changed.wait_for(lambda: self._ending, seconds)

    def _tell(self) -> None:
        """Say how many lines were lost while nothing could be sent."""
        with self._changed:
            lost, self._untold = self._untold, 0
        if lost:
            text = f"dropped lines={lost}".encode()
            now = time.time()
            message = self._form.message(SEVERITIES["warning"], text, is_local=self._place.kind == "unix", now=now)
            if not self._sent(message):
                with self._changed:
                    self._untold += lost

    def _sent(self, message: bytes) -> bool:
        try:
            if self._socket is None:
                self._socket, self._is_stream = self._connected()
            framed = b"%d %s" % (len(message), message) if self._place.kind == "tcp" else message
            if self._place.kind == "unix" and self._is_stream:
                framed = message.replace(b"\n", b" ") + b"\n"
            if self._is_stream:
                self._socket.sendall(framed)
            else:
                self._socket.send(framed[:LONGEST])
        except OSError:
            self._hang_up()
            return False
        return True

    def _connected(self) -> tuple[socket.socket, bool]:
        if self._place.kind == "tcp":
            return socket.create_connection((self._place.address, self._place.port), timeout=_PATIENCE), True
        if self._place.kind == "udp":
            found = socket.getaddrinfo(self._place.address, self._place.port, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            return _opened(family, kind, protocol, address), False
        try:
            return _opened(socket.AF_UNIX, socket.SOCK_DGRAM, 0, self._place.address), False
        except OSError:
            return _opened(socket.AF_UNIX, socket.SOCK_STREAM, 0, self._place.address), True

    def _hang_up(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()


def _opened(family: int, kind: int, protocol: int, address: object) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    made.settimeout(_PATIENCE)
    try:
        made.connect(address)  # type: ignore[arg-type]
    except OSError:
        made.close()
        raise
    return made


_END = b"\0"
"""A line that no log has: control characters are escaped there."""


class Pipe:
    """A file for the engine to write lines to, each of which is taken by a function."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._reads, self._writes = os.pipe()
        self._thread = threading.Thread(target=self._run, name="headworks-access", daemon=True)
        self._thread.start()

    @property
    def path(self) -> str:
        """The file's path, for this process alone."""
        return f"/proc/self/fd/{self._writes}"

    def close(self, patience: float = 2.0) -> None:
        """Take the last lines, and end. The engine must have ended: it may hold its end of the pipe for longer."""
        with contextlib.suppress(OSError):
            os.write(self._writes, _END + b"\n")
        os.close(self._writes)
        self._thread.join(patience)

    def _run(self) -> None:
        held = b""
        with open(self._reads, "rb", buffering=0) as file:  # noqa: PTH123  (a number)
            while read := file.read(65536):
                *lines, held = (held + read).split(b"\n")
                for line in lines:
                    if line == _END:
                        return
                    self._take(line)
