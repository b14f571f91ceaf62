"""Clients that hold kept HTTP connections and do nothing, and one that asks whether a proxy serves.

They need no speed, so they are plain sockets of this process. What was opened is kept until the block ends.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from proxies.certificates import NAME

PATIENCE = 10.0
REQUEST = f"GET {{path}} HTTP/1.1\r\nHost: {NAME}\r\n\r\n"


def is_answered(port: int, *, https: bool = False) -> bool:
    """Whether one HTTP request gets a success. Over TLS whoever answers is believed: the generator looks closely."""
    try:
        with ExitStack() as stack:
            client = stack.enter_context(_connected(port))
            if https:
                client = stack.enter_context(_encrypted(client))
            client.sendall(REQUEST.format(path="/").encode())
            return _answered(client)
    except OSError:
        return False


@contextmanager
def kept(port: int, count: int) -> Iterator[Callable[[], dict[str, int]]]:
    """Hold `count` connections that had one HTTP answer each; the yielded function says what has gone wrong."""
    errors: dict[str, int] = {}
    with ExitStack() as stack:
        held = []
        for _ in range(count):
            client = stack.enter_context(_connected(port))
            client.sendall(REQUEST.format(path="/").encode())
            if _answered(client):
                held.append(client)
            else:
                errors["no answer"] = errors.get("no answer", 0) + 1

        def wrong() -> dict[str, int]:
            ended = len(_readable(held, 0))
            return errors | ({"idle connection closed": ended} if ended else {})

        yield wrong


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def _encrypted(client: socket.socket) -> socket.socket:
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings.check_hostname, settings.verify_mode = False, ssl.CERT_NONE
    return settings.wrap_socket(client, server_hostname=NAME)


def _answered(client: socket.socket) -> bool:
    """Read one whole answer with a Content-Length; whether it was a success."""
    head, body = b"", b""
    while b"\r\n\r\n" not in head:
        piece = client.recv(4096)
        if not piece:
            return False
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    missing = int(fields.get("content-length", "0")) - len(body)
    while missing > 0:
        piece = client.recv(missing)
        if not piece:
            return False
        missing -= len(piece)
    return " 200 " in f"{lines[0]} "


def _readable(held: list[socket.socket], patience: float) -> list[tuple[int, int]]:
    """Return those with something to read within `patience` seconds. Where nothing was asked for, it is their end."""
    poll = select.poll()
    for client in held:
        poll.register(client, select.POLLIN)
    return poll.poll(patience * 1000)
