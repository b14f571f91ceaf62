"""Proxies: a running proxy for a test, on free ports of loopback, that keeps its access records and notices.

Owns the proxies of one test. Must never bind an address that the configuration names: tests may run side by side.
"""

import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

from headworks.config.loaded import Source
from headworks.proxy import Proxy
from headworks.testing.sources import is_path, on_free_ports
from headworks.testing.streams import PATIENCE

if TYPE_CHECKING:
    from headworks.feed import Subscription
    from headworks.notice import Notice
    from headworks.records import AccessRecord

T = TypeVar("T")

MOST = 10_000
"""Records and notices that are kept of each proxy at most: the oldest go."""
_SETTLING = 1.0
"""Seconds that a report waits for the last records."""


class TestedProxy(Proxy):
    """A Proxy on free ports: ``address``, ``stats``, ``reload`` and all the rest, and what it told so far.

    ``source`` is a path, TOML text, a Config or a mapping. One worker, unless the configuration says how many, and no
    access log. Raises as Proxy does.
    """

    __test__ = False

    def __init__(self, source: Source) -> None:
        self._told = threading.Condition()
        self._kept: deque[AccessRecord] = deque(maxlen=MOST)
        self._notices_kept: deque[Notice] = deque(maxlen=MOST)
        self._followers: list[threading.Thread] = []
        self._file = source if is_path(source) else None
        super().__init__(on_free_ports(source))

    def start(self, *, binder: int | None = None) -> None:
        """Bind free ports and serve. Raises as ``Proxy.start`` does."""
        super().start(binder=binder)
        self._follow(self.records(), self._kept)
        self._follow(self.notices(), self._notices_kept)

    def stop(self) -> None:
        """Close every connection now and end the threads; what was told until then can still be read."""
        super().stop()
        followers, self._followers = self._followers, []
        for thread in followers:
            thread.join(PATIENCE)

    def reload(self, source: Source | None = None) -> tuple[str, ...]:
        """Swap to another configuration, on free ports too; listeners that keep their name keep their ports.

        Without ``source`` the file that it was made from is read again. Raises as ``Proxy.reload`` does: ConfigError,
        BindError, ValueError.
        """
        if source is None and self._file is None:
            raise ValueError("this proxy was not made from a file: give reload the new configuration")
        if source is not None and is_path(source):
            self._file = source
        again = source if source is not None else self._file
        return super().reload(None if again is None else on_free_ports(again))

    def recorded(self, count: int = 0, timeout: float = PATIENCE) -> "tuple[AccessRecord, ...]":
        """Return the access records so far, once there are ``count``. Raises TimeoutError after ``timeout`` seconds."""
        with self._told:
            if not self._told.wait_for(lambda: len(self._kept) >= count, timeout):
                raise TimeoutError(f"{len(self._kept)} of {count} access records came in {timeout:g} s")
            return tuple(self._kept)

    def noticed(self, kind: str | None = None, timeout: float = PATIENCE) -> "tuple[Notice, ...]":
        """Return the notices so far, once there is one of ``kind``. Raises TimeoutError after ``timeout`` seconds."""
        with self._told:
            if not self._told.wait_for(lambda: kind in (None, *(one.kind for one in self._notices_kept)), timeout):
                raise TimeoutError(f"no notice {kind} came in {timeout:g} s")
            return tuple(self._notices_kept)

    def report(self) -> str:
        """Return what it told, for people: addresses, notices, access records, and connections that are open."""
        lines = [repr(self)]
        with contextlib.suppress(RuntimeError, TimeoutError):  # it may have been stopped
            counted = sum(sum(one.ends.values()) for one in self.stats().listeners.values())
            self.recorded(min(counted, MOST), _SETTLING)
        lines += [f"{one.level} {_pairs(one.kind, one.facts.items())}" for one in self.noticed()]
        lines += [_record(one) for one in self.recorded()]
        with contextlib.suppress(RuntimeError):
            lines += [f"open {one}" for one in self.connections()]
        return "\n".join(lines)

    def _follow(self, told: "Subscription[T]", kept: deque[T]) -> None:
        def run() -> None:
            for one in told:
                with self._told:
                    kept.append(one)
                    self._told.notify_all()

        thread = threading.Thread(target=run, name="headworks testing", daemon=True)
        self._followers.append(thread)
        thread.start()


class Proxies:
    """Starts proxies for one test: ``headworks_proxy({"listeners": …})``."""

    def __init__(self) -> None:
        self.made: list[TestedProxy] = []
        """Every proxy of the test, those that were stopped too."""

    def __call__(self, config: Source) -> TestedProxy:
        """Start a proxy on free ports. Raises ConfigError with every problem, BindError, OSError."""
        one = TestedProxy(config)
        self.made.append(one)
        one.start()
        return one

    def close(self) -> None:
        """Stop every proxy."""
        for one in self.made:
            one.stop()


def _record(record: "AccessRecord") -> str:
    """Return one line, of what is known."""
    known = ((one.name, getattr(record, one.name)) for one in fields(record))
    shown = [(name, value) for name, value in known if value is not None and name not in ("ts", "log")]
    return _pairs("record", [*shown, *((f"log.{name}", value) for name, value in record.log.items())])


def _pairs(word: str, pairs: Iterable[tuple[str, object]]) -> str:
    return " ".join([word, *(f"{name}={_value(value)}" for name, value in pairs)])


def _value(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and not set(text) & set(' "=') and text else json.dumps(text)
