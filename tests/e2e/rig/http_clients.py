"""A raw HTTP client: sends the bytes it is given, reads responses strictly, and sees how the connection ends."""

import contextlib
import socket
from types import TracebackType
from typing import Self

from rig.clients import Target, dial
from rig.messages import Malformed, Request, Response, Stream, Truncated, read_response, read_response_head


def get(path: str = "/", *fields: str, host: str = "a.test", version: str = "1.1", method: str = "GET") -> bytes:
    """A request without a body, from lines."""
    lines = [f"{method} {path} HTTP/{version}", *([f"Host: {host}"] if host else []), *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(body: bytes, path: str = "/", *fields: str, host: str = "a.test", method: str = "POST") -> bytes:
    """A request with a body of known length."""
    return get(path, *fields, f"Content-Length: {len(body)}", host=host, method=method) + body


def chunked(
    *pieces: bytes, path: str = "/", trailers: str = "", host: str = "a.test", fields: tuple[str, ...] = ()
) -> bytes:
    """A POST in chunks."""
    head = get(path, *fields, "Transfer-Encoding: chunked", host=host, method="POST")
    return head + chunks(*pieces) + b"0\r\n" + trailers.encode() + b"\r\n"


def chunks(*pieces: bytes) -> bytes:
    """Chunks, without the last one; an empty one would be that."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)


class Client:
    """One connection. Use it in a ``with`` block."""

    def __init__(self, target: Target, *, source: str | None = None) -> None:
        self.socket = dial(target, source=source)
        self._stream = Stream(lambda: self.socket.recv(1 << 16))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *sent: bytes) -> Self:
        """Send bytes."""
        self.socket.sendall(b"".join(sent))
        return self

    def finish(self) -> Self:
        """End our sending."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def response(self, method: str = "GET") -> Response:
        """Read one whole response. Raises Malformed, and Truncated when it ends too early."""
        return read_response(self._stream, method)

    def head(self) -> Response:
        """Read the head of one response, interim or not."""
        return read_response_head(self._stream)

    def ask(self, sent: bytes, method: str | None = None) -> Response:
        """Send a request and read its response."""
        self.send(sent)
        return self.response(method or sent.partition(b" ")[0].decode("latin-1"))

    def exactly(self, size: int) -> bytes:
        """Read so many bytes."""
        return self._stream.exactly(size)

    def until(self, mark: bytes) -> bytes:
        """Read up to and with ``mark``."""
        return self._stream.until(mark)

    def rest(self) -> bytes:
        """Read everything up to the end or a reset."""
        with contextlib.suppress(ConnectionResetError):
            while self._stream.fill():
                pass
        return self._stream.rest()

    def ended(self) -> bool:
        """Wait for the end; whether nothing came before it."""
        return self.rest() == b""


def ask(target: Target, sent: bytes, *, source: str | None = None) -> Response:
    """One request over a connection of its own."""
    with Client(target, source=source) as client:
        return client.ask(sent)


def origin_of(response: Response) -> str | None:
    """Which origin answered."""
    return response.get("x-origin")


__all__ = [
    "Client",
    "Malformed",
    "Request",
    "Response",
    "Truncated",
    "ask",
    "chunked",
    "chunks",
    "get",
    "origin_of",
    "post",
]
