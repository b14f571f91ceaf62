"""Streams: reading messages of HTTP/1.1 from a socket until a deadline.

Owns one socket's bytes that came but were not asked for yet. Must never wait past its deadline, nor keep more than
MOST bytes of one message.
"""

import re
import socket
import time

MOST = 64 << 20
"""Bytes of a head or a body that are kept at most."""
PATIENCE = 10.0
"""Seconds that anything is waited for, when nothing else is said."""

Fields = tuple[tuple[str, str], ...]
"""Header fields in order, as sent."""

_PIECE = 65536


class Deadline:
    """A moment on the monotonic clock, ``seconds`` from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self, what: str) -> float:
        """Return the seconds that are left, more than 0. Raises TimeoutError, which names ``what``."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"waited {self.seconds:g} s for {what}")
        return left


class Stream:
    """Reads from a socket. Raises TimeoutError past ``deadline``, OSError when the connection breaks."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self.connection = connection
        self.deadline = deadline
        self._held = b""

    def some(self, what: str = "bytes") -> bytes:
        """Return what has come, at least one byte; nothing at the end."""
        if self._held:
            some, self._held = self._held, b""
            return some
        try:
            self.connection.settimeout(self.deadline.left(what))
            return self.connection.recv(_PIECE)
        except TimeoutError:
            raise TimeoutError(f"waited {self.deadline.seconds:g} s for {what}") from None

    def until(self, mark: bytes, what: str) -> bytes:
        """Return everything before ``mark``, which is left out. Raises ConnectionError when the end comes first."""
        came = b""
        while mark not in came:
            more = self.some(what)
            if not more or len(came) > MOST:
                raise ConnectionError(f"{'too much' if more else 'the end'} came before {what}: {came[-200:]!r}")
            came += more
        before, _, self._held = came.partition(mark)
        return before

    def exactly(self, count: int, what: str) -> bytes:
        """Return ``count`` bytes. Raises ConnectionError when the end comes first, or ``count`` is too many."""
        if count > MOST:
            raise ConnectionError(f"{count} bytes are too many for {what}")
        came = bytearray()
        while len(came) < count:
            more = self.some(what)
            if not more:
                raise ConnectionError(f"{len(came)} of {count} bytes of {what} came before the end")
            came += more
        self._held = bytes(came[count:])
        return bytes(came[:count])

    def rest(self, what: str) -> bytes:
        """Return everything up to the end. Raises ConnectionError for too much."""
        came = bytearray()
        while more := self.some(what):
            came += more
            if len(came) > MOST:
                raise ConnectionError(f"too much came of {what}")
        return bytes(came)

    def ended(self) -> bool:
        """Return whether the end has come and nothing is held: waits for the first byte or the end."""
        self._held = self._held or self.some("the first byte")
        return not self._held

    def head(self, what: str) -> tuple[str, Fields]:
        """Return the first line and the fields of a message (RFC 9112, section 2). Raises ConnectionError."""
        line, *lines = self.until(b"\r\n\r\n", what).decode("latin-1").split("\r\n")
        pairs = (one.partition(":") for one in lines)
        return line, tuple((name, value.strip(" \t")) for name, _, value in pairs)

    def body(self, fields: Fields, *, until_end: bool) -> bytes:
        """Return the body that the fields announce (RFC 9112, section 6.3); ``until_end``: when they announce none."""
        if (value_of(fields, "transfer-encoding") or "").lower().endswith("chunked"):
            return self._chunks()
        length = value_of(fields, "content-length")
        if length is not None:
            if not re.fullmatch("[0-9]{1,18}", length):
                raise ConnectionError(f"{length!r} is no Content-Length")
            return self.exactly(int(length), "a body")
        return self.rest("a body that ends with the connection") if until_end else b""

    def _chunks(self) -> bytes:
        whole = bytearray()
        while True:
            size = self.until(b"\r\n", "the size of a chunk").partition(b";")[0].strip()
            if not re.fullmatch(b"[0-9A-Fa-f]{1,15}", size):
                raise ConnectionError(f"{size!r} is no size of a chunk")
            if int(size, 16) == 0:
                break
            whole += self.exactly(int(size, 16), "a chunk")
            self.exactly(2, "the end of a chunk")
            if len(whole) > MOST:
                raise ConnectionError("too much came of a body")
        while self.until(b"\r\n", "trailers"):
            pass
        return bytes(whole)


def value_of(fields: Fields, name: str) -> str | None:
    """Return the first value of a field, whatever the case of its name; None when it is absent."""
    return next((value for one, value in fields if one.lower() == name.lower()), None)
