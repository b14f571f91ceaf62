"""Origins: servers of HTTP/1.1 that answer by a script and remember what they got.

Owns the servers that one test made. Must never wait without a bound: an origin that is closed answers nobody, whatever
its script says.
"""

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from headworks.testing.acceptor import Acceptor
from headworks.testing.answers import Answer, Received
from headworks.testing.streams import PATIENCE, Deadline, Stream, value_of

Script = Callable[[Received], Answer]
"""Returns the answer for a request."""

MOST = 10_000
"""Requests that an origin remembers at most: the oldest go."""
_IDLE = 600.0
"""Seconds that a connection may take for a request; closing the origin ends it earlier."""


class Origin:
    """One server on a free port: ``{"servers": [origin.address]}``."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._arrived = threading.Condition()
        self._requests: deque[Received] = deque(maxlen=MOST)
        self._failed: str | None = None
        self._acceptor = Acceptor(self._serve)
        self.address = self._acceptor.address
        """The address that is listened on: ``127.0.0.1:PORT``."""

    @property
    def requests(self) -> tuple[Received, ...]:
        """Return the requests that came so far, in order. Raises RuntimeError when its script has failed."""
        with self._arrived:
            return self._taken()

    def wait_for(self, count: int, timeout: float = PATIENCE) -> tuple[Received, ...]:
        """Return the requests once there are ``count``.

        Raises TimeoutError after ``timeout`` seconds, RuntimeError when the script has failed.
        """
        with self._arrived:
            self._arrived.wait_for(lambda: self._failed or len(self._requests) >= count, timeout)
            taken = self._taken()
        if len(taken) < count:
            raise TimeoutError(f"{self.address} got {len(taken)} of {count} requests in {timeout:g} s")
        return taken

    def answer_with(self, *answers: Answer, **keys: Any) -> None:
        """Answer from now on with these in turn, the last again and again; ``keys`` are those of one Answer."""
        self._script = scripted(*answers, **keys)

    def refuse(self) -> None:
        """Refuse connects and break the connections that are open; ``accept`` ends it."""
        self._acceptor.refuse()
        self._acceptor.cut()

    def accept(self) -> None:
        """Accept connections again, at the same address."""
        self._acceptor.listen()

    def close(self) -> None:
        """End it with all its connections. May be called twice."""
        self._acceptor.close()

    def _taken(self) -> tuple[Received, ...]:
        if self._failed:
            raise RuntimeError(f"the script of {self.address} has failed: {self._failed}")
        return tuple(self._requests)

    def _serve(self, connection: socket.socket) -> None:
        stream = Stream(connection, Deadline(_IDLE))
        is_open = True
        while is_open and not stream.ended():
            request = _read(stream)
            if self._acceptor.is_broken(connection):
                return
            with self._arrived:
                self._requests.append(request)
                self._arrived.notify_all()
            is_open = self._answer(connection, request)
            stream.deadline = Deadline(_IDLE)

    def _answer(self, connection: socket.socket, request: Received) -> bool:
        """Send what the script says; return whether the connection is kept."""
        try:
            answer = self._script(request)
            pieces = list(_pieces(answer, request.method))
        except Exception as error:  # noqa: BLE001  (whatever a script of the test raises is told to the test)
            with self._arrived:
                self._failed = f"{type(error).__name__}: {error}"
                self._arrived.notify_all()
            return False
        pause = answer.delay
        for piece in pieces:
            if pause > 0 and self._acceptor.pause(connection, pause):
                return False
            connection.sendall(piece)
            pause = answer.interval
        if answer.then == "reset":
            self._acceptor.reset(connection)
        return not answer.is_last and (value_of(request.headers, "connection") or "").lower() != "close"


class Origins:
    """Makes origins for one test: ``origin(body="hello")``, ``origin(Answer(status=503), Answer())``."""

    def __init__(self) -> None:
        self._made: list[Origin] = []

    def __call__(self, *answers: Answer | Script, **keys: Any) -> Origin:
        """Start an origin that answers with ``answers`` in turn, the last again and again.

        A function instead of them is called with every request (Received) and returns an Answer. ``keys`` are those of
        one Answer: ``origin(status=404, delay=0.5)``. Raises TypeError for both.
        """
        one = Origin(scripted(*answers, **keys))
        self._made.append(one)
        return one

    def close(self) -> None:
        """End every origin."""
        for one in self._made:
            one.close()


def scripted(*answers: Answer | Script, **keys: Any) -> Script:
    """Return the script that gives ``answers`` in turn. Raises TypeError for what is none."""
    if answers and keys:
        raise TypeError("give answers or the keys of one answer, not both")
    if len(answers) == 1 and not isinstance(answers[0], Answer):
        return answers[0]
    wrong = [one for one in answers if not isinstance(one, Answer)]
    if wrong:
        raise TypeError(f"several answers are Answers, not {type(wrong[0]).__name__}")
    given = tuple(one for one in answers if isinstance(one, Answer)) or (Answer(**keys),)
    turn: Iterator[Answer] = iter(given)
    lock = threading.Lock()

    def script(_: Received) -> Answer:
        with lock:
            return next(turn, given[-1])

    return script


def _read(stream: Stream) -> Received:
    """Read one request. Raises ConnectionError, TimeoutError."""
    line, fields = stream.head("the head of a request")
    method, _, rest = line.partition(" ")
    if (value_of(fields, "expect") or "").lower() == "100-continue":
        with contextlib.suppress(OSError):
            stream.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = stream.body(fields, until_end=False)
    return Received(method=method, path=rest.rpartition(" ")[0], headers=fields, body=body)


def _pieces(answer: Answer, method: str) -> Iterator[bytes]:
    whole = answer.encode(method)
    size = answer.piece or len(whole) or 1
    yield from (whole[at : at + size] for at in range(0, len(whole) or 1, size))
