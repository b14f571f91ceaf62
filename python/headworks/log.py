"""The program's own log lines on stderr; access records are the engine's.

``2026-01-02T03:04:05.678Z info ready listener=secure address=127.0.0.1:443``, or the same as one JSON object. Must
never raise: a log that cannot be written does not stop a proxy.
"""

import contextlib
import json
import os
import re
from datetime import UTC, datetime

from headworks.config.problems import one_line

LEVELS = ("debug", "info", "warning", "error")

_PLAIN = re.compile(r'[^\s"=\\]+')


class Log:
    """Writes lines of ``level`` and above, each in one write so that lines of several threads never mix."""

    def __init__(self, *, form: str = "text", level: str = "info", descriptor: int = 2) -> None:
        self.form = form
        self.level = level
        self._descriptor = descriptor

    def write(self, level: str, message: str, *pairs: tuple[str, object]) -> None:
        """Write one line; a key may come several times in ``pairs``."""
        if LEVELS.index(level) < LEVELS.index(self.level):
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = _json(now, level, message, pairs) if self.form == "json" else _text(now, level, message, pairs)
        with contextlib.suppress(OSError):
            os.write(self._descriptor, line.encode(errors="backslashreplace") + b"\n")

    def info(self, message: str, *pairs: tuple[str, object]) -> None:
        """Write what an operator may want to see."""
        self.write("info", message, *pairs)

    def warning(self, message: str, *pairs: tuple[str, object]) -> None:
        """Write what an operator should see."""
        self.write("warning", message, *pairs)

    def error(self, message: str, *pairs: tuple[str, object]) -> None:
        """Write what an operator must act on."""
        self.write("error", message, *pairs)


def _text(now: str, level: str, message: str, pairs: tuple[tuple[str, object], ...]) -> str:
    shown = [f"{key}={_value(value)}" for key, value in pairs]
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
