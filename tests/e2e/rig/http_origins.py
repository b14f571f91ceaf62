"""HTTP origins: one that records every byte and answers as it is told, and scripts of raw bytes for hostile ones."""

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import h11

from rig.messages import Fields, Malformed, Request, Stream, read_request_body, read_request_head
from rig.origins import Behaviour, Origin
from rig.waiting import PATIENCE


@dataclass(kw_only=True)
class Reply:
    """What an origin answers to one request."""

    status: int = 200
    reason: str = "Fine"
    fields: Fields = field(default_factory=list)
    body: bytes | Iterable[bytes] = b""
    """Bytes are sent with a Content-Length; pieces are chunks, empty ones left out."""
    trailers: Fields = field(default_factory=list)
    """After chunks only."""
    before: bytes = b""
    """Sent as it is before the head: interim responses."""
    close: bool = False
    """Close after it, and say so."""
    raw: bytes | None = None
    """Sent instead of everything above; the connection is closed after it when ``close``."""


Answering = Callable[[Request], Reply]


class HttpOrigin(Origin):
    """Reads requests strictly, records each connection's bytes, and answers."""

    def __init__(
        self,
        answering: Answering | None = None,
        *,
        name: str = "",
        host: str = "127.0.0.1",
        path: Path | None = None,
        on_head: "Callable[[Request, socket.socket], bool] | None" = None,
    ) -> None:
        super().__init__(self._converse, name=name, host=host, path=path)
        self.answering = answering or self._introduce
        self.on_head = on_head
        """Called with each head before its body is read; False ends the connection."""
        self.requests: list[Request] = []
        """Whole requests, in the order in which they were complete."""
        self.connections: list[bytearray] = []
        """Every byte of each connection, in the order of accepting."""
        self.mistakes: list[str] = []
        """What came that was no request."""

    def _introduce(self, request: Request) -> Reply:
        said = f"{self.name} {request.method} {request.target}\n".encode() + request.body
        return Reply(fields=[("X-Origin", self.name), ("Content-Type", "text/plain")], body=said)

    def _converse(self, connection: socket.socket, _: Origin) -> None:
        recorded = bytearray()
        with self._lock:
            self.connections.append(recorded)

        def receive() -> bytes:
            more = connection.recv(1 << 16)
            recorded.extend(more)
            return more

        stream = Stream(receive)
        try:
            while self._one(connection, stream):
                pass
        except Malformed as mistake:
            with self._lock:
                self.mistakes.append(str(mistake))
            with contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 400 Not\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def _one(self, connection: socket.socket, stream: Stream) -> bool:
        request = read_request_head(stream)
        if request is None or (self.on_head and not self.on_head(request, connection)):
            return False
        read_request_body(stream, request)
        with self._lock:
            self.requests.append(request)
        reply = self.answering(request)
        closing = reply.close or not request.persistent
        send(connection, dataclasses.replace(reply, close=closing), request)
        return not closing


def send(connection: socket.socket, reply: Reply, request: Request) -> None:
    """Send a reply to a request."""
    if reply.raw is not None:
        connection.sendall(reply.raw)
        return
    framed: Fields = []
    whole = isinstance(reply.body, bytes)
    given = {name.lower() for name, _ in reply.fields}
    if reply.status not in (204, 304) and not given & {"content-length", "transfer-encoding"}:
        framed = [("Content-Length", str(len(reply.body)))] if isinstance(reply.body, bytes) else []
        if not whole:
            framed = [("Transfer-Encoding", "chunked")]
    if reply.close and "connection" not in given:
        framed.append(("Connection", "close"))
    lines = [f"HTTP/1.1 {reply.status} {reply.reason}", *(f"{name}: {value}" for name, value in reply.fields + framed)]
    # In two small packets the second would wait for the first to be acknowledged.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(reply.before + "\r\n".join([*lines, "", ""]).encode("latin-1"))
    if request.method == "HEAD" or reply.status in (204, 304):
        return
    if isinstance(reply.body, bytes):
        connection.sendall(reply.body)
        return
    for piece in filter(None, reply.body):
        connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
    connection.sendall(b"0\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in reply.trailers) + b"\r\n")


Step = bytes | threading.Event | Callable[[socket.socket], None]


def script(*steps: Step, repeat: bool = False) -> Behaviour:
    """Read a request's head, then do the steps: send bytes, wait for an event, call with the socket. Then close.

    ``repeat`` does it all again for the next request.
    """

    def behave(connection: socket.socket, origin: Origin) -> None:
        stream = Stream(lambda: connection.recv(1 << 16))
        while head := stream.until(b"\r\n\r\n"):
            origin.note(head)
            for step in steps:
                if isinstance(step, bytes):
                    connection.sendall(step)
                elif isinstance(step, threading.Event):
                    step.wait(PATIENCE)
                else:
                    step(connection)
            if not repeat:
                return

    return behave


def as_h11_reads(whole: bytes) -> list[tuple[str, str, bytes]]:
    """Method, target and body of every request that h11 finds in a connection's bytes. Raises its ProtocolError.

    A tunnel or bytes left over are errors too.
    """
    found = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(whole)
    connection.receive_data(b"")
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            method, target, body = event.method.decode(), event.target.decode(), b""
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            found.append((method, target, body))
            if connection.their_state is h11.MUST_CLOSE:
                continue
            connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            connection.send(h11.EndOfMessage())
            connection.start_next_cycle()
        elif isinstance(event, h11.ConnectionClosed):
            return found
        else:
            raise h11.RemoteProtocolError(f"{event} with {connection.trailing_data[0][:80]!r} left")
