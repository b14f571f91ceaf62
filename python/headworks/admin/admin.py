"""Admin: what a running proxy can be asked and told. No HTTP: operations.py and the commands go through here.

Every change is a notice, ``admin_changed``: who, what, before and after. Must never hold up traffic, nor change
anything by itself.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from headworks.admin import answers, changes
from headworks.admin.refusal import Refusal
from headworks.certificates import Store
from headworks.config import Config, ConfigError, Problem
from headworks.config.check import examine
from headworks.config.document import Document
from headworks.errors import BindError
from headworks.explanation import Asked, Explanation
from headworks.notice import Notice
from headworks.stats import ServerStats, Stats

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from headworks.config.tokens import Role
    from headworks.proxy import Proxy

LEVELS = ("debug", "info", "warning", "error")


class Service(Protocol):
    """The one that runs the proxy, as ``headworks run`` does: it logs, and ends the process."""

    level: str

    def reload(self) -> tuple[str, ...]:
        """Read the file again, as HUP does. Raises as ``Proxy.reload``."""

    def reopen(self) -> bool:
        """Open the logs again, as USR1 does; whether that went well."""

    def end(self) -> None:
        """Let connections finish and end, as TERM does. Returns at once."""


class Admin:
    """The admin interface of one proxy; ``proxy.admin``. Methods may be called from any thread.

    They raise Refusal for what cannot be asked or done, RuntimeError when the proxy does not run.
    """

    def __init__(self, proxy: "Proxy") -> None:
        self.proxy: Proxy = proxy
        self.service: Service | None = None
        import headworks

        self._started = time.time()
        # Looked up now: later the package's own files may be out of reach.
        self.version: str = headworks.__version__

    def app(self, *, trust: "Role | None" = None) -> "ASGIApp":
        """Return it as an ASGI app; see ``headworks.admin.app``. Raises ImportError without starlette."""
        from headworks.admin.routes import app

        return app(self, trust=trust)

    # ---- asked

    def status(self) -> answers.Status:
        """Return the proxy at a glance."""
        proxy, stats = self.proxy, self.proxy.stats()
        states = [_state(one) for backend in stats.backends.values() for one in backend.servers.values()]
        ends = [one.certificate_expires for one in stats.listeners.values() if one.certificate_expires is not None]
        counted = list(stats.listeners.values())
        return answers.Status(
            version=self.version,
            pid=os.getpid(),
            started=self._started,
            uptime=time.time() - self._started,
            file=str(proxy.file) if proxy.file is not None else None,
            is_draining=proxy.is_draining,
            workers=stats.workers,
            connections=stats.connections,
            accepted=sum(one.connections for one in counted),
            requests=sum(one.requests for one in counted),
            failed=sum(one.failed for one in counted),
            records_dropped=stats.records_dropped,
            listeners={name: one.addresses for name, one in stats.listeners.items()},
            backends=len(stats.backends),
            servers={state: states.count(state) for state in sorted(set(states))},
            overrides=len(proxy.overrides()),
            certificate_expires=min(ends, default=None),
            reloads=proxy.reloads,
            warnings=tuple(map(str, proxy.warnings)),
            log_level=self.service.level if self.service is not None else None,
        )

    def stats(self) -> Stats:
        """Return every counter."""
        return self.proxy.stats()

    def servers(self, backend: str | None = None) -> tuple[answers.ServerRow, ...]:
        """Return every server, or those of one backend."""
        stats = self.proxy.stats()
        if backend is not None:
            self._backend(stats, backend)
        return tuple(self._servers(stats, backend))

    def server(self, backend: str, server: str) -> answers.ServerRow:
        """Return one server."""
        rows = [one for one in self.servers(backend) if one.server == server]
        if not rows:
            raise Refusal(404, "no_such_server", f'backend "{backend}" has no server "{server}"')
        return rows[0]

    def backends(self) -> tuple[answers.BackendRow, ...]:
        """Return every backend with its servers."""
        stats, config = self.proxy.stats(), self.proxy.config
        return tuple(
            answers.BackendRow(
                name=name,
                balance=config.backends[name].balance,
                health=health.kind if (health := config.backends[name].health) is not None else None,
                stats=one,
                servers=tuple(self._servers(stats, name)),
            )
            for name, one in stats.backends.items()
            if name in config.backends
        )

    def listeners(self) -> tuple[answers.ListenerRow, ...]:
        """Return every listener."""
        config = self.proxy.config
        return tuple(
            answers.ListenerRow(
                name=name,
                protocol=listener.protocol,
                table=listener.table,
                backend=listener.backend,
                fallback=listener.fallback,
                max_connections=listener.max_connections,
                stats=one,
            )
            for name, one in self.proxy.stats().listeners.items()
            if (listener := config.listeners.get(name)) is not None
        )

    def tables(self, name: str | None = None, *, contains: str = "", limit: int = 100) -> tuple[answers.TableRow, ...]:
        """Return the tables, with at most ``limit`` entries each whose pattern has ``contains`` in it."""
        tables = self.proxy.config.tables
        if name is not None and name not in tables:
            raise Refusal(404, "no_such_table", f'there is no table "{name}"')
        return tuple(
            answers.TableRow(name=one, size=len(tables[one]), entries=tuple(_entries(tables[one], contains, limit)))
            for one in ([name] if name is not None else tables)
        )

    def certificates(self) -> tuple[answers.CertificateRow, ...]:
        """Return every certificate that is presented."""
        from headworks.listing import rows

        loaded = self.proxy.loaded
        return tuple(
            answers.CertificateRow(**{**facts, "names": tuple(facts["names"])})
            for facts in (row.facts() for row in rows(loaded.config, loaded.store))
        )

    def analyzers(self) -> tuple[answers.AnalyzerRow, ...]:
        """Return every analyzer."""
        counted = self.proxy.stats().analyzers
        return tuple(
            answers.AnalyzerRow(name=name, python=str(one.python), on_failure=one.on_failure, stats=counted.get(name))
            for name, one in self.proxy.config.analyzers.items()
        )

    def rules(self) -> tuple[answers.RuleRow, ...]:
        """Return every listener and backend that has rules."""
        config = self.proxy.config
        return tuple(
            answers.RuleRow(user=f"{kind}.{name}", rules=tuple(map(str, one.rules)))
            for kind in ("listeners", "backends")
            for name, one in getattr(config, kind).items()
            if one.rules
        )

    def notices(self, after: int = 0) -> tuple[answers.NoticeRow, ...]:
        """Return the notices that are remembered, the oldest first, of those with a number above ``after``."""
        return tuple(
            answers.NoticeRow(
                number=heard.number,
                at=heard.at,
                kind=heard.notice.kind,
                level=heard.notice.level,
                facts=dict(heard.notice.facts),
            )
            for heard in self.proxy.remembered(after)
        )

    def limits(self) -> tuple[answers.LimitRow, ...]:
        """Return every limit that is set, and how much of it is used."""
        return tuple(_limits(self.proxy.config, self.proxy.stats()))

    def config(self) -> answers.ConfigText:
        """Return the configuration that runs, and what is in its file."""
        text = self._text()
        running = self.proxy.config.to_toml()
        digest = hashlib.sha256(f"{text}\0{running}".encode(errors="surrogateescape")).hexdigest()[:32]
        file = self.proxy.file
        return answers.ConfigText(file=str(file) if file else None, text=text, running=running, digest=digest)

    def connections(self, limit: int = 100, **wanted: Any) -> answers.ConnectionPage:
        """Return a page of live connections: those for which all that is ``wanted`` holds (asked.OfConnections)."""
        try:
            page = self.proxy.connections(limit, **wanted)
        except ValueError as error:
            raise Refusal(400, "query", str(error)) from None
        return answers.ConnectionPage(connections=tuple(page), cursor=page.cursor)

    def explain(self, listener: str, asked: Asked) -> Explanation:
        """Say where a client would get to by the configuration that runs; every server is taken to be up."""
        try:
            return Explanation.decode(asked.explained(self.proxy.loaded, listener))
        except KeyError:
            raise Refusal(404, "no_such_listener", f'there is no listener "{listener}"') from None
        except ValueError as error:
            raise Refusal(422, "not_explained", str(error)) from None

    def trial(self, text: str | None = None) -> answers.Trial:
        """Say what would become of a configuration; None is the file as it is now."""
        proxy = self.proxy
        try:
            document = self._document(text)
            examined = examine(document, Store())
        except ConfigError as error:
            told = [one for one in error.problems if not one.is_warning]
            return _trial(problems=tuple(map(_problem, told)))
        old, new = proxy.config, Config.of(examined.config)
        before, after = changes.named(old), changes.named(new)
        return _trial(
            warnings=tuple(map(_problem, examined.warnings)),
            added=changes.shown(after - before),
            removed=changes.shown(before - after),
            changed=changes.changed(old, new),
            needs_restart=proxy.needs_restart(new),
        )

    # ---- told

    def set_server(self, by: str, backend: str, server: str, **given: Any) -> answers.ServerRow:
        """Change ``admin``, ``weight`` (None: as configured) or both of a server; what is not given stays."""
        before = self.server(backend, server)
        kept = before.override.weight if before.override is not None else None
        weight = given.get("weight", kept)
        with _refusing(backend):
            self.proxy.set_server(backend, server, admin=given.get("admin"), weight=weight, by=by)
        after = self.server(backend, server)
        self._changed(by, f"backends.{backend}.servers {server}", _admin(before), _admin(after))
        return after

    def set_servers(self, by: str, backend: str, admin: Literal["ready", "drain", "maintenance"]) -> answers.BackendRow:
        """Change ``admin`` of every server of a backend."""
        for one in self.servers(backend):
            with contextlib.suppress(Refusal):  # it may have left meanwhile
                self.set_server(by, backend, one.server, admin=admin)
        return next(one for one in self.backends() if one.name == backend)

    def add_server(self, by: str, backend: str, address: str, **settings: Any) -> answers.ServerRow:
        """Add a server to a backend, or give the one with this address other settings."""
        self._backend(self.proxy.stats(), backend)
        with _refusing(backend):
            self.proxy.add_server(backend, address, by=by, **settings)
        after = self.server(backend, address)
        self._changed(by, f"backends.{backend}.servers", None, f"{address} weight={after.observed.weight}")
        return after

    def remove_server(self, by: str, backend: str, address: str) -> None:
        """Remove a server from a backend; its connections go on."""
        before = self.server(backend, address)
        with _refusing(backend):
            self.proxy.remove_server(backend, address, by=by)
        self._changed(by, f"backends.{backend}.servers", f"{address} {_admin(before)}", None)

    def close_connection(self, by: str, number: str) -> None:
        """Close one connection by its number."""
        if not (number.isascii() and number.isdigit() and self.proxy.close_connections([int(number)])):
            raise Refusal(404, "no_such_connection", f"there is no connection {number}")
        self._changed(by, "connections", number, "closed")

    def close_connections(self, by: str, count: int, **wanted: Any) -> answers.Closed:
        """Close those for which all that is ``wanted`` holds, if they are no more than ``count``."""
        found = self.connections(count + 1, **wanted).connections
        if len(found) > count:
            detail = f"there are more than {count} by now: look again"
            raise Refusal(409, "more_connections", detail)
        closed = self.proxy.close_connections(one.id for one in found)
        chosen = " ".join(f"{name}={one}" for name, one in wanted.items()) or "all"
        self._changed(by, "connections", chosen, f"{closed} closed")
        return answers.Closed(closed=closed)

    def reload(self, by: str) -> answers.Reloaded:
        """Read the file again. Everything goes on as it is where that is wrong."""
        self._is_open()
        if self.proxy.file is None:
            raise Refusal(409, "no_file", "this proxy was not made from a file: PUT a configuration")
        before = self.proxy.reloads.good
        with _loading():
            waiting = self.service.reload() if self.service is not None else self.proxy.reload()
        self._changed(by, "reload", before, self.proxy.reloads.good)
        return answers.Reloaded(needs_restart=waiting)

    def put_config(self, by: str, text: str, expected: str) -> answers.ConfigText:
        """Run another configuration and write it to the file, if ``expected`` is the digest of what is there.

        Where it cannot be used, the file is as it was before and nothing has changed.
        """
        self._is_open()
        before = self.config()
        if expected not in (before.digest, "*"):
            raise Refusal(412, "changed_meanwhile", "the configuration is another one by now: look at it again")
        with _loading():
            config = Config.of(examine(self._document(text), Store()).config)
        file = self.proxy.file
        with _loading():
            if file is None:
                self.proxy.reload(config)
            else:
                _replaced(file, text, lambda: self.service.reload() if self.service else self.proxy.reload())
        after = self.config()
        self._changed(by, "config", before.digest, after.digest)
        return after

    def reopen_logs(self, by: str) -> answers.Done:
        """Open the logs again by their paths."""
        went_well = True
        try:
            if self.service is not None:
                went_well = self.service.reopen()
            else:
                self.proxy.reopen_logs()
        except OSError as error:
            raise Refusal(409, "not_reopened", str(error)) from None
        if not went_well:
            raise Refusal(409, "not_reopened", "the log cannot be opened: see the program's own lines")
        self._changed(by, "logs", None, "reopened")
        return answers.Done(done="logs reopened")

    def drain(self, by: str) -> answers.Done:
        """Accept no more; what is open goes on. There is no way back but a restart."""
        if not self.proxy.is_draining:
            self.proxy.drain(0)
            self._changed(by, "draining", False, True)
        return answers.Done(done="draining")

    def stop(self, by: str) -> answers.Done:
        """Let connections finish, up to ``proxy.drain``, and end the process."""
        service = self._service("ends it")
        self._changed(by, "running", True, False)
        service.end()
        return answers.Done(done="stopping")

    def set_level(self, by: str, level: Literal["debug", "info", "warning", "error"]) -> answers.Level:
        """Leave out lines of the log below this level, until the next reload."""
        service = self._service("writes its log")
        before, service.level = service.level, level
        self._changed(by, "log_level", before, level)
        return answers.Level(level=level)

    # ---- parts

    def _service(self, does: str) -> Service:
        if self.service is None:
            raise Refusal(409, "no_service", f"this proxy lives in a Python program: that {does}")
        return self.service

    def _is_open(self) -> None:
        if self.proxy.is_draining:
            raise Refusal(409, "draining", "draining: nothing is loaded any more")

    def _changed(self, by: str, what: str, before: object, after: object) -> None:
        facts = {"by": by, "what": what, "before": before, "after": after}
        self.proxy.tell(Notice(kind="admin_changed", facts={key: one for key, one in facts.items() if one is not None}))

    def _backend(self, stats: Stats, name: str) -> None:
        if name not in stats.backends:
            raise Refusal(404, "no_such_backend", f'there is no backend "{name}"')

    def _servers(self, stats: Stats, only: str | None) -> Iterator[answers.ServerRow]:
        overrides = {(one.backend, one.server): one for one in self.proxy.overrides()}
        for name, backend in stats.backends.items():
            if only not in (None, name):
                continue
            written = self.proxy.config.backends.get(name)
            configured = {one.address: one for one in (written.servers if written is not None else ())}
            for address, observed in backend.servers.items():
                one = configured.get(address)
                yield answers.ServerRow(
                    backend=name,
                    server=address,
                    state=_state(observed),
                    configured=None
                    if one is None
                    else answers.Configured(weight=one.weight, backup=one.backup, max_connections=one.max_connections),
                    override=overrides.get((name, address)),
                    observed=observed,
                )

    def _text(self) -> str | None:
        file = self.proxy.file
        try:
            return None if file is None else file.read_text()
        except (OSError, UnicodeDecodeError):
            return None

    def _document(self, text: str | None) -> Document:
        file = self.proxy.file
        if text is not None:
            return Document.parse(text, str(file) if file is not None else None)
        if file is None:
            raise Refusal(409, "no_file", "this proxy was not made from a file: give a configuration")
        try:
            return Document.read(file)
        except OSError as error:
            raise Refusal(409, "unreadable", f"{file}: cannot be read: {error.strerror}") from None


def _state(server: ServerStats) -> answers.State:
    if server.admin != "ready":
        return server.admin
    return "down" if not server.up else "ejected" if server.ejected else "up"


def _admin(row: answers.ServerRow) -> str:
    return f"{row.observed.admin} weight={row.observed.weight}"


def _entries(table: Mapping[str, Any], contains: str, limit: int) -> Iterator[answers.Entry]:
    wanted = (name for name in table if contains in name)
    for _, name in zip(range(limit), wanted, strict=False):
        target = changes.plain(table[name])
        is_short = isinstance(target, dict) and target.keys() == {"backend"}
        yield answers.Entry(pattern=name, target=target["backend"] if is_short else target)


def _limits(config: Config, stats: Stats) -> Iterator[answers.LimitRow]:
    import resource

    for name, listener in config.listeners.items():
        if listener.max_connections is not None and name in stats.listeners:
            used = stats.listeners[name].active
            yield answers.LimitRow(key=f"listeners.{name}.max_connections", limit=listener.max_connections, used=used)
    for name, backend in config.backends.items():
        counted = stats.backends[name].servers if name in stats.backends else {}
        for server in backend.servers:
            if server.max_connections is not None:
                one = counted.get(server.address)
                key = f"backends.{name}.servers {server.address} max_connections"
                yield answers.LimitRow(key=key, limit=server.max_connections, used=one.active if one else None)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield answers.LimitRow(key="RLIMIT_NOFILE", limit=soft, used=sum(1 for _ in Path("/proc/self/fd").iterdir()))


def _problem(problem: Problem) -> answers.ConfigProblem:
    return answers.ConfigProblem(
        key=problem.key,
        reason=problem.reason,
        suggestion=problem.suggestion,
        line=problem.line,
        column=problem.column,
    )


def _trial(  # noqa: PLR0913  (the parts of the answer)
    *,
    problems: tuple[answers.ConfigProblem, ...] = (),
    warnings: tuple[answers.ConfigProblem, ...] = (),
    added: tuple[str, ...] = (),
    removed: tuple[str, ...] = (),
    changed: tuple[answers.Change, ...] = (),
    needs_restart: tuple[str, ...] = (),
) -> answers.Trial:
    return answers.Trial(
        is_good=not problems,
        problems=problems,
        warnings=warnings,
        added=added,
        removed=removed,
        changed=changed,
        needs_restart=needs_restart,
    )


@contextlib.contextmanager
def _refusing(backend: str) -> Iterator[None]:
    """Say no where the engine does."""
    try:
        yield
    except KeyError as error:
        raise Refusal(404, "no_such_server", f'backend "{backend}": {error.args[0] if error.args else error}') from None
    except ConfigError as error:
        raise _unusable(error.problems) from None
    except ValueError as error:
        raise Refusal(422, "bad_server", str(error)) from None


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """Say no where a configuration cannot be used."""
    try:
        yield
    except ConfigError as error:
        raise _unusable(error.problems) from None
    except BindError as error:
        raise Refusal(409, "not_bound", "; ".join(map(str, error.failures))) from None
    except OSError as error:
        raise Refusal(409, "not_loaded", str(error)) from None


def _unusable(problems: Sequence[Problem]) -> Refusal:
    told = [
        {"key": one.key, "reason": one.reason, "suggestion": one.suggestion, "line": one.line, "column": one.column}
        for one in problems
        if not one.is_warning
    ]
    return Refusal(422, "wrong_configuration", "; ".join(map(str, problems))[:4000], problems=told)


def _replaced(file: Path, text: str, load: Any) -> None:
    """Write a file so that a crash leaves the old or the new, and load it; the old one is back where that fails."""
    old, mode = file.read_bytes(), file.stat()
    _write(file, text.encode(), mode)
    try:
        load()
    except BaseException:
        _write(file, old, mode)
        raise


def _write(file: Path, text: bytes, as_before: os.stat_result) -> None:
    import tempfile

    target = file.resolve()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as written:
            os.fchmod(descriptor, as_before.st_mode & 0o7777)
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, as_before.st_uid, as_before.st_gid)
            written.write(text)
            written.flush()
            os.fsync(descriptor)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
