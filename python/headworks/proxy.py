"""Proxy: a running Headworks inside a Python program. Everything the command line can do, and no more magic than it.

Owns one engine and the configuration that it runs. Must never hold a connection's bytes: those are the engine's.
"""

import asyncio
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from headworks import _engine
from headworks.config import Config, ConfigError
from headworks.config.document import place
from headworks.errors import BindError
from headworks.inherited import inherited
from headworks.stats import Connection, Notice, Stats

Source = str | Path | Config | Mapping[str, Any]

_GLANCE = 0.5
"""Seconds that the main thread waits for a notice at a time: signals are handled between."""
_LONG = 600.0
"""Seconds that any other thread waits at a time: stopping wakes it."""


class Proxy:
    """A proxy: ``with Proxy("headworks.toml") as proxy: ...``.

    ``source`` is the path of a TOML file, a Config, or a mapping of the file's shape. Raises ConfigError with
    every problem. Methods may be called from any thread.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._engine: _engine.Engine | None = None
        self.config = load(source)
        """The configuration that runs, or would."""

    def start(self, *, binder: int | None = None) -> None:
        """Bind every listener and serve. Raises BindError with every address, OSError for the access log.

        ``binder`` is the descriptor of a connected unix socket to a binder process (``headworks.binder``), for programs
        that give up root and still want to bind low ports at a reload.
        """
        if self._engine is not None:
            raise RuntimeError("the proxy is already running")
        logs = self.config.logs
        options = {"workers": self._workers(), "access_log": logs.access, "log_format": logs.format}
        plan = _compile(self.config, self._source)
        try:
            self._engine = _engine.Engine(plan, json.dumps(options), binder)
        except _engine.BindError as error:
            raise BindError.decode(error.args[0]) from None

    def stop(self) -> None:
        """Close every connection now and end the threads. May be called twice."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.stop()

    def reload(self, source: Source | None = None) -> tuple[str, ...]:
        """Swap to another configuration without dropping a connection; without ``source`` the same file is read again.

        Returns the keys that changed but need a restart, such as ``proxy.workers``. Raises ConfigError with every
        problem or BindError, and changes nothing then.
        """
        if source is None and not isinstance(self._source, str | Path):
            raise ValueError("this proxy was not made from a file: give reload the new configuration")
        wanted = self._source if source is None else source
        config = load(wanted)
        plan = _compile(config, wanted)
        try:
            self._running().apply(plan)
        except _engine.BindError as error:
            raise BindError.decode(error.args[0]) from None
        waiting = _needs_restart(self.config, config)
        self._source, self.config = wanted, config
        return waiting

    def address(self, listener: str) -> tuple[str, int]:
        """Return the first bound address as host and port, ``(PATH, 0)`` for a unix socket. Raises KeyError."""
        first = self.addresses(listener)[0]
        if first.startswith("unix:"):
            return first.removeprefix("unix:"), 0
        host, _, port = first.rpartition(":")
        return host.removeprefix("[").removesuffix("]"), int(port)

    def addresses(self, listener: str) -> tuple[str, ...]:
        """Return every bound address as it is written, ``127.0.0.1:443`` or ``unix:PATH``, in the order of ``bind``."""
        return tuple(self._running().addresses()[listener])

    def stats(self) -> Stats:
        """Return all counters, at one moment."""
        return Stats.decode(self._running().stats())

    def connections(self, limit: int = 1000) -> list[Connection]:
        """Return at most ``limit`` live connections."""
        return Connection.decode(self._running().connections(limit))

    def set_server(
        self,
        backend: str,
        server: str,
        *,
        admin: Literal["ready", "drain", "maintenance"] | None = None,
        weight: int | None = None,
    ) -> None:
        """Take a server out of service or back, and set its weight (0 to 256; None: as configured).

        ``admin=None`` leaves that as it is. Raises KeyError when there is no such server, ValueError for a bad value.
        """
        if weight is not None and not 0 <= weight <= 256:  # noqa: PLR2004  (the range of `weight`)
            raise ValueError(f"a weight is between 0 and 256, not {weight}")
        self._running().set_server(backend, server, admin, weight)

    def notices(self) -> Iterator[Notice]:
        """Yield rare events as they come, until the proxy is stopped. For one thread of yours."""
        patience = _GLANCE if threading.current_thread() is threading.main_thread() else _LONG
        while (engine := self._engine) is not None:
            if (text := engine.next_notice(patience)) is not None:
                yield Notice.decode(text)

    def reopen_logs(self) -> None:
        """Open the access log by its path again, after it was rotated. Raises OSError; the old one is kept then."""
        self._running().reopen_logs()

    def drain(self, timeout: float | None = None) -> bool:
        """Stop accepting and wait up to ``timeout`` seconds (default: ``proxy.drain``) for open connections to end.

        Returns whether all have ended. The proxy still runs: call it again to wait longer, or ``stop``.
        """
        engine = self._running()
        engine.drain()
        return engine.wait_idle(self.config.proxy.drain.total_seconds() if timeout is None else timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def _running(self) -> _engine.Engine:
        if self._engine is None:
            raise RuntimeError("the proxy is not running")
        return self._engine

    def _workers(self) -> int:
        return self.config.proxy.workers or len(os.sched_getaffinity(0))


def load(source: Source) -> Config:
    """Return the checked configuration.

    Raises ConfigError with every problem, OSError for a file that cannot be read.
    """
    if isinstance(source, Config):
        source.check()
        return source
    return Config.load(source) if isinstance(source, str | Path) else Config.parse(source)


def _compile(config: Config, source: Source) -> _engine.Plan:
    """The Plan to run: ``fd:NAME`` must be there now. What else could be wrong was found by ``load``."""
    try:
        return _engine.Plan.compile(config.spec(inherited()))
    except ConfigError as error:
        raise (place(error, source) if isinstance(source, str | Path) else error) from None


def _needs_restart(old: Config, new: Config) -> tuple[str, ...]:
    """Keys with another value that only a start reads."""
    keys = (
        ("proxy", "workers"),
        ("proxy", "user"),
        ("proxy", "group"),
        ("logs", "access"),
        ("logs", "format"),
    )
    return tuple(
        f"{section}.{key}"
        for section, key in keys
        if getattr(getattr(old, section), key) != getattr(getattr(new, section), key)
    )
