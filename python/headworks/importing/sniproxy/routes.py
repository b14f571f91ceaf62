"""Routes: tables of sniproxy and what they lead to, as tables and backends of ours.

Owns ports that are inherited, and what becomes of clients without a name. A table that listeners of several ports
share, or that leads elsewhere for each of them, becomes a table for each.

There, clients without a name get what matches the empty name, if there is a fallback, and then the fallback. Here they
get the fallback, then `*`.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from headworks.importing.draft import Draft
from headworks.importing.sniproxy.names import free, of_backend
from headworks.importing.sniproxy.order import Told, tell
from headworks.importing.sniproxy.statements import Statement
from headworks.importing.sniproxy.syntax import Pattern, PatternError, parse
from headworks.importing.sniproxy.tree import Address, Entry, Form, Listener, Route, Table

UNNAMED = "default"
"""Name of the table that has none."""

_EVERYWHERE = ["0.0.0.0/0", "::/0"]


def source_of(listener: Listener) -> str | None:
    """Return what connections to servers come from, as a backend's ``source`` has it; None: as the system chooses."""
    if listener.is_transparent:
        return "client"
    return str(listener.source) if listener.source is not None else None


@dataclass(slots=True)
class _Read:
    """A table whose patterns were read."""

    table: Table
    entries: list[tuple[Entry, Pattern, Told]]

    @property
    def inherits(self) -> bool:
        """Whether an entry takes the port of the listener."""
        routes = (entry.route for entry, _, told in self.entries if told.patterns)
        return any(route and not route.address.port and route.address.form is not Form.UNIX for route in routes)

    @property
    def any(self) -> Entry | None:
        """The entry that takes every name that comes to it."""
        return next((entry for entry, _, told in self.entries if "*" in told.patterns), None)

    @property
    def nameless(self) -> Entry | None:
        """The entry for clients without a name."""
        return next((entry for entry, _, told in self.entries if told.takes_nameless), None)


