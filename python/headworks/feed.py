"""Feed: values as they come, for any number of subscribers, by ``for`` and by ``async for``.

Owns a bounded queue for each subscriber. Must never make whoever puts a value in wait: a subscriber that does not keep
up loses the oldest, which are counted. In a forked copy of the process nothing comes and every iteration ends.
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class Feed(Generic[T]):
    """Hands every value to every subscriber. Safe from any thread.

    ``most`` is how many values wait for one subscriber at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        # Reentrant: a subscription may be collected, and so closed, by a thread that holds the lock.
        self._lock = threading.RLock()
        self._arrived = threading.Condition(self._lock)
        self._queues: list[Queue[T]] = []
        self._is_closed = False
        self._process = os.getpid()

    def put_all(self, values: Iterable[T], dropped: int = 0) -> None:
        """Add values; ``dropped`` is how many more there were before they came here."""
        values = tuple(values)
        with self._lock:
            # A copy: adding may collect a subscription, which leaves.
            for queue in self._listening():
                queue.add(values, dropped)
            self._wake()

    def subscribe(self) -> "Subscription[T]":
        """Return an iterator over what comes from now on; it ends when the proxy is stopped."""
        with self._lock:
            queue = self._queue()
            self._queues.append(queue)
        return Subscription(self, queue)

    def take(self, queue: "Queue[T]") -> T | None:
        """Wait for the next value of a queue; None when no more come."""
        if self._is_copy():
            return None
        with self._lock:
            while not (queue.is_filled or queue.is_ended or self._is_closed):
                self._arrived.wait()
            return self._next(queue)

    async def take_async(self, queue: "Queue[T]") -> T | None:
        """Wait for the next value of a queue without holding up the event loop; None when no more come."""
        import asyncio

        if self._is_copy():
            return None
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                if queue.is_filled or queue.is_ended or self._is_closed:
                    return self._next(queue)
                waiter = Waiter(loop, loop.create_future())
                queue.waiters.add(waiter)
            try:
                await waiter.woken
            finally:
                with self._lock:
                    queue.waiters.discard(waiter)

    def leave(self, queue: "Queue[T]") -> None:
        """Forget a subscriber."""
        # The thread that holds the lock in the parent is not here to let it go.
        if self._is_copy():
            return
        with self._lock:
            if queue in self._queues:
                self._queues.remove(queue)
                if not self._queues:
                    self._all_left(queue)

    def end_one(self, queue: "Queue[T]") -> None:
        """Let nothing more come to a subscriber: what waits can still be read."""
        if self._is_copy():
            return
        with self._lock:
            queue.is_ended = True
            self._wake()

    def close(self) -> None:
        """Let every subscriber go: what waits can still be read, no more comes."""
        with self._lock:
            self._is_closed = True
            self._wake()

    def _listening(self) -> "tuple[Queue[T], ...]":
        """Return the queues that get what comes."""
        return tuple(self._queues)

    def _queue(self) -> "Queue[T]":
        """Return the queue of a new subscriber."""
        return Queue(self._most)

    def _all_left(self, last: "Queue[T]") -> None:
        """Act on that the last subscriber has left, with what it leaves unread."""

    def _next(self, queue: "Queue[T]") -> T | None:
        """Take the next value of a queue, None when it is empty."""
        return queue.values.popleft() if queue.values else None

    def _wake(self) -> None:
        self._arrived.notify_all()
        for queue in self._queues:
            for waiter in queue.waiters:
                waiter.wake()

    def _is_copy(self) -> bool:
        return os.getpid() != self._process


class Subscription(Iterator[T], AsyncIterator[T]):
    """One subscriber's values, by ``for`` or ``async for``. For one thread, or one task, at a time."""

    def __init__(self, feed: Feed[T], queue: "Queue[T]") -> None:
        self._feed = feed
        self._queue = queue

    @property
    def dropped(self) -> int:
        """Return how many were let go so far since this subscriber did not keep up."""
        return self._queue.dropped

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """Wait for the next one."""
        value = self._feed.take(self._queue)
        if value is None:
            raise StopIteration
        return value

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Wait for the next one; other tasks go on."""
        value = await self._feed.take_async(self._queue)
        if value is None:
            raise StopAsyncIteration
        return value

    def finish(self) -> None:
        """Let nothing more come, from any thread: whoever reads goes on to the end of what waits."""
        self._feed.end_one(self._queue)

    def close(self) -> None:
        """Subscribe no more. An iterator that nobody holds any longer is closed by itself."""
        self._feed.leave(self._queue)

    def __del__(self) -> None:
        self.close()


class Queue(Generic[T]):
    """Values that wait for one subscriber, and how many had to go."""

    def __init__(self, most: int) -> None:
        self.values: deque[T] = deque(maxlen=most)
        self.waiters: set[Waiter] = set()
        self.dropped = 0
        self.untold = 0
        """Of these, those that nobody was told of yet."""
        self.is_ended = False
        """Whether nothing more comes to it."""

    @property
    def is_filled(self) -> bool:
        """Whether any wait."""
        return bool(self.values)

    def add(self, values: tuple[T, ...], dropped: int) -> None:
        """Add some; the oldest go when there are too many."""
        if self.is_ended:
            return
        lost = dropped + max(0, len(self.values) + len(values) - (self.values.maxlen or 0))
        self.dropped += lost
        self.untold += lost
        self.values.extend(values)


class Waiter:
    """A task that waits in an event loop."""

    def __init__(self, loop: "asyncio.AbstractEventLoop", woken: "asyncio.Future[None]") -> None:
        self._loop = loop
        self.woken = woken

    def wake(self) -> None:
        """Let it look again, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop may have been closed
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)
