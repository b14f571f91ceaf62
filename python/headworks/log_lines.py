"""The program's own log lines on stderr; access records are the engine's.

``2026-01-02T03:04:05.678Z info ready listener=secure address=127.0.0.1:443``, or the same as one JSON object. Must
never raise or wait: a log that cannot be written, or that nobody reads, does not stop a proxy.
"""

import contextlib
import json
import os
import re
import socket
import stat
from collections.abc import Callable
from datetime import UTC, datetime

from headworks.config.problems import one_line

LEVELS = ("debug", "info", "warning", "error")

_PLAIN = re.compile(r'[^\s"=\\]+')


class Log:
    """Writes lines of ``level`` and above, each in one write so that lines of several threads never mix.

    A line that would have to wait, because a pipe or terminal takes nothing more, is lost.
    """

    def __init__(self, *, form: str = "text", level: str = "info", descriptor: int = 2) -> None:
        self.form = form
        self.level = level
        self._write = _without_waiting(descriptor)

    def write(self, level: str, message: str, *pairs: tuple[str, object]) -> None:
        """Write one line; a key may come several times in ``pairs``.

        A tuple is several values of its key: in text the key comes with each of them, in JSON it has a list.
        """
        if LEVELS.index(level) < LEVELS.index(self.level):
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = _json(now, level, message, pairs) if self.form == "json" else _text(now, level, message, pairs)
        self.put(level, line)

    def put(self, level: str, line: str) -> None:  # noqa: ARG002  (other places heed it)
        """Write a whole line."""
        with contextlib.suppress(OSError):
            self._write(line.encode(errors="backslashreplace") + b"\n")

    def close(self) -> None:
        """Write what waits. Here nothing does."""

    def info(self, message: str, *pairs: tuple[str, object]) -> None:
        """Write what an operator may want to see."""
        self.write("info", message, *pairs)

    def warning(self, message: str, *pairs: tuple[str, object]) -> None:
        """Write what an operator should see."""
        self.write("warning", message, *pairs)

    def error(self, message: str, *pairs: tuple[str, object]) -> None:
        """Write what an operator must act on."""
        self.write("error", message, *pairs)


def _without_waiting(descriptor: int) -> Callable[[bytes], int]:
    """Return what writes to ``descriptor`` but never waits. What others share of it stays as it is."""
    mode = 0
    with contextlib.suppress(OSError):  # it may be closed
        mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        ours = socket.socket(fileno=os.dup(descriptor))
        return lambda line: ours.send(line, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        # Opened again it has flags of its own.
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            again = os.open(f"/proc/self/fd/{descriptor}", flags)
            return lambda line: os.write(again, line)
    return lambda line: os.write(descriptor, line)


def _text(now: str, level: str, message: str, pairs: tuple[tuple[str, object], ...]) -> str:
    several = ((key, value if isinstance(value, tuple) else (value,)) for key, value in pairs)
    shown = [f"{key}={_value(value)}" for key, values in several for value in values]
    return " ".join([now, level, one_line(message), *shown])


def _json(now: str, level: str, message: str, pairs: tuple[tuple[str, object], ...]) -> str:
    record: dict[str, object] = {"ts": now, "level": level, "message": message}
    for key in dict.fromkeys(key for key, _ in pairs):
        values = [value for name, value in pairs if name == key]
        record[key] = values[0] if len(values) == 1 else values
    return json.dumps(record, default=str)


def _value(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
