"""Faults: a middleman between a proxy and its server, that refuses, drops, delays or cuts connections.

Owns the connections on both of its sides. Must never change a byte: what it passes on is what came.
"""

import socket
import threading
from dataclasses import dataclass
from typing import Literal

from headworks.testing.acceptor import Acceptor
from headworks.testing.clients import split
from headworks.testing.streams import PATIENCE

_PIECE = 65536


@dataclass(frozen=True)
class _Fault:
    """A fate of bytes."""

    kind: Literal["none", "refuse", "drop"] = "none"
    delay: float = 0.0
    cut_after: int | None = None


class Middleman:
    """Listens on a free port and passes bytes on to ``server``, both ways.

    Each method says what goes wrong from now on. A new fault replaces the one before. Connections that are open feel it
    too.
    """

    def __init__(self, server: str) -> None:
        self._server = split(server)
        self._changed = threading.Condition()
        self._fault = _Fault()
        self._accepted = 0
        self._acceptor = Acceptor(self._serve)
        self.address = self._acceptor.address
        """The address that is listened on, for ``servers`` of a backend: ``127.0.0.1:PORT``."""

    def refuse(self) -> None:
        """Refuse connects, and reset the connections that are open."""
        self._set(_Fault("refuse"))
        self._acceptor.refuse()
        self._acceptor.cut()

    def drop(self) -> None:
        """Accept connections and say nothing: no byte is passed on either way."""
        self._set(_Fault("drop"))
        self._acceptor.listen()

    def delay(self, seconds: float) -> None:
        """Pass every piece on ``seconds`` later, both ways. Raises ValueError for less than none."""
        if not seconds >= 0:
            raise ValueError(f"a delay is at least 0 s, not {seconds}")
        self._set(_Fault(delay=seconds))
        self._acceptor.listen()

    def cut_after(self, count: int) -> None:
        """Reset each connection once ``count`` bytes of the server were passed on, 0: before the first.

        Bytes that were passed on before count for none. Raises ValueError for less than 0.
        """
        if count < 0:
            raise ValueError(f"bytes are at least 0, not {count}")
        self._set(_Fault(cut_after=count))
        self._acceptor.listen()

    def pass_on(self) -> None:
        """Pass everything on again. Connections that said nothing until now are reset."""
        was_dropping = self._fault.kind == "drop"
        self._set(_Fault())
        if was_dropping:
            self._acceptor.cut()
        self._acceptor.listen()

    def wait_for(self, count: int, timeout: float = PATIENCE) -> None:
        """Wait until ``count`` connections were accepted. Raises TimeoutError after ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._accepted >= count, timeout):
                raise TimeoutError(f"{self.address} accepted {self._accepted} of {count} connections in {timeout:g} s")

    def close(self) -> None:
        """End it with all its connections. May be called twice."""
        self._acceptor.close()

    def _set(self, fault: _Fault) -> None:
        with self._changed:
            self._fault = fault
            self._changed.notify_all()

    def _serve(self, client: socket.socket) -> None:
        with self._changed:
            self._accepted += 1
            fault = self._fault
            self._changed.notify_all()
        if fault.kind == "drop":
            self._say_nothing(client)
            return
        if fault.kind == "refuse":
            self._acceptor.reset(client)
            return
        try:
            server = socket.create_connection(self._server, timeout=PATIENCE)
        except OSError:
            self._acceptor.reset(client)
            return
        self._acceptor.track(server)
        try:
            self._pass_on(client, server)
        finally:
            self._acceptor.finish(server)

    def _say_nothing(self, client: socket.socket) -> None:
        while _receive(client):
            pass

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self._pump, args=(server, client), kwargs={"counts": True}, daemon=True)
        for connection in (client, server):
            connection.settimeout(PATIENCE)
        back.start()
        self._pump(client, server, counts=False)
        back.join()

    def _pump(self, source: socket.socket, target: socket.socket, *, counts: bool) -> None:
        """Pass on until the end or a fault; ``counts``: the bytes are the server's."""
        passed = 0
        watched = self._fault
        try:
            while piece := _receive(source):
                fault = self._fault
                if self._acceptor.is_broken(source):
                    break
                if fault is not watched:
                    watched, passed = fault, 0
                if fault.kind == "drop":
                    continue
                if fault.delay and self._acceptor.pause(source, fault.delay):
                    break
                room = None if fault.cut_after is None or not counts else fault.cut_after - passed
                target.sendall(piece[:room])
                passed += len(piece)
                if room is not None and len(piece) >= room:
                    break
            else:
                if not self._acceptor.is_broken(source):
                    target.shutdown(socket.SHUT_WR)
                    return
        except OSError:
            pass
        self._acceptor.reset(source, target)


class Faults:
    """Makes middlemen for one test: ``faults.between(origin.address)``."""

    def __init__(self) -> None:
        self._made: list[Middleman] = []

    def between(self, server: str) -> Middleman:
        """Start a middleman in front of ``server`` (``HOST:PORT``): its address goes into ``servers`` instead."""
        one = Middleman(server)
        self._made.append(one)
        return one

    def close(self) -> None:
        """End every middleman."""
        for one in self._made:
            one.close()


def _receive(connection: socket.socket) -> bytes:
    """Wait for bytes, however long it takes: closing the middleman ends it. Nothing at the end. Raises OSError."""
    while True:
        try:
            return connection.recv(_PIECE)
        except TimeoutError:
            continue
