"""Raw clients, and what they are told."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from rig.origins import reset
from rig.waiting import PATIENCE

Target = tuple[str, int]
"""A host and port, or a path and 0, as ``Proxy.address`` gives."""


@contextlib.contextmanager
def connect(target: Target, *, source: str | None = None) -> Iterator[socket.socket]:
    """Connect; the socket gives up after much patience."""
    client = dial(target, source=source)
    with client:
        yield client


def dial(target: Target, *, source: str | None = None) -> socket.socket:
    """As ``connect``, for those who close it themselves."""
    host = target[0]
    if host.startswith("/"):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(str(Path(host)))
        return client
    return socket.create_connection(target, PATIENCE, (source, 0) if source else None)


def to_end(client: socket.socket) -> bytes:
    """Everything up to the end; a reset is an error."""
    received = b""
    while more := client.recv(1 << 16):
        received += more
    return received


def to_close(client: socket.socket) -> bytes:
    """Everything up to the end or a reset."""
    received = b""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while more := client.recv(1 << 16):
            received += more
    return received


def exactly(client: socket.socket, size: int) -> bytes:
    """``size`` bytes, or as many as there are before the end."""
    received = b""
    while len(received) < size and (more := client.recv(size - len(received))):
        received += more
    return received


def line(client: socket.socket) -> str:
    """One line without its newline."""
    received = b""
    while not received.endswith(b"\n"):
        more = client.recv(1)
        if not more:
            break
        received += more
    return received.decode().rstrip("\n")


def answer(target: Target, sent: bytes, *, source: str | None = None) -> bytes:
    """Connect, send, end our sending, and return everything up to the end."""
    with connect(target, source=source) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return to_end(client)


def refusal(target: Target, sent: bytes, *, source: str | None = None) -> bytes:
    """Connect, send, and return everything up to the end, which must not be a reset. We keep our side open."""
    with connect(target, source=source) as client:
        client.sendall(sent)
        return to_end(client)


def served_by(target: Target, sent: bytes, *, source: str | None = None) -> str:
    """The name of the ``named_echo`` origin that we get, which must echo what we sent to the byte."""
    with connect(target, source=source) as client:
        client.sendall(sent)
        name = line(client)
        echoed = exactly(client, len(sent))
        assert echoed == sent, f"{len(echoed)} of {len(sent)} bytes came back, or others"
        return name


__all__ = [
    "Target",
    "answer",
    "connect",
    "dial",
    "exactly",
    "line",
    "refusal",
    "reset",
    "served_by",
    "to_close",
    "to_end",
]
