"""Lint: patterns that match more, or less, than they seem to, and entries that nothing gets to.

Looks at a sniproxy.conf or at a configuration of ours. Must never refuse a file: what is wrong is config/'s to say.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from headworks.importing.sniproxy.emit import expression
from headworks.importing.sniproxy.expressions import compiled, is_any, is_name, names
from headworks.importing.sniproxy.order import tell
from headworks.importing.sniproxy.reader import read
from headworks.importing.sniproxy.syntax import (
    ANY,
    Chars,
    Choice,
    Node,
    Pattern,
    PatternError,
    Repeat,
    Row,
    Start,
    parse,
)
from headworks.importing.sniproxy.tree import Form, Table

_STRANGER = "evil.test"
"""The end of names that nobody means."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is hardly meant."""

    line: int | None
    kind: str
    """``unanchored``, ``unescaped``, ``capitals``, ``shadowed``, ``duplicate``, ``fallback`` or ``pattern``."""
    table: str
    pattern: str
    reason: str
    example: str | None = None
    """A name that it matches by accident."""

    def facts(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Return it without the file: line, table and pattern, reason."""
        where = f"{self.line}: " if self.line is not None else ""
        said = f"{where}{self.table}: {self.pattern}: {self.kind}: {self.reason}"
        return f"{said}, for example {self.example}" if self.example else said


def of_sniproxy(source: bytes) -> list[Finding]:
    """Look at a sniproxy.conf."""
    file, _ = read(source)
    found: list[Finding] = []
    for table in file.tables:
        found += _of_table(table)
    last = {table.name: table for table in file.tables}
    for listener in file.listeners:
        name = listener.table.value if listener.table is not None else None
        if listener.fallback is None or listener.fallback_statement is None or name not in last:
            continue
        taker = next((entry for entry in last[name].entries if _takes_all(entry.pattern)), None)
        if taker is not None and taker.route is not None and taker.route.address.form is not Form.ASKED:
            reason = f"nothing gets to this fallback: line {taker.statement.line} takes all that comes"
            shown = str(listener.fallback.address)
            found.append(Finding(listener.fallback_statement.line, "fallback", name or "table", shown, reason))
    return sorted(found, key=lambda one: one.line or 0)


def of_ours(value: Mapping[str, Any], lines: Mapping[tuple[str | int, ...], tuple[int, int]]) -> list[Finding]:
    """Look at a configuration of ours, as it is written: what is no table of patterns is left alone."""
    found: list[Finding] = []
    tables = value.get("tables")
    for name, table in tables.items() if isinstance(tables, Mapping) else ():
        written = list(table) if isinstance(table, Mapping) else []
        expressions = [one for one in written if one.startswith("~")]
        parsed = {one: pattern for one in expressions if (pattern := _parsed(one[1:])) is not None}
        for one, pattern in parsed.items():
            line = lines.get(("tables", name, one), (None, 0))[0]
            found += (Finding(line, kind, name, one, reason, shown) for kind, reason, shown in _doubts(pattern))
            found += _hidden(name, one, pattern, written, line)
        found += _shadowed([(one, parsed[one]) for one in parsed], name, lines)
    return sorted(found, key=lambda one: one.line or 0)


def _of_table(table: Table) -> Iterator[Finding]:
    name = table.name or "table"
    entries: list[tuple[int, str, Pattern, Any]] = []
    seen: dict[str, int] = {}
    for entry in table.entries:
        line = entry.statement.line
        if entry.pattern in seen:
            reason = f"the same as in line {seen[entry.pattern]}, which comes first"
            yield Finding(line, "duplicate", name, entry.pattern, reason)
            continue
        seen[entry.pattern] = line
        try:
            pattern = parse(entry.pattern)
        except PatternError as error:
            yield Finding(line, "pattern", name, entry.pattern, str(error))
            continue
        entries.append((line, entry.pattern, pattern, entry.route))
        for kind, reason, example in _doubts(pattern):
            yield Finding(line, kind, name, entry.pattern, reason, example)
        if pattern.is_folded:
            reason = "names arrive in lower case from browsers, and sniproxy compares capital letters as such"
            yield Finding(line, "capitals", name, entry.pattern, reason)
    told = tell([(pattern, route) for _, _, pattern, route in entries])
    for (line, written, _, _), one in zip(entries, told, strict=True):
        if one.hidden_by is not None and not one.patterns:
            earlier = entries[one.hidden_by]
            reason = f"never reached: {earlier[1]} in line {earlier[0]} takes its names"
            yield Finding(line, "shadowed", name, written, reason)


def _shadowed(
    entries: list[tuple[str, Pattern]], table: str, lines: Mapping[tuple[str | int, ...], tuple[int, int]]
) -> Iterator[Finding]:
    """Find expressions of ours that an earlier one takes the names of."""
    for (written, _), one in zip(entries, tell([(pattern, name) for name, pattern in entries]), strict=True):
        if one.hidden_by is not None and not one.patterns:
            reason = f"never reached: {entries[one.hidden_by][0]} comes first and takes its names"
            yield Finding(lines.get(("tables", table, written), (None, 0))[0], "shadowed", table, written, reason)


def _hidden(table: str, written: str, pattern: Pattern, keys: Iterable[str], line: int | None) -> Iterator[Finding]:
    """Find an expression of ours for names that the table has as such."""
    found = names(pattern)
    if found is None:
        return
    instead = [*found.exact, *(f"*.{one}" for one in found.below)]
    known = set(keys)
    if all(one in known for one in instead):
        yield Finding(
            line, "shadowed", table, written, f"never reached: {' and '.join(instead)} are entries of their own"
        )


def _doubts(pattern: Pattern) -> Iterator[tuple[str, str, str | None]]:
    """Yield kind, reason and an example of what a pattern matches by accident."""
    if names(pattern) is not None or is_any(pattern):
        return
    search = compiled(expression(pattern.node)).search
    plain = _sample(pattern.node, dots=".")
    loose = _sample(pattern.node, dots="x")
    if loose != plain and search(loose) and is_name(plain):
        yield "unescaped", "a dot stands for any character: write \\. for a dot (in a sniproxy.conf \\\\.)", loose
    after, before = f"{plain}.{_STRANGER}", f"evil{plain}"
    if "." not in plain:
        return
    if is_name(after) and search(after):
        yield "unanchored", "it matches amid a name: end it by $", after
    elif is_name(before) and not plain.startswith(".") and search(before) and _begins_loosely(pattern):
        yield "unanchored", "it matches the end of other names: begin its names by (^|\\.)", before


def _begins_loosely(pattern: Pattern) -> bool:
    """Whether plain text follows the beginning, or what is to be anything: it may stand amid a label."""
    items = list(pattern.node.items) if isinstance(pattern.node, Row) else [pattern.node]
    while items and (isinstance(items[0], Start) or (isinstance(items[0], Repeat) and _is_anything(items[0].item))):
        items.pop(0)
    first = items[0] if items else None
    return isinstance(first, Chars) and len(first.chosen) == 1 and next(iter(first.chosen)).isalnum()


def _is_anything(node: Node) -> bool:
    return isinstance(node, Chars) and node.chosen >= ANY


def _sample(node: Node, *, dots: str) -> str:
    """Return a text that the pattern was probably written for; ``dots`` is what stands for any character."""
    match node:
        case Chars(chosen):
            return dots if _is_anything(node) else min(chosen, default="", key=_likely)
        case Row(items):
            return "".join(_sample(item, dots=dots) for item in items)
        case Choice(options):
            return _sample(options[0], dots=dots)
        case Repeat(item, least):
            return _sample(item, dots="a" if _is_anything(item) else dots) * least
        case _:
            return ""


def _likely(character: str) -> tuple[bool, str]:
    return not character.isalnum(), character


def _parsed(text: str) -> Pattern | None:
    try:
        return parse(text)
    except PatternError:
        return None


def _takes_all(text: str) -> bool:
    pattern = _parsed(text)
    return pattern is not None and is_any(pattern)
