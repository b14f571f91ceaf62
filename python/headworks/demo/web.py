"""The demo's HTTP servers: one that says who it is and what it was asked, and one that echoes WebSocket messages.

Both keep their connections. Must never be taken for an example of a good server: they read heads, and no bodies.
"""

import base64
import hashlib
import socket
import struct
from dataclasses import dataclass

from headworks.demo.origins import Origin

_HEAD_LIMIT = 16 << 10
_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""The suffix that makes a key an answer (RFC 6455, section 1.3)."""
_TEXT, _CLOSE = 0x81, 0x88
_LONG, _LONGEST = 126, 1 << 16


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The head of a request."""

    line: str
    fields: dict[str, str]
    """By name in lower case."""


class WebOrigin(Origin):
    """Answers any number of requests a connection: who it is, what it was asked, which client it was told of."""

    def serve(self, accepted: socket.socket) -> None:
        """Answer until the other side ends."""
        while asked := read_asked(accepted):
            accepted.sendall(self._answer(asked))

    def _answer(self, asked: Asked) -> bytes:
        told = asked.fields.get("x-forwarded-for", "-")
        scheme = asked.fields.get("x-forwarded-proto", "-")
        method, target, _ = asked.line.split(" ")
        text = (
            f"server: {self.name}\nrequest: {target}\nhost: {asked.fields.get('host', '-')}\n"
            f"client: {told} (told by X-Forwarded-For)\nscheme: {scheme} (told by X-Forwarded-Proto)\n"
        )
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n"
        return (head if method == "HEAD" else head + text).encode()


class ChatOrigin(Origin):
    """Sends back the messages of a WebSocket."""

    def serve(self, accepted: socket.socket) -> None:
        """Shake hands, then echo until the client closes."""
        asked = read_asked(accepted)
        if not asked or "sec-websocket-key" not in asked.fields:
            accepted.sendall(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n")
            return
        accepted.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept_of(asked.fields["sec-websocket-key"])
        )
        while (message := read_frame(accepted)) is not None:
            accepted.sendall(frame(message))
        accepted.sendall(struct.pack("!BBH", _CLOSE, 2, 1000))


def read_asked(stream: socket.socket) -> Asked | None:
    """Read a head byte by byte: what follows it is not ours to read. None at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < _HEAD_LIMIT:
        if not (byte := stream.recv(1)):
            return None
        head += byte
    line, *rest = head.decode("latin-1").split("\r\n")
    fields = dict(one.split(": ", 1) for one in rest if ": " in one)
    return Asked(line=line, fields={name.lower(): value for name, value in fields.items()})


def accept_of(key: str) -> bytes:
    """Return what a server answers to a client's key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _ACCEPT, usedforsecurity=False).digest())


def frame(message: bytes, mask: bytes = b"") -> bytes:
    """Return a text message of fewer than 64 KiB as one frame (RFC 6455, section 5.2); clients mask theirs."""
    if len(message) >= _LONGEST:
        raise ValueError(f"a message of {len(message)} bytes")
    bit = 0x80 if mask else 0
    if len(message) < _LONG:
        head = struct.pack("!BB", _TEXT, bit | len(message))
    else:
        head = struct.pack("!BBH", _TEXT, bit | _LONG, len(message))
    return head + mask + (_masked(message, mask) if mask else message)


def read_frame(stream: socket.socket) -> bytes | None:
    """Read a text message; None when it is a close, or the end. Raises ConnectionError for what it does not know."""
    start = _exactly(stream, 2)
    if not start or start[0] == _CLOSE:
        return None
    size = start[1] & 0x7F
    if start[0] != _TEXT or size > _LONG:
        raise ConnectionError(f"no frame of the demo: {start.hex()}")
    if size == _LONG:
        (size,) = struct.unpack("!H", _exactly(stream, 2))
    mask = _exactly(stream, 4) if start[1] & 0x80 else b""
    message = _exactly(stream, size)
    return _masked(message, mask) if mask else message


def close_frame(mask: bytes) -> bytes:
    """Return a client's close."""
    return struct.pack("!BB", _CLOSE, 0x80) + mask


def _masked(message: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(message))


def _exactly(stream: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        if not (more := stream.recv(size - len(received))):
            return b""
        received += more
    return received
