"""Now: the date and time that rules see, in UTC. A test sets it with ``now.at``.

Must never be read when a rule is compiled: core has a clock of its own.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_SET: ContextVar[int | None] = ContextVar("now", default=None)


class Now:
    """The present second, in UTC."""

    @contextmanager
    def at(self, moment: int | datetime) -> Iterator[None]:
        """Let it be ``moment`` (seconds since 1970, or a datetime) in a ``with`` block, in tests of rules."""
        seconds = int(moment.timestamp()) if isinstance(moment, datetime) else moment
        token = _SET.set(seconds)
        try:
            yield
        finally:
            _SET.reset(token)

    @property
    def timestamp(self) -> int:
        """Seconds since 1970."""
        known = _SET.get()
        return int(time.time()) if known is None else known

    @property
    def date(self) -> str:
        """``2026-11-28``."""
        return self._moment.strftime("%Y-%m-%d")

    @property
    def time(self) -> str:
        """``13:05:59``: times are compared as texts."""
        return self._moment.strftime("%H:%M:%S")

    @property
    def hour(self) -> int:
        """0 to 23."""
        return self._moment.hour

    @property
    def minute(self) -> int:
        """0 to 59."""
        return self._moment.minute

    @property
    def weekday(self) -> int:
        """Monday is 0, Sunday 6."""
        return self._moment.weekday()

    @property
    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.timestamp, UTC)


now = Now()
