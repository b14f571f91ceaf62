"""Proxy: a running Headworks inside a Python program. Everything the command line can do, and no more magic than it.

Owns one engine and the configuration that it runs. Must never hold a connection's bytes: those are the engine's.
"""

import asyncio
import json
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from headworks import _engine
from headworks.certificates import Authority, Store
from headworks.config import Config, ConfigError, Problem
from headworks.config.check import examine
from headworks.config.document import Document, place, plain
from headworks.config.spec import place as spec_place
from headworks.errors import BindError
from headworks.inherited import inherited
from headworks.renewal import Renewal
from headworks.stats import Connection, Notice, Stats

Source = str | Path | Config | Mapping[str, Any]

_GLANCE = 0.5
"""Seconds that the main thread waits for a notice at a time: signals are handled between."""
_NOTICES = 1000
"""Notices of our own that are kept for whoever asks."""
_LONG = 600.0
"""Seconds that any other thread waits at a time: stopping wakes it."""


class Proxy:
    """A proxy: ``with Proxy("headworks.toml") as proxy: ...``.

    ``source`` is the path of a TOML file, a Config, or a mapping of the file's shape. Raises ConfigError with
    every problem. Methods may be called from any thread. Files with certificates are looked at every
    ``watch_interval`` seconds while it runs, unless ``proxy.watch_certificates`` is false.
    """

    def __init__(self, source: Source, *, watch_interval: float = 1.0) -> None:
        self._source = source
        self._engine: _engine.Engine | None = None
        self._changing = threading.Lock()
        self._watch_interval = watch_interval
        self._renewal: Renewal | None = None
        self._own_notices: deque[Notice] = deque(maxlen=_NOTICES)
        self._loaded = _load(source, Authority())
        self.config = self._loaded.config
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
        plan = _compile(self._loaded, self._source)
        _write_authority(self._loaded)
        with _errors_of(self._source):
            self._engine = _engine.Engine(plan, json.dumps(options), binder)
        self._watch()

    def stop(self) -> None:
        """Close every connection now and end the threads. May be called twice."""
        self._unwatch()
        with self._changing:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.stop()

    def reload(self, source: Source | None = None) -> tuple[str, ...]:
        """Swap to another configuration without dropping a connection; without ``source`` the same file is read again.

        Certificates are read again in any case. Returns the keys that changed but need a restart, such as
        ``proxy.workers``. Raises ConfigError with every problem or BindError, and changes nothing then.
        """
        if source is None and not isinstance(self._source, str | Path):
            raise ValueError("this proxy was not made from a file: give reload the new configuration")
        wanted = self._source if source is None else source
        with self._changing:
            loaded = _load(wanted, self._loaded.store.authority)
            plan = _compile(loaded, wanted)
            _write_authority(loaded)
            with _errors_of(wanted):
                self._running().apply(plan)
            waiting = _needs_restart(self.config, loaded.config)
            self._source, self._loaded, self.config = wanted, loaded, loaded.config
        self._watch()
        return waiting

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is doubtful about the configuration that runs, such as certificates that expire soon."""
        return self._loaded.warnings

    def authority(self, listener: str) -> str:
        """Return the certificate (PEM) of the throwaway authority that signed for a listener with ``self_signed``.

        Clients that trust it believe the listener; it stays the same as long as this proxy lives. Raises KeyError when
        there is no such listener, ValueError when it has no throwaway certificates.
        """
        tls = self.config.listeners[listener].tls
        if tls is None or not tls.self_signed:
            raise ValueError(f'listener "{listener}" has no throwaway certificates')
        return self._loaded.store.authority.pem()

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
        is_main = threading.current_thread() is threading.main_thread()
        while (engine := self._engine) is not None:
            while self._own_notices:
                yield self._own_notices.popleft()
            # Nothing wakes it for notices of our own.
            if (text := engine.next_notice(_GLANCE if is_main or self._renewal else _LONG)) is not None:
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

    def _watch(self) -> None:
        """Watch the files of the certificates that are presented now."""
        self._unwatch()
        if self.config.proxy.watch_certificates and self._loaded.store.places():
            self._renewal = Renewal(self._loaded.store, self._renew, self._own_notices.append)
            self._renewal.start(self._watch_interval)

    def _unwatch(self) -> None:
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.stop()

    def _renew(self, store: Store) -> None:
        """Apply the configuration once more, with what ``store`` holds now. Raises ConfigError or BindError."""
        with self._changing:
            if self._engine is None or store is not self._loaded.store:
                return
            with _errors_of(self._source):
                self._engine.apply(_compile(self._loaded, self._source))


@dataclass(frozen=True)
class _Loaded:
    """A checked configuration, its certificates, and what is doubtful about them."""

    config: Config
    store: Store
    warnings: tuple[Problem, ...]


def load(source: Source) -> Config:
    """Return the checked configuration.

    Raises ConfigError with every problem, OSError for a file that cannot be read.
    """
    return _load(source, Authority()).config


def _load(source: Source, authority: Authority) -> _Loaded:
    store = Store(authority)
    if isinstance(source, str | Path):
        document = Document.read(source)
    else:
        document = Document.of(plain(source) if isinstance(source, Config) else source)
    config, warnings = examine(document, store)
    return _Loaded(config, store, tuple(warnings))


def _compile(loaded: _Loaded, source: Source) -> _engine.Plan:
    """The Plan to run: ``fd:NAME`` must be there now. What else could be wrong was found when it was loaded."""
    try:
        return _engine.Plan.compile(loaded.config.spec(inherited(), loaded.store))
    except ConfigError as error:
        raise (place(error, source) if isinstance(source, str | Path) else error) from None


@contextmanager
def _errors_of(source: Source) -> Iterator[None]:
    """Raise what the engine says as errors of ours."""
    try:
        yield
    except _engine.BindError as error:
        raise BindError.decode(error.args[0]) from None
    except _engine.PlanError as error:
        # A key that does not sign, for example, is found only where TLS is spoken.
        found = [
            Problem(path=tuple(spec_place(one["path"])), reason=one["reason"]) for one in json.loads(error.args[0])
        ]
        wrong = ConfigError(found)
        raise (place(wrong, source) if isinstance(source, str | Path) else wrong) from None


def _write_authority(loaded: _Loaded) -> None:
    """Write the throwaway authority's certificate where a listener wants it. Raises ConfigError."""
    for name, listener in loaded.config.listeners.items():
        if listener.tls is None or listener.tls.self_signed_ca is None:
            continue
        file, text = Path(listener.tls.self_signed_ca), loaded.store.authority.pem()
        try:
            # A reload may have lost the right to write what a start has written.
            if not file.is_file() or file.read_text() != text:
                file.write_text(text)
        except OSError as error:
            reason = f'"{listener.tls.self_signed_ca}" cannot be written: {error.strerror}'
            raise ConfigError([Problem(path=("listeners", name, "tls", "self_signed_ca"), reason=reason)]) from None


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
