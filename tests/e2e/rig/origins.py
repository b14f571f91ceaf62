"""Origins: servers behind the proxy that answer, misbehave or refuse on order. Loopback, any free port."""

import contextlib
import hashlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from rig.waiting import PATIENCE

Behaviour = Callable[[socket.socket, "Origin"], None]
"""What an origin does with one connection; the socket is closed afterwards."""


class Origin:
    """A threaded TCP server, one thread a connection."""

    def __init__(
        self, behaviour: Behaviour, *, name: str = "", host: str = "127.0.0.1", path: Path | None = None
    ) -> None:
        self.name = name
        self.behaviour = behaviour
        self.accepted = 0
        """Connections so far."""
        self.open = 0
        """Of these, not done with."""
        self.received: list[bytes] = []
        """What behaviours noted down."""
        self.sent = 0
        """Bytes that the kernel took from `source`."""
        self.release = threading.Event()
        """Behaviours that hang wait for this."""
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.socket(family, socket.SOCK_STREAM)
        self.port = 0
        if path:
            self._listening.bind(str(path))
            self.address = f"unix:{path}"
        else:
            self.port = _bind_to_keep(self._listening, host)
            self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._listening.close()
        self.release.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def listen(self) -> None:
        """Accept connections, for the first time or again after ``refuse``."""
        self._listening.listen(1024)
        thread = threading.Thread(target=self._accept, daemon=True)
        self._threads.append(thread)
        thread.start()

    def refuse(self) -> None:
        """Listen no more: clients are refused. The port stays ours."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)

    def note(self, what: bytes) -> None:
        """Remember what a connection brought."""
        with self._lock:
            self.received.append(what)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                self.open += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        try:
            with contextlib.suppress(OSError), connection:
                self.behaviour(connection, self)
        finally:
            with self._lock:
                self.open -= 1


def _bind_to_keep(listening: socket.socket, host: str) -> int:
    """Bind to a free port and return it. A port that was asked for by number stays ours when we stop listening."""
    while True:
        with socket.socket(listening.family) as finder:
            finder.bind((host, 0))
            port = int(finder.getsockname()[1])
        try:
            listening.bind((host, port))
        except OSError:
            continue
        return port


def echo(connection: socket.socket, _origin: Origin) -> None:
    """Send back what comes, to the end."""
    while received := connection.recv(1 << 16):
        connection.sendall(received)


def named_echo(connection: socket.socket, origin: Origin) -> None:
    """Say our name and a newline when the first bytes come, then send back what comes."""
    first = connection.recv(1 << 16)
    connection.sendall(origin.name.encode() + b"\n" + first)
    if first:
        echo(connection, origin)


def says_name(connection: socket.socket, origin: Origin) -> None:
    """Say our name at once and hold the connection until the client ends."""
    connection.sendall(origin.name.encode() + b"\n")
    while connection.recv(1 << 16):
        pass


def notes(connection: socket.socket, origin: Origin) -> None:
    """Note everything up to the client's end, and answer with its hash."""
    received = b""
    while more := connection.recv(1 << 16):
        received += more
    origin.note(received)
    connection.sendall(hashlib.sha256(received).digest())


def hangs(connection: socket.socket, origin: Origin) -> None:
    """Accept and say nothing, read nothing."""
    origin.release.wait(PATIENCE)
    connection.close()


def resets_after_first_byte(connection: socket.socket, _origin: Origin) -> None:
    """Answer one byte, and reset."""
    connection.recv(1 << 16)
    connection.sendall(b"x")
    reset(connection)


def closes_first(connection: socket.socket, _origin: Origin) -> None:
    """Say goodbye and close, whatever the client does."""
    connection.recv(1 << 16)
    connection.sendall(b"bye")


def closes_last(connection: socket.socket, _origin: Origin) -> None:
    """Read to the client's end, and only then answer."""
    while connection.recv(1 << 16):
        pass
    connection.sendall(b"last words")


def reset(connection: socket.socket) -> None:
    """Close with a reset instead of an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def pattern(size: int, seed: int = 0) -> Iterator[bytes]:
    """Bytes that no shift or swap of blocks leaves alike, in blocks of up to 256 KiB."""
    block = b"".join(hashlib.sha256(b"%d %d" % (seed, number)).digest() for number in range(2048))
    made = 0
    while made < size:
        head = struct.pack("!QQ", seed, made)
        yield (head + block * 4)[: min(1 << 18, size - made)]
        made += 1 << 18


def hash_of(size: int, seed: int = 0) -> str:
    """The hash of ``pattern``."""
    hashed = hashlib.sha256()
    for block in pattern(size, seed):
        hashed.update(block)
    return hashed.hexdigest()


def source(size: int) -> Behaviour:
    """Send ``size`` bytes of ``pattern`` after the client's first bytes, and end."""

    def behave(connection: socket.socket, origin: Origin) -> None:
        connection.recv(1 << 16)
        for block in pattern(size):
            view = memoryview(block)
            while view:
                taken = connection.send(view)
                origin.sent += taken
                view = view[taken:]

    return behave


def both_ways(size: int) -> Behaviour:
    """Send ``size`` bytes of ``pattern`` while noting the hash of all that comes."""

    def behave(connection: socket.socket, origin: Origin) -> None:
        def send() -> None:
            for block in pattern(size, seed=1):
                connection.sendall(block)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        origin.note(hash_to_end(connection).encode())
        sender.join()

    return behave


def hash_to_end(connection: socket.socket) -> str:
    """The hash of everything up to the end."""
    hashed = hashlib.sha256()
    while received := connection.recv(1 << 18):
        hashed.update(received)
    return hashed.hexdigest()


def tls_named(context: ssl.SSLContext) -> Behaviour:
    """Finish a TLS handshake; answer HTTP, or any other bytes, with our name and the TLS version."""

    def behave(connection: socket.socket, origin: Origin) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            first = secure.recv(1 << 16)
            body = f"{origin.name} {secure.version()}\n".encode()
            if first.startswith(b"GET "):
                body = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            secure.sendall(body)
            with contextlib.suppress(OSError):
                secure.unwrap()

    return behave


@contextlib.contextmanager
def refusing_port(host: str = "127.0.0.1") -> Iterator[str]:
    """An address where nobody listens, and nobody can while we hold it."""
    with socket.socket() as held:
        held.bind((host, 0))
        yield f"{host}:{held.getsockname()[1]}"


@contextlib.contextmanager
def unanswering_port() -> Iterator[str]:
    """An address where connecting neither succeeds nor fails: the queue of its listener is full."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.2)
            try:
                filler.connect(listening.getsockname())
            except TimeoutError:
                break
        else:
            raise AssertionError("the queue never filled up")
        yield f"127.0.0.1:{listening.getsockname()[1]}"
