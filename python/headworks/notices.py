"""Notices: rare events of a running proxy, for any number of subscribers.

Owns one thread that takes what the engine reports, and a bounded queue for each subscriber. Must never make whoever
reports an event wait: a subscriber that does not keep up loses the oldest and is told how many.
"""

import threading
from collections import deque
from collections.abc import Iterator

from headworks import _engine
from headworks.stats import Notice

MOST = 1000
"""Notices that wait for one subscriber at most."""

_LONG = 600.0
"""Seconds that the pump waits for the engine at a time: stopping the engine wakes it."""


class Notices:
    """Hands every notice to every subscriber. Safe from any thread.

    Notices that come while nobody subscribes wait for the next subscriber, as do those that the last one leaves unread.
    The first subscriber starts the pump.
    """

    def __init__(self, engine: _engine.Engine) -> None:
        self._engine = engine
        # Reentrant: a subscription may be collected, and so closed, by a thread that holds the lock.
        self._lock = threading.RLock()
        self._arrived = threading.Condition(self._lock)
        self._queues: list[_Queue] = []
        self._unheard = _Queue()
        self._pump: threading.Thread | None = None
        self._is_closed = False

    def put(self, notice: Notice) -> None:
        """Add an event: one of our own, or one that the engine has reported."""
        with self._lock:
            # A copy: adding may collect a subscription, which leaves.
            for queue in tuple(self._queues) or (self._unheard,):
                queue.add(notice)
            self._arrived.notify_all()

    def subscribe(self) -> "Subscription":
        """Return an iterator over what comes from now on; it ends when the proxy is stopped."""
        with self._lock:
            if self._pump is None and not self._is_closed:
                self._pump = threading.Thread(target=self._run, name="notices", daemon=True)
                self._pump.start()
            queue, self._unheard = self._unheard, _Queue()
            self._queues.append(queue)
        return Subscription(self, queue)

    def take(self, queue: "_Queue") -> Notice | None:
        """Wait for the next notice of a queue; None when no more come."""
        with self._lock:
            while not (queue.is_filled or self._is_closed):
                self._arrived.wait()
            return queue.take()

    def leave(self, queue: "_Queue") -> None:
        """Forget a subscriber. What the last one leaves unread is kept."""
        with self._lock:
            if queue in self._queues:
                self._queues.remove(queue)
                if not self._queues:
                    self._unheard = queue

    def close(self) -> None:
        """Let every subscriber go: what waits can still be read, no more comes. The pump ends with the engine."""
        with self._lock:
            self._is_closed = True
            self._arrived.notify_all()

    def _run(self) -> None:
        while not self._is_closed:
            if (text := self._engine.next_notice(_LONG)) is not None:
                self.put(Notice.decode(text))


class Subscription(Iterator[Notice]):
    """One subscriber's notices. For one thread."""

    def __init__(self, notices: Notices, queue: "_Queue") -> None:
        self._notices = notices
        self._queue = queue

    def __next__(self) -> Notice:
        """Wait for the next notice."""
        notice = self._notices.take(self._queue)
        if notice is None:
            raise StopIteration
        return notice

    def close(self) -> None:
        """Subscribe no more. An iterator that nobody holds any longer is closed by itself."""
        self._notices.leave(self._queue)

    def __del__(self) -> None:
        self.close()


class _Queue:
    """Notices that wait for one subscriber, and how many had to go."""

    def __init__(self) -> None:
        self._notices: deque[Notice] = deque()
        self._dropped = 0

    @property
    def is_filled(self) -> bool:
        """Whether any wait."""
        return bool(self._notices)

    def add(self, notice: Notice) -> None:
        """Add one; the oldest goes when there are too many."""
        if len(self._notices) == MOST:
            self._notices.popleft()
            self._dropped += 1
        self._notices.append(notice)

    def take(self) -> Notice | None:
        """Take the oldest; before it, a notice of those that were dropped."""
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            return Notice(kind="notices_dropped", facts={"dropped": dropped})
        return self._notices.popleft() if self._notices else None
