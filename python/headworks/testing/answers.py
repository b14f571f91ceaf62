"""Answers: what an origin's script says, and what an origin remembers of a request. Plain frozen values.

Must never know of sockets: origins.py sends what is said here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Self

from headworks.testing.streams import Fields, value_of

_WITHOUT_BODY = (204, 304)


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request that an origin got, whole."""

    method: str
    """The method, as sent."""
    path: str
    """The target as sent, with its query."""
    headers: Fields
    """Name and value of each field, in order, as sent."""
    body: bytes
    """The whole body, without chunks."""

    def header(self, name: str) -> str | None:
        """Return the first value of a field; None when it is absent."""
        return value_of(self.headers, name)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer of an origin to one request, or a fault instead. By itself: status 200 with an empty body."""

    status: int = 200
    """Status of the response."""
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    """Fields, sent as they are. Content-Length is added, unless they have one or Transfer-Encoding."""
    body: bytes | str = b""
    """The body; a text is sent as UTF-8."""
    delay: float = 0.0
    """Seconds before anything is sent."""
    send: int | None = None
    """Bytes of the body that are sent, before the connection is closed; None: all, and it is kept."""
    piece: int | None = None
    """Bytes of head and body that are sent at a time; None: everything at once."""
    interval: float = 0.0
    """Seconds between pieces."""
    raw: bytes | None = None
    """Sent instead of a response, before the connection is closed."""
    then: Literal["keep", "close", "reset"] = "keep"
    """The connection afterwards: kept for another request, ended (FIN), or reset (RST)."""

    @classmethod
    def reset(cls) -> Self:
        """Return no answer but a reset of the connection."""
        return cls(raw=b"", then="reset")

    @classmethod
    def close(cls) -> Self:
        """Return no answer: the connection is closed once the request was read."""
        return cls(raw=b"", then="close")

    @classmethod
    def garbage(cls, raw: bytes = b"\x00\x01 this is no response\r\n\r\n") -> Self:
        """Return bytes that are no response."""
        return cls(raw=raw, then="close")

    @classmethod
    def truncated(cls, body: bytes | str, send: int) -> Self:
        """Return a response whose body ends after ``send`` bytes, fewer than its Content-Length."""
        return cls(body=body, send=send, then="close")

    @classmethod
    def slow(cls, body: bytes | str, piece: int = 1, interval: float = 0.01) -> Self:
        """Return a response that is sent ``piece`` bytes at a time, every ``interval`` seconds."""
        return cls(body=body, piece=piece, interval=interval)

    def encode(self, method: str) -> bytes:
        """Return the bytes to send for a request with ``method``."""
        if self.raw is not None:
            return self.raw
        body = self.body.encode() if isinstance(self.body, str) else self.body
        fields = list(self.headers.items() if isinstance(self.headers, Mapping) else self.headers)
        named = {name.lower() for name, _ in fields}
        if self.status not in _WITHOUT_BODY and not named & {"content-length", "transfer-encoding"}:
            fields.append(("Content-Length", str(len(body))))
        lines = [f"HTTP/1.1 {self.status} Scripted", *(f"{name}: {value}" for name, value in fields)]
        head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
        return head if method == "HEAD" or self.status in _WITHOUT_BODY else head + body[: self.send]

    @property
    def is_last(self) -> bool:
        """Whether the connection ends with it."""
        return self.then != "keep" or self.send is not None or self.raw is not None
