"""Reader: the statements of a sniproxy.conf to its tree, and everything that is wrong, at once.

Owns the global directives and tables. What sniproxy would refuse is a problem; what it takes and does nothing with, or
something else than it seems, is a warning.
"""

from headworks.config.problems import Problem, closest, did_you_mean
from headworks.importing.flaws import Flaws
from headworks.importing.sniproxy.addresses import is_number
from headworks.importing.sniproxy.flaws import is_lost, known, read_address, refuse_block, with_port
from headworks.importing.sniproxy.listeners import read_listener
from headworks.importing.sniproxy.logs import read_log, read_resolver
from headworks.importing.sniproxy.statements import Block, Statement, every, parse
from headworks.importing.sniproxy.switches import GLOBAL
from headworks.importing.sniproxy.tree import Entry, File, Route, Setting, Table
from headworks.importing.sniproxy.words import lines_of


def read(source: bytes, name: str | None = None) -> tuple[File, list[Problem]]:
    """Return what a file says, as far as it can be read, and everything wrong with it."""
    flaws = Flaws(lines_of(source), name)
    parsed = parse(source)
    for flaw in parsed.flaws:
        flaws.place(flaw.line, flaw.column, flaw.reason, flaw.suggestion, is_warning=flaw.is_warning)
    for word in (word for one in every(parsed.block) for word in one.words if not _is_text(word.text)):
        flaws.add(word, f'"{word.text}" is no UTF-8 text, and a configuration of ours must be')
    reader = _Reader(flaws)
    reader.read(parsed.block)
    reader.file.idle += parsed.unread
    return reader.file, sorted(flaws.problems, key=lambda one: (one.line or 0, one.column or 0))


def _is_text(word: str) -> bool:
    """Whether all of a word was UTF-8: bytes that are none are surrogates in it."""
    return word.isascii() or not any("\ud800" <= character <= "\udfff" for character in word)


class _Reader:
    """One file."""

    def __init__(self, flaws: Flaws) -> None:
        self.file = File()
        self._flaws = flaws

    def read(self, block: Block) -> None:
        self.file.after = block.after
        for statement in block.statements:
            name = known(statement, GLOBAL, self._flaws)
            match name:
                case "username" | "groupname" | "pidfile":
                    self._set(name, statement)
                case "resolver" | "error_log" | "access_log":
                    self._section(name, statement)
                case "listener":
                    self._listener(statement)
                case "table":
                    self._table(statement)

    def _set(self, name: str, statement: Statement) -> None:
        field = {"username": "user", "groupname": "group"}.get(name, name)
        refuse_block(name, statement, self._flaws)
        if len(statement.words) == 1:
            self._flaws.add(statement, f"{name} has no value and does nothing", is_warning=True)
            self.file.idle.append(statement)
        for word in statement.words[1:]:
            if getattr(self.file, field) is not None:
                self._flaws.add(word, f"{name} is given twice, and sniproxy refuses that", "keep one")
            else:
                setattr(self.file, field, Setting(word.text, statement))

    def _section(self, name: str, statement: Statement) -> None:
        """Read what has nothing but a block."""
        if len(statement.words) > 1:
            reason = f"{name} takes no word but a block: {name} {{ ... }}"
            inside = f"{name} {{ filename {statement.words[1].text} }}" if name != "resolver" else None
            self._flaws.add(statement.words[1], reason, did_you_mean(inside))
            return
        if statement.block is None:
            self._flaws.add(statement, f"{name} without a block does nothing", is_warning=True)
            self.file.idle.append(statement)
            return
        found = read_resolver(statement, self._flaws) if name == "resolver" else read_log(statement, self._flaws)
        if found is not None:
            before = getattr(self.file, name)
            # Of several the last counts.
            self.file.idle += [before.statement] if before is not None else []
            setattr(self.file, name, found)

    def _listener(self, statement: Statement) -> None:
        if is_lost(statement, self._flaws):
            self.file.idle.append(statement)
            return
        if (listener := read_listener(statement, self._flaws)) is not None:
            self.file.listeners.append(listener)
            self.file.order.append(listener)

    def _table(self, statement: Statement) -> None:
        if is_lost(statement, self._flaws):
            self.file.idle.append(statement)
            return
        for word in statement.words[2:]:
            self._flaws.add(word, f'a table has one name, and "{word.text}" is another', "take it out")
        name = statement.words[1].text if len(statement.words) > 1 else None
        inside = statement.block.statements if statement.block is not None else []
        entries = []
        for one in inside:
            if is_lost(one, self._flaws):
                self.file.idle.append(one)
            else:
                entries.append(_entry(one, self._flaws))
        table = Table(statement, name, tuple(entries))
        self.file.tables.append(table)
        self.file.order.append(table)


def _entry(statement: Statement, flaws: Flaws) -> Entry:
    """Read one line of a table: ``PATTERN TARGET [PORT] [proxy_protocol]``."""
    pattern, *rest = statement.words
    if statement.block is not None:
        reason = "an entry of a table takes no block, and a { outside of quotes begins one"
        flaws.add(statement, reason, f'quote a pattern that has one: "{pattern.text}{{1,3}}"')
    elif not rest:
        reason = "an entry without an address: names that it matches get the fallback or are refused"
        flaws.add(pattern, reason, "write the address of a server", is_warning=True)
    address = read_address(rest[0], flaws) if rest else None
    proxy = False
    for word in rest[1:]:
        if address is not None and not address.port and is_number(word.text):
            address = with_port(address, word, flaws)
        elif not proxy and word.text.lower() == "proxy_protocol":
            proxy = True
        else:
            near = closest(word.text, ["proxy_protocol"])
            reason = f'"{word.text}" does not belong here: an entry is PATTERN TARGET [PORT] [proxy_protocol]'
            flaws.add(word, reason, did_you_mean(near))
    return Entry(statement, pattern.text, Route(address, proxy) if address is not None else None)
