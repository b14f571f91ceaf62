"""Pauses in accepting, as log lines: one and its end a second at most, however many workers report them.

Owns what each worker reported last, and the line that is still to be written. Must never leave the log with a state
that is over: what is held back is written when the second has passed.
"""

import resource
import threading
import time
from collections.abc import Callable

from headworks.notice import Notice

REMEDY = "raise the limit of descriptors (LimitNOFILE= of a unit, ulimit -n) or set max_connections"
KINDS = ("accept_paused", "accept_resumed")


class Pauses:
    """Passes on notices of KINDS to ``write``, at most one of each in ``interval`` seconds. Safe from any thread."""

    def __init__(self, write: Callable[[Notice], None], *, interval: float = 1.0) -> None:
        self._write = write
        self._interval = interval
        self._lock = threading.Lock()
        self._paused: dict[object, Notice] = {}
        self._waiting: Notice | None = None
        self._left_out = 0
        self._next = dict.fromkeys(KINDS, 0.0)

    def take(self, notice: Notice) -> None:
        """Write a notice now, or hold it back; of several that are held back the last is written."""
        with self._lock:
            worker = notice.facts.get("worker")
            self._paused.pop(worker, None)
            if notice.kind == "accept_paused":
                self._paused[worker] = notice
            if self._waiting is not None:
                self._left_out += 1
                self._waiting = notice
            elif (now := time.monotonic()) < self._next[notice.kind]:
                self._waiting = notice
                timer = threading.Timer(max(self._next.values()) - now, self._flush)
                timer.daemon = True
                timer.start()
            else:
                self._tell(notice)

    def _flush(self) -> None:
        with self._lock:
            notice, self._waiting = self._waiting, None
            if notice is not None:
                # Where another worker is paused still, that is the state of the whole.
                self._tell(next(reversed(self._paused.values()), notice))

    def _tell(self, notice: Notice) -> None:
        self._next[notice.kind] = time.monotonic() + self._interval
        facts = dict(notice.facts)
        if notice.kind == "accept_paused":
            facts |= {"limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0], "remedy": REMEDY}
        if self._left_out:
            facts["left_out"], self._left_out = self._left_out, 0
        self._write(Notice(kind=notice.kind, facts=facts))
