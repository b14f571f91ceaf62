"""Access log of `headworks sniproxy`: records as the lines that sniproxy writes, for who reads those.

``2026-01-02 03:04:05 192.0.2.7:5000 -> 192.0.2.1:443 -> 192.0.2.10:443 [a.test] 10/10 bytes tx 20/20 bytes rx 0.125
seconds``. Must never hold the engine up: it writes to a pipe, and what that cannot hold is lost and counted.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from headworks.config.models.process import LogSettings
from headworks.remote_log import sender_of
from headworks.syslog import Pipe


def line_of(record: Mapping[str, Any], listening: str) -> str:
    """Return what sniproxy would write of a record; ``listening`` is the address that the client came to."""
    sent, received = record.get("bytes_out") or 0, record.get("bytes_in") or 0
    asked = record.get("sni") or record.get("host") or ""
    seconds = (record.get("total_ms") or 0) / 1000
    return (
        f"{record.get('client') or '-'} -> {listening} -> {record.get('server') or 'NONE'} [{asked}] "
        f"{sent}/{sent} bytes tx {received}/{received} bytes rx {seconds:.3f} seconds"
    )


class SniproxyLog:
    """The access log while a proxy runs."""

    form = "json"
    """The form in which the engine writes records for it."""

    def __init__(self, logs: LogSettings, addresses: Callable[[str], tuple[str, ...]]) -> None:
        """Open it. ``addresses`` returns those of a listener. Raises OSError."""
        self._file = logs.access
        self._addresses = addresses
        self._sender = sender_of(logs)
        self._descriptor = -1
        self.reopen()
        self._pipe = Pipe(self._take)

    @property
    def path(self) -> str:
        """The file that the engine is to write to."""
        return self._pipe.path

    def reopen(self) -> None:
        """Open the file by its path again. Raises OSError; the old one is kept then."""
        if self._sender is not None or self._file == "-":
            return
        opened = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        before, self._descriptor = self._descriptor, opened
        if before >= 0:
            os.close(before)

    def close(self) -> None:
        """Write the last records and end. The engine must have ended."""
        self._pipe.close()
        if self._sender is not None:
            self._sender.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def _take(self, text: bytes) -> None:
        try:
            record = json.loads(text)
        except ValueError:
            return
        line = line_of(record, self._listening(record.get("listener") or ""))
        if self._sender is not None:
            self._sender.send("info", line.encode(errors="replace"))
            return
        stamp = time.strftime("%Y-%m-%d %H:%M:%S ")
        descriptor = self._descriptor if self._descriptor >= 0 else 2
        with contextlib.suppress(OSError):
            os.write(descriptor, f"{stamp}{line}\n".encode(errors="replace"))

    def _listening(self, listener: str) -> str:
        try:
            return self._addresses(listener)[0]
        except (KeyError, IndexError, RuntimeError):
            return "-"