class Routes:
    """The tables and backends that listeners lead to, made as they are needed."""

    def __init__(self, draft: Draft, tables: list[Table], search: str | None = None) -> None:
        self._draft = draft
        self._search = search
        # Of several tables with one name the last counts.
        self._tables = {table.name: table for table in tables}
        self._all = tables
        self._differences: dict[int, str] = {}
        self._read: dict[str | None, _Read] = {}
        self._made: dict[Hashable, str] = {}

    def has(self, name: str | None) -> bool:
        """Whether there is such a table."""
        return name in self._tables

    def backend(self, route: Route, listener: Listener, statement: Statement) -> str:
        """Return the backend for a route that a statement has, made if need be."""
        address = route.address.with_port(listener.address.port)
        if not address.port and address.form is not Form.UNIX:
            reason = (
                f"{address} has no port, and the listener at line {listener.statement.line} none that it could inherit"
            )
            self._draft.flaws.add(statement, reason, "write ADDRESS:PORT")
        source = source_of(listener)
        route = Route(self._in_full(address), route.proxy)
        address = route.address
        name = of_backend(route, source)
        path = ("backends", name)
        if name not in self._draft.value.setdefault("backends", {}):
            server = str(address)
            self._draft.put((*path, "servers"), server, statement)
            if route.proxy:
                self._draft.put((*path, "proxy_protocol"), "v1", statement)
            if source is not None:
                self._draft.put((*path, "source"), source, listener.source_statement or statement)
            if address.form is Form.ASKED:
                self._draft.put((*path, "allow_destinations"), _EVERYWHERE, statement)
                self._draft.at((*path, "allow_destinations")).before.append(
                    "Every public address; networks of your own that clients are to reach have to be listed."
                )
        return name

    def attach(self, listener: Listener, path: tuple[str, ...]) -> None:
        """Give a listener its table and its fallback."""
        read = self._table(listener.table.value if listener.table else None)
        fallback = listener.fallback
        nameless = read.nameless.route if read.nameless is not None else None
        rest = None
        is_kept = fallback is not None
        if nameless is None or nameless.address.form is Form.ASKED:
            pass  # nobody without a name gets there
        elif fallback is None:
            if read.any is not None:
                self._differs(
                    read.any, "clients without a name come here, too: without a fallback sniproxy refuses them"
                )
        elif read.nameless is read.any:
            # All that comes takes an entry: there is nothing left for a fallback.
            is_kept = False
        else:
            rest = fallback if read.any is None else None
            is_kept = rest is not None
            backend = self.backend(nameless, listener, listener.statement)
            self._draft.put((*path, "fallback"), backend, listener.statement)
        name = self._variant(read, listener, rest, fallback)
        self._draft.put((*path, "table"), name, listener.table.statement if listener.table else listener.statement)
        self._fallback(listener, path, is_kept=is_kept, is_rest=rest is not None)

    def close(self) -> None:
        """Say what became of tables that no listener has."""
        used = {id(read.table) for read in self._read.values()}
        last = {id(table) for table in self._tables.values()}
        for table in self._all:
            if id(table) in used:
                continue
            reason = "no listener has this table" if id(table) in last else "a later table has its name and counts"
            self._draft.left_out(table.statement, (), reason)
            for entry in table.entries:
                self._draft.left_out(entry.statement, (), reason)
            self._draft.close([table.statement], ())

    def _in_full(self, address: Address) -> Address:
        """Write a name without a dot in full, as the resolver of sniproxy looks for it."""
        if self._search is None or address.form is not Form.NAME or "." in address.host:
            return address
        return Address(address.form, f"{address.host}.{self._search}", address.port)

    def _differs(self, entry: Entry, difference: str) -> None:
        self._differences[id(entry)] = difference

    def _fallback(self, listener: Listener, path: tuple[str, ...], *, is_kept: bool, is_rest: bool) -> None:
        statement = listener.fallback_statement
        if listener.fallback is None or statement is None:
            return
        here = (*path, "fallback")
        if not is_kept:
            self._draft.left_out(statement, path, "nothing gets to it: an entry of the table takes all that comes")
            return
        if "fallback" not in self._draft.value["listeners"][path[1]]:
            self._draft.put(here, self.backend(listener.fallback, listener, statement), statement)
        difference = None if listener.is_http else "bytes that are no TLS are refused, and do not come here"
        if is_rest:
            difference = 'it is "*" of the table, since clients without a name go elsewhere'
        self._draft.converted(statement, here, difference)

    def _table(self, name: str | None) -> _Read:
        if name not in self._read:
            self._read[name] = self._read_table(self._tables[name])
        return self._read[name]

    def _read_table(self, table: Table) -> _Read:
        patterns: list[tuple[Entry, Pattern]] = []
        for entry in table.entries:
            try:
                patterns.append((entry, parse(entry.pattern)))
            except PatternError as error:
                section = ("tables", table.name or UNNAMED)
                self._draft.left_out(entry.statement, section, f"{error}; write other entries", is_supported=False)
        told = tell([(pattern, entry.route) for entry, pattern in patterns])
        return _Read(table, [(entry, pattern, one) for (entry, pattern), one in zip(patterns, told, strict=True)])

    def _variant(self, read: _Read, listener: Listener, rest: Route | None, fallback: Route | None) -> str:
        """Return the table for a listener; another one, where it leads elsewhere than those that were made."""
        has_holes = any(entry.route is None and told.patterns for entry, _, told in read.entries)
        port = listener.address.port
        key = (
            id(read.table),
            port if read.inherits or rest is not None or has_holes else None,
            source_of(listener),
            rest,
            fallback if has_holes else None,
        )
        if key not in self._made:
            tables = self._draft.value.setdefault("tables", {})
            plain = read.table.name or UNNAMED
            name = plain if plain not in tables else free(f"{plain}_{port}", tables)
            self._made[key] = name
            self._write(read, name, listener, rest, fallback)
        return self._made[key]

    def _write(self, read: _Read, name: str, listener: Listener, rest: Route | None, fallback: Route | None) -> None:
        path = ("tables", name)
        self._draft.put(path, {}, read.table.statement)
        self._draft.order.append(path)
        self._draft.converted(read.table.statement, path)
        for entry, pattern, told in read.entries:
            if not told.patterns:
                self._draft.left_out(entry.statement, path, self._why_never(read, told))
                continue
            target = self._target(entry, listener, fallback)
            if target is None:
                self._no_target(read, entry, path)
                continue
            for one in told.patterns:
                self._draft.put((*path, one), target, entry.statement)
            self._draft.converted(entry.statement, (*path, told.patterns[0]), self._difference(entry, pattern))
        if rest is not None:
            statement = listener.fallback_statement or listener.statement
            self._draft.put((*path, "*"), self.backend(rest, listener, statement), statement)
        self._draft.close([read.table.statement], path)

    def _target(self, entry: Entry, listener: Listener, fallback: Route | None) -> str | None:
        """Return what an entry leads to; None where that is nothing that a table can say."""
        if entry.route is not None:
            return self.backend(entry.route, listener, entry.statement)
        return self.backend(fallback, listener, entry.statement) if fallback is not None else None

    def _no_target(self, read: _Read, entry: Entry, path: tuple[str, ...]) -> None:
        """Say what becomes of an entry without an address where there is no fallback: its names are refused."""
        entries = [one for one, _, told in read.entries if told.patterns]
        later = entries[entries.index(entry) :]
        if any(one.route is not None for one in later):
            reason = "a table cannot refuse names that a later entry would take: give them a backend"
            self._draft.left_out(entry.statement, path, reason, is_supported=False)
        else:
            self._draft.left_out(entry.statement, path, "no entry after it takes its names: they are refused")

    def _why_never(self, read: _Read, told: Told) -> str:
        earlier = read.entries[told.hidden_by or 0][0].statement
        return f"never reached: line {earlier.line} takes its names"

    def _difference(self, entry: Entry, pattern: Pattern) -> str | None:
        found = [self._differences[id(entry)]] if id(entry) in self._differences else []
        if entry.route is not None and entry.route.address.form is Form.ASKED:
            found.append("this machine and private networks are refused, unless allow_destinations lists them")
        if not found and pattern.is_folded:
            found.append("names are compared in lower case: its capital letters stand for small ones")
        return "; ".join(found) or None
