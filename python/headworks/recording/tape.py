"""Tape: the thread that takes the access records of a running proxy and writes them to a recording.

Lines of JSON: the first says which version it is and what was taken down, the last how many there are. Must never hold
traffic up: what it does not keep up with is dropped, and counted.
"""

import contextlib
import gzip
import io
import json
import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from headworks import _engine
from headworks.recording.decided import decided
from headworks.recording.fields import KEY
from headworks.recording.secret import Hasher

if TYPE_CHECKING:
    from headworks.feed import Subscription
    from headworks.records import AccessRecord

VERSION = 1
_PATIENCE = 30.0
"""Seconds that the end waits for what was not written yet."""


class Tape:
    """Writes until the proxy ends, or ``close`` is called. ``written`` counts requests, ``dropped`` what was lost."""

    def __init__(  # noqa: PLR0913  (what is recorded, and how)
        self,
        path: str | Path,
        records: "Subscription[AccessRecord]",
        plan: Callable[[], _engine.Plan],
        *,
        listeners: Sequence[str],
        fields: Sequence[str] = (),
        plain: bool = False,
    ) -> None:
        self.written = 0
        self.unread = 0
        """Connections and requests that nobody could read: there is nothing to decide again."""
        self._records = records
        self._plan = plan
        self._listeners = frozenset(listeners)
        self._fields = tuple(fields)
        self._hasher = None if plain else Hasher()
        self._error: OSError | None = None
        self._out = _opened(Path(path))
        made = datetime.now(UTC).isoformat(timespec="milliseconds")
        head = {"headworks_recording": VERSION, "made": made, "fields": fields, "hashed": not plain}
        self._line(head | {"listeners": list(listeners)})
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Return how many records were lost since writing did not keep up."""
        return self._records.dropped

    def close(self) -> None:
        """Write what has come, and the end. May be called twice. Raises OSError when not all could be written."""
        if not self._out.closed:
            self._records.finish()
            self._thread.join(_PATIENCE)
            try:
                self._line({"end": {"records": self.written, "dropped": self.dropped, "unread": self.unread}})
                self._out.close()
            except OSError as error:
                self._error = self._error or error
                with contextlib.suppress(OSError):
                    self._out.close()
        failed, self._error = self._error, None
        if failed is not None:
            raise failed

    def _run(self) -> None:
        for record in self._records:
            if record.listener not in self._listeners:
                continue
            try:
                self._write(record)
            except OSError as error:
                # Nothing more is written; whoever closes the tape is told.
                self._error = error
                return

    def _write(self, record: "AccessRecord") -> None:
        entry = self._entry(record)
        said = (record.method, record.backend, record.sni, record.host)
        if not any(said) and record.end != "denied":
            self.unread += 1
            return
        try:
            entry["decided"] = decided(self._plan(), entry)
        except (KeyError, ValueError):
            # A reload took the listener away while the record waited.
            self.unread += 1
            return
        was = {"status": record.status, "backend": record.backend, "server": record.server, "end": record.end}
        entry["was"] = {key: value for key, value in was.items() if value is not None}
        self._line(entry)
        self.written += 1

    def _entry(self, record: "AccessRecord") -> dict[str, Any]:
        headers = []
        for number, name in enumerate(self._fields):
            value = record.log.get(f"{KEY}{number}")
            if value is not None:
                headers.append([name, self._hasher.field(name, value) if self._hasher else value])
        stamp = record.ts.isoformat(timespec="milliseconds")
        client = None if record.client == "unix" else record.client.rpartition(":")[0].strip("[]")
        asked = {"client": client, "sni": record.sni, "host": record.host, "method": record.method, "path": record.path}
        asked["kind"] = record.kind
        known = {key: value for key, value in asked.items() if value is not None}
        return {"ts": stamp, "listener": record.listener, **known, "headers": headers}

    def _line(self, value: Any) -> None:
        self._out.write(json.dumps(value, separators=(",", ":"), default=list) + "\n")


def _opened(path: Path) -> IO[str]:
    """Make the file, for its owner only: it says who asked for what. Raises FileExistsError, OSError."""
    raw = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
    if path.suffix == ".gz":
        return io.TextIOWrapper(_Gzip(raw), encoding="utf-8", errors="surrogatepass")
    return io.TextIOWrapper(raw, encoding="utf-8", errors="surrogatepass")


class _Gzip(gzip.GzipFile):
    """A gzip file that closes what it writes to."""

    def __init__(self, raw: io.BufferedWriter) -> None:
        super().__init__(filename="", mode="wb", fileobj=raw, compresslevel=6)
        self._raw = raw

    def close(self) -> None:
        """Write the end and close both."""
        try:
            super().close()
        finally:
            self._raw.close()
