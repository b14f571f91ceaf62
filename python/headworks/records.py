"""Records: the access records of a running proxy as values, for any number of subscribers.

Owns one thread that takes what the engine hands out, while anybody subscribes. Must never hold traffic or the access
log up: a subscriber that does not keep up loses the oldest, which are counted.
"""

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from headworks import _engine
from headworks.feed import Feed, Queue, Subscription

MOST = 10_000
"""Records that wait for one subscriber at most."""

_LONG = 600.0
"""Seconds that the pump waits for the engine at a time: stopping the engine wakes it."""
_LAST_WORDS = 10.0
"""Seconds that the last records, those of connections closed by the end itself, are waited for."""


@dataclass(frozen=True, kw_only=True)
class AccessRecord:
    """One connection that has ended, or of an http listener one request that has been answered.

    The names are those of the access log. What is not known is None.
    """

    ts: datetime
    """The time when it ended, in UTC, to the millisecond."""
    listener: str
    """Name of the listener that it came by."""
    client: str
    """The client's address and port, from the PROXY header where there is one; ``unix`` for a unix socket."""
    original: str | None = None
    """The address that the client connected to before it was redirected here, where the listener learns that."""
    sni: str | None = None
    """The name in the ClientHello, in lower case."""
    host: str | None = None
    """Host that the request asked for, as sent; of an http_host listener that of the first one, in lower case."""
    kind: str | None = None
    """The kind of its first bytes, of listeners that tell kinds apart (first_bytes)."""
    method: str | None = None
    """Method of the request."""
    path: str | None = None
    """Path of the request, with its query."""
    status: int | None = None
    """Status of the response that the client got."""
    backend: str | None = None
    """Name of the backend that it was sent to."""
    server: str | None = None
    """The address of the server."""
    bytes_in: int
    """Bytes from the client; of a request: its own, head included."""
    bytes_out: int
    """Bytes from the server; of a request: those of the response as the client got it, head included."""
    wait_ms: int | None = None
    """Milliseconds from accept (a request: its complete head) until the server was chosen."""
    connect_ms: int | None = None
    """Milliseconds from then until the server was connected, retries included; 0 for a connection that was kept."""
    total_ms: int
    """Milliseconds from accept (a request: its complete head) to the end."""
    end: str
    """The reason of the end, such as ``completed``, ``client_closed``, ``no_match``."""
    retries: int
    """Other servers that were tried."""
    id: int = 0
    """Number of the connection, which no other one of the process has."""
    request_id: str | None = None
    """The id of the request, where the listener has ``request_id``."""
    tls_version: str | None = None
    """The version that the handshake with the client agreed on, such as ``TLSv1.3``."""
    tls_cipher: str | None = None
    """The suite, as IANA has it, such as ``TLS_AES_128_GCM_SHA256``."""
    tls_group: str | None = None
    """The group that keys were agreed on in, such as ``X25519``."""
    tls_resumed: bool | None = None
    """Whether an old session was resumed."""
    alpn: str | None = None
    """The protocol agreed on."""
    handshake_ms: int | None = None
    """Milliseconds from accept until the handshake was complete."""
    tls_error: str | None = None
    """The reason that the handshake failed."""
    connect_error: str | None = None
    """The reason of the last connect to a server that failed, also when another server was found."""
    reason: str | None = None
    """The reason that a rule gave when it refused."""
    rule_error: str | None = None
    """The exception that a rule would have raised: ``ValueError``, ``IndexError``, ``KeyError``, ``MemoryError``."""
    analyzer: str | None = None
    """The analyzer that refused it, or that had no answer for it."""
    analyzer_error: str | None = None
    """Why there was none: ``raised``, ``wrong verdict``, ``queue full``, ``deadline passed``, ``stopping``."""
    log: Mapping[str, str] = field(default_factory=dict)
    """Fields that rules added with ``log``, by key."""

    @classmethod
    def decode(cls, line: str) -> Self:
        """Read one line of the log's JSON. Keys that a newer engine adds are passed over."""
        return cls._read(json.loads(line))

    @classmethod
    def _read(cls, raw: dict[str, Any]) -> Self:
        raw["ts"] = datetime.fromisoformat(raw["ts"])
        if "tls_resumed" in raw:
            raw["tls_resumed"] = raw["tls_resumed"] in (True, "true")
        raw["log"] = {name[4:]: value for name, value in raw.items() if name.startswith("log.")}
        if "first_bytes" in raw:
            raw["first_bytes"] = base64.b64decode(raw["first_bytes"])
        return cls(**{name: raw[name] for name in _NAMES & raw.keys()})


@dataclass(frozen=True, kw_only=True)
class Refusal(AccessRecord):
    """A client or a request that was refused: its access record, and why in words. Long texts are cut off."""

    detail: str = ""
    """The reason, a sentence."""
    first_bytes: bytes = b""
    """The first bytes of what came in, where they could not be understood."""

    @classmethod
    def decode_all(cls, text: str) -> list[Self]:
        """Read the engine's list."""
        return [cls._read(one) for one in json.loads(text)]


_NAMES = frozenset(one.name for one in fields(Refusal))


class Records(Feed[AccessRecord]):
    """Hands every access record to every subscriber. Safe from any thread. Nothing is kept while nobody subscribes."""

    def __init__(self, engine: _engine.Engine) -> None:
        super().__init__(MOST)
        self._engine = engine
        self._pump: threading.Thread | None = None
        self._is_ending = False

    def subscribe(self) -> Subscription[AccessRecord]:
        """Return an iterator over the records from now on; it ends when the proxy is stopped."""
        with self._lock:
            if not self._queues and not self._is_ending:
                self._engine.tap_records(True)
            if self._pump is None and not self._is_ending:
                self._pump = threading.Thread(target=self._run, name="records", daemon=True)
                self._pump.start()
            return super().subscribe()

    def end(self) -> None:
        """Say that the engine is about to be stopped: what comes until then is handed out, and nothing after."""
        with self._lock:
            self._is_ending = True

    def finish(self) -> None:
        """Hand out the last records of an engine that has been stopped, then let every subscriber go."""
        self.end()
        pump = self._pump
        if pump is not None:
            pump.join(_LAST_WORDS)
        self.close()

    def _all_left(self, last: Queue[AccessRecord]) -> None:
        last.values.clear()
        if not self._is_ending:
            self._engine.tap_records(False)

    def _run(self) -> None:
        while True:
            taken = self._engine.next_records(_LONG)
            if taken is not None:
                lines, dropped = taken
                self.put_all(map(AccessRecord.decode, lines.removesuffix("\n").split("\n")), dropped)
                continue
            with self._lock:
                if self._is_ending or not self._queues:
                    self._pump = None
                    return
