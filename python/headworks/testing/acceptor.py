"""Acceptor: a listening socket on a free port of loopback, and a thread for each connection.

Owns every connection that it accepted until it ends. Must never outlive ``close``: that breaks every connection, so
that whoever waits for its bytes goes on at once.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from functools import partial

from headworks.testing.streams import PATIENCE

_BACKLOG = 128
_RESET = struct.pack("ii", 1, 0)


class Acceptor:
    """Calls ``serve`` with every connection in a thread of its own, and closes the connection afterwards."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._lock = threading.Condition()
        self._open: set[socket.socket] = set()
        self._broken: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._listening: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._is_closing = False
        # Never listens: while nothing else does, connects are refused and the port stays ours.
        self._holder = _reusing()
        self._holder.bind(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._holder.getsockname())
        """The address that is listened on: ``127.0.0.1:PORT``."""
        self.listen()

    def listen(self) -> None:
        """Accept connections, again or still."""
        with self._lock:
            if self._listening is not None or self._is_closing:
                return
            self._listening = listening = _reusing()
            listening.bind(self._holder.getsockname())
            listening.listen(_BACKLOG)
            self._accepting = self._begin(partial(self._accept, listening))

    def refuse(self) -> None:
        """Accept no more connections: connects are refused. Those that are open stay."""
        with self._lock:
            listening, self._listening = self._listening, None
            accepting, self._accepting = self._accepting, None
        if listening is not None and accepting is not None:
            _shut(listening)
            # Whatever it accepted is known then.
            accepting.join(PATIENCE)
            listening.close()

    def cut(self) -> None:
        """Break every open connection with a reset, and wait until it is sent."""
        with self._lock:
            every = tuple(self._open)
            self.reset(*every)
            self._lock.wait_for(lambda: self._open.isdisjoint(every), PATIENCE)

    def reset(self, *connections: socket.socket) -> None:
        """Let these connections end by a reset (RST), and whoever reads from them go on."""
        for connection in connections:
            with self._lock, contextlib.suppress(OSError):
                self._broken.add(connection)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # Shut for writing, too, it would end (FIN) before it is reset.
                connection.shutdown(socket.SHUT_RD)
        with self._lock:
            self._lock.notify_all()

    def pause(self, connection: socket.socket, seconds: float) -> bool:
        """Wait so long; return early, and whether, the connection was broken or everything is closing."""
        with self._lock:
            return self._lock.wait_for(lambda: self._is_closing or connection in self._broken, seconds)

    def is_broken(self, connection: socket.socket) -> bool:
        """Whether ``reset`` was called for it: nothing may be said about its end then."""
        with self._lock:
            return connection in self._broken

    def close(self) -> None:
        """Stop listening, break every connection, and wait for the threads."""
        with self._lock:
            self._is_closing = True
            self._lock.notify_all()
        self.refuse()
        with self._lock:
            for connection in self._open:
                _shut(connection)
            threads = tuple(self._threads)
        for thread in threads:
            thread.join(PATIENCE)
        self._holder.close()

    def track(self, connection: socket.socket) -> None:
        """Break this connection too when the others are."""
        with self._lock:
            self._open.add(connection)
            if self._is_closing:
                _shut(connection)

    def finish(self, connection: socket.socket) -> None:
        """Close a connection that is tracked."""
        with self._lock:
            self._open.discard(connection)
            self._broken.discard(connection)
            connection.close()
            self._lock.notify_all()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.track(connection)
            with self._lock:
                self._begin(partial(self._run, connection))

    def _begin(self, run: Callable[[], None]) -> threading.Thread:
        def work() -> None:
            try:
                run()
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=work, name=f"headworks testing {self.address}", daemon=True)
        self._threads.add(thread)
        thread.start()
        return thread

    def _run(self, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError):
                self._serve(connection)
        finally:
            self.finish(connection)


def _reusing() -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return one


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
