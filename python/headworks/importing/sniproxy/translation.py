"""Translation: what a sniproxy.conf says as a configuration of ours, each statement with what became of it.

Owns everything but tables, which are routes.py's. Must never start anything, look at the machine or leave a statement
without an outcome.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headworks.config.problems import closest, did_you_mean
from headworks.importing.draft import Draft, Path
from headworks.importing.flaws import Flaws
from headworks.importing.sniproxy.names import of_listener, shown
from headworks.importing.sniproxy.reader import read
from headworks.importing.sniproxy.routes import Routes
from headworks.importing.sniproxy.statements import Statement, every
from headworks.importing.sniproxy.tree import File, Form, Listener, Log, Resolver
from headworks.importing.sniproxy.words import lines_of
from headworks.importing.translated import Translated

_LEVELS = {"emergency": "error", "alert": "error", "critical": "error", "notice": "info"}
"""Levels that are called otherwise here."""
_SILENT = ("emergency", "alert", "critical", "error", "warning")
"""Levels of an access log that leave every line of it out."""
_USER = "daemon"
"""The user that sniproxy becomes when none is given."""


@dataclass(frozen=True, slots=True)
class Translation(Translated):
    """A configuration of ours, and what it was."""

    file: File = field(default_factory=File)


def translate(source: bytes, name: str | None = None) -> Translation:
    """Translate a sniproxy.conf; ``name`` is what problems are reported against."""
    file, problems = read(source, name)
    lines = lines_of(source)
    draft = Draft("sniproxy", shown, Flaws(lines, name), Flaws(lines, name))
    _Translating(file, draft).translate()
    draft.flaws.problems[:0] = problems
    return replace(Translation.of(draft, lines), file=file)


FAMILIES = {
    "ipv4_only": "ipv4",
    "ipv6_only": "ipv6",
    "ipv4_first": "ipv4_first",
    "ipv6_first": "ipv6_first",
}
"""``families`` of ``[resolver]`` for each mode of sniproxy's that has one."""


