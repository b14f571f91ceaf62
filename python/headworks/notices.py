"""Notices: rare events of a running proxy, for any number of subscribers.

Owns one thread that takes what the engine reports. Must never make whoever reports an event wait: a subscriber that
does not keep up loses the oldest and is told how many.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from headworks import _engine
from headworks.feed import Feed, Queue, Subscription
from headworks.notice import Notice
from headworks.stand_ins import without_stand_ins

MOST = 1000
"""Notices that wait for one subscriber at most."""

RECENT = 500
"""Notices that are remembered for those who come later, while anybody asked for that."""

_LONG = 600.0
"""Seconds that the pump waits for the engine at a time: stopping the engine wakes it."""


@dataclass(frozen=True)
class Heard:
    """A notice that is remembered."""

    number: int
    """The number, from 1."""
    at: float
    """Time of it, seconds since 1970."""
    notice: Notice


class Notices(Feed[Notice]):
    """Hands every notice to every subscriber. Safe from any thread.

    Notices that come while nobody subscribes wait for the next subscriber, as do those that the last one leaves unread.
    The first subscriber starts the pump.
    """

    def __init__(self, engine: _engine.Engine) -> None:
        super().__init__(MOST)
        self._engine = engine
        self._unheard: Queue[Notice] = Queue(MOST)
        self._pump: threading.Thread | None = None
        self._recent: deque[Heard] = deque(maxlen=RECENT)
        self._numbers = itertools.count(1)
        self._told: list[Callable[[], None]] = []

    def remember(self, tell: Callable[[], None]) -> None:
        """Remember notices from now on, and call ``tell`` at each, which must not wait.

        Nobody subscribes by it: what waits for the next subscriber goes on waiting.
        """
        with self._lock:
            self._told.append(tell)
            self._start()

    def forget(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` no more."""
        with self._lock:
            self._told = [one for one in self._told if one is not tell]

    def recent(self, after: int = 0) -> list[Heard]:
        """Return what is remembered, the oldest first, of those with a number above ``after``."""
        with self._lock:
            return [one for one in self._recent if one.number > after]

    def put_all(self, values: Iterable[Notice], dropped: int = 0) -> None:
        """Add events; ``dropped`` is how many more there were before they came here."""
        values = tuple(values)
        with self._lock:
            super().put_all(values, dropped)
            told = tuple(self._told)
            if told:
                self._recent.extend(Heard(next(self._numbers), time.time(), one) for one in values)
        for tell in told:
            tell()

    def put(self, notice: Notice) -> None:
        """Add an event: one of our own, or one that the engine has reported."""
        self.put_all((notice,))

    def subscribe(self) -> Subscription[Notice]:
        """Return an iterator over what comes from now on; it ends when the proxy is stopped."""
        with self._lock:
            self._start()
            return super().subscribe()

    def _start(self) -> None:
        if self._pump is None and not self._is_closed:
            self._pump = threading.Thread(target=self._run, name="notices", daemon=True)
            self._pump.start()

    def _listening(self) -> tuple[Queue[Notice], ...]:
        return super()._listening() or (self._unheard,)

    def _queue(self) -> Queue[Notice]:
        queue, self._unheard = self._unheard, super()._queue()
        return queue

    def _all_left(self, last: Queue[Notice]) -> None:
        self._unheard = last

    def _next(self, queue: Queue[Notice]) -> Notice | None:
        """Take the oldest; before it, a notice of those that were dropped."""
        if queue.untold:
            dropped, queue.untold = queue.untold, 0
            return Notice(kind="notices_dropped", facts={"dropped": dropped})
        return super()._next(queue)

    def _run(self) -> None:
        while not self._is_closed:
            if (text := self._engine.next_notice(_LONG)) is None:
                continue
            if (notice := without_stand_ins(Notice.decode(text))) is not None:
                self.put(notice)
