"""Proxy: a running Headworks inside a Python program. Everything the command line can do, and no more magic than it.

Owns one engine and the configuration that it runs. Must never hold a connection's bytes: those are the engine's. Must
never do anything in a forked copy of the process, where the engine's threads are not.
"""

import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from headworks import _engine
from headworks.certificates import Store
from headworks.config import Config, Problem, Server
from headworks.config.loaded import Loaded, Source, load
from headworks.config.spec import plain
from headworks.feed import Feed, Subscription
from headworks.notice import Notice
from headworks.notices import Heard, Notices
from headworks.overrides import Override, Overrides
from headworks.reloads import Reloads

if TYPE_CHECKING:
    from headworks.admin.admin import Admin
    from headworks.admin.door import Door
    from headworks.analyzers.company import Company, Member
    from headworks.providers.source import Source as Provided
    from headworks.providers.sources import Key, Sources
    from headworks.recording.tape import Tape
    from headworks.records import AccessRecord, Records, Refusal
    from headworks.remote_log import RemoteLog
    from headworks.renewal import Renewal
    from headworks.sniproxy_log import SniproxyLog
    from headworks.stats import Connections, ListenerStats, Stats

_ONLY_AT_START = (
    *(("proxy", "workers"), ("proxy", "user"), ("proxy", "group")),
    *(("logs", "access"), ("logs", "format"), ("logs", "program"), ("logs", "syslog")),
    *(("admin", key) for key in ("bind", "mode", "group", "tls", "state")),
)
"""Keys that only a start reads."""
_GLANCE = 0.2
"""Seconds after which a wait that was cancelled ends at the latest."""
_FORMATS = ("prometheus", "openmetrics")
_SCOPES = ("process", "listener", "backend", "server")
_IDS = 1 << 53
"""A number behind those of all connections."""
_YEARS = 1e9
"""Seconds beyond which a time is a mistake."""
_COPY = "this proxy runs in the process that this one was forked from"