class _Translating:
    """One file."""

    def __init__(self, file: File, draft: Draft) -> None:
        self._file = file
        self._draft = draft
        resolver = file.resolver
        domains = {one.value for one in resolver.search} if resolver is not None and resolver.nameservers else set()
        self._search = next(iter(domains)) if len(domains) == 1 else None
        self._routes = Routes(draft, file.tables, self._search)

    def translate(self) -> None:
        # Keys come in this order, whatever the file's.
        self._draft.value.update({"proxy": {}, "logs": {}, "listeners": {}, "tables": {}, "backends": {}})
        self._process()
        self._logs()
        for one in self._file.order:
            if isinstance(one, Listener):
                self._listener(one)
        self._routes.close()
        self._resolver()
        for statement in self._file.idle:
            self._all(statement, (), "sniproxy does nothing for this")
        self._draft.at(()).after += self._file.after
        for kind in ("listeners", "tables", "backends"):
            if not self._draft.value[kind]:
                del self._draft.value[kind]

    # ---- the process

    def _process(self) -> None:
        file, draft = self._file, self._draft
        if file.user is not None:
            draft.put(("proxy", "user"), file.user.value, file.user.statement)
            draft.converted(file.user.statement, ("proxy", "user"))
        else:
            draft.value["proxy"]["user"] = _USER
            draft.at(("proxy", "user")).before.append("What sniproxy becomes when no user is given.")
        if file.group is not None:
            draft.put(("proxy", "group"), file.group.value, file.group.statement)
            draft.converted(file.group.statement, ("proxy", "group"))
        if file.pidfile is not None:
            reason = "the service manager knows the process; headworks sniproxy still writes it"
            draft.left_out(file.pidfile.statement, ("proxy",), reason)

    def _logs(self) -> None:
        own = [one.access_log for one in self._file.listeners if one.access_log is not None]
        logs = [*([self._file.access_log] if self._file.access_log else []), *own]
        chosen = next((log for log in logs if log.priority not in _SILENT), None)
        place = "off" if chosen is None else chosen.filename or "syslog"
        path = ("logs", "access")
        self._draft.value["logs"]["access"] = place
        if not logs:
            self._draft.at(path).before.append("sniproxy writes none unless it is told to.")
        for log in logs:
            self._access_log(log, chosen, path)
        if self._file.error_log is not None:
            log = self._file.error_log
            self._draft.put(("logs", "level"), _LEVELS.get(log.priority, log.priority), log.statement)
            if log.facility is not None:
                self._draft.put(("logs", "program"), "syslog", log.statement)
                self._syslog(log)
                self._log(log, ("logs", "program"), None)
                return
            where = "to stderr, and from there to the journal; headworks sniproxy still writes the file"
            self._log(log, ("logs", "level"), f"our own lines go {where}")

    def _access_log(self, log: Log, chosen: Log | None, path: Path) -> None:
        if log.priority in _SILENT:
            self._log(log, path, None)
        elif chosen is not None and log.filename != chosen.filename:
            self._log(
                log, path, f"there is one log for all listeners, {chosen.filename or 'syslog'}: records name theirs"
            )
        elif log.filename is None:
            self._draft.positions.setdefault(path, (log.statement.line, log.statement.column))
            self._syslog(log)
            self._log(log, path, "records have the form of ours, and more in them")
        else:
            self._draft.positions.setdefault(path, (log.statement.line, log.statement.column))
            self._log(log, path, "records have the form of ours, and more in them")

    def _syslog(self, log: Log) -> None:
        """Say how lines are sent."""
        syslog = self._draft.value["logs"].setdefault(
            "syslog", {"facility": log.facility, "tag": "sniproxy", "form": "rfc3164"}
        )
        if syslog["facility"] != log.facility and log is self._file.error_log:
            syslog["program_facility"] = log.facility

    def _log(self, log: Log, path: Path, difference: str | None) -> None:
        self._draft.converted(log.statement, path, difference)
        for statement in log.statement.block.statements if log.statement.block is not None else ():
            self._draft.converted(statement, path)
        self._draft.close([log.statement], path)

    def _resolver(self) -> None:
        resolver = self._file.resolver
        if resolver is None:
            return
        if not self._resolves():
            self._all(resolver.statement, ("proxy",), "no address is a name: nothing is resolved")
            return
        path = ("resolver",)
        keys: dict[str, object] = {}
        if resolver.nameservers:
            keys["nameservers"] = [one.value for one in resolver.nameservers]
        if resolver.mode is not None and resolver.mode.value in FAMILIES:
            keys["families"] = FAMILIES[resolver.mode.value]
        if keys:
            self._draft.put(path, keys, resolver.statement)
            self._draft.converted(resolver.statement, path)
        else:
            self._draft.left_out(resolver.statement, (), "the system's resolver is asked")
        for server in resolver.nameservers:
            self._draft.converted(server.statement, (*path, "nameservers"))
        section = path if keys else ()
        self._searched(resolver, section)
        if resolver.mode is not None and "families" in keys:
            self._draft.converted(resolver.mode.statement, (*path, "families"))
        elif resolver.mode is not None:
            self._draft.left_out(resolver.mode.statement, section, "addresses of both families are servers already")
        self._draft.close([resolver.statement], section)

    def _searched(self, resolver: Resolver, section: Path) -> None:
        for one in resolver.search:
            if self._search is not None:
                self._draft.converted(one.statement, section, "names without a dot are written in full")
                continue
            is_idle = not resolver.nameservers
            reason = "sniproxy ignores it without a nameserver" if is_idle else "write names in full"
            self._draft.left_out(one.statement, section, reason, is_supported=is_idle)

    def _resolves(self) -> bool:
        servers = [one["servers"] for one in self._draft.value["backends"].values()]
        forms = (route.address.form for route in self._every_route())
        return bool(servers) and any(form in (Form.NAME, Form.ASKED) for form in forms)

    def _every_route(self) -> Sequence[Any]:
        entries = [entry.route for table in self._file.tables for entry in table.entries]
        return [route for route in (*entries, *(one.fallback for one in self._file.listeners)) if route is not None]

    def _all(self, statement: Statement, section: Path, reason: str) -> None:
        """Leave a statement out with everything in its block."""
        inside = list(every(statement.block)) if statement.block is not None else []
        for one in (statement, *inside):
            self._draft.left_out(one, section, reason)
        self._draft.close([statement, *inside], section)

    # ---- listeners

    def _listener(self, listener: Listener) -> None:
        listeners = self._draft.value["listeners"]
        name = of_listener(listener, listeners)
        path = ("listeners", name)
        self._draft.put(path, {}, listener.statement)
        self._draft.order.append(path)
        self._draft.put((*path, "bind"), _bind(listener), listener.statement)
        self._draft.converted(listener.statement, path)
        self._protocol(listener, path)
        table = listener.table.value if listener.table is not None else None
        if listener.table is not None:
            self._draft.converted(listener.table.statement, (*path, "table"))
        if self._routes.has(table):
            self._routes.attach(listener, path)
        else:
            self._no_table(listener, table)
        self._options(listener, path)
        self._draft.close([listener.statement], path)

    def _protocol(self, listener: Listener, path: Path) -> None:
        statement = listener.protocol.statement if listener.protocol is not None else listener.statement
        self._draft.put((*path, "protocol"), "http_host" if listener.is_http else "tls", statement)
        if listener.protocol is not None:
            self._draft.converted(statement, (*path, "protocol"))

    def _no_table(self, listener: Listener, name: str | None) -> None:
        known = [table.name for table in self._file.tables if table.name is not None]
        statement = listener.table.statement if listener.table is not None else listener.statement
        reason = "there is no table without a name, and this listener has none else" if name is None else ""
        near = closest(name, known) if name is not None else None
        self._draft.flaws.add(statement, reason or f'there is no table "{name}"', did_you_mean(near))

    def _options(self, listener: Listener, path: Path) -> None:
        draft = self._draft
        if listener.source_statement is not None:
            port = "servers see the client's address with a port of ours, not with its own"
            draft.converted(listener.source_statement, path, port if listener.is_transparent else None)
        if listener.reuseport is not None:
            draft.left_out(listener.reuseport.statement, path, "each worker has a socket of its own, always")
        if listener.ipv6_only is not None:
            if listener.ipv6_only.value == "yes" and ":" in listener.address.host:
                draft.put((*path, "ipv6_only"), True, listener.ipv6_only.statement)
                draft.converted(listener.ipv6_only.statement, (*path, "ipv6_only"))
            else:
                draft.left_out(listener.ipv6_only.statement, path, "it changes nothing for this address")
        if listener.bad_requests is not None:
            draft.left_out(listener.bad_requests.statement, path, "each has an access record, with end=bad_request")
        block = listener.statement.block
        for statement in block.statements if block is not None else ():
            if not draft.has(statement):
                self._all(statement, path, "sniproxy does nothing for this")


def _bind(listener: Listener) -> str:
    address = listener.address
    is_short = len(listener.statement.words) > 1 and listener.statement.words[1].text == str(address.port)
    return f":{address.port}" if is_short and address.host == "::" else str(address)