class Proxy:
    """A proxy: ``with Proxy("headworks.toml") as proxy: ...``.

    ``source`` is the path of a TOML file, a Config, or a mapping of the file's shape. Raises ConfigError with
    every problem. Methods may be called from any thread; those that wait have a form for asyncio, ``..._async``. Files
    with certificates are looked at every ``watch_interval`` seconds while it runs, unless ``proxy.watch_certificates``
    is false.

    The copy that a forked process has of a running proxy is inert: it serves nothing, ``stop`` does nothing but warn
    once (RuntimeWarning), and everything else that needs a running proxy raises RuntimeError.
    """

    def __init__(self, source: Source, *, watch_interval: float = 1.0) -> None:
        self._engine: _engine.Engine | None = None
        self._notices: Notices | None = None
        self._records: Records | None = None
        self._access: RemoteLog | SniproxyLog | None = None
        self._process = os.getpid()
        self._has_warned = False
        self._changing = threading.Lock()
        self._watch_interval = watch_interval
        self._renewal: Renewal | None = None
        self._company: Company | None = None
        self._sources: Sources | None = None
        self._early: list[Notice] = []
        self._overrides = Overrides()
        self._admin: Admin | None = None
        self._door: Door | None = None
        self._started = 0.0
        self.reloads: Reloads = Reloads()
        """Counts of attempts to change the configuration."""
        self.is_draining: bool = False
        """Whether it accepts no more."""
        self._loaded = load(source)
        self.config = self._loaded.config
        """The configuration that runs, or would."""

    def start(self, *, binder: int | None = None) -> None:
        """Bind every listener and serve. Raises BindError with every address, OSError for the access log.

        ``binder`` is the descriptor of a connected unix socket to a binder process (``headworks.binder``), for programs
        that give up root and still want to bind low ports at a reload.
        """
        if self._engine is not None:
            raise RuntimeError(_COPY if self._is_copy() else "the proxy is already running")
        logs = self.config.logs
        plan = self._loaded.plan()
        self._loaded.write_authority()
        made = self._made(self._loaded)
        found: dict[Key, Provided] = {}
        door = None
        try:
            # What operators need is bound first: it is the least, and its absence must not go unseen.
            door = self._bound()
            self._access = self._begin_access()
            access, form = logs.access, str(logs.format)
            if self._access is not None:
                access, form = self._access.path, self._access.form or logs.format
            options = {"workers": self._workers(), "access_log": access, "log_format": form}
            found = self._found(self._loaded)
            with self._loaded.errors():
                first = self._first(found, self._loaded)
                self._engine = _engine.Engine(first or plan, json.dumps(options), binder)
        except BaseException:
            self._discard(made)
            self._forget(found)
            self._end_access()
            if door is not None:
                door.close()
            raise
        self.is_draining = False
        self._process = os.getpid()
        self._adopt(found, self._loaded, first and plan)
        self.reloads, self._started = Reloads(), time.time()
        self._notices = Notices(self._engine)
        early, self._early = self._early, []
        self._notices.put_all(early)
        self._take(made, self._loaded)
        if self._company is not None:
            self._company.listen()
        self._watch()
        if door is not None:
            self._open(door)

    def stop(self) -> None:
        """Close every connection now and end the threads. May be called twice. In a forked copy it only warns, once."""
        if self._is_copy():
            self._warn_once()
            return
        self._unwatch()
        door, self._door = self._door, None
        if door is not None:
            door.stop()
        with self._changing:
            sources, self._sources = self._sources, None
            engine, self._engine = self._engine, None
            notices, self._notices = self._notices, None
            records, self._records = self._records, None
        if sources is not None:
            sources.end()
        if notices is not None:
            notices.close()
        if records is not None:
            records.end()
        if engine is not None:
            engine.stop()
        self._end_access()
        if records is not None:
            records.finish()
        company, self._company = self._company, None
        if company is not None:
            company.end()

    def reload(self, source: Source | None = None) -> tuple[str, ...]:
        """Swap to another configuration without dropping a connection; without ``source`` the same file is read again.

        Certificates are read again in any case. Returns the keys that changed but need a restart, such as
        ``proxy.workers``. Raises ConfigError with every problem or BindError, and changes nothing then; ValueError
        without ``source`` when the proxy was not made from a file.
        """
        if source is None and not self._loaded.is_from_file:
            raise ValueError("this proxy was not made from a file: give reload the new configuration")
        self._running()
        try:
            waiting = self._reload(source)
        except Exception as error:
            self.reloads = self.reloads.refused(error)
            raise
        self.reloads = self.reloads.succeeded()
        if self._company is not None:
            self._company.listen()
        self._watch()
        if self._door is not None:
            self._door.renew(self.config.admin)
        return waiting

    def _reload(self, source: Source | None) -> tuple[str, ...]:
        with self._changing:
            loaded = load(self._loaded.source if source is None else source, self._loaded.store.authority)
            plan = loaded.plan()
            loaded.write_authority()
            made = self._made(loaded)
            found: dict[Key, Provided] = {}
            try:
                found = self._found(loaded)
                with loaded.errors():
                    first = self._first(found, loaded)
                    self._running().apply(first or plan)
            except BaseException:
                self._discard(made)
                self._forget(found)
                raise
            self._adopt(found, loaded, first and plan)
            self._take(made, loaded)
            waiting = self.needs_restart(loaded.config)
            self._loaded, self.config = loaded, loaded.config
        return waiting

    @property
    def file(self) -> Path | None:
        """Return the file that it was made from; None when it was made otherwise."""
        source = self._loaded.source
        return Path(source) if isinstance(source, str | Path) else None

    @property
    def admin(self) -> "Admin":
        """Return what it can be asked and told by operators, and the ASGI app of it: ``proxy.admin.app()``."""
        if self._admin is None:
            from headworks.admin.admin import Admin

            self._admin = Admin(self)
        return self._admin

    @property
    def admin_addresses(self) -> tuple[str, ...]:
        """Return where operators reach it, as it is written in ``admin.bind``; nothing without ``[admin]``."""
        return self._door.addresses if self._door is not None else ()

    @property
    def is_running(self) -> bool:
        """Whether it serves."""
        return self._engine is not None and not self._is_copy()

    def give(self, user: int, group: int) -> None:
        """Give what operators come by to who this process is about to become. Raises OSError."""
        if self._door is not None:
            self._door.give(user, group)

    def needs_restart(self, new: Config) -> tuple[str, ...]:
        """Return the keys that have another value in ``new`` and that only a start reads."""
        return _needs_restart(self.config, new)

    @property
    def loaded(self) -> Loaded:
        """Return the configuration that runs, or would, with its certificates."""
        return self._loaded

    def remembered(self, after: int = 0) -> "list[Heard]":
        """Return the notices that are remembered while ``[admin]`` is there, of those numbered above ``after``."""
        return [] if self._notices is None or self._is_copy() else self._notices.recent(after)

    def remember(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Remember notices from now on and call ``tell``, which must not wait, at each. Returns what ends that."""
        self._running()
        notices = self._notices
        if notices is None:
            raise RuntimeError("the proxy is not running")
        notices.remember(tell)
        return lambda: notices.forget(tell)

    def tell(self, notice: Notice) -> None:
        """Add a notice to those of ``notices()``: something that happened around the proxy."""
        if self._notices is not None and not self._is_copy():
            self._notices.put(notice)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Return what is doubtful about the configuration that runs, such as certificates that expire soon."""
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
        """Return every bound address as it is written, ``127.0.0.1:443`` or ``unix:PATH``, in the order of ``bind``.

        Raises KeyError, RuntimeError when the proxy does not run.
        """
        return tuple(self._running().addresses()[listener])

    def stats(self) -> "Stats":
        """Return all counters, at one moment. Raises RuntimeError when the proxy does not run."""
        from headworks.stats import Stats

        sources = self._sources
        return Stats.decode(self._running().stats(), sources.stats() if sources is not None else {})

    def metrics(
        self,
        format: Literal["prometheus", "openmetrics"] = "prometheus",  # noqa: A002  (the word for it)
        scope: Iterable[Literal["process", "listener", "backend", "server"]] = (),
    ) -> str:
        """Return all counters as text for scrapers: of these parts only, where some are named.

        ``METRICS_TYPES`` of ``headworks.stats`` has the media type of each form. Raises ValueError for others,
        RuntimeError when the proxy does not run.
        """
        import headworks

        wanted = [scope] if isinstance(scope, str) else list(scope)
        if format not in _FORMATS or not set(wanted) <= set(_SCOPES):
            raise ValueError(f"a format is one of {', '.join(_FORMATS)}, a scope one of {', '.join(_SCOPES)}")
        reloads = self.reloads
        request = {
            "format": format,
            "scopes": wanted,
            "version": headworks.__version__,
            "reloads_applied": reloads.good,
            "reloads_refused": reloads.failed,
            "last_reload_successful": reloads.reason is None,
            "applied_at": reloads.last_good or self._started,
        }
        return self._running().metrics(json.dumps(request))

    def connections(  # noqa: PLR0913  (a filter has as many parts as there are things to look for)
        self,
        limit: int = 1000,
        *,
        listener: str | None = None,
        client: str | None = None,
        host: str | None = None,
        backend: str | None = None,
        server: str | None = None,
        state: str | None = None,
        idle_over: float | None = None,
        age_over: float | None = None,
        cursor: str | None = None,
    ) -> "Connections":
        """Return at most ``limit`` live connections: those for which all that is given holds.

        ``client`` is a network or an address, ``host`` the name asked for in the hello or by the request under way
        (``*.example.com``: any name below it); ``idle_over`` and ``age_over`` are seconds. With the ``cursor`` of a
        page the next one begins behind it. Raises ValueError, RuntimeError when the proxy does not run.
        """
        from headworks.stats import Connections

        given = {"listener": listener, "client": client, "host": host, "backend": backend, "server": server}
        wanted: dict[str, object] = {**given, "state": state}
        for name, seconds in (("idle_over", idle_over), ("age_over", age_over)):
            if seconds is not None:
                if not 0 <= seconds < _YEARS:
                    raise ValueError(f"{name} is a number of seconds, not {seconds}")
                wanted[name] = round(seconds * 1000)
        return Connections.decode(self._running().connections(limit, json.dumps(wanted), cursor))

    def refusals(self) -> "list[Refusal]":
        """Return the last clients and requests that were refused, oldest first: at most 256 of each worker.

        Refused is who did not get what it asked for: its name matches nothing, it is not allowed, its TLS could not be
        agreed on, no server was there for it ... What a server answers is no refusal.
        """
        from headworks.records import Refusal

        return Refusal.decode_all(self._running().refusals())

    def close_connections(self, ids: Iterable[int]) -> int:
        """Close the connections with these numbers (``Connection.id``) at once; return how many there were.

        What is passed through is reset on both sides, a request under way is not answered, and the access record has
        ``end=closed_by_operator``. The numbers of connections that have ended are passed over: no other one gets them.
        """
        return self._running().close([one for one in ids if 0 < one < _IDS])

    def set_server(
        self,
        backend: str,
        server: str,
        *,
        admin: Literal["ready", "drain", "maintenance"] | None = None,
        weight: int | None = None,
        by: str = "python",
    ) -> None:
        """Take a server out of service or back, and set its weight (0 to 256; None: as configured).

        ``admin=None`` leaves that as it is. ``by`` is who is shown to have changed it (``overrides``). Raises
        KeyError when there is no such server, ValueError for a bad value.
        """
        if weight is not None and not 0 <= weight <= 256:  # noqa: PLR2004  (the range of `weight`)
            raise ValueError(f"a weight is between 0 and 256, not {weight}")
        self._running().set_server(backend, server, admin, weight)
        self._overrides.set(backend, server, admin=admin, weight=weight, by=by)

    def add_server(  # noqa: PLR0913  (what is said of a server, and by whom)
        self,
        backend: str,
        address: str,
        *,
        weight: int = 1,
        backup: bool = False,
        max_connections: int | None = None,
        by: str = "python",
    ) -> None:
        """Add a server (``IP:PORT`` or ``unix:PATH``) to a backend, or give the one with this address other settings.

        It stays until it is removed, or until the configuration has other servers for this backend: a reload of the
        same ones keeps it. Raises KeyError when there is no such backend, ValueError for what can be no server.
        """
        server = Server(address=address, weight=weight, backup=backup, max_connections=max_connections)
        settings = plain(server)
        self._running().add_server(backend, json.dumps(settings))
        self._overrides.add(backend, address, settings, by=by)

    def remove_server(self, backend: str, address: str, *, by: str = "python") -> None:
        """Remove a server from a backend, whoever put it there; its connections go on.

        It stays away until it is added, or until the configuration has other servers for this backend. Raises KeyError
        when there is no such server.
        """
        self._running().remove_server(backend, address)
        self._overrides.remove(backend, address, by=by)

    def overrides(self) -> tuple[Override, ...]:
        """Return what was changed about servers since they were configured, by whom and when.

        Raises RuntimeError when the proxy does not run.
        """
        at = time.time()
        self._overrides.settle({name: one.servers for name, one in self.stats().backends.items()}, at)
        return self._overrides.all()

    def set_servers(self, backend: str, source: str, servers: Iterable[str | Mapping[str, Any]]) -> None:
        """Make ``servers`` those that ``source`` gives to a backend, beside the configured ones and other sources'.

        Each is an address, or a mapping with ``address`` and optionally ``weight`` (0 to 256), ``backup`` and
        ``max_connections``. They are kept over reloads. Raises KeyError when there is no such backend, ValueError for
        what can be no server; nothing is changed then.
        """
        if not source:
            raise ValueError("a source has a name")
        listed = [Server(**({"address": one} if isinstance(one, str) else one)) for one in servers]
        self._running().set_servers(backend, source, json.dumps([plain(one) for one in listed]))

    def notices(self) -> Subscription[Notice]:
        """Return an iterator, for ``for`` and ``async for``, over rare events as they come.

        It ends when the proxy is stopped, at once when it does not run. Every caller gets all of them. What comes while
        nobody asks waits for the next one who does.
        """
        return _ended() if self._notices is None or self._is_copy() else self._notices.subscribe()

    def records(self) -> "Subscription[AccessRecord]":
        """Return an iterator, for ``for`` and ``async for``, over the access records from now on.

        It ends when the proxy is stopped, with the records of the connections closed then; at once when it does not
        run. What ``logs`` says of the access log does not matter here. 10,000 wait at most: whoever does not keep up
        loses the oldest, ``dropped`` of the iterator counts them. Making records costs nothing while nobody asks.
        """
        if self._engine is None or self._is_copy():
            return _ended()
        from headworks.records import Records

        with self._changing:
            if self._records is None and self._engine is not None:
                self._records = Records(self._engine)
            records = self._records
        return _ended() if records is None else records.subscribe()

    def record(self, path: str | Path, *, listeners: Sequence[str] = (), plain: bool = False) -> "Tape":
        """Write what is decided from now on to a recording, until its ``close()`` or the end of the proxy.

        It has what access records have: fields of requests are taken down by ``headworks.Recording`` only. Raises
        KeyError for a listener that is not there, FileExistsError, OSError.
        """
        from headworks.recording.tape import Tape

        self._running()
        for name in listeners:
            self.config.listeners[name]
        chosen = tuple(listeners) or tuple(self.config.listeners)
        return Tape(path, self.records(), lambda: self._loaded.explained, listeners=chosen, plain=plain)

    def reopen_logs(self) -> None:
        """Open the access log by its path again, after it was rotated. Raises OSError; the old one is kept then.

        Where records go to a syslog server there is nothing to be opened.
        """
        engine = self._running()
        if self._access is None:
            engine.reopen_logs()
        else:
            self._access.reopen()

    def drain(self, timeout: float | None = None) -> bool:
        """Stop accepting and wait up to ``timeout`` seconds (default: ``proxy.drain``) for open connections to end.

        Returns whether all have ended. The proxy still runs: call it again to wait longer, or ``stop``.
        """
        engine = self._running()
        self.is_draining = True
        engine.drain()
        if self._sources is not None:
            self._sources.end()
        return engine.wait_idle(self._patience(timeout))

    async def start_async(self) -> None:
        """Do what ``start`` does, without holding up the event loop. Raises as ``start`` does."""
        import asyncio

        await asyncio.to_thread(self.start)

    async def stop_async(self) -> None:
        """Do what ``stop`` does, without holding up the event loop. May be awaited twice."""
        import asyncio

        await asyncio.to_thread(self.stop)

    async def reload_async(self, source: Source | None = None) -> tuple[str, ...]:
        """Do what ``reload`` does, without holding up the event loop. Raises as ``reload`` does.

        A reload that has begun cannot be cancelled.
        """
        import asyncio

        return await asyncio.to_thread(self.reload, source)

    async def drain_async(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  (as drain has it)
        """Do what ``drain`` does, without holding up the event loop; ``timeout`` is in seconds.

        When cancelled it waits no longer. Draining itself goes on.
        """
        import asyncio

        deadline = time.monotonic() + self._patience(timeout)
        while not await asyncio.to_thread(self.drain, max(0.0, min(_GLANCE, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                return False
        return True

    def __repr__(self) -> str:
        """Return one line: the listeners with their addresses, or why there are none."""
        if self._engine is None or self._is_copy():
            state = "in another process" if self._is_copy() else "not running"
            return f"<Proxy {state}, listeners: {', '.join(self.config.listeners)}>"
        bound = [f"{name} {' '.join(addresses)}" for name, addresses in self._running().addresses().items()]
        return f"<Proxy running, {', '.join(bound)}>"

    def _repr_html_(self) -> str:
        """Return a table of the listeners, for notebooks."""
        from headworks.notebook import table

        is_running = self._engine is not None and not self._is_copy()
        addresses = self._running().addresses() if is_running else {}
        counted = self.stats().listeners if is_running else {}
        rows = [
            (name, one.protocol, " ".join(addresses.get(name, one.bind)), *_shown(counted.get(name)))
            for name, one in self.config.listeners.items()
        ]
        head = ("listener", "protocol", "addresses", "active", "connections", "requests", "failed")
        return table("Proxy, running" if is_running else "Proxy, not running", head, rows)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await self.start_async()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_async()

    def _made(self, loaded: Loaded) -> "dict[str, Member]":
        """Make the analyzers that a configuration has anew. Raises ConfigError."""
        if self._company is None:
            if not loaded.analyzers:
                return {}
            from headworks.analyzers.company import Company

            self._company = Company(self)
        with loaded.errors():
            return self._company.prepare(loaded.analyzers)

    def _take(self, made: "dict[str, Member]", loaded: Loaded) -> None:
        """Have the analyzers of a configuration answer that the engine has taken."""
        if self._company is not None:
            turns = loaded.config.proxy.switch_interval.total_seconds()
            self._company.take(made, loaded.analyzers, self._running(), turns)

    def _discard(self, made: "dict[str, Member]") -> None:
        if self._company is not None:
            self._company.discard(made)
            if self._engine is None:
                company, self._company = self._company, None
                company.end()

    def _found(self, loaded: Loaded) -> "dict[Key, Provided]":
        """Begin the providers that a configuration has anew, and wait a while for their servers. Raises ConfigError."""
        if self._sources is None:
            if not loaded.providers:
                return {}
            from headworks.providers.sources import Sources

            self._sources = Sources(self._report)
        with loaded.errors():
            found = self._sources.prepare(loaded.providers)
        if self._engine is not None:
            self._sources.offer(found, self._engine)
        return found

    def _first(self, found: "dict[Key, Provided]", loaded: Loaded) -> _engine.Plan | None:
        """Return a Plan with the servers found for backends that are new: nobody comes before they are there."""
        there = () if self._engine is None else self.config.backends
        first = {} if self._sources is None else self._sources.first(found, there)
        return loaded.begun(first) if first else None

    def _adopt(self, found: "dict[Key, Provided]", loaded: Loaded, plan: _engine.Plan | None) -> None:
        """Have the providers of a configuration that the engine has taken give servers; ``plan`` is the next one."""
        if self._sources is not None:
            self._sources.take(found, loaded.providers, self._running(), plan)

    def _forget(self, found: "dict[Key, Provided]") -> None:
        if self._sources is not None:
            self._sources.discard(found, self._engine)
            if self._engine is None:
                self._sources.end()
                self._sources = None

    def _report(self, notice: Notice) -> None:
        """Tell of what happens outside of the engine. What comes before there is an engine is told once there is."""
        if self._notices is None:
            self._early.append(notice)
        else:
            self._notices.put(notice)

    def _bound(self) -> "Door | None":
        """Return the door of ``[admin]``, bound and shut; None without that table. Raises BindError, ConfigError."""
        settings = self.config.admin
        if settings is None:
            return None
        from headworks.admin.door import Door

        return Door(self.admin, settings)

    def _open(self, door: "Door") -> None:
        """Take up what was changed before the restart, and let operators in."""
        try:
            if self.config.admin is not None and self.config.admin.state is not None:
                wrong = self._overrides.keep_in(Path(self.config.admin.state), self._override)
                for reason in wrong:
                    self.tell(Notice(kind="override_forgotten", facts={"reason": reason}))
            door.start()
        except BaseException:
            door.close()
            self.stop()
            raise
        self._door = door

    def _override(self, one: Override) -> None:
        """Make a change of a server hold again. Raises KeyError, ValueError."""
        engine = self._running()
        if one.added is not None:
            engine.add_server(one.backend, json.dumps(dict(one.added)))
        if one.removed:
            engine.remove_server(one.backend, one.server)
        elif one.admin is not None or one.weight is not None:
            engine.set_server(one.backend, one.server, one.admin, one.weight)

    def _running(self) -> _engine.Engine:
        if self._engine is None:
            raise RuntimeError("the proxy is not running")
        if self._is_copy():
            raise RuntimeError(_COPY)
        return self._engine

    def _is_copy(self) -> bool:
        """Whether it was running when this process was forked: its threads, and who holds its locks, are not here."""
        return self._engine is not None and os.getpid() != self._process

    def _warn_once(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(f"{_COPY}: stopping this copy does nothing", RuntimeWarning, stacklevel=3)

    def _begin_access(self) -> "RemoteLog | SniproxyLog | None":
        """Begin to take access records from the engine, where they go to a syslog server. Raises OSError."""
        if not self.config.logs.access.startswith("syslog"):
            return None
        from headworks.remote_log import RemoteLog

        return RemoteLog.begin(self.config.logs)

    def _end_access(self) -> None:
        access, self._access = self._access, None
        if access is not None:
            access.close()

    def _patience(self, timeout: float | None) -> float:
        return self.config.proxy.drain.total_seconds() if timeout is None else timeout

    def _workers(self) -> int:
        return self.config.proxy.workers or len(os.sched_getaffinity(0))

    def _watch(self) -> None:
        """Watch the files of the certificates that are presented now."""
        self._unwatch()
        notices, store = self._notices, self._loaded.store
        if notices is not None and self.config.proxy.watch_certificates and store.places():
            from headworks.renewal import Renewal

            self._renewal = Renewal(store, self._renew, notices.put)
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
            with self._loaded.errors():
                renewed = self._loaded.renewed()
                self._engine.apply(renewed.compiled)
            self._loaded = renewed


def _needs_restart(old: Config, new: Config) -> tuple[str, ...]:
    """List the keys with another value that only a start reads."""
    keys = [(section, key) for section, key in _ONLY_AT_START if _at(old, section, key) != _at(new, section, key)]
    if (old.admin is None) != (new.admin is None):
        return (*(f"{section}.{key}" for section, key in keys if section != "admin"), "admin")
    return tuple(f"{section}.{key}" for section, key in keys)


def _at(config: Config, section: str, key: str) -> object:
    return getattr(getattr(config, section), key, None)


def _shown(listener: "ListenerStats | None") -> tuple[int | None, ...]:
    counted = ("active", "connections", "requests", "failed")
    return tuple(None if listener is None else getattr(listener, name) for name in counted)


def _ended() -> Subscription[Any]:
    """Return a subscription to which nothing comes."""
    feed: Feed[Any] = Feed(0)
    feed.close()
    return feed.subscribe()
